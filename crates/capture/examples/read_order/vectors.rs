//! Differential vectors: small blocks run through real geth, one JSON object a line.
//!
//! Each holds the whole parent state, unsigned transactions with their senders, and what bsp-geth
//! v2.2.0 listed and returned. They are below the level of a signed block: no roots, no signatures.

use alloy_consensus::{
    Header, Signed, TxEip1559, TxEip2930, TxEip7702, TxLegacy, transaction::Recovered,
};
use alloy_eips::{
    eip2930::AccessList,
    eip4895::Withdrawal,
    eip7702::{Authorization, RecoveredAuthority, RecoveredAuthorization},
};
use alloy_evm::ToTxEnv;
use alloy_primitives::{
    Address, B256, Bytes, Signature, TxKind, U64, U256, keccak256, map::HashMap,
};
use bsp_capture::{BlockParts, Capture, ChainSpec, SignedTransaction, capture};
use bsp_codec::{AccountRead, BlockhashRead, CodeRead, StateSpecimen, StorageRead};
use revm::{
    DatabaseRef,
    bytecode::Bytecode,
    context::{TxEnv, either::Either},
    state::AccountInfo,
};
use serde::{Deserialize, Deserializer, de::Error as _};
use std::{collections::BTreeMap, convert::Infallible};

