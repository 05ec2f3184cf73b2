//! `floor ERRAND`: the bare client of the benchmark, see [`testbed::bench::floor`].

use std::path::Path;

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let errand = std::env::args_os().nth(1).context("ERRAND is missing")?;
    testbed::bench::floor::run(Path::new(&errand))
}
