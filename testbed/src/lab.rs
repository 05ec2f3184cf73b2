//! A whole small world: an IAM user with a key, a GitLab group that holds it, and the real binary between them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::aws::{Aws, Door, Pair};
use crate::gitlab::{GitLab, GroupId, Options, Token, Variable};
use crate::paths::project_root;
use crate::secrecy;

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
    watch: Option<Watch>,
}

/// What the runs of a watched lab wrote, and the secrets that they were given.
struct Watch {
    directory: PathBuf,
    files: AtomicUsize,
    given: Mutex<BTreeSet<String>>,
}

/// One run of the binary.
pub struct Ran {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// stdout.
    pub stdout: String,
    /// stderr.
    pub stderr: String,
}

/// A run that has not ended, and writes into files: a pipe that nobody empties would hold it up.
pub struct Running {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Lab {
    /// Starts both stand-ins; the user may rotate its own key, and the group holds its pair, masked and protected.
    ///
    /// # Errors
    ///
    /// When a stand-in does not start.
    pub async fn start(binary: PathBuf) -> Result<Lab> {
        Lab::behind(&Door::default(), binary).await
    }

    /// The same, with an eye on every run: it logs all it can, also where the SDK is asked to log bodies, and writes both
    /// reports. When the lab is dropped, no secret that it ever knew may be in any byte of that.
    ///
    /// # Errors
    ///
    /// When a stand-in does not start.
    pub async fn watched(binary: PathBuf) -> Result<Lab> {
        Lab::watched_behind(&Door::default(), binary).await
    }

    /// A watched lab whose AWS has a door of its own.
    ///
    /// # Errors
    ///
    /// When a stand-in does not start.
    pub async fn watched_behind(door: &Door, binary: PathBuf) -> Result<Lab> {
        let mut lab = Lab::behind(door, binary).await?;
        lab.watch = Some(Watch {
            directory: scratch()?,
            files: AtomicUsize::new(0),
            given: Mutex::default(),
        });
        Ok(lab)
    }

    async fn behind(door: &Door, binary: PathBuf) -> Result<Lab> {
        let aws = Aws::behind(door).await?;
        let gitlab = GitLab::start(Options::from_env()).await?;
        let (group, token, old) = settle(&aws, &gitlab).await?;
        Ok(Lab {
            aws,
            gitlab,
            group,
            token,
            old,
            binary,
            watch: None,
        })
    }

    /// Begins anew in the same stand-ins, with everything as at the start but another key and another token.
    ///
    /// # Errors
    ///
    /// When a stand-in is gone.
    pub async fn again(&mut self) -> Result<()> {
        self.aws.reset().await?;
        self.gitlab.reset();
        (self.group, self.token, self.old) = settle(&self.aws, &self.gitlab).await?;
        Ok(())
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
        if let Some(watch) = &self.watch {
            watch.over(&mut command, arguments, settings);
        }
        command
    }

    /// Runs the binary to its end.
    ///
    /// # Errors
    ///
    /// When it can't be started.
    pub fn run(&self, arguments: &[&str], settings: &BTreeMap<String, String>) -> Result<Ran> {
        self.end(self.command(arguments, settings))
    }

    /// Runs this command to its end.
    ///
    /// # Errors
    ///
    /// When it can't be started.
    pub fn end(&self, mut command: Command) -> Result<Ran> {
        if self.watch.is_some() {
            return self.spawn(command)?.wait();
        }
        let output = command.output();
        Ok(Ran::from(output.with_context(|| {
            format!("{} could not be run", self.binary.display())
        })?))
    }

    /// Starts this command, in a watched lab.
    ///
    /// # Errors
    ///
    /// When it can't be started, or nobody watches.
    pub fn spawn(&self, mut command: Command) -> Result<Running> {
        let watch = self.watch.as_ref().context("the lab is not watched")?;
        let (stdout, stderr) = (watch.file("stdout"), watch.file("stderr"));
        command
            .stdout(File::create(&stdout)?)
            .stderr(File::create(&stderr)?);
        let child = command
            .spawn()
            .with_context(|| format!("{} could not be started", self.binary.display()))?;
        Ok(Running {
            child,
            stdout,
            stderr,
        })
    }

    /// Another text that no run may write.
    pub fn keep_secret(&self, text: &str) {
        if let Some(watch) = &self.watch {
            watch.give(text);
        }
    }

    /// What a run said by another way than stdout, stderr and its files.
    ///
    /// # Errors
    ///
    /// When the disk is full.
    pub fn wrote(&self, bytes: &[u8]) -> Result<()> {
        if let Some(watch) = &self.watch {
            std::fs::write(watch.file("answer"), bytes)?;
        }
        Ok(())
    }

