//! Whether a node deletes anything of its past.

use reth_chainspec::ChainSpec;
use reth_config::{Config, PruneConfig};
use reth_node_core::node_config::NodeConfig;
use reth_prune_types::PruneModes;

/// Whether the command line or the file of settings asks for pruning of any kind. The node merges the two.
pub(crate) fn prunes(config: &NodeConfig<ChainSpec>) -> bool {
    let from_arguments = config.prune_config();
    from_arguments.is_some_and(|pruning| deletes(&pruning)) || file_asks(config)
}

fn file_asks(config: &NodeConfig<ChainSpec>) -> bool {
    let path = config.config.clone().unwrap_or_else(|| config.datadir().config());
    // The node makes it at its first start, with nothing to prune.
    if !path.exists() {
        return false;
    }
    // A node that can't read it does not start; of the two answers this is the one that loses nothing.
    Config::from_path(&path).map_or(true, |settings| deletes(&settings.prune))
}

fn deletes(pruning: &PruneConfig) -> bool {
    pruning.segments != PruneModes::default()
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
        let mut interval = node(folder.path());
        interval.pruning.block_interval = Some(7);
        assert!(!prunes(&interval));
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
        fs::write(&file, "what?").unwrap();
        assert!(prunes(&node));
    }
}
