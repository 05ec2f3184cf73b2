//! A whole small world: an IAM user with a key, a GitLab group that holds it, and the real binary between them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::aws::{Aws, Pair, project_root};
use crate::gitlab::{GitLab, GroupId, Options, Token, Variable};

/// The user whose key is rotated.
pub const USER: &str = "deploy";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Both stand-ins with their first inhabitants.
pub struct Lab {
    /// IAM, STS and Secrets Manager.
    pub aws: Aws,
    /// The variables.
    pub gitlab: GitLab,
    /// The group that holds the pair.
    pub group: GroupId,
    /// A token of the group's owner.
    pub token: String,
    /// The user's first key, 90 days old.
    pub old: Pair,
    binary: PathBuf,
}

/// One run of the binary.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// stdout.
    pub stdout: String,
    /// stderr.
    pub stderr: String,
}

impl Lab {
    /// Starts both stand-ins; the user may rotate its own key, and the group holds its pair, masked and protected.
    ///
    /// # Errors
    ///
    /// When a stand-in does not start.
    pub async fn start(binary: PathBuf) -> Result<Lab> {
        let aws = Aws::start().await?;
        let gitlab = GitLab::start(Options::from_env()).await?;
        let policy = policy("self-rotation")?;
        aws.add_user(USER, Some(&policy)).await?;
        let old = aws.add_key(USER, DAY * 90).await?;
        let (group, token) = gitlab.world(|world| {
            let group = world.add_group("platform");
            let token = world.add_token(Token::owner(group));
            world.set_variable(group, Variable::credential("AWS_ACCESS_KEY_ID", &old.id));
            world.set_variable(group, Variable::credential("AWS_SECRET_ACCESS_KEY", &old.secret));
            (group, token)
        });
        Ok(Lab {
            aws,
            gitlab,
            group,
            token,
            old,
            binary,
        })
    }

    /// Moves both clocks.
    ///
    /// # Errors
    ///
    /// When a stand-in is gone.
    pub async fn advance(&self, by: Duration) -> Result<()> {
        self.aws.advance(by).await?;
        self.gitlab.advance(by);
        Ok(())
    }

    /// What a job on a protected branch would be given now.
    pub fn pair(&self) -> Pair {
        let names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
        let mut values = self
            .gitlab
            .job_sees(self.group, &names, true)
            .into_iter()
            .flatten();
        Pair {
            id: values.next().unwrap_or_default(),
            secret: values.next().unwrap_or_default(),
            token: None,
        }
    }

    /// The settings of a run that signs with this pair.
    pub fn settings(&self, signer: &Pair) -> BTreeMap<String, String> {
        let mut settings = BTreeMap::from([
            ("AWS_ENDPOINT_URL".to_owned(), self.aws.url().to_owned()),
            ("AWS_REGION".to_owned(), "us-east-1".to_owned()),
            ("AWS_EC2_METADATA_DISABLED".to_owned(), "true".to_owned()),
            ("AWS_ACCESS_KEY_ID".to_owned(), signer.id.clone()),
            ("AWS_SECRET_ACCESS_KEY".to_owned(), signer.secret.clone()),
            ("GITLAB_API_URL".to_owned(), self.gitlab.url()),
            ("GITLAB_TOKEN".to_owned(), self.token.clone()),
            ("GITLAB_GROUP_ID".to_owned(), self.group.0.to_string()),
            ("KEYTURN_SETTLE".to_owned(), "0s".to_owned()),
        ]);
        if let Some(token) = &signer.token {
            settings.insert("AWS_SESSION_TOKEN".to_owned(), token.clone());
            settings.insert("AWS_IAM_USER".to_owned(), USER.to_owned());
        }
        settings
    }

    /// The command that a run is, with nothing else in its environment.
    pub fn command(&self, arguments: &[&str], settings: &BTreeMap<String, String>) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).env_clear().envs(settings);
        command
    }

    /// Runs the binary to its end.
    ///
    /// # Errors
    ///
    /// When it can't be started.
    pub fn run(&self, arguments: &[&str], settings: &BTreeMap<String, String>) -> Result<Ran> {
        let output = self.command(arguments, settings).output();
        Ok(Ran::from(output.with_context(|| {
            format!("{} could not be run", self.binary.display())
        })?))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A policy of `docs/policies`, exactly as users attach it.
///
/// # Errors
///
/// When there is no such file.
pub fn policy(name: &str) -> Result<String> {
    let file = project_root().join(format!("docs/policies/{name}.json"));
    std::fs::read_to_string(&file).with_context(|| format!("{} can't be read", file.display()))
}
