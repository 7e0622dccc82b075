//! What the contract's and the nodes' refusals mean: one [table](TABLE), a row for each text.

use super::rpc::RpcError;
use alloy_json_rpc::ErrorPayload;
use alloy_primitives::{Bytes, hex};
use alloy_sol_types::{Panic, Revert, SolError};

/// What a refusal means for the claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// This operator has a proof for the block: find it.
    AlreadySubmitted,
    /// The height takes nothing more. Our own proof may be the reason: look for it, otherwise the
    /// claim is skipped.
    SessionOver,
    /// Never taken: skipped.
    Skip,
    /// Too old or too new for live sync: the contract's own figures tell which.
    OutOfWindow,
    /// Nothing is taken of this operator until somebody acts: all proofs pause, with an alarm. Only
    /// for what is true of every claim: a refusal that concerns one of them must not stop the
    /// others.
    StopAndAlarm,
    /// The claim waits for the operator, the others go on.
    Hold,
    /// The transaction may be in the pool: look.
    Unknown,
    /// Another transaction with this nonce is in the pool and pays more, or nearly as much.
    Underpriced,
    /// Below what the chain takes now.
    FeeTooLow,
    /// The nonce is used.
    NonceTooLow,
    /// The balance does not cover the gas.
    InsufficientFunds,
    /// The contract refused, and the node keeps the reason to itself.
    NoReason,
    /// The node has an error of its own, which some nodes also say of a revert: the contract's
    /// views may tell more.
    Vague,
    /// It may pass on its own.
    Temporary,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The contract's revert.
    Contract,
    /// A node.
    Node,
}

/// A text, who says it, and what it means. Texts of nodes are matched in lower case.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Who.
    pub speaker: Speaker,
    /// A part of the text.
    pub text: &'static str,
    /// What it means.
    pub verdict: Verdict,
}

const fn contract(text: &'static str, verdict: Verdict) -> Row {
    Row { speaker: Speaker::Contract, text, verdict }
}

const fn node(text: &'static str, verdict: Verdict) -> Row {
    Row { speaker: Speaker::Node, text, verdict }
}

/// Every refusal with its meaning. The first row that fits counts. The contract's are all that
/// `submitBlockSpecimenProof` of ewm-contracts has; the nodes' are those of geth, reth, erigon,
/// nethermind, besu, Moonbeam (frontier) and anvil.
pub const TABLE: &[Row] = &[
    contract("Operator already submitted for the provided block hash", Verdict::AlreadySubmitted),
    contract("Session submissions have closed", Verdict::SessionOver),
    contract("Max submissions limit exceeded", Verdict::SessionOver),
    contract("Block height is out of bounds for live sync", Verdict::OutOfWindow),
    contract("Invalid block height", Verdict::Skip),
    contract("Sender is not BLOCK_SPECIMEN_PRODUCER_ROLE", Verdict::StopAndAlarm),
    contract("Validator is not enabled", Verdict::StopAndAlarm),
    contract("Invalid chain ID", Verdict::Hold),
    contract("Invalid block hash", Verdict::Hold),
    contract("Invalid specimen hash", Verdict::Hold),
    contract("Invalid storage URL", Verdict::Hold),
    node("already known", Verdict::Unknown),
    node("already imported", Verdict::Unknown),
    node("known transaction:", Verdict::Unknown),
    node("alreadyknown", Verdict::Unknown),
    node("already exists", Verdict::Unknown),
    node("nonce too low", Verdict::NonceTooLow),
    node("nonce is too low", Verdict::NonceTooLow),
    node("oldnonce", Verdict::NonceTooLow),
    node("nonce has already been used", Verdict::NonceTooLow),
    node("transaction is outdated", Verdict::NonceTooLow),
    node("replacement transaction underpriced", Verdict::Underpriced),
    node("could not replace existing tx", Verdict::Underpriced),
    node("replacementnotallowed", Verdict::Underpriced),
    node("replacement not allowed", Verdict::Underpriced),
    node("too low priority to replace", Verdict::Underpriced),
    node("low priority", Verdict::Underpriced),
    node("insufficient funds", Verdict::InsufficientFunds),
    node("insufficientfunds", Verdict::InsufficientFunds),
    node("insufficient balance", Verdict::InsufficientFunds),
    node("upfront cost exceeds", Verdict::InsufficientFunds),
    node("balance too low", Verdict::InsufficientFunds),
    node("less than block base fee", Verdict::FeeTooLow),
    node("max fee per gas less than", Verdict::FeeTooLow),
    node("transaction underpriced", Verdict::FeeTooLow),
    node("feetoolow", Verdict::FeeTooLow),
    node("fee too low", Verdict::FeeTooLow),
    node("gas price too low", Verdict::FeeTooLow),
    node("gasprice is less", Verdict::FeeTooLow),
    node("intrinsic gas too low", Verdict::Hold),
    node("intrinsic gas", Verdict::Hold),
    node("exceeds block gas limit", Verdict::Hold),
    node("gas limit is too high", Verdict::Hold),
    node("invalid sender", Verdict::Hold),
    node("invalid chain id", Verdict::StopAndAlarm),
    node("wrong chain id", Verdict::StopAndAlarm),
    node("only replay-protected", Verdict::Hold),
    node("tx type not supported", Verdict::Hold),
    node("transaction type not supported", Verdict::Hold),
    node("exceeds the configured cap", Verdict::Hold),
    node("execution reverted", Verdict::NoReason),
    node("vm exception while processing transaction: revert", Verdict::NoReason),
    node("transaction reverted", Verdict::NoReason),
    node("always failing transaction", Verdict::NoReason),
    node("vm execution error", Verdict::NoReason),
    node("internal error", Verdict::Vague),
];

