//! `testbed demo`: the demonstration.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, bail};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut keep = false;
    let mut binary = None;
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() != Some("demo") {
        bail!("usage: testbed demo --keyturn BINARY [--keep]");
    }
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--keep" => keep = true,
            "--keyturn" => binary = arguments.next().map(PathBuf::from),
            other => bail!("unknown argument {other}; usage: testbed demo --keyturn BINARY [--keep]"),
        }
    }
    let Some(binary) = binary else {
        bail!("--keyturn BINARY is missing")
    };
    testbed::demo::run(binary, keep, |text| {
        let _ = std::io::stdout().write_all(text.as_bytes());
    })
    .await
}
