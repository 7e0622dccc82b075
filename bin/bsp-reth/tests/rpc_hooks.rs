//! The producer in a node whose author has a hook for RPC modules of his own, in every order.
//!
//! A process has one node, with its log and its metrics. So this program is the node as well: for
//! each case it starts itself again, with the case in the environment, as a development node.

use bsp_exex::{BspArgs, BspRpcModuleValidator, InstallBsp};
// What a node is compiled to is taken from there.
use bsp_reth as _;
use clap::Parser;
use jsonrpsee::RpcModule;
use reth_ethereum_cli::{Cli, chainspec::EthereumChainSpecParser};
use reth_node_ethereum::EthereumNode;
use std::{
    env, fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

const CASE: &str = "RPC_HOOKS_CASE";

/// A debug build on a busy machine takes a while to start.
const DEADLINE: Duration = Duration::from_secs(180);

/// What the node is to do.
struct Expected {
    case: &'static str,
    delivers: bool,
    serves_bsp: bool,
    /// What its log says, if anything.
    says: Option<&'static str>,
}

const CASES: [Expected; 4] = [
    Expected { case: "own hook first", delivers: true, serves_bsp: true, says: None },
    Expected { case: "run in own hook", delivers: true, serves_bsp: true, says: None },
    Expected {
        case: "own hook last",
        delivers: true,
        serves_bsp: false,
        says: Some("The RPC namespace `bsp` is not served"),
    },
    Expected {
        case: "both hooks replaced",
        delivers: false,
        serves_bsp: false,
        says: Some("The producer was not started"),
    },
];

fn main() -> eyre::Result<()> {
    if let Ok(case) = env::var(CASE) {
        return run_node(&case);
    }
    for expected in &CASES {
        check(expected)?;
        println!("{}: ok", expected.case);
    }
    Ok(())
}

fn run_node(case: &str) -> eyre::Result<()> {
    let case = case.to_owned();
    Cli::<EthereumChainSpecParser, BspArgs, BspRpcModuleValidator>::parse().run(
        async move |builder, args| {
            let node = builder.node(EthereumNode::default());
            let node = match case.as_str() {
                "own hook first" => node
                    .extend_rpc_modules(|ctx| Ok(ctx.modules.merge_configured(mine()?)?))
                    .install_bsp(args),
                "run in own hook" => {
                    let (node, bsp) = node.install_bsp_with_hook(args);
                    node.extend_rpc_modules(move |mut ctx| {
                        bsp.run(&mut ctx)?;
                        Ok(ctx.modules.merge_configured(mine()?)?)
                    })
                }
                "own hook last" => node
                    .install_bsp(args)
                    .extend_rpc_modules(|ctx| Ok(ctx.modules.merge_configured(mine()?)?)),
                "both hooks replaced" => node
                    .install_bsp(args)
                    .extend_rpc_modules(|ctx| Ok(ctx.modules.merge_configured(mine()?)?))
                    .on_rpc_started(|_, _| Ok(())),
                other => eyre::bail!("there is no case {other}"),
            };
            let handle = node.launch_with_debug_capabilities().await?;
            handle.wait_for_node_exit().await
        },
    )
}

/// The author's own namespace.
fn mine() -> eyre::Result<RpcModule<()>> {
    let mut module = RpcModule::new(());
    module.register_method("mine_answer", |_, (), _| 42)?;
    Ok(module)
}

struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn check(expected: &Expected) -> eyre::Result<()> {
    let folder = tempfile::tempdir()?;
    let (data, replicas) = (folder.path().join("data"), folder.path().join("replicas"));
    let log = folder.path().join("log");
    let output = fs::File::create(&log)?;
    let _node = Node(
        Command::new(env::current_exe()?)
            .env(CASE, expected.case)
            .args(["node", "--dev", "--dev.block-time", "200ms", "--exex.bsp.targets"])
            .arg(format!("file://{}", replicas.display()))
            .args(["--http", "--http.port", "0", "--http.api", "eth,bsp"])
            .args(["--authrpc.port", "0", "--port", "0", "--disable-discovery", "--ipcdisable"])
            .args(["--log.file.max-files", "0", "--color", "never", "--datadir"])
            .arg(&data)
            .stdout(output.try_clone()?)
            .stderr(output)
            .stdin(Stdio::null())
            .spawn()?,
    );
    let (case, printed) = (expected.case, || fs::read_to_string(&log).unwrap_or_default());
    let address = wait(case, &printed, || http_address(&printed()))?;
    wait(case, &printed, || call(&address, "mine_answer").filter(|answer| answer.contains("42")))?;
    // The chain continues in every case.
    let block = |answer: &String| answer.contains("\"0x") && !answer.contains("\"0x0\"");
    wait(case, &printed, || call(&address, "eth_blockNumber").filter(block))?;
    if expected.delivers {
        wait(case, &printed, || has_replicas(&replicas).then_some(()))?;
    } else {
        eyre::ensure!(!has_replicas(&replicas), "{case}: something was delivered");
    }
    let status = call(&address, "bsp_status").unwrap_or_default();
    eyre::ensure!(status.contains("\"targets\"") == expected.serves_bsp, "{case}: {status}");
    for telling in CASES.iter().filter_map(|case| case.says) {
        let says = printed().contains(telling);
        eyre::ensure!(says == (expected.says == Some(telling)), "{case}: {telling}\n{}", printed());
    }
    Ok(())
}

/// Asks until there is an answer.
fn wait<T>(
    case: &str,
    printed: &impl Fn() -> String,
    mut look: impl FnMut() -> Option<T>,
) -> eyre::Result<T> {
    let began = Instant::now();
    loop {
        if let Some(seen) = look() {
            return Ok(seen);
        }
        eyre::ensure!(
            began.elapsed() < DEADLINE,
            "{case}: what is due does not come:\n{}",
            printed()
        );
        sleep(Duration::from_millis(200));
    }
}

fn http_address(printed: &str) -> Option<String> {
    let line = printed.lines().find(|line| line.contains("RPC HTTP server started"))?;
    line.split_once("url=").map(|(_, address)| address.trim().to_owned())
}

/// The answer to a call without arguments, as JSON-RPC has it.
fn call(address: &str, method: &str) -> Option<String> {
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":[]}}"#);
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let length = body.len();
    write!(
        stream,
        "POST / HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned())
}

fn has_replicas(folder: &Path) -> bool {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).any(|file| file.len() > 0)
}
