//! The benchmark: a whole rotation by keyturn, by the usual Python Lambda, and by bare clients that send the requests of
//! either, interleaved in one run on the same stand-ins. `bench/README.md` has the method.

mod chart;
pub mod floor;
mod goals;
mod installed;
mod measure;
mod page;
mod results;
mod wire;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::paths::project_root;
use measure::Stand;
use results::Results;

/// What one process took; CPU and memory by the kernel's account.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Cost {
    /// Seconds from its start to its end.
    pub wall: f64,
    /// Seconds of CPU, in user and kernel mode.
    pub cpu: f64,
    /// The most memory it had resident, in KiB.
    pub peak_kib: u64,
}

/// Measures, and writes the figures, the page and the chart.
///
/// # Errors
///
/// When a rotation fails.
pub async fn run(binary: PathBuf, rounds: usize, mut say: impl FnMut(&str)) -> Result<()> {
    let mut stand = Stand::build(binary).await?;
    let results = stand.measure(rounds, &mut say).await?;
    let figures = figures();
    if let Some(directory) = figures.parent() {
        std::fs::create_dir_all(directory)?;
    }
    std::fs::write(&figures, serde_json::to_vec_pretty(&results)?)?;
    let page = page::write(&results)?;
    let published = project_root().join("bench");
    std::fs::write(published.join("results.md"), &page)?;
    std::fs::write(published.join("results.svg"), chart::draw(&results)?)?;
    say(&page);
    Ok(())
}

/// Holds the figures of the last run to the goals.
///
/// # Errors
///
/// When there are none, they are of another binary, or a goal is missed.
pub fn check(binary: &Path, mut say: impl FnMut(&str)) -> Result<()> {
    let file = figures();
    let text = std::fs::read(&file)
        .with_context(|| format!("{} can't be read: run `make bench` first", file.display()))?;
    let results: Results = serde_json::from_slice(&text)?;
    if installed::digest(&std::fs::read(binary)?)? != results.sizes.sha256 {
        bail!("nothing was checked: the figures are of another binary; run `make bench` first");
    }
    let goals = goals::judge(&results)?;
    let mut lines = String::new();
    for goal in &goals {
        writeln!(lines, "{goal}")?;
    }
    say(&lines);
    let missed = goals.iter().filter(|goal| !goal.is_met()).count();
    if missed > 0 {
        bail!("{missed} of {} goals are missed", goals.len());
    }
    say(&format!("{} goals are met\n", goals.len()));
    Ok(())
}

fn figures() -> PathBuf {
    project_root().join("target/bench/results.json")
}