    /// Every byte that the runs of a watched lab wrote to stdout, stderr and files.
    ///
    /// # Errors
    ///
    /// When a file is gone.
    pub fn written(&self) -> Result<Vec<u8>> {
        let mut written = Vec::new();
        if let Some(watch) = &self.watch {
            for file in std::fs::read_dir(&watch.directory)? {
                written.extend(std::fs::read(file?.path())?);
                written.push(b'\n');
            }
        }
        Ok(written)
    }

    /// Every secret there ever was: of keys and sessions, tokens, values of variables, also those of a moment, and what
    /// runs were given.
    ///
    /// # Errors
    ///
    /// When a stand-in is gone.
    pub fn secrets(&self) -> Result<BTreeSet<String>> {
        let issued = self.aws.issued()?.into_iter();
        let mut secrets: BTreeSet<String> = issued
            .flat_map(|pair| [Some(pair.secret), pair.token])
            .flatten()
            .collect();
        self.gitlab.world(|world| {
            secrets.extend(world.tokens().iter().map(|issued| issued.text.clone()));
            let values = world
                .changes()
                .iter()
                .filter(|change| change.key.contains("SECRET"));
            secrets.extend(values.map(|change| change.value.clone()));
        });
        if let Some(watch) = &self.watch {
            let given = watch.given.lock().unwrap_or_else(PoisonError::into_inner);
            secrets.extend(given.iter().cloned());
        }
        Ok(secrets)
    }

    fn says_no_secret(&self) -> Result<()> {
        let written = self.written()?;
        if !written.is_empty() {
            let secrets = self.secrets()?;
            assert!(
                secrets.contains(&self.old.secret) && secrets.contains(&self.token),
                "the search does not know what to look for"
            );
            let found = secrecy::found(&written, &secrets);
            assert!(found.is_empty(), "a run wrote a secret: {found:?}");
        }
        Ok(())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let searched = if self.watch.is_some() && !std::thread::panicking() {
            self.says_no_secret()
        } else {
            Ok(())
        };
        if let Some(watch) = &self.watch {
            let _ = std::fs::remove_dir_all(&watch.directory);
        }
        assert!(searched.is_ok(), "nothing was searched for secrets: {searched:?}");
    }
}

impl Watch {
    /// Lets a run say and write all it can.
    fn over(&self, command: &mut Command, arguments: &[&str], settings: &BTreeMap<String, String>) {
        command.envs([
            ("KEYTURN_LOG", "trace"),
            ("RUST_LOG", "trace"),
            ("LOG_SENSITIVE_BODIES", "true"),
            ("LOG_SIGNABLE_BODY", "true"),
        ]);
        if !arguments.is_empty() {
            command.arg("--report").arg(self.file("json"));
            command.arg("--junit").arg(self.file("xml"));
        }
        for name in [
            "GITLAB_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "KEYTURN_ID_TOKEN",
        ] {
            if let Some(value) = settings.get(name) {
                self.give(value.trim());
            }
        }
    }

    fn give(&self, secret: &str) {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.insert(secret.to_owned());
    }

    fn file(&self, kind: &str) -> PathBuf {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        self.directory.join(format!("{number}.{kind}"))
    }
}

/// The first inhabitants.
async fn settle(aws: &Aws, gitlab: &GitLab) -> Result<(GroupId, String, Pair)> {
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
    Ok((group, token, old))
}

/// A directory that no other lab has.
pub(crate) fn scratch() -> Result<PathBuf> {
    static LABS: AtomicUsize = AtomicUsize::new(0);
    let number = LABS.fetch_add(1, Ordering::Relaxed);
    let directory = std::env::temp_dir().join(format!("keyturn-lab-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    Ok(directory)
}

impl Running {
    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// When what it wrote can't be read.
    pub fn wait(mut self) -> Result<Ran> {
        let code = self.child.wait()?.code();
        let text =
            |file| Ok::<_, std::io::Error>(String::from_utf8_lossy(&std::fs::read(file)?).into_owned());
        Ok(Ran {
            code,
            stdout: text(&self.stdout)?,
            stderr: text(&self.stderr)?,
        })
    }

    /// Kills it at once.
    ///
    /// # Errors
    ///
    /// When it has ended already.
    pub fn kill(mut self) -> Result<Ran> {
        self.child.kill()?;
        self.wait()
    }

    /// Asks it to stop, as a runner does that cancels a job, and waits for its end.
    ///
    /// # Errors
    ///
    /// When it has ended already.
    pub fn terminate(self) -> Result<Ran> {
        let sent = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()?;
        anyhow::ensure!(sent.success(), "SIGTERM could not be sent");
        self.wait()
    }
}

/// Without what is logged below `info`: failures of tests are read by people.
impl fmt::Debug for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told: Vec<&str> = self
            .stderr
            .lines()
            .filter(|line| !line.contains("TRACE ") && !line.contains("DEBUG "))
            .collect();
        f.debug_struct("Ran")
            .field("code", &self.code)
            .field("stdout", &self.stdout)
            .field("stderr", &told.join("\n"))
            .finish()
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
