//! An anvil with a contract on it, which makes a block for each transaction.

use crate::abi::*;
use alloy_primitives::{Address, B256, Bytes, LogData, U64, U256, keccak256};
use alloy_sol_types::{Revert, SolCall, SolError, SolValue};
use bsp_tests::{
    contract::artefact,
    servers::{
        anvil::{ADMINISTRATOR, Anvil, Mining},
        program::{Program, all_there},
    },
};
use serde_json::{Value, json};

/// Who deployed the contract.
pub(crate) const OWNER: Address = ADMINISTRATOR.address;
/// The chain whose blocks are proved.
pub(crate) const NETWORK: u64 = 1;
/// A share of one, in the contract's terms.
pub(crate) const WHOLE: u64 = 1_000_000_000_000_000_000;
/// More gas than any call here needs.
const GAS: &str = "0x1c9c380";

pub(crate) struct Chain {
    anvil: Anvil,
    pub(crate) contract: Address,
}

/// What became of a transaction that did not revert.
#[derive(Debug)]
pub(crate) struct Mined {
    pub(crate) gas: u64,
    pub(crate) block: u64,
    pub(crate) logs: Vec<LogData>,
}

/// As the tool deploys by default, with short sessions.
pub(crate) fn settings() -> Settings {
    Settings {
        sessionDuration: 10,
        minSubmissions: 2,
        secondsPerBlock: 1,
        quorum: U256::from(WHOLE / 2),
    }
}

/// Every height is taken, and three blocks of each.
pub(crate) fn network() -> ChainData {
    ChainData {
        blockOnTargetChain: U256::ZERO,
        blockOnCurrentChain: U256::ZERO,
        secondsPerBlockTargetChain: U256::from(12),
        allowedThreshold: 1 << 64,
        maxSubmissionsPerBlockHeight: 3,
        nthBlock: 1,
    }
}

/// An account that nobody has the key of.
pub(crate) fn account(n: u64) -> Address {
    Address::from_word(keccak256(n.to_be_bytes()))
}

/// A hash with a name.
pub(crate) fn hash(name: &str) -> B256 {
    keccak256(name)
}

/// The proof of a block of a height.
pub(crate) fn proof(height: u64, block: &str, specimen: &str) -> submitBlockSpecimenProofCall {
    submitBlockSpecimenProofCall {
        chainId: NETWORK,
        blockHeight: height,
        blockHash: hash(block),
        specimenHash: hash(specimen),
        // As long as the CID of a segment makes it.
        storageURL: format!("ipfs://bafybei{:0>52}", specimen.to_lowercase()),
    }
}

pub(crate) const fn finalization(height: u64) -> finalizeSpecimenSessionCall {
    finalizeSpecimenSessionCall { chainId: NETWORK, blockHeight: height }
}

impl Chain {
    /// A contract that takes no network yet. `None`, and a word about it, without anvil.
    pub(crate) async fn bare() -> Option<Self> {
        if !all_there(&[Program::Anvil]) {
            return None;
        }
        let anvil = Anvil::start(Mining::OnDemand).await.unwrap();
        let mut chain = Self { anvil, contract: Address::ZERO };
        // Nobody signs here: who may do what is the question.
        chain.ask("anvil_autoImpersonateAccount", json!([true])).await;
        let code = creation(&settings());
        let receipt = chain.transact(json!({"from": OWNER, "data": code, "gas": GAS})).await;
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        chain.contract = serde_json::from_value(receipt["contractAddress"].clone()).unwrap();
        Some(chain)
    }

    /// A contract that takes [`NETWORK`], with so many operators, [`account`]s from 1 on, each of a
    /// validator with its number.
    pub(crate) async fn with_operators(count: u64) -> Option<Self> {
        let chain = Self::bare().await?;
        chain.send(OWNER, configureChainCall { chainId: NETWORK, chain: network() }).await;
        for n in 1..=count {
            chain.enable(account(n), u128::from(n)).await;
        }
        Some(chain)
    }

    pub(crate) async fn enable(&self, operator: Address, validator: u128) {
        self.send(OWNER, addBSPOperatorCall { operator, validatorId: validator }).await;
        self.send(OWNER, enableValidatorCall { validatorId: validator }).await;
    }

    pub(crate) async fn fund(&self, account: Address) {
        self.ask("anvil_setBalance", json!([account, "0x56bc75e2d63100000"])).await;
    }

    /// Calls the contract, in a block of its own.
    pub(crate) async fn send<C: SolCall>(&self, from: Address, call: C) -> Mined {
        self.try_send(from, &call)
            .await
            .unwrap_or_else(|reason| panic!("{}: {reason}", C::SIGNATURE))
    }

