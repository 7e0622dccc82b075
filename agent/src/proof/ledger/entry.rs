//! A line of the ledger: a proof, chained to the line before it.

use crate::proof::Claim;
use alloy_primitives::{B256, hex};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// One proof on record. The line is its JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerEntry {
    /// What is recorded.
    #[serde(flatten)]
    pub content: LedgerContent,
    /// The SHA-256 of the content's JSON: without blanks, fields in the order of the type.
    pub id: B256,
}

/// What a line records: the arguments of `submitBlockSpecimenProof`, with its place in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerContent {
    /// The line's number, from 0.
    pub seq: u64,
    /// The id of the line before, zero in the first.
    pub previous: B256,
    /// The block's network.
    pub chain_id: u64,
    /// The block's number.
    pub height: u64,
    /// The block's hash.
    pub block_hash: B256,
    /// The specimen hash.
    pub specimen_hash: B256,
    /// `ipfs://<cid>`.
    pub url: String,
    /// When it was recorded, in milliseconds since 1970.
    pub time_ms: u64,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum LineError {
    #[error("it is no ledger entry: {0}")]
    Form(String),
    #[error("its number is {found}, it should be {expected}")]
    Sequence { found: u64, expected: u64 },
    #[error("it does not follow the line before it")]
    Chain,
    #[error("its content was changed: its id is not the content's hash")]
    Id,
}

impl LedgerEntry {
    /// The entry of a claim, after another.
    pub(super) fn of(claim: &Claim, after: Option<&Self>, time_ms: u64) -> Self {
        let content = LedgerContent {
            seq: after.map_or(0, |entry| entry.content.seq.saturating_add(1)),
            previous: after.map_or(B256::ZERO, |entry| entry.id),
            chain_id: claim.block.network_id,
            height: claim.block.number,
            block_hash: claim.block.hash,
            specimen_hash: claim.specimen_hash,
            url: claim.url.clone(),
            time_ms,
        };
        let id = content.id();
        Self { content, id }
    }

    /// Reads a line, without its end, and checks that it follows another.
    pub(super) fn read(line: &[u8], after: Option<&Self>) -> Result<Self, LineError> {
        let entry: Self =
            serde_json::from_slice(line).map_err(|error| LineError::Form(error.to_string()))?;
        let expected = after.map_or(0, |entry| entry.content.seq.saturating_add(1));
        if entry.content.seq != expected {
            return Err(LineError::Sequence { found: entry.content.seq, expected });
        }
        if entry.content.previous != after.map_or(B256::ZERO, |entry| entry.id) {
            return Err(LineError::Chain);
        }
        if entry.id != entry.content.id() {
            return Err(LineError::Id);
        }
        Ok(entry)
    }

    /// As a line, with its end.
    pub(super) fn line(&self) -> String {
        let content = self.content.json();
        let fields = content.strip_suffix('}').unwrap_or(&content);
        format!("{fields},\"id\":\"{}\"}}\n", hex::encode_prefixed(self.id))
    }

    /// Whether it records just this claim.
    pub fn proves(&self, claim: &Claim) -> bool {
        let content = &self.content;
        content.chain_id == claim.block.network_id
            && content.height == claim.block.number
            && content.block_hash == claim.block.hash
            && content.specimen_hash == claim.specimen_hash
            && content.url == claim.url
    }
}

impl LedgerContent {
    /// The canonical form. Only numbers, hashes and a text are in it, and serde writes fields in
    /// their order.
    fn json(&self) -> String {
        let text = |text: &str| serde_json::Value::from(text).to_string();
        format!(
            "{{\"seq\":{},\"previous\":\"{}\",\"chain_id\":{},\"height\":{},\"block_hash\":\"{}\",\"specimen_hash\":\"{}\",\
             \"url\":{},\"time_ms\":{}}}",
            self.seq,
            hex::encode_prefixed(self.previous),
            self.chain_id,
            self.height,
            hex::encode_prefixed(self.block_hash),
            hex::encode_prefixed(self.specimen_hash),
            text(&self.url),
            self.time_ms,
        )
    }

    fn id(&self) -> B256 {
        B256::from_slice(&Sha256::digest(self.json()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::tests::claim;
    use proptest::prelude::*;

    #[test]
    fn a_line_is_as_documented() {
        let first = LedgerEntry::of(&claim(7), None, 5);
        let second = LedgerEntry::of(&claim(8), Some(&first), 6);
        let byte = |byte: &str| byte.repeat(32);
        let content = format!(
            "{{\"seq\":0,\"previous\":\"0x{}\",\"chain_id\":1,\"height\":7,\"block_hash\":\"0x{}\",\
             \"specimen_hash\":\"0x{}07\",\"url\":\"ipfs://cid-7\",\"time_ms\":5",
            byte("00"),
            byte("07"),
            "00".repeat(31),
        );
        let id = B256::from_slice(&Sha256::digest(format!("{content}}}")));
        assert_eq!(first.line(), format!("{content},\"id\":\"{id}\"}}\n"));
        assert_eq!(second.content.previous, first.id);
        assert_eq!(second.content.seq, 1);
    }

    #[test]
    fn a_line_that_was_changed_is_told() {
        let first = LedgerEntry::of(&claim(7), None, 5);
        let second = LedgerEntry::of(&claim(8), Some(&first), 6);
        let read = |line: String, after| LedgerEntry::read(line.trim_end().as_bytes(), after);
        assert_eq!(read(second.line(), Some(&first)).unwrap(), second);
        assert_eq!(
            read(second.line(), None).unwrap_err(),
            LineError::Sequence { found: 1, expected: 0 }
        );
        let mut other = first.clone();
        other.id = B256::ZERO;
        assert_eq!(read(second.line(), Some(&other)).unwrap_err(), LineError::Chain);
        let changed = second.line().replace("cid-8", "cid-9");
        assert_eq!(read(changed, Some(&first)).unwrap_err(), LineError::Id);
        assert!(matches!(read("{}".to_owned(), None), Err(LineError::Form(_))));
    }

    proptest! {
        #[test]
        fn every_entry_is_read_back(height: u64, url: String, time_ms: u64) {
            let mut claim = claim(height);
            claim.url = url;
            let entry = LedgerEntry::of(&claim, None, time_ms);
            let line = entry.line();
            prop_assert_eq!(line.matches('\n').count(), 1);
            prop_assert_eq!(LedgerEntry::read(line.trim_end_matches('\n').as_bytes(), None), Ok(entry.clone()));
            prop_assert!(entry.proves(&claim));
        }

        #[test]
        fn no_line_panics(line: Vec<u8>) {
            let _ = LedgerEntry::read(&line, None);
        }
    }
}
