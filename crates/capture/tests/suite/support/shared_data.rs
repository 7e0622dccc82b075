//! Real data, which lies beside the project and not in it.

use std::path::PathBuf;

/// A folder of the real data. Where it is absent, says so on stderr and returns `None`: the test is
/// then skipped.
pub(crate) fn folder(name: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")).join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: there is no folder {}", folder.display());
    None
}
