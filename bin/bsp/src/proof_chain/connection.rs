//! The proof chain, and the contract on it.

use super::kind::{self, Kind};
use alloy_primitives::Address;
use alloy_sol_types::SolCall;
use bsp_agent::proof::{
    key::{self, KeySettings, PrivateKeySigner},
    rpc::{Endpoint, Rpc, RpcError, RpcLimits},
};
use bsp_common::Secret;
use clap::Args;
use eyre::{ContextCompat, bail};
use std::{env, time::Duration};

/// Which contract.
#[derive(Debug, Args)]
pub(super) struct ContractArgs {
    /// Address of the proof-chain contract, 0x and 40 hex digits.
    #[arg(long, env = "ProofChain", hide_env_values = true, value_name = "ADDRESS")]
    proof_chain_address: Option<Address>,
}

/// A key that signs.
pub(super) type Key = PrivateKeySigner;

/// Time for a turn on an RPC that limits the rate of requests.
const PATIENCE: Duration = Duration::from_secs(30);

/// A chain that answers.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) rpc: Rpc,
    pub(super) chain_id: u64,
}

/// A contract that takes proofs, on a chain that answers.
#[derive(Debug)]
pub(super) struct Contract {
    pub(super) chain: Connection,
    pub(super) address: Address,
    pub(super) kind: Kind,
}

impl Connection {
    /// The chain that `MB_RPC_URL` names.
    pub(super) async fn open() -> eyre::Result<Self> {
        let url = variable("MB_RPC_URL")
            .wrap_err("MB_RPC_URL is not set: it names the proof chain's RPC")?;
        Self::to(&url).await
    }

    /// The chain behind a URL.
    pub(super) async fn to(url: &str) -> eyre::Result<Self> {
        let limits = RpcLimits { patience: PATIENCE, ..RpcLimits::default() };
        let rpc = Rpc::new(Endpoint::parse(url)?, limits)?;
        let chain_id = match rpc.chain_id().await {
            Ok(id) => id,
            Err(error) => bail!("{} can't be used: {error}; check MB_RPC_URL", rpc.endpoint()),
        };
        Ok(Self { rpc, chain_id })
    }

    /// Asks a view; nobody in particular asks.
    pub(super) async fn view<C: SolCall>(
        &self,
        to: Address,
        call: &C,
    ) -> Result<C::Return, RpcError> {
        self.rpc.view(Address::ZERO, to, call).await
    }
}

impl ContractArgs {
    pub(super) fn address(&self) -> eyre::Result<Address> {
        self.proof_chain_address
            .wrap_err("name the contract with --proof-chain-address, or in ProofChain")
    }

    /// The contract.
    ///
    /// # Errors
    ///
    /// If there is something else at the address, what that is.
    pub(super) async fn open(&self) -> eyre::Result<Contract> {
        let address = self.address()?;
        let chain = Connection::open().await?;
        Contract::at(chain, address).await
    }
}

impl Contract {
    pub(super) async fn at(chain: Connection, address: Address) -> eyre::Result<Self> {
        let kind = kind::identify(&chain, address).await?;
        if !kind.takes_proofs() {
            bail!(
                "{address} is no proof chain: {kind}; check --proof-chain-address and MB_RPC_URL"
            );
        }
        Ok(Self { chain, address, kind })
    }

    /// Asks a view of it.
    pub(super) async fn view<C: SolCall>(&self, call: &C) -> Result<C::Return, RpcError> {
        self.chain.view(self.address, call).await
    }
}

/// The key that the environment names, if it names one.
pub(super) fn key_if_there() -> eyre::Result<Option<Key>> {
    let settings = KeySettings {
        private_key: variable("MB_PRIVATE_KEY").map(Secret::new),
        keystore: variable("MB_KEYSTORE_PATH").map(Into::into),
        password: variable("MB_KEYSTORE_PWD").map(Secret::new),
    };
    if settings.private_key.is_none() && settings.keystore.is_none() {
        return Ok(None);
    }
    Ok(Some(key::load(&settings)?))
}

/// The key that signs.
pub(super) fn key() -> eyre::Result<Key> {
    match key_if_there()? {
        Some(key) => Ok(key),
        None => Err(key::KeyError::Missing.into()),
    }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
