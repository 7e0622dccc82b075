//! The commands `bsp-reth bsp …`, on the data directory of a node that has run.

use crate::DEADLINE;
use bsp_devchain::{DevChain, DevConfig};
use bsp_tests::{
    node::{
        launch::{Blocks, NodeLaunch},
        program,
        target::TargetView,
    },
    servers::{free_address, process::Process},
    wait::wait_for,
};
use rustix::process::Signal;
use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};
use tempfile::TempDir;

const SEED: u64 = 12;

struct Stopped {
    folder: TempDir,
    launch: NodeLaunch,
}

impl Stopped {
    fn replicas(&self) -> PathBuf {
        self.folder.path().join("replicas")
    }

    fn url(&self) -> String {
        format!("file://{}", self.replicas().display())
    }

    fn export(&self, data: &Path, target: &str) -> Command {
        let mut command = self.launch.bsp("export", data);
        command.args(["--from", "2", "--to", "9", "--file-min-free", "0", "--target", target]);
        command
    }

    fn cursors(&self) -> Command {
        self.launch.bsp("cursors", &self.launch.data())
    }
}

async fn output(command: Command) -> (bool, String) {
    let mut command = tokio::process::Command::from(command);
    let Output { status, stdout, stderr } = command.kill_on_drop(true).output().await.unwrap();
    (status.success(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

/// A node that has delivered some blocks to a folder. What `cursors` says while it runs comes
/// along.
async fn node_that_has_run() -> (Stopped, (bool, String)) {
    let folder = tempfile::tempdir().unwrap();
    let genesis = DevChain::new(SEED, DevConfig::default()).unwrap().genesis().clone();
    let blocks = Blocks::Mined(Duration::from_millis(200));
    let program = program::require().unwrap();
    let launch = NodeLaunch::new(program, folder.path().join("node"), &genesis, blocks).unwrap();
    let mut stopped = Stopped { folder, launch };
    let url = stopped.url();
    let args = ["--exex.bsp.start-block=genesis", "--exex.bsp.file-min-free=0"];
    let launch = stopped.launch.clone().with_args(args);
    stopped.launch = launch.and_args(["--exex.bsp.targets", &url]);
    let node = stopped.launch.start().await.unwrap();
    wait_for("some blocks are delivered", DEADLINE, async || {
        let status = node.bsp_status().await.ok()?;
        (status.targets.first()?.cursor.as_ref()?.number >= 10).then_some(())
    })
    .await
    .unwrap();
    let meanwhile = output(stopped.cursors()).await;
    node.stop().await.unwrap();
    (stopped, meanwhile)
}

#[tokio::test]
async fn a_range_is_exported_and_cursors_are_looked_at_after_the_node_has_run() {
    if !program::is_there() {
        return;
    }
    let (node, (was_shown, said)) = node_that_has_run().await;
    assert!(!was_shown && said.contains("a running node: stop that first"), "{said}");
    lists_and_resets(&node).await;
    exports(&node).await;
    refuses_what_is_mistyped(&node).await;
    says_where_to_go_on(&node).await;
}

async fn lists_and_resets(node: &Stopped) {
    let (done, listed) = output(node.cursors()).await;
    assert!(done && listed.contains(&node.url()) && listed.contains("next block"), "{listed}");
    let mut wrong = node.cursors();
    wrong.args(["--reset", "file:///elsewhere"]);
    let (done, said) = output(wrong).await;
    assert!(!done && said.contains(&node.url()), "{said}");
    let mut reset = node.cursors();
    reset.args(["--reset", &node.url()]);
    let (done, said) = output(reset).await;
    assert!(done && said.contains("is reset"), "{said}");
    let (done, listed) = output(node.cursors()).await;
    assert!(done && listed.contains("No target has begun"), "{listed}");
}

async fn exports(node: &Stopped) {
    let folder = node.folder.path().join("exported");
    let target = format!("file://{}", folder.display());
    let (done, said) = output(node.export(&node.launch.data(), &target)).await;
    assert!(done && said.contains("8 blocks delivered, 2 to 9"), "{said}");
    let mut view = TargetView::folder(&folder);
    view.read().await.unwrap();
    assert_eq!(view.entries().len(), 8);
}

async fn refuses_what_is_mistyped(node: &Stopped) {
    let data = node.folder.path().join("mistyped");
    let (done, said) = output(node.export(&data, &node.url())).await;
    assert!(!done && said.contains("there is no database in"), "{said}");
    assert!(!data.exists());
    let (done, said) = output(node.export(&node.launch.data(), "file:///no/such/folder")).await;
    assert!(!done && said.contains("/no/such does not exist: make that folder"), "{said}");
    assert!(!said.contains("Location:"), "{said}");
}

/// Nobody listens at this target, so the export waits until it is interrupted.
async fn says_where_to_go_on(node: &Stopped) {
    let target = format!("redis://{}/0?topic=t", free_address().unwrap());
    for signal in [Signal::INT, Signal::TERM] {
        let log = node.folder.path().join(format!("export-{}.log", signal.as_raw()));
        let command = node.export(&node.launch.data(), &target);
        let mut export = Process::spawn("the export", command, &log).unwrap();
        let printed = || std::fs::read_to_string(&log).unwrap_or_default();
        wait_for("the export waits for its target", DEADLINE, async || {
            printed().contains("Delivery waits").then_some(())
        })
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", printed()));
        export.signal(signal).unwrap();
        let status = export.end_within(DEADLINE).await.unwrap();
        assert_eq!(status.code(), Some(1), "{}", printed());
        let said =
            "Error: the export was interrupted. 0 blocks were delivered; go on with --from 2";
        assert!(printed().contains(said), "{}", printed());
    }
}
