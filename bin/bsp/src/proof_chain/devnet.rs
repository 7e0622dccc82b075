//! A proof chain for `bsp dev --contract`: anvil or another development chain, a contract on it,
//! and two operators whose keys everybody knows.

use super::{
    abi::{self, *},
    connection::{Connection, Contract, Key},
    logs::{self, End},
    network::any_height,
    sending::{Sender, SpendArgs, Step, To},
};
use crate::output;
use alloy_primitives::{Address, U64, U256, address};
use bsp_agent::proof::{
    Confirmations,
    key::{self, KeySettings},
    rpc::Call,
};
use bsp_common::{Secret, text::counted};
use eyre::{Context, OptionExt, bail};
use serde_json::{Value, json};
use std::{
    env,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// An account that development chains fund at their start, by the phrase that all of them have.
#[derive(Debug, Clone, Copy)]
struct Account {
    address: Address,
    key: &'static str,
}

const OWNER: Account = Account {
    address: address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
    key: "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
};

const OPERATORS: [Account; 2] = [
    Account {
        address: address!("70997970C51812dc3A010C7d01b50e0d17dc79C8"),
        key: "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    },
    Account {
        address: address!("3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"),
        key: "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    },
];

/// How long anvil may take to answer.
const START_DEADLINE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);
/// Sessions are longer than one operator is ever behind the other.
const SESSION_BLOCKS: u64 = 1000;
/// Blocks that are asked for at once.
const BLOCKS_AT_ONCE: u64 = 100;
/// The gas of configuring a chain, roughly: it is estimated once the contract is there.
const ROUGHLY: u64 = 200_000;

/// A development chain with a contract of our own.
#[derive(Debug)]
pub(crate) struct Devnet {
    contract: Contract,
    url: String,
    /// Ends with it.
    _anvil: Option<Anvil>,
}

/// What an operator's agent needs to know.
#[derive(Debug, Clone)]
pub(crate) struct OperatorAccess {
    pub(crate) contract: Address,
    pub(crate) rpc_url: Secret<String>,
    pub(crate) key: Secret<String>,
}

/// anvil, until it is dropped.
#[derive(Debug)]
struct Anvil(Child);

impl Drop for Anvil {
    fn drop(&mut self) {
        // It has ended by itself then.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Devnet {
    /// Starts anvil, or takes the chain that is named, and deploys a contract that takes blocks of
    /// a network from two operators.
    pub(crate) async fn start(url: Option<&str>, network: u64) -> eyre::Result<Self> {
        let (anvil, url) = match url {
            Some(url) => (None, url.to_owned()),
            None => {
                let (anvil, url) = start_anvil().await?;
                (Some(anvil), url)
            }
        };
        let chain = Connection::to(&url).await?;
        if chain.rpc.balance(OWNER.address).await?.is_zero() {
            bail!(
                "{} has no funds at {}: only a development chain funds it, such as anvil",
                OWNER.address,
                chain.rpc.endpoint()
            );
        }
        let address = deploy(&chain, network).await?;
        let contract = Contract::at(chain, address).await?;
        let devnet = Self { contract, url, _anvil: anvil };
        devnet.introduce()?;
        Ok(devnet)
    }

    /// What the first (0) or the second operator (1) needs.
    pub(crate) fn operator(&self, which: usize) -> OperatorAccess {
        let account = OPERATORS.get(which).unwrap_or(&OWNER);
        OperatorAccess {
            contract: self.contract.address,
            rpc_url: Secret::new(self.url.clone()),
            key: Secret::new(account.key.to_owned()),
        }
    }

    /// Prints addresses and keys.
    fn introduce(&self) -> eyre::Result<()> {
        let chain = &self.contract.chain;
        let mut text =
            format!("proof chain  {}, chain id {}\n", chain.rpc.endpoint(), chain.chain_id);
        text += &format!("contract     {}\n", self.contract.address);
        let accounts =
            [("owner      ", OWNER), ("operator 1 ", OPERATORS[0]), ("operator 2 ", OPERATORS[1])];
        for (name, Account { address, key }) in accounts {
            text += &format!("{name}  {address}  {key}\n");
        }
        text += "everybody knows these keys: they are for development alone\n\n";
        output::print(text.as_bytes())
    }

    /// Lets all sessions end, finalizes them, and prints what has a quorum.
    ///
    /// # Errors
    ///
    /// If a height has none.
    pub(crate) async fn finish(&self) -> eyre::Result<()> {
        let mut head = self.head().await?;
        let sessions = logs::sessions(&self.contract, head, head).await?;
        let last = sessions.values().filter_map(|session| session.deadline).max().unwrap_or(0);
        while head <= last {
            let blocks = (last - head + 1).min(BLOCKS_AT_ONCE);
            let mine = Call::new("anvil_mine", json!([U64::from(blocks)]));
            let mined: Result<Value, _> = self.contract.chain.rpc.call(&mine).await;
            mined.wrap_err(
                "the chain makes no blocks on demand, and sessions would last too long",
            )?;
            head = self.head().await?;
        }
        let to = To::Contract(self.contract.address);
        let steps = sessions.keys().map(|(network, height)| {
            let call = finalizeSpecimenSessionCall { chainId: *network, blockHeight: *height };
            Step::call(format!("finalize {network}-{height}"), to, &call)
        });
        send(&self.contract.chain, steps.collect()).await?;
        let head = self.head().await?;
        let ended = logs::sessions(&self.contract, head, head).await?;
        let (mut text, mut agreed) = (String::from("\n"), 0);
        for ((_, height), session) in &ended {
            text += &match &session.end {
                Some(End::Quorum { specimen_hash, validators, .. }) => {
                    agreed += 1;
                    let by: Vec<_> = validators.iter().map(u8::to_string).collect();
                    format!(
                        "{height:>5}  quorum     {specimen_hash} by validators {}\n",
                        by.join(", ")
                    )
                }
                _ => format!("{height:>5}  no quorum\n"),
            };
        }
        text += &format!(
            "{agreed} of {} have a quorum of two operators\n",
            counted(ended.len() as u64, "height")
        );
        output::print(text.as_bytes())?;
        eyre::ensure!(agreed == ended.len(), "not every height has a quorum");
        Ok(())
    }

    async fn head(&self) -> eyre::Result<u64> {
        Ok(self.contract.chain.rpc.head().await?.number)
    }
}

async fn deploy(chain: &Connection, network: u64) -> eyre::Result<Address> {
    let settings = Settings {
        sessionDuration: SESSION_BLOCKS,
        minSubmissions: 2,
        secondsPerBlock: 1,
        quorum: U256::from(WHOLE / 100) * U256::from(51),
    };
    let to = To::Created { typical_gas: ROUGHLY };
    let mut steps = vec![
        Step { what: "deploy".to_owned(), to: To::Creation, input: abi::creation(&settings)? },
        Step::call("configure", to, &configureChainCall { chainId: network, chain: any_height() }),
    ];
    for (id, account) in (1_u128..).zip(OPERATORS) {
        let add = addBSPOperatorCall { operator: account.address, validatorId: id };
        steps.push(Step::call("add an operator", to, &add));
        steps.push(Step::call("enable", to, &enableValidatorCall { validatorId: id }));
    }
    let done = send(chain, steps).await?;
    done.ok_or_eyre("the deployment created no contract")
}

/// Sends without a word, in the owner's name. Returns the contract that was created.
async fn send(chain: &Connection, steps: Vec<Step>) -> eyre::Result<Option<Address>> {
    let spend = SpendArgs {
        yes: true,
        confirmations: Confirmations::Blocks(1),
        max_fee_gwei: 1000,
        deadline: 60,
    };
    let sender = Sender { chain, key: &owner()?, spend: &spend, is_silent: true };
    let done = sender.run(steps).await?.unwrap_or_default();
    Ok(done.iter().find_map(|done| done.receipt.created))
}

fn owner() -> eyre::Result<Key> {
    let private_key = Some(Secret::new(OWNER.key.to_owned()));
    Ok(key::load(&KeySettings { private_key, ..KeySettings::default() })?)
}

/// Starts anvil at a free port of this machine, and waits until it answers.
async fn start_anvil() -> eyre::Result<(Anvil, String)> {
    let program = find_anvil().ok_or_eyre(
        "there is no anvil: install Foundry, name its file in ANVIL, or name a development chain with --rpc-url",
    )?;
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr())?.port();
    let mut command = Command::new(&program);
    command.args(["--host", "127.0.0.1", "--port", &port.to_string(), "--silent"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Ctrl-C is for this program, which still needs it then.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let child =
        command.spawn().wrap_err_with(|| format!("{} does not start", program.display()))?;
    let mut anvil = Anvil(child);
    let (url, begun) = (format!("http://127.0.0.1:{port}"), Instant::now());
    while Connection::to(&url).await.is_err() {
        if let Some(status) = anvil.0.try_wait()? {
            bail!("{} has ended at once, with {status}", program.display());
        }
        eyre::ensure!(begun.elapsed() < START_DEADLINE, "{} does not answer", program.display());
        tokio::time::sleep(POLL).await;
    }
    Ok((anvil, url))
}

/// What `ANVIL` names, else the first in `PATH`.
fn find_anvil() -> Option<PathBuf> {
    if let Some(path) = env::var_os("ANVIL").filter(|value| !value.is_empty()) {
        return Some(path.into());
    }
    let folders = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&folders).map(|folder| folder.join("anvil")).find(|path| path.is_file())
}
