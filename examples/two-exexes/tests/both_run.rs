//! Starts the example as a development node and waits until both extensions have seen blocks.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// A debug build on a busy machine takes a while to start.
const DEADLINE: Duration = Duration::from_secs(120);

struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn both_extensions_see_the_chain() {
    let folder = tempfile::tempdir().unwrap();
    let (data, replicas) = (folder.path().join("data"), folder.path().join("replicas"));
    let log = folder.path().join("log");
    let target = format!("file://{}", replicas.display());
    let _node = Node(
        Command::new(env!("CARGO_BIN_EXE_example-two-exexes"))
            .args(["node", "--dev", "--dev.block-time", "200ms", "--exex.bsp.targets", &target])
            .args(["--authrpc.port", "0", "--port", "0", "--disable-discovery", "--ipcdisable"])
            .args(["--log.file.max-files", "0", "--color", "never", "--datadir"])
            .arg(&data)
            .stdout(fs::File::create(&log).unwrap())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap(),
    );
    let began = Instant::now();
    while !(has_replicas(&replicas)
        && fs::read_to_string(&log).unwrap().contains("transactions so far"))
    {
        let shown = fs::read_to_string(&log).unwrap();
        assert!(began.elapsed() < DEADLINE, "not both have seen a block:\n{shown}");
        sleep(Duration::from_millis(200));
    }
}

fn has_replicas(folder: &Path) -> bool {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).any(|file| file.len() > 0)
}
