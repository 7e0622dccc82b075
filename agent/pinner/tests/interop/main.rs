//! Programs that others wrote fetch from a store, and pin into it.
//!
//! Helia comes from npm: `npm install --ignore-scripts` beside this file, or `HELIA_MODULES` names
//! another folder `node_modules` with it. What is not there is skipped, and says so.

use bsp_codec::dag::Dag;
use bsp_pinner::{
    Cid,
    http::{Face, HttpOptions, PinnerApi, PinnerServer},
    store::{NewPin, Store, StoreOptions},
};
use std::{
    env, fs,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Output,
};
use tokio::process::Command;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A public gateway over a store.
struct Gateway {
    address: SocketAddr,
    store: Store,
    _stop: DropGuard,
    _folder: tempfile::TempDir,
}

impl Gateway {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("pins"), StoreOptions::default()).unwrap();
        let api = PinnerApi::new(store.clone(), HttpOptions::default()).unwrap();
        let any_port = (Ipv4Addr::LOCALHOST, 0).into();
        let server = PinnerServer::bind(api, Face::Public, any_port).await.unwrap();
        let (address, stop) = (server.local_addr().unwrap(), CancellationToken::new());
        tokio::spawn(server.serve(stop.clone()));
        Self { address, store, _stop: stop.drop_guard(), _folder: folder }
    }

    fn keep(&self, content: &[u8]) -> Cid {
        let mut import = self.store.import();
        import.update(content).unwrap();
        import.finish(NewPin::default()).unwrap().root
    }
}

/// The real segments that are there; where none are, one of the same size.
fn segments() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/mainnet");
    let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path());
    let avro = files.filter(|path| path.extension().is_some_and(|extension| extension == "avro"));
    let real: Vec<_> = avro.map(|path| fs::read(path).unwrap()).collect();
    if !real.is_empty() {
        return real;
    }
    eprintln!("there are no mainnet segments at {}; other content is fetched", folder.display());
    let mut next = 1u32;
    let bytes = std::iter::repeat_with(move || {
        next = next.wrapping_mul(0x9e37_79b1).wrapping_add(1);
        next.to_be_bytes()
    });
    vec![bytes.flatten().take(3_500_000).collect()]
}

/// The folder of npm packages with Helia in it.
fn helia_modules() -> Option<PathBuf> {
    let named = env::var_os("HELIA_MODULES").filter(|named| !named.is_empty()).map(PathBuf::from);
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/node_modules");
    let modules = named.unwrap_or(usual);
    if modules.join("@helia/http").is_dir() && modules.join("@helia/unixfs").is_dir() {
        return Some(modules);
    }
    eprintln!(
        "SKIPPED: there is no Helia; run `npm install --ignore-scripts` in agent/pinner/tests/interop, \
         or name a folder node_modules with it in HELIA_MODULES"
    );
    None
}

/// What Helia writes out of a file. Packages are looked for beside the script.
async fn helia_cat(modules: &Path, gateway: SocketAddr, cid: &Cid) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("helia.mjs");
    fs::write(&script, include_str!("helia.mjs")).unwrap();
    symlink(fs::canonicalize(modules).unwrap(), folder.path().join("node_modules")).unwrap();
    let mut node = Command::new("node");
    node.arg(script).arg(format!("http://{gateway}")).arg(cid.to_string());
    node.kill_on_drop(true).output().await.expect("node can be started")
}

#[tokio::test]
async fn helia_fetches_and_verifies_segments() {
    let Some(modules) = helia_modules() else { return };
    let gateway = Gateway::start().await;
    for content in segments() {
        let cid = gateway.keep(&content);
        assert_eq!(cid, *Dag::build(&content).root());
        let output = helia_cat(&modules, gateway.address, &cid).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{cid}: {errors}");
        assert!(output.stdout == content, "{cid}: {} bytes came: {errors}", output.stdout.len());
    }
}
