//! What a node deletes of its past.

use reth_chainspec::ChainSpec;
use reth_config::{Config, PruneConfig};
use reth_node_core::node_config::NodeConfig;
use reth_prune_types::{PruneMode, PruneModes};

/// Whether the command line or the file of settings asks for pruning of any kind.
pub(crate) fn prunes(config: &NodeConfig<ChainSpec>) -> bool {
    // A node that can't read its file does not start; of the two answers this is the one that loses
    // nothing.
    modes(config).is_none_or(|modes| modes != PruneModes::default())
}

/// How many blocks below the tip keep what executing them again takes; `None` if that is not
/// limited in this way.
pub(crate) fn kept(config: &NodeConfig<ChainSpec>) -> Option<u64> {
    let modes = modes(config)?;
    let distance = |mode| match mode {
        PruneMode::Distance(blocks) => Some(blocks),
        PruneMode::Full => Some(0),
        PruneMode::Before(_) => None,
    };
    let history = [modes.account_history, modes.storage_history, modes.bodies_history];
    history.into_iter().flatten().filter_map(distance).min()
}

/// Command line and file, merged as the node does it; `None` if the file can't be read.
fn modes(config: &NodeConfig<ChainSpec>) -> Option<PruneModes> {
    let from_file = file_of_settings(config)?;
    let Some(mut pruning) = config.prune_config() else {
        return Some(from_file.segments);
    };
    pruning.merge(from_file);
    Some(pruning.segments)
}

fn file_of_settings(config: &NodeConfig<ChainSpec>) -> Option<PruneConfig> {
    let path = config.config.clone().unwrap_or_else(|| config.datadir().config());
    // The node makes it at its first start, with nothing to prune.
    if !path.exists() {
        return Some(PruneConfig::default());
    }
    Config::from_path(&path).ok().map(|settings| settings.prune)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reth_node_core::args::DatadirArgs;
    use std::{fs, path::Path};

    fn node(data_dir: &Path) -> NodeConfig<ChainSpec> {
        let datadir = DatadirArgs { datadir: data_dir.to_owned().into(), ..Default::default() };
        NodeConfig::test().with_datadir_args(datadir)
    }

    #[test]
    fn a_node_without_settings_prunes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!prunes(&node(folder.path())));
        assert!(!node(folder.path()).datadir().config().exists());
    }

    #[test]
    fn the_command_line_asks() {
        let folder = tempfile::tempdir().unwrap();
        let mut full = node(folder.path());
        full.pruning.full = true;
        assert!(prunes(&full));
        let mut history = node(folder.path());
        history.pruning.account_history_distance = Some(20_000);
        assert!(prunes(&history));
        assert_eq!(kept(&history), Some(20_000));
        full.pruning.storage_history_distance = Some(30_000);
        assert_eq!(kept(&full), Some(10_064));
        let mut interval = node(folder.path());
        interval.pruning.block_interval = Some(7);
        assert!(!prunes(&interval));
        assert_eq!(kept(&interval), None);
    }

    #[test]
    fn the_file_asks() {
        let folder = tempfile::tempdir().unwrap();
        let mut node = node(folder.path());
        let file = folder.path().join("settings.toml");
        node.config = Some(file.clone());
        fs::write(&file, "[prune]\nblock_interval = 9\n").unwrap();
        assert!(!prunes(&node));
        let history = "[prune.segments.account_history]\ndistance = 20000\n";
        fs::write(&file, history).unwrap();
        assert!(prunes(&node));
        assert_eq!(kept(&node), Some(20_000));
        fs::write(&file, "what?").unwrap();
        assert!(prunes(&node));
    }
}
