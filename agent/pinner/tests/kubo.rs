//! Kubo, the reference implementation, fetches from a node of ours by bitswap, and ours from it.
//!
//! `KUBO_BIN` names the program `ipfs`.
#![cfg(feature = "peers")]

use bsp_codec::dag::{Cid, ExtractLimits, cid_of, extract_file};
use bsp_pinner::{
    fetch::{BlockSource, FetchLimits, Fetcher},
    peers::{Multiaddr, PeerOptions, Peers},
    store::{NewPin, Store, StoreOptions},
};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};
use tempfile::TempDir;

/// A daemon that knows nobody and listens on this host alone, until it is dropped.
struct Kubo {
    program: PathBuf,
    repo: TempDir,
    daemon: Child,
}

impl Drop for Kubo {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

impl Kubo {
    /// `None`, and a line that says so, where there is no program.
    fn start() -> Option<Self> {
        let Some(program) = env::var_os("KUBO_BIN").filter(|path| !path.is_empty()) else {
            eprintln!("SKIPPED: there is no Kubo; name the program ipfs in KUBO_BIN");
            return None;
        };
        let program = PathBuf::from(program);
        let repo = tempfile::tempdir().unwrap();
        let run = |arguments: &[&str]| run(&program, repo.path(), arguments);
        run(&["init", "--profile=test"]);
        run(&["bootstrap", "rm", "all"]);
        for (key, value) in [
            ("AutoConf.Enabled", "false"),
            ("AutoTLS.Enabled", "false"),
            ("Addresses.Swarm", r#"["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"]"#),
            ("Bootstrap", "[]"),
            ("DNS.Resolvers", "{}"),
            ("Ipns.DelegatedPublishers", "[]"),
            ("Routing.DelegatedRouters", "[]"),
            ("Routing.Type", r#""none""#),
        ] {
            run(&["config", "--json", key, value]);
        }
        let log = fs::File::create(repo.path().join("log")).unwrap();
        let daemon = Command::new(&program)
            .arg("daemon")
            .env("IPFS_PATH", repo.path())
            .env("IPFS_TELEMETRY", "off")
            .stdin(Stdio::null())
            .stderr(log.try_clone().unwrap())
            .stdout(log)
            .spawn()
            .unwrap();
        let mut kubo = Self { program, repo, daemon };
        kubo.wait_until_ready();
        Some(kubo)
    }

    fn wait_until_ready(&mut self) {
        loop {
            let log = fs::read_to_string(self.repo.path().join("log")).unwrap();
            if log.contains("Daemon is ready") {
                return;
            }
            assert!(self.daemon.try_wait().unwrap().is_none(), "Kubo does not start:\n{log}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// What `ipfs` prints, off the runtime's threads.
    async fn run(&self, arguments: &[&str]) -> Vec<u8> {
        let (program, repo) = (self.program.clone(), self.repo.path().to_owned());
        let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        tokio::task::spawn_blocking(move || {
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            run(&program, &repo, &arguments)
        })
        .await
        .unwrap()
    }

    async fn print(&self, arguments: &[&str]) -> String {
        String::from_utf8(self.run(arguments).await).unwrap().trim().to_owned()
    }
}

fn run(program: &Path, repo: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program)
        .args(arguments)
        .env("IPFS_PATH", repo)
        .env("IPFS_TELEMETRY", "off")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ipfs {arguments:?}: {told}");
    output.stdout
}

/// A real segment, or content of the same length where there is none.
fn segment() -> Vec<u8> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/mainnet"));
    fs::read(folder.join("22433670.replica.avro")).unwrap_or_else(|_| {
        eprintln!(
            "SKIPPED: no mainnet data at {}; other content takes its place",
            folder.display()
        );
        (0..3_551_157u32).map(|at| (at >> 12) as u8 ^ at as u8).collect()
    })
}

async fn ours(folder: &Path, peers: Vec<Multiaddr>) -> (Store, Peers) {
    let pins = folder.join("pins");
    fs::create_dir_all(&pins).unwrap();
    let store = Store::open(&pins, StoreOptions::default()).unwrap();
    let mut options = PeerOptions::new(folder.join("key"));
    options.listen = ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"]
        .map(|address| address.parse().unwrap())
        .to_vec();
    options.peers = peers;
    let peers = Peers::start(store.clone(), &options).await.unwrap();
    (store, peers)
}

fn pin(store: &Store, content: &[u8]) -> Cid {
    let mut import = store.import();
    import.update(content).unwrap();
    import.finish(NewPin::default()).unwrap().root
}

#[tokio::test(flavor = "multi_thread")]
async fn kubo_fetches_a_segment_by_address() {
    let Some(kubo) = Kubo::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (store, peers) = ours(folder.path(), vec![]).await;
    for (number, address) in peers.addresses().await.iter().enumerate() {
        let content = [segment(), vec![number as u8]].concat();
        let root = pin(&store, &content);
        kubo.run(&["swarm", "connect", &address.to_string()]).await;
        assert!(kubo.run(&["cat", &root.to_string()]).await == content, "{address}");
        kubo.run(&["pin", "add", &root.to_string()]).await;
        kubo.run(&["swarm", "disconnect", &address.to_string()]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_is_fetched_from_kubo_by_address() {
    let Some(kubo) = Kubo::start() else { return };
    let content = segment();
    let file = kubo.repo.path().join("segment");
    fs::write(&file, &content).unwrap();
    let add = ["add", "-Q", "--cid-version=1", "--raw-leaves", "--chunker=size-262144"];
    let root =
        kubo.print(&[&add[..], &["--max-file-links=174", file.to_str().unwrap()]].concat()).await;
    assert_eq!(root, cid_of(&content).to_string());
    let root: Cid = root.parse().unwrap();
    let addresses = kubo.print(&["id", "--format=<addrs>"]).await;
    let addresses: Vec<Multiaddr> =
        addresses.lines().map(|address| address.parse().unwrap()).collect();
    assert_eq!(addresses.len(), 2, "{addresses:?}");
    for address in addresses {
        let folder = tempfile::tempdir().unwrap();
        let (store, peers) = ours(folder.path(), vec![address]).await;
        while peers.connected().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let sources: Vec<Arc<dyn BlockSource>> = vec![Arc::new(peers)];
        let fetcher = Fetcher::new(store.clone(), sources, FetchLimits::default());
        fetcher.dag(&root, NewPin::default()).await.unwrap();
        let block = |cid: &Cid| store.block(cid).map_err(std::io::Error::other);
        let mut out = Vec::new();
        extract_file(&root, block, &ExtractLimits::default(), &mut out).unwrap();
        assert!(out == content);
    }
}
