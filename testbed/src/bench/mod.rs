//! The benchmark: one whole rotation by keyturn and one by the usual Python Lambda, in the same run on the same stand-ins.
//!
//! CPU and memory are budgets; wall time is only ever a ratio of the two, because machines differ.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::aws::project_root;
use crate::lab::{Lab, USER};

/// Rotations of each kind.
const ROUNDS: usize = 10;
/// A rotation may take this much CPU.
const CPU_BUDGET: Duration = Duration::from_millis(30);
/// A rotation may have this much memory resident at its peak, in KiB.
const MEMORY_BUDGET: u64 = 12 * 1024;
/// A rotation may take this much of the baseline's wall time.
const WALL_BUDGET: f64 = 0.25;
/// The static release binary may have this many bytes.
const SIZE_BUDGET: u64 = 6_000_000;

/// What one process took.
#[derive(Clone, Copy, Debug)]
struct Cost {
    wall: Duration,
    cpu: Duration,
    peak_kib: u64,
}

/// Runs both, prints what they took, and fails when a budget is exceeded.
///
/// # Errors
///
/// When a rotation fails or a budget is exceeded.
pub async fn run(binary: PathBuf, mut say: impl FnMut(&str)) -> Result<()> {
    let size = std::fs::metadata(&binary)
        .with_context(|| format!("{} can't be read", binary.display()))?
        .len();
    let free = is_static(&std::fs::read(&binary)?).context("the binary is no ELF file of 64 bits")?;
    let (mut ours, mut usual) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(keyturn(&binary).await?);
        usual.push(baseline(&binary).await?);
    }
    let (ours, usual) = (median(&ours)?, median(&usual)?);
    let ratio = ours.wall.as_secs_f64() / usual.wall.as_secs_f64();
    let mut table = String::from("| | wall | CPU | peak RSS |\n|---|---|---|---|\n");
    for (name, cost) in [("keyturn", ours), ("usual Python Lambda", usual)] {
        writeln!(
            table,
            "| {name} | {:.1?} | {:.1?} | {:.1} MiB |",
            cost.wall,
            cost.cpu,
            cost.peak_kib as f64 / 1024.0
        )?;
    }
    writeln!(
        table,
        "\nmedian of {ROUNDS} rotations each; wall ratio {ratio:.3} (budget {WALL_BUDGET})"
    )?;
    let linked = if free { "static" } else { "dynamic" };
    writeln!(table, "binary {size} bytes (budget {SIZE_BUDGET}), {linked}")?;
    say(&table);
    let exceeded: Vec<&str> = [
        (ours.cpu > CPU_BUDGET, "CPU"),
        (ours.peak_kib > MEMORY_BUDGET, "memory"),
        (ratio > WALL_BUDGET, "wall ratio"),
        (size > SIZE_BUDGET, "size"),
        (!free, "static linking"),
    ]
    .into_iter()
    .filter_map(|(over, what)| over.then_some(what))
    .collect();
    if exceeded.is_empty() {
        Ok(())
    } else {
        bail!("over budget: {}", exceeded.join(", "))
    }
}

async fn keyturn(binary: &Path) -> Result<Cost> {
    let lab = Lab::start(binary.to_owned()).await?;
    let cost = measure(lab.command(&["rotate"], &lab.settings(&lab.old)))?;
    if lab.pair().id == lab.old.id || !lab.aws.works(&lab.pair()).await {
        bail!("keyturn did not rotate");
    }
    Ok(cost)
}

async fn baseline(binary: &Path) -> Result<Cost> {
    let lab = Lab::start(binary.to_owned()).await?;
    let secret =
        json!({"GITLAB_TOKEN": lab.token, "GITLAB_GROUP_ID": lab.group.0.to_string(), "AWS_IAM_USER": USER});
    lab.aws
        .add_secret("gitlab-key-rotation-secrets", &secret.to_string())
        .await?;
    let allow = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["iam:*","secretsmanager:*"],"Resource":"*"}]}"#;
    let role = lab.aws.role("usual-lambda", allow).await?;
    let root = project_root();
    let mut command = Command::new(root.join(".testbed/venv/bin/python"));
    command
        .arg(root.join("bench/usual_lambda.py"))
        .env_clear()
        .envs(lab.settings(&role));
    command.env("AWS_DEFAULT_REGION", "us-east-1");
    let cost = measure(command)?;
    if lab.pair().id == lab.old.id {
        bail!("the baseline did not rotate");
    }
    Ok(cost)
}