/// geth's code of a call that reverted.
const REVERTED: i64 = 3;

/// A refusal, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What it means.
    pub verdict: Verdict,
    /// In the refusing party's words, in one line.
    pub reason: String,
}

impl Refusal {
    /// Reads an error of a call, an estimation or a broadcast: the revert's data where there is
    /// some, otherwise the text. What no row knows is [`Hold`](Verdict::Hold) if the contract says
    /// it, otherwise [`Temporary`](Verdict::Temporary).
    pub fn of(error: &RpcError) -> Self {
        let RpcError::Node { code, message, data, .. } = error else {
            return Self { verdict: Verdict::Temporary, reason: error.to_string() };
        };
        if let Some(refusal) = data.as_ref().and_then(Self::of_revert) {
            return refusal;
        }
        // Only a contract's text can have what the contract says: it is matched first, as it is
        // written.
        let of_contract = find(Speaker::Contract, message);
        let verdict = of_contract.or_else(|| find(Speaker::Node, &message.to_lowercase()));
        let fallback = if *code == REVERTED { Verdict::NoReason } else { Verdict::Temporary };
        Self { verdict: verdict.unwrap_or(fallback), reason: message.clone() }
    }

    /// Reads a revert's data: a reason string, a panic, or a custom error. `None` without data.
    fn of_revert(data: &Bytes) -> Option<Self> {
        if data.is_empty() {
            return None;
        }
        if let Ok(revert) = Revert::abi_decode(data) {
            let verdict = find(Speaker::Contract, &revert.reason).unwrap_or(Verdict::Hold);
            return Some(Self { verdict, reason: one_line(&revert.reason) });
        }
        let reason = match Panic::abi_decode(data) {
            Ok(panic) => format!("the contract panics with code {:#x}", panic.code),
            Err(_) => {
                let head = data.get(..4).unwrap_or(data);
                format!(
                    "the contract reverts with the unknown error {}",
                    Bytes::copy_from_slice(head)
                )
            }
        };
        Some(Self { verdict: Verdict::Hold, reason })
    }
}

/// The code with which OpenEthereum and older nethermind say that a call failed in the EVM.
const VM_ERROR: i64 = -32015;

/// Pieces of an error's data that are checked: nodes nest a revert in a few objects at most.
const MOST_PIECES: usize = 64;

/// A revert's data in an error of a node, wherever it has it and whatever its message says: as the
/// data itself, as hex within a text (`Reverted 0x…`), in an object, or in the message. Hex that is
/// neither a reason nor a panic counts only where the error reads like a revert: it may be a hash
/// as well.
pub(super) fn revert_data(error: &ErrorPayload) -> Option<Bytes> {
    let data = error.data.as_ref().and_then(|raw| serde_json::from_str(raw.get()).ok());
    let mut texts = data.as_ref().map(texts_of).unwrap_or_default();
    texts.push(&error.message);
    let found: Vec<_> = texts.into_iter().flat_map(hex_runs).collect();
    if let Some(standard) = found.iter().find(|bytes| is_standard(bytes)) {
        return Some(standard.clone());
    }
    let message = error.message.to_lowercase();
    let is_revert = error.code == REVERTED
        || error.code == VM_ERROR
        || message.contains("revert")
        || message.contains("vm execution error");
    let mut found = found.into_iter();
    found.find(|bytes| is_revert && !bytes.is_empty())
}

