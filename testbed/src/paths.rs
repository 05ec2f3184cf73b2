//! Where things are in the checkout.

use std::path::{Path, PathBuf};

/// The root of the checkout.
pub fn project_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// The interpreter that runs the AWS stand-in; `make testbed` makes it.
pub(crate) fn python() -> PathBuf {
    project_root().join(".testbed/venv/bin/python")
}
