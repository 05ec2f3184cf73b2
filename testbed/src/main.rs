//! `testbed demo`: the demonstration. `testbed bench`: the benchmark. `testbed bench-check`: its goals. `testbed serve`: the
//! stand-ins, for other tests.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, bail};

const USAGE: &str = "usage: testbed demo --keyturn BINARY [--keep], testbed bench --keyturn BINARY [--rounds COUNT], \
    testbed bench-check --keyturn BINARY, or testbed serve";
/// How often the benchmark does everything.
const ROUNDS: usize = 11;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut keep = false;
    let mut binary = None;
    let mut rounds = ROUNDS;
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--keep" => keep = true,
            "--keyturn" => binary = arguments.next().map(PathBuf::from),
            "--rounds" => rounds = arguments.next().unwrap_or_default().parse()?,
            other => bail!("unknown argument {other}; {USAGE}"),
        }
    }
    let say = |text: &str| {
        let _ = std::io::stdout().write_all(text.as_bytes());
    };
    if command.as_deref() == Some("serve") {
        return testbed::serve::run(say).await;
    }
    let Some(binary) = binary else {
        bail!("--keyturn BINARY is missing; {USAGE}")
    };
    match command.as_deref() {
        Some("demo") => testbed::demo::run(binary, keep, say).await,
        Some("bench") => testbed::bench::run(binary, rounds, say).await,
        Some("bench-check") => testbed::bench::check(&binary, say),
        _ => bail!("{USAGE}"),
    }
}