/// The texts in a value. Those under a key that names a hash are no revert's.
fn texts_of(value: &serde_json::Value) -> Vec<&str> {
    let mut waiting = vec![value];
    let mut texts = Vec::new();
    for _ in 0..MOST_PIECES {
        match waiting.pop() {
            None => break,
            Some(serde_json::Value::String(text)) => texts.push(text.as_str()),
            Some(serde_json::Value::Array(items)) => {
                waiting.extend(items.iter().take(MOST_PIECES).rev());
            }
            Some(serde_json::Value::Object(fields)) => {
                let fields = fields.iter().filter(|(key, _)| !key.to_lowercase().contains("hash"));
                waiting.extend(fields.map(|(_, field)| field).take(MOST_PIECES));
            }
            Some(_) => {}
        }
    }
    texts
}

/// What follows each `0x` of a text, as far as it is hex of whole bytes.
fn hex_runs(text: &str) -> impl Iterator<Item = Bytes> + '_ {
    text.split("0x").skip(1).filter_map(|rest| {
        let digits = rest.bytes().take_while(u8::is_ascii_hexdigit).count();
        Some(hex::decode(rest.get(..digits)?).ok()?.into())
    })
}

/// Whether it is a reason or a panic, as Solidity writes them.
fn is_standard(data: &Bytes) -> bool {
    Revert::abi_decode(data).is_ok() || Panic::abi_decode(data).is_ok()
}

fn find(speaker: Speaker, text: &str) -> Option<Verdict> {
    TABLE
        .iter()
        .find(|row| row.speaker == speaker && text.contains(row.text))
        .map(|row| row.verdict)
}

/// The longest reason that is kept of anybody's text.
const MAX_REASON_CHARS: usize = 300;