    /// Calls the contract, in a block of its own, or says why it refuses: then the block holds the
    /// transaction that failed.
    pub(crate) async fn try_send<C: SolCall>(
        &self,
        from: Address,
        call: &C,
    ) -> Result<Mined, String> {
        let refusal = self.refusal(from, call).await;
        self.fund(from).await;
        let data = Bytes::from(call.abi_encode());
        let transaction = json!({"from": from, "to": self.contract, "data": data, "gas": GAS});
        let receipt = self.transact(transaction).await;
        // The call that was asked in advance and the one on the chain are of one mind.
        let succeeded = receipt["status"] == "0x1";
        assert_eq!(succeeded, refusal.is_none(), "{}: {refusal:?}, {receipt}", C::SIGNATURE);
        match refusal {
            Some(reason) => Err(reason),
            None => Ok(Mined {
                gas: number(&receipt["gasUsed"]),
                block: number(&receipt["blockNumber"]),
                logs: logs(&receipt),
            }),
        }
    }

    /// Why the contract refuses a call in the next block, if it does.
    pub(crate) async fn refusal<C: SolCall>(&self, from: Address, call: &C) -> Option<String> {
        let data = Bytes::from(call.abi_encode());
        let call = json!({"from": from, "to": self.contract, "data": data, "gas": GAS});
        let answer: eyre::Result<Value> =
            self.anvil.rpc().call("eth_call", json!([call, "pending"])).await;
        let text = answer.err()?.to_string();
        let data: Bytes = text
            .split("\"data\":\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next())
            .unwrap_or_else(|| panic!("no revert data: {text}"))
            .parse()
            .unwrap();
        Some(match Revert::abi_decode(&data) {
            Ok(revert) => revert.reason,
            Err(_) => data.to_string(),
        })
    }

    pub(crate) async fn view<C: SolCall>(&self, call: C) -> C::Return {
        let data = Bytes::from(call.abi_encode());
        let call = json!({"from": OWNER, "to": self.contract, "data": data});
        let answer: Bytes =
            serde_json::from_value(self.ask("eth_call", json!([call, "latest"])).await).unwrap();
        C::abi_decode_returns(&answer).unwrap()
    }

    pub(crate) async fn mine(&self, blocks: u64) {
        self.ask("anvil_mine", json!([U64::from(blocks)])).await;
    }

    pub(crate) async fn head(&self) -> u64 {
        self.anvil.rpc().block_number().await.unwrap()
    }

    /// Lets a session's deadline pass.
    pub(crate) async fn end_of(&self, height: u64) {
        let session = self.view(getSessionCall { chainId: NETWORK, blockHeight: height }).await;
        let head = self.head().await;
        if session.deadline > head {
            self.mine(session.deadline - head).await;
        }
    }

    async fn transact(&self, transaction: Value) -> Value {
        let hash = self.ask("eth_sendTransaction", json!([transaction])).await;
        self.mine(1).await;
        loop {
            let receipt = self.ask("eth_getTransactionReceipt", json!([hash])).await;
            if !receipt.is_null() {
                return receipt;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// The gas of creating a contract once more.
    pub(crate) async fn deployment_gas(&self, code: &Bytes) -> u64 {
        number(&self.transact(json!({"from": OWNER, "data": code, "gas": GAS})).await["gasUsed"])
    }

    pub(crate) async fn fails(&self, method: &str, params: Value) -> bool {
        self.anvil.rpc().call::<Value>(method, params).await.is_err()
    }

    pub(crate) async fn ask(&self, method: &str, params: Value) -> Value {
        self.anvil.rpc().call(method, params).await.unwrap()
    }
}

/// What deploys the contract with some settings.
pub(crate) fn creation(settings: &Settings) -> Bytes {
    let mut code = artefact("contracts/BlockSpecimenProofChain.json").unwrap().to_vec();
    code.extend(settings.abi_encode());
    code.into()
}

/// The event of one kind among a transaction's.
pub(crate) fn event<E: alloy_sol_types::SolEvent>(logs: &[LogData]) -> Option<E> {
    logs.iter().find_map(|log| E::decode_log_data_validate(log).ok())
}

fn number(value: &Value) -> u64 {
    let number: U64 = serde_json::from_value(value.clone()).unwrap();
    number.to()
}

fn logs(receipt: &Value) -> Vec<LogData> {
    let each = receipt["logs"].as_array().unwrap().iter().map(|log| {
        let topics = serde_json::from_value(log["topics"].clone()).unwrap();
        LogData::new_unchecked(topics, serde_json::from_value(log["data"].clone()).unwrap())
    });
    each.collect()
}
