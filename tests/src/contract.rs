//! The proof chain's contract: deployed and administered by the test, which has no key but anvil's
//! own.

use crate::{
    rpc::JsonRpc,
    servers::anvil::{ADMINISTRATOR, OPERATOR},
    wait::wait_for,
};
use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::SolCall;
use calls::{
    ChainData, closeSessionCall, disableOperatorCall, enableOperatorCall, forceRevertCall,
    setChainDataCall, setSessionDurationCall,
};
use eyre::{Context, OptionExt};
use serde_json::{Value, json};
use std::{fs, path::Path, time::Duration};

/// The calls that administer the contract.
#[allow(missing_docs, clippy::too_many_arguments)]
pub mod calls {
    use alloy_sol_types::sol;

    sol! {
        struct ChainData {
            uint256 blockOnTargetChain;
            uint256 blockOnCurrentChain;
            uint256 secondsPerBlockTargetChain;
            uint128 allowedThreshold;
            uint128 maxSubmissionsPerBlockHeight;
            uint64 nthBlock;
        }

        function enableOperator(address operator, uint128 validator) external;
        function disableOperator(address operator) external;
        function setValidatorEnabled(uint128 validator, bool enabled) external;
        function setChainData(uint64 chainId, ChainData calldata chain) external;
        function setSessionDuration(uint64 blocks) external;
        function closeSession(uint64 chainId, uint64 blockHeight) external;
        function forceRevert(string calldata reason) external;
        function setWithoutEvents(bool without) external;
    }
}

const MINE_DEADLINE: Duration = Duration::from_secs(60);

/// More proof-chain blocks than any run makes.
const NEVER: u64 = 1 << 32;

/// A deployed contract, which takes proofs of the networks it was told about.
#[derive(Debug, Clone)]
pub struct ProofContract {
    rpc: JsonRpc,
    address: Address,
}

impl ProofContract {
    /// Deploys the proof chain with the hooks of `tests/contract`, enables [`OPERATOR`], and lets
    /// sessions stay open.
    ///
    /// # Errors
    ///
    /// Where the artefact can't be read or the chain does not take a transaction.
    pub async fn deploy(rpc: &JsonRpc) -> eyre::Result<Self> {
        let receipt = send(rpc, ADMINISTRATOR.address, None, &bytecode()?).await?;
        let address = receipt.ok_or_eyre("the deployment created no contract")?;
        let contract = Self { rpc: rpc.clone(), address };
        contract.enable(OPERATOR.address).await?;
        contract.call(&setSessionDurationCall { blocks: NEVER }).await?;
        Ok(contract)
    }

    /// Where it is.
    pub const fn address(&self) -> Address {
        self.address
    }

    /// Takes proofs of every height of a network, several blocks for each.
    ///
    /// # Errors
    ///
    /// Where the chain does not take the transaction; so in all methods.
    pub async fn accept_network(&self, network_id: u64) -> eyre::Result<()> {
        let chain = ChainData {
            blockOnTargetChain: alloy_primitives::U256::from(1u64 << 40),
            blockOnCurrentChain: alloy_primitives::U256::ZERO,
            secondsPerBlockTargetChain: alloy_primitives::U256::from(12),
            allowedThreshold: 1 << 48,
            maxSubmissionsPerBlockHeight: 1_000_000,
            nthBlock: 1,
        };
        self.call(&setChainDataCall { chainId: network_id, chain }).await
    }

    /// Makes an account an operator, of validator 1.
    ///
    /// # Errors
    ///
    /// As above.
    pub async fn enable(&self, operator: Address) -> eyre::Result<()> {
        self.call(&enableOperatorCall { operator, validator: 1 }).await
    }

    /// Takes an operator's role away.
    ///
    /// # Errors
    ///
    /// As above.
    pub async fn disable(&self, operator: Address) -> eyre::Result<()> {
        self.call(&disableOperatorCall { operator }).await
    }

    /// Takes no more proofs of one height.
    ///
    /// # Errors
    ///
    /// As above.
    pub async fn close_session(&self, network_id: u64, height: u64) -> eyre::Result<()> {
        self.call(&closeSessionCall { chainId: network_id, blockHeight: height }).await
    }

    /// Lets each submission fail with this text, until it is empty again.
    ///
    /// # Errors
    ///
    /// As above.
    pub async fn force_revert(&self, reason: &str) -> eyre::Result<()> {
        self.call(&forceRevertCall { reason: reason.to_owned() }).await
    }

    async fn call(&self, call: &impl SolCall) -> eyre::Result<()> {
        let data = Bytes::from(call.abi_encode());
        send(&self.rpc, ADMINISTRATOR.address, Some(self.address), &data).await.map(drop)
    }
}

/// Sends a transaction from an account of anvil's, and waits until it is mined. A reorganisation
/// may take it back meanwhile, so a transaction that is gone is sent again.
async fn send(
    rpc: &JsonRpc,
    from: Address,
    to: Option<Address>,
    data: &Bytes,
) -> eyre::Result<Option<Address>> {
    let mut transaction = json!({ "from": from, "data": data, "gas": "0x989680" });
    if let Some(to) = to {
        transaction["to"] = json!(to);
    }
    let mut hash: B256 = rpc.call("eth_sendTransaction", json!([transaction])).await?;
    let receipt =
        wait_for("a transaction of the administrator is mined", MINE_DEADLINE, async || {
            if let Some(receipt) = rpc.receipt(hash).await.ok()? {
                return Some(receipt);
            }
            let known: Option<Value> = rpc
                .call("eth_getTransactionByHash", json!([hash]))
                .await
                .unwrap_or(Some(Value::Null));
            if known.is_none() {
                hash = rpc.call("eth_sendTransaction", json!([transaction])).await.ok()?;
            }
            // Without a miner, this makes the block; with one, one block more does no harm.
            let _: eyre::Result<Value> = rpc.call("evm_mine", json!([])).await;
            None
        })
        .await?;
    eyre::ensure!(receipt.status.to::<u64>() == 1, "transaction {hash} of the test has failed");
    Ok(receipt.contract_address)
}

/// What deploys the proof chain with the hooks of `tests/contract`.
///
/// # Errors
///
/// Where the artefact can't be read.
pub fn bytecode() -> eyre::Result<Bytes> {
    artefact("tests/contract/ProofChainWithHooks.json")
}

/// The creation code, without arguments, of an artefact that the compiler made.
///
/// # Errors
///
/// Where it can't be read.
pub fn artefact(path: &str) -> eyre::Result<Bytes> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    let text = fs::read(&path).wrap_err_with(|| path.display().to_string())?;
    let artefact: Value = serde_json::from_slice(&text)?;
    Ok(artefact["bytecode"].as_str().ok_or_eyre("the artefact has no bytecode")?.parse()?)
}
