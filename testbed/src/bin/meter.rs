//! `meter FIGURES PROGRAM ARGUMENTS…`: runs a program and writes what it took into a file, as JSON, from the kernel's
//! account of ended children.
//!
//! It is a program of its own because a child is charged with the memory of the process that started it: with this one's,
//! which is small.

use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use testbed::bench::Cost;

fn main() -> Result<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let figures = arguments.next().context("FIGURES is missing")?;
    let program = arguments.next().context("PROGRAM is missing")?;
    let mut command = Command::new(program);
    command.args(arguments);
    let began = Instant::now();
    let status = command.status()?;
    let wall = began.elapsed();
    let used = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = used.user_time().num_microseconds() + used.system_time().num_microseconds();
    let cost = Cost {
        wall: wall.as_secs_f64(),
        cpu: micros as f64 / 1e6,
        peak_kib: u64::try_from(used.max_rss())?,
    };
    std::fs::write(figures, serde_json::to_vec(&cost)?)?;
    Ok(ExitCode::from(u8::from(!status.success())))
}
