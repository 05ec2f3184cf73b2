//! The command line of the testbed.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

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
    }
}
