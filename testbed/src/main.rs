//! The command line of the testbed.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use reqwest::Url;
use testbed::clock::Places;

/// Stand-ins for AWS and GitLab: the demonstration, the benchmark, and servers for tests.
#[derive(Parser)]
#[command(name = "testbed")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Rotate a key, deactivate the old one a day later, and delete it a week after that.
    Demo {
        #[command(flatten)]
        keyturn: Keyturn,
        /// Leave the stand-ins running afterwards, and print how to use them.
        #[arg(long)]
        keep: bool,
    },
    /// Measure whole rotations, and write bench/results.*.
    Bench {
        #[command(flatten)]
        keyturn: Keyturn,
        /// How often to measure everything.
        #[arg(long, value_name = "COUNT", default_value_t = 11)]
        rounds: usize,
    },
    /// Compare the figures of the last `bench` with the goals; fails when one is missed.
    BenchCheck {
        #[command(flatten)]
        keyturn: Keyturn,
    },
    /// Start both stand-ins, print where they are as one line of JSON, and run until standard input closes.
    Serve,
    /// Move the clocks of both stand-ins while they run.
    ///
    /// Finds the stand-ins of `demo --keep` by itself. Name those of `serve` with --aws and --gitlab.
    Clock {
        /// How far, forwards: +25h, +8days, +30min.
        #[arg(value_name = "DURATION", value_parser = forwards, allow_hyphen_values = true)]
        by: Duration,
        /// Where the AWS stand-in is.
        #[arg(long, value_name = "URL", requires = "gitlab")]
        aws: Option<Url>,
        /// Where the GitLab stand-in is.
        #[arg(long, value_name = "URL", requires = "aws")]
        gitlab: Option<Url>,
    },
}

#[derive(Args)]
struct Keyturn {
    /// The keyturn binary to run.
    #[arg(long = "keyturn", value_name = "BINARY")]
    binary: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Cli::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "testbed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<()> {
    let say = |text: &str| {
        let _ = std::io::stdout().write_all(text.as_bytes());
    };
    match command {
        Command::Demo { keyturn, keep } => testbed::demo::run(keyturn.binary, keep, say).await,
        Command::Bench { keyturn, rounds } => testbed::bench::run(keyturn.binary, rounds, say).await,
        Command::BenchCheck { keyturn } => testbed::bench::check(&keyturn.binary, say),
        Command::Serve => testbed::serve::run(say).await,
        Command::Clock { by, aws, gitlab } => {
            let named = aws.zip(gitlab).map(|(aws, gitlab)| Places { aws, gitlab });
            testbed::clock::run(by, named, say).await
        }
    }
}

/// A duration in whole seconds. Time goes one way: what keyturn does when a clock goes back is for tests to ask.
fn forwards(text: &str) -> Result<Duration, String> {
    if text.starts_with('-') {
        return Err("the clocks only move forwards".to_owned());
    }
    let by = humantime::parse_duration(text.strip_prefix('+').unwrap_or(text))
        .map_err(|error| error.to_string())?;
    if by.as_secs() == 0 || by.subsec_nanos() != 0 {
        return Err("the clocks move by whole seconds".to_owned());
    }
    Ok(by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_read() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
        for (text, read) in [
            ("+25h", Some(25 * 60 * 60)),
            ("1day 30min", Some(24 * 60 * 60 + 30 * 60)),
            ("-1h", None),
            ("+500ms", None),
            ("0s", None),
            ("tomorrow", None),
        ] {
            assert_eq!(forwards(text).ok(), read.map(Duration::from_secs), "{text}");
        }
        let alone = ["testbed", "clock", "+1h", "--aws", "http://127.0.0.1:1"];
        assert!(Cli::try_parse_from(alone).is_err(), "one clock would move alone");
    }
}
