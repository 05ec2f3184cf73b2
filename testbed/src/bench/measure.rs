//! One rotation after the other: each in a world of its own, over a wire, with everything counted.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustls::ServerConfig;
use serde_json::json;

use super::Cost;
use super::floor::{Errand, Plan};
use super::installed;
use super::results::{Chain, Contender, Door, Network, Results, Row, Sample};
use super::wire::{Traffic, Wire};
use crate::aws::Pair;
use crate::emulator::{Emulator, Invoked, SCHEDULED, TIMEOUT};
use crate::gitlab::Certificate;
use crate::lab::{Lab, USER, scratch};
use crate::paths::project_root;

const SECRET: &str = "gitlab-key-rotation-secrets";
/// After this long a second rotation may begin, and the role's session is still good.
const BETWEEN: Duration = Duration::from_secs(25 * 60);
/// Where a plan is recorded: with a delay, so that what is asked together can be told from what waits.
const RECORDED: Network = Network {
    tls: false,
    delay_ms: 50,
};

/// The stand-ins, the wires to them, and the programs.
pub(super) struct Stand {
    lab: Lab,
    ways: Vec<Way>,
    binary: PathBuf,
    directory: Directory,
}

/// A network: a wire to each stand-in.
struct Way {
    network: Network,
    aws: Wire,
    gitlab: Wire,
}

/// A directory of this run, removed with what is in it: errands hold credentials of the stand-in.
struct Directory(PathBuf);

impl Directory {
    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Plans of the bare clients, with words in the place of what another world has other.
struct Plans {
    protocol: Plan,
    usual: Plan,
}

const OLD_ID: &str = "{old-id}";
const TOKEN: &str = "{token}";

impl Way {
    fn open(network: Network, aws: SocketAddr, gitlab: SocketAddr, tls: &Arc<ServerConfig>) -> Result<Way> {
        let delay = Duration::from_millis(network.delay_ms);
        let tls = network.tls.then(|| Arc::clone(tls));
        Ok(Way {
            network,
            aws: Wire::open(aws, delay, tls.clone())?,
            gitlab: Wire::open(gitlab, delay, tls)?,
        })
    }

    /// What went over both wires since the last call.
    fn passed(&self) -> [Traffic; 2] {
        [self.aws.passed(), self.gitlab.passed()]
    }
}

impl Stand {
    pub(super) async fn build(binary: PathBuf) -> Result<Stand> {
        let lab = Lab::start(binary.clone()).await?;
        let directory = Directory(scratch()?);
        let certificate = Certificate::new(&["127.0.0.1"])?;
        std::fs::write(directory.file("authority.pem"), &certificate.authority_pem)?;
        let bundle = std::fs::read_to_string(roots()).context("no roots of trust: run `make bench`")?;
        std::fs::write(directory.file("bundle.pem"), bundle + &certificate.authority_pem)?;
        let tls = Arc::new(certificate.server_config()?);
        let aws = lab.aws.url().trim_start_matches("http://").parse()?;
        let ways = Network::ALL
            .into_iter()
            .map(|network| Way::open(network, aws, lab.gitlab.address(), &tls))
            .collect::<Result<_>>()?;
        let python = python();
        ensure!(
            python.exists(),
            "{} does not exist: run `make bench`",
            python.display()
        );
        let usual = directory.file("usual");
        let baseline = project_root().join("bench/baseline");
        let script = format!(
            "#!/bin/sh\ncd {} && exec {} -m awslambdaric usual_lambda.handler\n",
            baseline.display(),
            python.display()
        );
        std::fs::write(&usual, script)?;
        std::fs::set_permissions(&usual, std::fs::Permissions::from_mode(0o755))?;
        Ok(Stand {
            lab,
            ways,
            binary,
            directory,
        })
    }

    /// Everything, `rounds` times.
    pub(super) async fn measure(&mut self, rounds: usize, say: &mut impl FnMut(&str)) -> Result<Results> {
        let (machine, sizes) = installed::look(&self.binary, &python())?;
        // These also fill the caches of the disk.
        let plans = Plans {
            protocol: self.record(Contender::Keyturn).await?,
            usual: self.record(Contender::Usual).await?,
        };
        let mut samples: BTreeMap<(Network, Door, Contender), Vec<Sample>> = BTreeMap::new();
        for round in 1..=rounds {
            for at in 0..self.ways.len() {
                for contender in Contender::ALL {
                    let (network, sample) = self.process(at, contender, &plans).await?;
                    samples
                        .entry((network, Door::Process, contender))
                        .or_default()
                        .push(sample);
                }
                for contender in [Contender::Keyturn, Contender::Usual] {
                    let (network, cold, warm) = self.function(at, contender).await?;
                    for (door, sample) in [(Door::Cold, cold), (Door::Warm, warm)] {
                        samples
                            .entry((network, door, contender))
                            .or_default()
                            .push(sample);
                    }
                }
            }
            say(&format!("round {round} of {rounds}\n"));
        }
        let rows = samples
            .iter()
            .map(|((network, door, contender), samples)| Row::of(*contender, *door, *network, samples));
        let chain = |plan: &Plan| Chain {
            requests: plan.requests(),
            length: plan.chain(),
            outline: plan.outline(),
        };
        Ok(Results {
            rounds,
            date: jiff::Zoned::now().date().to_string(),
            machine,
            sizes,
            protocol: chain(&plans.protocol),
            usual: chain(&plans.usual),
            rows: rows.collect::<Result<_>>()?,
        })
    }

