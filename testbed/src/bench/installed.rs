//! What has to be there before either can run: sizes, versions, and the machine.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::paths::project_root;

/// The machine that measured, and what ran on it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Machine {
    pub(super) processor: String,
    pub(super) cores: usize,
    pub(super) kernel: String,
    pub(super) commit: String,
    pub(super) rustc: String,
    /// Python and its packages with their versions.
    pub(super) baseline: Vec<String>,
}

/// Bytes on the disk.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Sizes {
    pub(super) binary: u64,
    /// Which binary it was.
    pub(super) sha256: Digest,
    pub(super) is_static: bool,
    pub(super) packages: u64,
    pub(super) interpreter: u64,
}

#[derive(Deserialize)]
struct Baseline {
    versions: Vec<String>,
    packages: u64,
    interpreter: u64,
}

/// Looks at everything.
pub(super) fn look(binary: &Path, python: &Path) -> Result<(Machine, Sizes)> {
    let bytes = std::fs::read(binary).with_context(|| format!("{} can't be read", binary.display()))?;
    let listed = output(Command::new(python).arg(project_root().join("bench/baseline/installed.py")))?;
    let baseline: Baseline = serde_json::from_str(&listed)?;
    let sizes = Sizes {
        binary: u64::try_from(bytes.len())?,
        sha256: digest(&bytes)?,
        is_static: is_static(&bytes).context("the binary is no ELF file of 64 bits")?,
        packages: baseline.packages,
        interpreter: baseline.interpreter,
    };
    let processors = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let machine = Machine {
        processor: model
            .unwrap_or("unknown")
            .trim_start_matches(['\t', ' ', ':'])
            .to_owned(),
        cores: std::thread::available_parallelism()?.get(),
        kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease")?
            .trim()
            .to_owned(),
        commit: commit().unwrap_or_else(|_| "of no commit".to_owned()),
        rustc: output(Command::new("rustc").arg("--version"))?,
        baseline: baseline.versions,
    };
    Ok((machine, sizes))
}

/// Which SHA-256 a file has.
pub(super) type Digest = [u8; 32];

/// The SHA-256 of a file's content.
pub(super) fn digest(content: &[u8]) -> Result<Digest> {
    Ok(ring::digest::digest(&ring::digest::SHA256, content)
        .as_ref()
        .try_into()?)
}

/// The commit that is checked out, with a word if anything but the results of an earlier run was changed since.
fn commit() -> Result<String> {
    let commit = output(Command::new("git").args(["rev-parse", "--short", "HEAD"]))?;
    let changed = output(Command::new("git").args([
        "status",
        "--porcelain",
        "--",
        ".",
        ":!bench/results.md",
        ":!bench/results.svg",
    ]))?;
    let word = if changed.is_empty() { "" } else { " with changes" };
    Ok(commit + word)
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.current_dir(project_root()).output()?;
    ensure!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
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
