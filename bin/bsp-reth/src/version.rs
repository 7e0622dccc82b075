//! What `--version` says: this program's version and that of the reth inside.

use reth_node_core::version::{
    RethCliVersionConsts, default_reth_version_metadata, try_init_version_metadata,
};
use std::borrow::Cow;

const NAME: &str = env!("CARGO_PKG_NAME");
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What this program was built from.
const BUILD: &str = include_str!(concat!(env!("OUT_DIR"), "/build.txt"));

/// To be called before the command line is read. Peers see reth as it is. The consensus client is
/// told this program's name (`engine_getClientVersionV1`), with reth's code, version and commit.
pub fn set() {
    // It fails only if it was set before.
    let _ = try_init_version_metadata(both(default_reth_version_metadata()));
}

/// reth adds `-dev` where it does not find its tag in git, as in cargo's checkout of that very tag.
/// Operators decide by this version whether a data directory fits, so it is left off.
fn both(reth: RethCliVersionConsts) -> RethCliVersionConsts {
    let dev = format!("{}-dev", reth.cargo_pkg_version);
    let tagged = |text: &str| text.replacen(&dev, &reth.cargo_pkg_version, 1);
    let short = format!("{VERSION}, reth {}", tagged(&reth.short_version));
    let long = format!("{VERSION}\n{BUILD}\nreth\n{}", tagged(&reth.long_version));
    RethCliVersionConsts {
        name_client: Cow::Borrowed(NAME),
        short_version: Cow::Owned(short),
        long_version: Cow::Owned(long),
        ..reth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_of_reth_is_named_as_it_is() {
        let reth = RethCliVersionConsts {
            cargo_pkg_version: "2.5.1".into(),
            short_version: "2.5.1-dev (6dec1b9)".into(),
            long_version: "Version: 2.5.1-dev\nCommit SHA: 6dec1b9".into(),
            ..RethCliVersionConsts::default()
        };
        let shown = both(reth);
        assert!(shown.short_version.ends_with("reth 2.5.1 (6dec1b9)"), "{}", shown.short_version);
        assert!(shown.long_version.contains("\nVersion: 2.5.1\nCommit"), "{}", shown.long_version);
    }

    #[test]
    fn both_versions_are_named() {
        let reth = default_reth_version_metadata().cargo_pkg_version;
        let shown = both(default_reth_version_metadata());
        for text in [&shown.short_version, &shown.long_version] {
            assert!(text.contains(VERSION) && text.contains(&*reth), "{text}");
        }
        assert_eq!(shown.cargo_pkg_version, reth);
        let commit = concat!("\ncommit: ", env!("BSP_COMMIT"), "\n");
        assert!(shown.long_version.contains(commit), "{}", shown.long_version);
        // What peers see.
        let plain = default_reth_version_metadata();
        assert_eq!(shown.p2p_client_version, plain.p2p_client_version);
        assert_eq!(shown.extra_data, plain.extra_data);
    }
}