    /// The requests of one rotation.
    async fn record(&mut self, contender: Contender) -> Result<Plan> {
        let at = self.ways.iter().position(|way| way.network == RECORDED);
        let at = at.context("the network for recordings is not among the networks")?;
        let signer = self.begin().await?;
        let command = self.program(at, contender, &signer)?;
        let (_, traffic) = self.run(at, command)?;
        let created = self.rotated().await?;
        let recorded = traffic.map(|traffic| traffic.exchanges);
        let (old, token) = (&self.lab.old, &self.lab.token);
        Ok(Plan::of(&recorded, old, &created)?.with(&[(&old.id, OLD_ID), (token, TOKEN)]))
    }

    /// A rotation by a process.
    async fn process(&mut self, at: usize, contender: Contender, plans: &Plans) -> Result<(Network, Sample)> {
        let signer = self.begin().await?;
        let command = match contender {
            Contender::Keyturn | Contender::Usual => self.program(at, contender, &signer)?,
            Contender::Floor => self.bare(at, &plans.protocol, &signer)?,
            Contender::UsualFloor => self.bare(at, &plans.usual, &signer)?,
        };
        let (cost, traffic) = self.run(at, command)?;
        self.rotated().await?;
        let sample = Sample {
            wall: cost.wall * 1e3,
            cpu: cost.cpu * 1e3,
            peak: cost.peak_kib as f64 / 1024.0,
            ..carried(&traffic)
        };
        Ok((self.way(at)?.network, sample))
    }

    /// A rotation by a function that is started for it, and another one by the same function.
    async fn function(&mut self, at: usize, contender: Contender) -> Result<(Network, Sample, Sample)> {
        let signer = self.begin().await?;
        let settings = self.settings(at, contender, &signer)?;
        let bootstrap = match contender {
            Contender::Usual | Contender::UsualFloor => self.directory.file("usual"),
            Contender::Keyturn | Contender::Floor => self.binary.clone(),
        };
        let function = Emulator::start(&bootstrap, &settings, TIMEOUT).await?;
        self.way(at)?.passed();
        let first = function.invoke(SCHEDULED).await?;
        let cold = self.invoked(at, &first, Duration::ZERO)?;
        let between = self.rotated().await?;
        ensure!(
            cold.init_wall > 0.0,
            "the function was there before its event: {first:?}"
        );
        self.lab.advance(BETWEEN).await?;
        self.way(at)?.passed();
        let second = function.invoke(SCHEDULED).await?;
        let warm = self.invoked(at, &second, first.cpu.unwrap_or_default())?;
        ensure!(
            self.rotated().await? != between,
            "the warm function did not rotate: {second:?}"
        );
        ensure!(
            second.init.is_none(),
            "the second invocation was no warm one: {second:?}"
        );
        Ok((self.way(at)?.network, cold, warm))
    }

    fn invoked(&self, at: usize, invoked: &Invoked, before: Duration) -> Result<Sample> {
        ensure!(!invoked.failed(), "{invoked:?}");
        let (init_wall, init_cpu) = invoked
            .init
            .map_or((Duration::ZERO, Duration::ZERO), |init| (init.wall, init.cpu));
        let cpu = invoked.cpu.context("the function is gone")?;
        Ok(Sample {
            wall: invoked.wall.as_secs_f64() * 1e3,
            cpu: cpu.saturating_sub(before).as_secs_f64() * 1e3,
            peak: invoked.peak_kib.context("the function is gone")? as f64 / 1024.0,
            init_wall: init_wall.as_secs_f64() * 1e3,
            init_cpu: init_cpu.as_secs_f64() * 1e3,
            ..carried(&self.way(at)?.passed())
        })
    }

    /// A new world; who signs in it.
    async fn begin(&mut self) -> Result<Pair> {
        self.lab.again().await?;
        let secret = json!({"GITLAB_TOKEN": self.lab.token, "GITLAB_GROUP_ID": self.lab.group.0.to_string(),
            "AWS_IAM_USER": USER});
        self.lab.aws.add_secret(SECRET, &secret.to_string()).await?;
        let allow = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:*","secretsmanager:*"],"Resource":"*"}]}"#;
        self.lab.aws.role("rotation", allow).await
    }

    /// The new pair, after a look whether the whole work was done: it works, and no other key is left.
    async fn rotated(&self) -> Result<Pair> {
        let pair = self.lab.pair();
        let keys = self.lab.aws.keys(USER).await?;
        let alone = matches!(keys.as_slice(), [key] if key.id == pair.id);
        ensure!(
            alone && pair.id != self.lab.old.id && self.lab.aws.works(&pair).await,
            "the work was not done: GitLab has {} and IAM {keys:?}",
            pair.id
        );
        Ok(pair)
    }