/// One case.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Vector {
    /// Name of the case.
    pub(crate) seed: u64,
    header: VectorHeader,
    pre: BTreeMap<Address, PreAccount>,
    transactions: Vec<VectorTransaction>,
    senders: Vec<Address>,
    withdrawals: Vec<VectorWithdrawal>,
    state: VectorState,
    receipts: Vec<VectorReceipt>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VectorHeader {
    base_fee_per_gas: U64,
    excess_blob_gas: u64,
    gas_limit: u64,
    gas_used: u64,
    miner: Address,
    mix_hash: B256,
    number: U64,
    parent_beacon_block_root: B256,
    parent_hash: B256,
    timestamp: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PreAccount {
    nonce: u64,
    balance: U256,
    #[serde(deserialize_with = "bare_hex")]
    code: Bytes,
    storage: Option<BTreeMap<B256, B256>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VectorTransaction {
    #[serde(default, rename = "type")]
    tx_type: u8,
    nonce: u64,
    gas: u64,
    gas_price: U256,
    gas_tip_cap: U256,
    gas_fee_cap: U256,
    to: Option<Address>,
    value: U256,
    #[serde(deserialize_with = "base64")]
    input: Bytes,
    access_list: Option<AccessList>,
    #[serde(rename = "AuthList")]
    authorizations: Option<Vec<VectorAuthorization>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VectorAuthorization {
    chain_id: U256,
    delegate: Address,
    nonce: u64,
    authority: Option<Address>,
}

#[derive(Debug, Deserialize)]
struct VectorWithdrawal {
    address: Address,
    amount: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct VectorState {
    account_read: Vec<VectorAccount>,
    storage_read: Vec<VectorSlot>,
    code_read: Vec<VectorCode>,
    blockhash_read: Vec<VectorBlockhash>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct VectorAccount {
    address: Address,
    nonce: u64,
    balance: U256,
    code_hash: B256,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct VectorSlot {
    account: Address,
    slot_key: B256,
    value: B256,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct VectorCode {
    hash: B256,
    #[serde(deserialize_with = "base64")]
    code: Bytes,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct VectorBlockhash {
    block_number: u64,
    block_hash: B256,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct VectorReceipt {
    cumulative_gas_used: u64,
    #[serde(deserialize_with = "base64")]
    post_state_or_status: Bytes,
    logs: Vec<VectorLog>,
}

#[derive(Debug, Deserialize)]
struct VectorLog {
    address: Address,
    topics: Vec<B256>,
    #[serde(deserialize_with = "base64")]
    data: Bytes,
}

impl Vector {
    /// Captures the block and compares the outcome with geth's.
    ///
    /// # Errors
    ///
    /// The first difference, in words.
    pub(crate) fn check(&self) -> Result<(), String> {
        let header = self.header();
        let withdrawals = self.withdrawals();
        let block = BlockParts { header: &header, ommers: &[], withdrawals: Some(&withdrawals) };
        let captured = capture(&ChainSpec::mainnet(), block, self.transactions(), self.parent())
            .map_err(|error| error.to_string())?;
        self.compare_outcome(&captured)?;
        compare_lists(&self.lists(), &captured.reads.lists)
    }

    fn header(&self) -> Header {
        let header = &self.header;
        Header {
            parent_hash: header.parent_hash,
            beneficiary: header.miner,
            number: header.number.to(),
            gas_limit: header.gas_limit,
            gas_used: header.gas_used,
            timestamp: header.timestamp,
            mix_hash: header.mix_hash,
            base_fee_per_gas: Some(header.base_fee_per_gas.to()),
            excess_blob_gas: Some(header.excess_blob_gas),
            parent_beacon_block_root: Some(header.parent_beacon_block_root),
            ..Default::default()
        }
    }

    fn withdrawals(&self) -> Vec<Withdrawal> {
        let consensus = |item: &VectorWithdrawal| Withdrawal {
            address: item.address,
            amount: item.amount,
            ..Default::default()
        };
        self.withdrawals.iter().map(consensus).collect()
    }

    fn transactions(&self) -> impl Iterator<Item = (TxEnv, Recovered<SignedTransaction>)> + '_ {
        self.transactions.iter().zip(&self.senders).map(|(tx, sender)| tx.executable(*sender))
    }

    fn parent(&self) -> PreState {
        PreState::new(&self.pre)
    }

    fn lists(&self) -> StateSpecimen {
        let state = &self.state;
        StateSpecimen {
            account_read: state
                .account_read
                .iter()
                .map(|row| AccountRead {
                    address: row.address,
                    nonce: row.nonce,
                    balance: row.balance,
                    code_hash: row.code_hash,
                })
                .collect(),
            storage_read: state
                .storage_read
                .iter()
                .map(|row| StorageRead {
                    account: row.account,
                    slot_key: row.slot_key,
                    value: row.value,
                })
                .collect(),
            code_read: state
                .code_read
                .iter()
                .map(|row| CodeRead { hash: row.hash, code: row.code.clone() })
                .collect(),
            blockhash_read: state
                .blockhash_read
                .iter()
                .map(|row| BlockhashRead {
                    block_number: row.block_number,
                    block_hash: row.block_hash,
                })
                .collect(),
        }
    }

    fn compare_outcome(&self, captured: &Capture) -> Result<(), String> {
        if captured.gas_used != self.header.gas_used {
            return Err(differs("gas used", &self.header.gas_used, &captured.gas_used));
        }
        if captured.receipts.len() != self.receipts.len() {
            return Err(differs("receipts", &self.receipts.len(), &captured.receipts.len()));
        }
        for (index, (expected, got)) in self.receipts.iter().zip(&captured.receipts).enumerate() {
            let status = expected.post_state_or_status.as_ref() == [1];
            let expected_gas = (status, expected.cumulative_gas_used);
            let got_gas = (got.success, got.cumulative_gas_used);
            if expected_gas != got_gas {
                return Err(differs(&format!("receipt {index}"), &expected_gas, &got_gas));
            }
            let flat = |log: &alloy_primitives::Log| {
                (log.address, log.topics().to_vec(), log.data.data.clone())
            };
            let got_logs: Vec<_> = got.logs.iter().map(flat).collect();
            let expected_logs: Vec<_> = expected
                .logs
                .iter()
                .map(|log| (log.address, log.topics.clone(), log.data.clone()))
                .collect();
            if expected_logs != got_logs {
                return Err(differs(&format!("logs {index}"), &expected_logs, &got_logs));
            }
        }
        Ok(())
    }
}

impl VectorTransaction {
    /// The environment to execute, and a stand-in for the signed transaction, which the vectors do
    /// not have.
    fn executable(&self, sender: Address) -> (TxEnv, Recovered<SignedTransaction>) {
        let transaction = Recovered::new_unchecked(self.unsigned(), sender);
        let mut env: TxEnv = transaction.to_tx_env();
        env.authorization_list = self.authorizations().map(Either::Right).collect();
        (env, transaction)
    }

    fn authorizations(&self) -> impl Iterator<Item = RecoveredAuthorization> + '_ {
        self.authorizations.iter().flatten().map(|item| {
            let authorization = Authorization {
                chain_id: item.chain_id,
                address: item.delegate,
                nonce: item.nonce,
            };
            let authority = item
                .authority
                .filter(|authority| !authority.is_zero())
                .map_or(RecoveredAuthority::Invalid, RecoveredAuthority::Valid);
            RecoveredAuthorization::new_unchecked(authorization, authority)
        })
    }

    fn unsigned(&self) -> SignedTransaction {
        let signature = Signature::test_signature();
        let kind = self.to.map_or(TxKind::Create, TxKind::Call);
        let access_list = self.access_list.clone().unwrap_or_default();
        let (nonce, gas_limit, value, input) =
            (self.nonce, self.gas, self.value, self.input.clone());
        let (max_fee_per_gas, max_priority_fee_per_gas) =
            (self.gas_fee_cap.to(), self.gas_tip_cap.to());
        match self.tx_type {
            0 => {
                let gas_price = self.gas_price.to();
                let tx = TxLegacy {
                    chain_id: Some(1),
                    nonce,
                    gas_price,
                    gas_limit,
                    to: kind,
                    value,
                    input,
                };
                Signed::new_unhashed(tx, signature).into()
            }
            1 => {
                let gas_price = self.gas_price.to();
                let tx = TxEip2930 {
                    chain_id: 1,
                    nonce,
                    gas_price,
                    gas_limit,
                    to: kind,
                    value,
                    access_list,
                    input,
                };
                Signed::new_unhashed(tx, signature).into()
            }
            2 => {
                let tx = TxEip1559 {
                    chain_id: 1,
                    nonce,
                    gas_limit,
                    max_fee_per_gas,
                    max_priority_fee_per_gas,
                    to: kind,
                    value,
                    access_list,
                    input,
                };
                Signed::new_unhashed(tx, signature).into()
            }
            4 => {
                let tx = TxEip7702 {
                    chain_id: 1,
                    nonce,
                    gas_limit,
                    max_fee_per_gas,
                    max_priority_fee_per_gas,
                    to: self.to.unwrap_or_default(),
                    value,
                    access_list,
                    input,
                    authorization_list: Vec::new(),
                };
                Signed::new_unhashed(tx, signature).into()
            }
            other => panic!("the vectors have no transaction of type {other}"),
        }
    }
}

/// A whole state in memory. The hash of block n is n as 32 bytes.
#[derive(Debug, Default)]
pub(crate) struct PreState {
    accounts: HashMap<Address, AccountInfo>,
    slots: HashMap<(Address, U256), U256>,
    codes: HashMap<B256, Bytecode>,
}

impl PreState {
    fn new(pre: &BTreeMap<Address, PreAccount>) -> Self {
        let mut state = Self::default();
        for (address, account) in pre {
            let code_hash = keccak256(&account.code);
            let info = AccountInfo {
                nonce: account.nonce,
                balance: account.balance,
                code_hash,
                ..Default::default()
            };
            // Without the code, so that the EVM has to ask for it by its hash.
            state.accounts.insert(*address, AccountInfo { code: None, ..info });
            state.codes.insert(code_hash, Bytecode::new_raw(account.code.clone()));
            for (slot, value) in account.storage.iter().flatten() {
                state.slots.insert((*address, (*slot).into()), (*value).into());
            }
        }
        state
    }
}

impl DatabaseRef for PreState {
    type Error = Infallible;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Infallible> {
        Ok(self.accounts.get(&address).cloned())
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, Infallible> {
        Ok(self.codes.get(&code_hash).cloned().unwrap_or_default())
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, Infallible> {
        Ok(self.slots.get(&(address, slot)).copied().unwrap_or_default())
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, Infallible> {
        Ok(U256::from(number).into())
    }
}

fn compare_lists(expected: &StateSpecimen, got: &StateSpecimen) -> Result<(), String> {
    compare_list("AccountRead", &expected.account_read, &got.account_read)?;
    compare_list("StorageRead", &expected.storage_read, &got.storage_read)?;
    compare_list("CodeRead", &expected.code_read, &got.code_read)?;
    compare_list("BlockhashRead", &expected.blockhash_read, &got.blockhash_read)
}

fn compare_list<T: PartialEq + std::fmt::Debug>(
    name: &str,
    expected: &[T],
    got: &[T],
) -> Result<(), String> {
    let first = expected.iter().zip(got).position(|(expected, got)| expected != got);
    let index = match first {
        Some(index) => index,
        None if expected.len() == got.len() => return Ok(()),
        None => expected.len().min(got.len()),
    };
    Err(format!(
        "{name}[{index}] (of {} and {}): expected {:?}, got {:?}",
        expected.len(),
        got.len(),
        expected.get(index),
        got.get(index)
    ))
}

fn differs<T: std::fmt::Debug>(what: &str, expected: &T, got: &T) -> String {
    format!("{what}: expected {expected:?}, got {got:?}")
}

fn bare_hex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    let text = String::deserialize(deserializer)?;
    alloy_primitives::hex::decode(text).map(Bytes::from).map_err(D::Error::custom)
}

fn base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    let text = String::deserialize(deserializer)?;
    data_encoding::BASE64.decode(text.as_bytes()).map(Bytes::from).map_err(D::Error::custom)
}
