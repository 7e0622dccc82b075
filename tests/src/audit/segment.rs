//! What a segment's file says, read with a general AVRO reader and the published schema.

use alloy_consensus::Header;
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256};
use apache_avro::{Schema, reader::datum::GenericDatumReader, types::Value};
use data_encoding::BASE64;
use eyre::{Context, OptionExt, eyre};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

static SCHEMA: LazyLock<Result<Schema, String>> = LazyLock::new(|| {
    let text = include_str!("../../../codec/block-ethereum.avsc");
    Schema::parse_str(text).map_err(|error| error.to_string())
});

/// What a segment's file says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentContent {
    /// The event's `hash`.
    pub event_hash: B256,
    /// `Type`.
    pub kind: String,
    /// `NetworkId`.
    pub network_id: u64,
    /// `Hash`.
    pub block_hash: B256,
    /// Number of the header.
    pub number: u64,
    /// The Keccak-256 of the header.
    pub header_hash: B256,
}

/// The hash that the network votes on: the SHA-256 of the file's base64 between two quotes.
pub fn specimen_hash(file: &[u8]) -> B256 {
    B256::new(Sha256::digest(format!("\"{}\"", BASE64.encode(file))).into())
}

/// Reads a whole file; nothing may be left behind.
///
/// # Errors
///
/// Where the file is not one segment of one block.
pub fn read_segment(mut file: &[u8]) -> eyre::Result<SegmentContent> {
    let schema = SCHEMA.as_ref().map_err(|error| eyre!("{error}"))?;
    let reader = GenericDatumReader::builder(schema).build()?;
    let segment = reader.read_value(&mut file)?;
    eyre::ensure!(file.is_empty(), "{} bytes behind the segment", file.len());
    let [event] = list(field(&segment, "replicaEvent")?)? else {
        eyre::bail!("not one replica event");
    };
    let data = field(event, "data")?;
    let header = header(field(data, "Header")?)?;
    Ok(SegmentContent {
        event_hash: text(field(event, "hash")?)?.parse()?,
        kind: text(field(data, "Type")?)?.to_owned(),
        network_id: integer(field(data, "NetworkId")?)?,
        block_hash: text(field(data, "Hash")?)?.parse()?,
        number: header.number,
        header_hash: header.hash_slow(),
    })
}

fn header(value: &Value) -> eyre::Result<Header> {
    let at = |name| field(value, name);
    let hash = |name| -> eyre::Result<B256> { Ok(text(at(name)?)?.parse()?) };
    let maybe_hash = |name| -> eyre::Result<Option<B256>> {
        Ok(optional(at(name)?).map(text).transpose()?.map(str::parse).transpose()?)
    };
    let maybe_integer = |name| optional(at(name)?).map(integer).transpose();
    Ok(Header {
        parent_hash: hash("parentHash")?,
        ommers_hash: hash("sha3Uncles")?,
        beneficiary: text(at("miner")?)?.parse::<Address>()?,
        state_root: hash("stateRoot")?,
        transactions_root: hash("transactionsRoot")?,
        receipts_root: hash("receiptsRoot")?,
        logs_bloom: Bloom::try_from(octets(at("logsBloom")?)?.as_slice())?,
        difficulty: number(at("difficulty")?)?,
        number: number(at("number")?)?.try_into()?,
        gas_limit: integer(at("gasLimit")?)?,
        gas_used: integer(at("gasUsed")?)?,
        timestamp: integer(at("timestamp")?)?,
        extra_data: Bytes::from(BASE64.decode(text(at("extraData")?)?.as_bytes())?),
        mix_hash: hash("mixHash")?,
        nonce: B64::try_from(octets(at("nonce")?)?.as_slice())?,
        base_fee_per_gas: Some(number(at("baseFeePerGas")?)?.try_into()?),
        withdrawals_root: maybe_hash("withdrawalsRoot")?,
        blob_gas_used: maybe_integer("blobGasUsed")?,
        excess_blob_gas: maybe_integer("excessBlobGas")?,
        parent_beacon_block_root: maybe_hash("parentBeaconBlockRoot")?,
        requests_hash: maybe_hash("requestsHash")?,
        ..Header::default()
    })
}

fn field<'v>(value: &'v Value, name: &str) -> eyre::Result<&'v Value> {
    let Value::Record(fields) = value else { eyre::bail!("{name}: not in a record") };
    let found = fields.iter().find(|(field, _)| field == name).map(|(_, value)| value);
    found.ok_or_else(|| eyre!("{name}: no such field"))
}

fn list(value: &Value) -> eyre::Result<&[Value]> {
    let Value::Array(items) = value else { eyre::bail!("not a list") };
    Ok(items)
}

fn text(value: &Value) -> eyre::Result<&str> {
    let Value::String(text) = value else { eyre::bail!("not a text") };
    Ok(text)
}

fn integer(value: &Value) -> eyre::Result<u64> {
    match value {
        Value::Int(value) => Ok((*value).try_into()?),
        Value::Long(value) => Ok((*value).try_into()?),
        _ => eyre::bail!("not an integer"),
    }
}

/// A big number, which the network writes as hexadecimal text in bytes.
fn number(value: &Value) -> eyre::Result<U256> {
    let Value::Bytes(text) = value else { eyre::bail!("not bytes") };
    let digits = text.strip_prefix(b"0x").ok_or_eyre("a number without 0x")?;
    U256::from_str_radix(std::str::from_utf8(digits)?, 16).wrap_err("not a number")
}

fn octets(value: &Value) -> eyre::Result<Vec<u8>> {
    list(value)?.iter().map(|item| Ok(integer(item)?.try_into()?)).collect()
}

fn optional(value: &Value) -> Option<&Value> {
    match value {
        Value::Union(_, inner) if matches!(**inner, Value::Null) => None,
        Value::Union(_, inner) => Some(inner),
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::dev::DevBlocks;
    use bsp_codec::{Profile, Segment, avro, digest};

    #[test]
    fn a_segment_says_what_it_was_made_of_and_a_torn_one_nothing() {
        let replica = DevBlocks::new(3).unwrap().next_replica().unwrap();
        let file = avro::encode_segment(&Segment::of(replica.clone()), Profile::Network).unwrap();
        assert_eq!(
            read_segment(&file).unwrap(),
            SegmentContent {
                event_hash: replica.hash,
                kind: "block-replica".to_owned(),
                network_id: 1337,
                block_hash: replica.hash,
                number: 1,
                header_hash: replica.hash,
            }
        );
        assert_eq!(specimen_hash(&file), digest::specimen_hash(&file));
        assert!(read_segment(&file[..file.len() - 1]).is_err());
        assert!(read_segment(&[&file[..], &[0]].concat()).is_err());
    }
}