/// Without control characters, and not longer than a log line should be.
pub(super) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_REASON_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::U256;
    use proptest::prelude::*;

    fn node_error(code: i64, message: &str, data: Option<Bytes>) -> RpcError {
        RpcError::Node { method: "eth_call", code, message: message.to_owned(), data }
    }

    /// Each row, as data and as text in the manner of several nodes.
    #[test]
    fn every_row_is_reached() {
        for row in TABLE {
            let texts = match row.speaker {
                Speaker::Contract => vec![
                    format!("execution reverted: {}", row.text),
                    format!("VM Exception while processing transaction: revert {}", row.text),
                    format!("execution reverted: revert: {}", row.text),
                ],
                Speaker::Node => vec![format!("Error: {} (x)", row.text), row.text.to_uppercase()],
            };
            for text in texts {
                let refusal = Refusal::of(&node_error(-32000, &text, None));
                // A row may be a special case of another with the same meaning, never of one with a
                // different.
                assert_eq!(refusal.verdict, row.verdict, "{text}");
            }
            if row.speaker == Speaker::Contract {
                let data = Revert::from(row.text).abi_encode().into();
                let refusal = Refusal::of(&node_error(REVERTED, "execution reverted", Some(data)));
                assert_eq!(refusal, Refusal { verdict: row.verdict, reason: row.text.to_owned() });
            }
        }
    }

    /// Texts as the nodes write them.
    #[test]
    fn whole_texts_of_nodes_are_understood() {
        let texts = [
            ("already known", Verdict::Unknown),
            ("AlreadyKnown", Verdict::Unknown),
            (
                "submit transaction to pool failed: InvalidTransaction(InvalidTransaction::Stale): transaction is outdated",
                Verdict::NonceTooLow,
            ),
            ("nonce too low: next nonce 7, tx nonce 5", Verdict::NonceTooLow),
            ("OldNonce, Current nonce: 7, nonce of rejected tx: 5", Verdict::NonceTooLow),
            ("replacement transaction underpriced", Verdict::Underpriced),
            (
                "submit transaction to pool failed: TooLowPriority { old: 1, new: 1 }: The transaction has too low priority to replace another transaction already in the pool",
                Verdict::Underpriced,
            ),
            ("transaction underpriced: tip needed 1, tip permitted 0", Verdict::FeeTooLow),
            (
                "max fee per gas less than block base fee: address 0x…, maxFeePerGas: 1, baseFee: 7",
                Verdict::FeeTooLow,
            ),
            (
                "insufficient funds for gas * price + value: balance 0, tx cost 21000",
                Verdict::InsufficientFunds,
            ),
            ("Insufficient funds for gas * price + value", Verdict::InsufficientFunds),
            ("intrinsic gas too low: have 1, want 21000", Verdict::Hold),
            ("exceeds block gas limit", Verdict::Hold),
            ("VM execution error.", Verdict::NoReason),
            ("Internal error", Verdict::Vague),
            ("header not found", Verdict::Temporary),
            ("Too many requests", Verdict::Temporary),
        ];
        for (text, verdict) in texts {
            assert_eq!(Refusal::of(&node_error(-32000, text, None)).verdict, verdict, "{text}");
        }
    }

    #[test]
    fn what_no_row_knows_is_held_if_the_contract_says_it() {
        let unknown = Revert::from("Brand new reason\n").abi_encode();
        let panic = Panic { code: U256::from(0x11) }.abi_encode();
        for (data, text) in [
            (unknown, "Brand new reason "),
            (panic, "the contract panics with code 0x11"),
            (
                vec![0xde, 0xad, 0xbe, 0xef, 1],
                "the contract reverts with the unknown error 0xdeadbeef",
            ),
            (vec![1], "the contract reverts with the unknown error 0x01"),
        ] {
            let refusal = Refusal::of(&node_error(3, "execution reverted", Some(data.into())));
            assert_eq!(refusal, Refusal { verdict: Verdict::Hold, reason: text.to_owned() });
        }
        assert_eq!(Refusal::of(&node_error(3, "boom", None)).verdict, Verdict::NoReason);
        assert_eq!(Refusal::of(&node_error(-32603, "boom", None)).verdict, Verdict::Temporary);
        let late = RpcError::Timeout { method: "eth_call", seconds: 10.0 };
        assert_eq!(Refusal::of(&late).verdict, Verdict::Temporary);
    }

    fn refusal_of(error: &str) -> Refusal {
        let payload: ErrorPayload = serde_json::from_str(error).unwrap();
        let data = revert_data(&payload);
        Refusal::of(&node_error(payload.code, &payload.message, data))
    }

    /// As several nodes and gateways write one and the same revert.
    #[test]
    fn a_revert_is_read_from_its_data_whatever_the_message_says() {
        let data = Revert::from("Session submissions have closed").abi_encode();
        let data = hex::encode_prefixed(data);
        let errors = [
            format!(r#"{{"code": 3, "message": "execution reverted", "data": "{data}"}}"#),
            format!(
                r#"{{"code": -32015, "message": "VM execution error.", "data": "Reverted {data}"}}"#
            ),
            format!(r#"{{"code": -32603, "message": "Internal error", "data": "{data}"}}"#),
            format!(
                r#"{{"code": -32000, "message": "call failed", "data": {{"originalError": {{"code": 3, "data": "{data}"}}}}}}"#
            ),
            format!(r#"{{"code": -32000, "message": "the call failed with {data}"}}"#),
            format!(
                r#"{{"code": -32000, "message": "failed", "data": {{"hash": "0x{}", "result": "{data}"}}}}"#,
                "12".repeat(32)
            ),
        ];
        for error in errors {
            let refusal = refusal_of(&error);
            assert_eq!(refusal.verdict, Verdict::SessionOver, "{error}");
            assert_eq!(refusal.reason, "Session submissions have closed", "{error}");
        }
    }

    #[test]
    fn hex_is_taken_for_an_unknown_error_only_where_the_call_reverted() {
        let hash = "12".repeat(32);
        let known =
            format!(r#"{{"code": -32000, "message": "already known", "data": "0x{hash}"}}"#);
        assert_eq!(refusal_of(&known).verdict, Verdict::Unknown);
        let custom =
            r#"{"code": -32015, "message": "VM execution error.", "data": "Reverted 0xdeadbeef"}"#;
        assert_eq!(refusal_of(custom).verdict, Verdict::Hold);
        for bare in ["0x", "Reverted 0x", "Reverted", "0xabc"] {
            let error =
                format!(r#"{{"code": 3, "message": "execution reverted", "data": "{bare}"}}"#);
            assert_eq!(refusal_of(&error).verdict, Verdict::NoReason, "{error}");
        }
    }

    proptest! {
        #[test]
        fn any_error_of_a_node_is_read(message: String, text: String, code: i64) {
            let data = serde_json::json!({"a": [text, 1, null], "b": {"c": message}});
            let error = serde_json::json!({"code": code, "message": message, "data": data});
            refusal_of(&error.to_string());
        }

        #[test]
        fn any_data_is_read(data: Vec<u8>, message: String, code: i64) {
            let refusal = Refusal::of(&node_error(code, &message, Some(data.into())));
            prop_assert!(!refusal.reason.chars().any(char::is_control) || refusal.reason == message);
        }
    }
}
