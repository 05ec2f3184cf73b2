//! A pipe that nobody reads, such as a job's log when the runner hangs.

use std::io::{PipeReader, PipeWriter, Write, pipe};

use anyhow::Result;
use nix::fcntl::{FcntlArg, fcntl};

/// What the smallest pipe holds, in bytes.
pub const PAGE: usize = 4096;

/// A pipe with this much room left, in bytes. A writer of more waits for as long as the reader is kept.
///
/// # Errors
///
/// When there is no pipe.
pub fn pipe_with_room(room: usize) -> Result<(PipeReader, PipeWriter)> {
    let (reader, mut writer) = pipe()?;
    fcntl(&writer, FcntlArg::F_SETPIPE_SZ(i32::try_from(PAGE)?))?;
    writer.write_all(&vec![b'.'; PAGE.saturating_sub(room)])?;
    Ok((reader, writer))
}
