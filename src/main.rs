//! The doors of keyturn: the command line, and the Lambda function when `AWS_LAMBDA_RUNTIME_API` is set.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand, ValueEnum};
use keyturn::clock::Deadline;
use keyturn::failure::Failure;
use keyturn::log::Form;
use keyturn::reason::Reason;
use keyturn::report::{Command, Exit, Report, RotationReport};
use keyturn::settings::{Bootstrap, Normalised, clean_or_exec};
use keyturn::stop::Stop;
use keyturn::{lambda, log, run};
use tracing_subscriber::filter::{LevelFilter, Targets};

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// Rotates AWS IAM access keys and rewrites the GitLab CI/CD variables that hold them.
#[derive(Parser)]
#[command(version, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Verb,
    /// Report on stdout as text or as one JSON document.
    #[arg(long, value_enum, default_value_t = Format::Text, global = true)]
    format: Format,
    /// Also write the JSON report to this file.
    #[arg(long, value_name = "FILE", global = true)]
    report: Option<PathBuf>,
    /// Also write the report to this file as JUnit XML, a test case for each rotation.
    #[arg(long, value_name = "FILE", global = true)]
    junit: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Verb {
    /// Do what is due: finish the last rotation, retire its key, create and publish the next.
    Rotate,
    /// Finish, deactivate and delete; never create a key.
    Retire,
    /// Say what `rotate` would do and why; changes nothing.
    Plan,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// The time in which a run that was asked to stop says what it did.
const LAST_WORD: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    match doors() {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "keyturn: {error:#}");
            ExitCode::from(Exit::Unexpected.code())
        }
    }
}

fn doors() -> anyhow::Result<Exit> {
    let environment = match clean_or_exec() {
        Ok(environment) => environment,
        Err(failure) => return Ok(refuse(&failure)),
    };
    // Settings that can't be used are reported by the run; until then the log has its default.
    let in_lambda = environment.variables.contains_key("AWS_LAMBDA_RUNTIME_API");
    log::start(
        Bootstrap::from(&environment.variables)
            .map_or(Targets::new().with_default(LevelFilter::INFO), |bootstrap| {
                bootstrap.log
            }),
        if in_lambda { Form::Json } else { Form::Text },
    );
    // One TLS stack for both remotes; the only error is that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no async runtime")?;
    if in_lambda {
        let served = runtime.block_on(lambda::serve(environment.variables, environment.warnings));
        return Ok(served.map_or_else(
            |error| {
                tracing::error!("the Lambda runtime failed: {error}");
                Exit::Unexpected
            },
            |()| Exit::Fine,
        ));
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(usage) => {
            let _ = usage.print();
            return Ok(if usage.use_stderr() {
                Exit::Usage
            } else {
                Exit::Fine
            });
        }
    };
    let report = runtime.block_on(command(&arguments, environment));
    deliver(&arguments, &report)?;
    Ok(report.exit())
}

async fn command(arguments: &Arguments, environment: Normalised) -> Report {
    let command = match arguments.command {
        Verb::Rotate => Command::Rotate,
        Verb::Retire => Command::Retire,
        Verb::Plan => Command::Plan,
    };
    let stop = Stop::default();
    let running = run::run(
        command,
        None,
        &environment.variables,
        environment.warnings.into_iter().collect(),
        Deadline::after(run::RUN_DEADLINE),
        stop.clone(),
    );
    tokio::select! {
        ended = running => ended,
        () = stopped(stop) => {
            let failure = Failure::incomplete(Reason::Interrupted, "the run was asked to stop, and a request did not end in time");
            Report::new(command, RotationReport::not_opened(None, failure))
        }
    }
}

/// Ends when the time after a request to stop is used up. Until then the run ends by itself.
async fn stopped(stop: Stop) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::warn!("asked to stop: finishing the pair in progress");
    stop.ask();
    stop.when_overdue().await;
    // The run reports by itself what it did; what comes after this is a run that had not begun.
    tokio::time::sleep(LAST_WORD).await;
}

fn deliver(arguments: &Arguments, report: &Report) -> anyhow::Result<()> {
    let json = report.json() + "\n";
    // Each is tried, so that one that can't be written doesn't take the others with it.
    let files = [(&arguments.report, &json), (&arguments.junit, &report.junit())];
    let written = files.map(|(file, text)| file.as_ref().map_or(Ok(()), |file| write(file, text)));
    let shown = match arguments.format {
        Format::Text => report.text(),
        Format::Json => json,
    };
    std::io::stdout()
        .write_all(shown.as_bytes())
        .context("the report could not be written to stdout")?;
    written.into_iter().collect()
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(file, text).with_context(|| {
        format!(
            "the run is over, but its report could not be written to {}",
            file.display()
        )
    })
}

fn refuse(failure: &Failure) -> Exit {
    let _ = writeln!(
        std::io::stderr(),
        "keyturn: {}\n{}",
        failure.message,
        failure.advice
    );
    Exit::Usage
}