    /// Lets a program run to its end, metered.
    fn run(&self, at: usize, program: Command) -> Result<(Cost, [Traffic; 2])> {
        let figures = self.directory.file("figures.json");
        let mut metered = Command::new(beside("meter")?);
        metered
            .arg(&figures)
            .arg(program.get_program())
            .args(program.get_args())
            .env_clear();
        for (name, value) in program.get_envs() {
            if let Some(value) = value {
                metered.env(name, value);
            }
        }
        self.way(at)?.passed();
        let output = metered.output()?;
        ensure!(
            output.status.success(),
            "{:?} ended with {}: {}{}",
            program.get_program(),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        let cost = serde_json::from_slice(&std::fs::read(figures)?)?;
        Ok((cost, self.way(at)?.passed()))
    }

    fn program(&self, at: usize, contender: Contender, signer: &Pair) -> Result<Command> {
        let mut command = match contender {
            Contender::Usual | Contender::UsualFloor => {
                let mut command = Command::new(python());
                command.arg(project_root().join("bench/baseline/usual_lambda.py"));
                command
            }
            Contender::Keyturn | Contender::Floor => {
                let mut command = Command::new(&self.binary);
                command.arg("rotate");
                command
            }
        };
        command.envs(self.settings(at, contender, signer)?);
        Ok(command)
    }

    fn bare(&self, at: usize, plan: &Plan, signer: &Pair) -> Result<Command> {
        let way = self.way(at)?;
        let errand = Errand {
            authority: way.network.tls.then(|| self.directory.file("authority.pem")),
            signer: signer.clone(),
            old: self.lab.old.clone(),
            remotes: vec![way.aws.address(), way.gitlab.address()],
            plan: plan.with(&[(OLD_ID, &self.lab.old.id), (TOKEN, &self.lab.token)]),
        };
        let file = self.directory.file("errand.json");
        std::fs::write(&file, serde_json::to_vec(&errand)?)?;
        let mut command = Command::new(beside("floor")?);
        command.arg(file);
        Ok(command)
    }

    /// The environment of either program. With a grace of zero keyturn does in one run what the usual Lambda does; the
    /// wait for a new key to be known everywhere is left out, since the usual one has none.
    fn settings(&self, at: usize, contender: Contender, signer: &Pair) -> Result<BTreeMap<String, String>> {
        let way = self.way(at)?;
        let mut settings = BTreeMap::new();
        let mut set = |name: &str, value: &str| settings.insert(name.to_owned(), value.to_owned());
        set("AWS_ENDPOINT_URL", &way.aws.url());
        set("AWS_REGION", "us-east-1");
        set("AWS_DEFAULT_REGION", "us-east-1");
        set("AWS_EC2_METADATA_DISABLED", "true");
        set("AWS_ACCESS_KEY_ID", &signer.id);
        set("AWS_SECRET_ACCESS_KEY", &signer.secret);
        set("AWS_SESSION_TOKEN", signer.token.as_deref().unwrap_or_default());
        set("GITLAB_API_URL", &format!("{}/api/v4", way.gitlab.url()));
        set("KEYTURN_SECRET_ID", SECRET);
        set("KEYTURN_SETTLE", "0s");
        set("KEYTURN_GRACE", "0s");
        set("KEYTURN_DELETE_AFTER", "0s");
        // The bundle that the image has, where its SSL_CERT_FILE names it.
        set("SSL_CERT_FILE", &roots().to_string_lossy());
        if way.network.tls {
            match contender {
                Contender::Keyturn | Contender::Floor => {
                    let authority = self.directory.file("authority.pem");
                    set("KEYTURN_CA_FILE", &authority.to_string_lossy());
                }
                // These take the place of the roots that the packages bring, so the authority is added to them.
                Contender::Usual | Contender::UsualFloor => {
                    let bundle = self.directory.file("bundle.pem");
                    set("AWS_CA_BUNDLE", &bundle.to_string_lossy());
                    set("REQUESTS_CA_BUNDLE", &bundle.to_string_lossy());
                }
            }
        }
        Ok(settings)
    }

    fn way(&self, at: usize) -> Result<&Way> {
        self.ways.get(at).context("no such network")
    }
}

/// What went over the wires, as figures.
fn carried(traffic: &[Traffic; 2]) -> Sample {
    let sum = |count: fn(&Traffic) -> f64| traffic.iter().map(count).sum();
    Sample {
        requests: sum(|it| it.exchanges.len() as f64),
        connections: sum(|it| it.connections as f64),
        bytes: sum(|it| it.bytes as f64),
        ..Sample::default()
    }
}

/// A program that was built with this one.
fn beside(name: &str) -> Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(name))
}

/// The roots of trust that the image has.
fn roots() -> PathBuf {
    project_root().join("target/bench/ca-certificates.crt")
}

/// The baseline's own Python.
fn python() -> PathBuf {
    project_root().join(".testbed/baseline/bin/python")
}