/// Runs a process to its end. What it took is read from `/proc`: the peak while it runs, and the CPU time while it is
/// a zombie; of its other threads, which are gone then, up to the last look. (`getrusage` of a child would report this
/// process's own memory, which the child inherits until its exec.)
fn measure(mut command: Command) -> Result<Cost> {
    let started = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let of = PathBuf::from(format!("/proc/{}", child.id()));
    let mut peak_kib = 0;
    let mut threads = BTreeMap::new();
    let mut wall;
    loop {
        wall = started.elapsed();
        let status = std::fs::read_to_string(of.join("status"))?;
        if status
            .lines()
            .any(|line| line.starts_with("State:") && line.contains('Z'))
        {
            break;
        }
        look_at_threads(&of, &mut threads);
        let high = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let high = high
            .and_then(|high| high.trim().strip_suffix(" kB"))
            .and_then(|high| high.parse().ok());
        // Before its exec, the child still shows the memory of this process.
        let execed = std::fs::read_link(of.join("exe"))
            .is_ok_and(|exe| std::env::current_exe().is_ok_and(|own| own != exe));
        if execed {
            peak_kib = peak_kib.max(high.unwrap_or(0));
        }
        std::thread::sleep(Duration::from_micros(500));
    }
    look_at_threads(&of, &mut threads);
    if threads.is_empty() {
        bail!("no schedstat");
    }
    let ended = child.wait()?;
    if !ended.success() {
        bail!("the measured process ended with {ended}");
    }
    Ok(Cost {
        wall,
        cpu: Duration::from_nanos(threads.values().sum()),
        peak_kib,
    })
}

/// Notes the nanoseconds that each thread has run so far.
fn look_at_threads(process: &Path, threads: &mut BTreeMap<OsString, u64>) {
    // A thread may end between the look at the list and the look at it.
    for thread in std::fs::read_dir(process.join("task"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let stat = std::fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        let ran = stat.split_whitespace().next().and_then(|time| time.parse().ok());
        if let Some(ran) = ran {
            threads.insert(thread.file_name(), ran);
        }
    }
}

/// Whether a 64-bit ELF file asks for no interpreter: it needs no library of the machine that it runs on.
fn is_static(binary: &[u8]) -> Option<bool> {
    let number = |at: usize, bytes: usize| {
        let field = binary.get(at..at.checked_add(bytes)?)?;
        let little_endian = field.iter().rev();
        Some(little_endian.fold(0, |sum, byte| (sum << 8) | usize::from(*byte)))
    };
    if binary.get(..6)? != b"\x7fELF\x02\x01" {
        return None;
    }
    // e_phoff, e_phentsize, e_phnum; the first field of a program header is its type, and PT_INTERP is 3.
    let (first, size, count) = (number(0x20, 8)?, number(0x36, 2)?, number(0x38, 2)?);
    let mut kinds = (0..count).map(|header| number(first.checked_add(header.checked_mul(size)?)?, 4));
    (count > 0).then(|| kinds.all(|kind| kind.is_some_and(|kind| kind != 3)))
}

fn median(costs: &[Cost]) -> Result<Cost> {
    let middle = |mut values: Vec<u128>| -> Option<u128> {
        values.sort_unstable();
        values.get(values.len() / 2).copied()
    };
    let nanos = |value: Option<u128>| {
        value
            .and_then(|value| u64::try_from(value).ok())
            .map(Duration::from_nanos)
    };
    let wall = nanos(middle(costs.iter().map(|cost| cost.wall.as_nanos()).collect()));
    let cpu = nanos(middle(costs.iter().map(|cost| cost.cpu.as_nanos()).collect()));
    let peak_kib = middle(costs.iter().map(|cost| u128::from(cost.peak_kib)).collect());
    let peak_kib = peak_kib.and_then(|peak| u64::try_from(peak).ok());
    match (wall, cpu, peak_kib) {
        (Some(wall), Some(cpu), Some(peak_kib)) => Ok(Cost { wall, cpu, peak_kib }),
        _ => bail!("nothing was measured"),
    }
}

#[cfg(test)]
mod tests {
    use super::is_static;

    #[test]
    fn what_asks_for_an_interpreter_is_not_static() {
        let file = |kinds: &[u8]| {
            let mut file = vec![0; 64];
            file[..6].copy_from_slice(b"\x7fELF\x02\x01");
            (file[0x20], file[0x36], file[0x38]) = (64, 56, u8::try_from(kinds.len()).unwrap());
            for kind in kinds {
                file.extend([&[*kind][..], &[0; 55]].concat());
            }
            file
        };
        assert_eq!(is_static(&file(&[6, 1, 2])), Some(true));
        assert_eq!(is_static(&file(&[6, 3, 1])), Some(false));
        assert_eq!(is_static(&file(&[1])[..100]), Some(true));
        assert_eq!(is_static(&file(&[1])[..64]), Some(false), "cut short");
        assert_eq!(is_static(&file(&[])), None);
        assert_eq!(is_static(b"#!/bin/sh"), None);
    }
}
