//! Random and real segments for tests.

use crate::replica::{
    AccountRead, BlockhashRead, CodeRead, Profile, Replica, ReplicaAuthorization, ReplicaKind,
    ReplicaLog, ReplicaReceipt, ReplicaSidecar, ReplicaTransaction, Segment, StateSpecimen,
    StorageRead,
};
use alloy_consensus::Header;
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip4895::Withdrawal,
};
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, FixedBytes, U256};
use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRng},
};
use std::{fs, path::Path};

/// Segments that every form of `profile` holds without loss.
pub(crate) fn segments(profile: Profile) -> impl Strategy<Value = Segment> {
    any::<[u8; 32]>().no_shrink().prop_map(move |seed| segment(profile, seed))
}

/// The same segment for the same seed.
pub(crate) fn segment(profile: Profile, seed: [u8; 32]) -> Segment {
    let mut draw = Draw { rng: TestRng::from_seed(RngAlgorithm::ChaCha, &seed), profile };
    let replica = draw.replica();
    Segment {
        event_hash: draw.fixed(),
        start_block: draw.long(),
        end_block: draw.long(),
        elements: draw.long(),
        codec_version: crate::avro::label_of_profile(profile),
        replica,
    }
}

/// The real segments with their digests, or nothing and a warning if they are not there.
pub(crate) fn mainnet() -> Vec<(Vec<u8>, String)> {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/mainnet"));
    let Ok(manifest) = fs::read(folder.join("manifest.json")) else {
        eprintln!("SKIPPED: no real segments in {}", folder.display());
        return vec![];
    };
    let manifest: Vec<serde_json::Value> = serde_json::from_slice(&manifest).unwrap();
    let load = |entry: &serde_json::Value| {
        let file = folder.join(format!("{}.replica.avro", entry["block"]));
        (fs::read(file).unwrap(), entry["avro_sha256"].as_str().unwrap().to_owned())
    };
    manifest.iter().map(load).collect()
}

/// Draws values from a stream of random numbers.
struct Draw {
    rng: TestRng,
    profile: Profile,
}

impl Draw {
    fn below(&mut self, limit: u64) -> u64 {
        self.rng.next_u64() % limit
    }

    /// Small and large numbers alike, below `1 << bits`.
    fn number_of(&mut self, bits: u64) -> u64 {
        let width = self.below(bits + 1);
        self.rng.next_u64().checked_shr(64 - u32::try_from(width).unwrap()).unwrap_or(0)
    }

    fn int(&mut self) -> u64 {
        self.number_of(31)
    }

    fn long(&mut self) -> u64 {
        self.number_of(53)
    }

    fn big(&mut self) -> U256 {
        let limbs = std::array::from_fn(|_| self.rng.next_u64());
        U256::from_limbs(limbs).checked_shr(self.below(257) as usize).unwrap_or_default()
    }

    fn fixed<const N: usize>(&mut self) -> FixedBytes<N> {
        let mut bytes = FixedBytes::ZERO;
        self.rng.fill_bytes(bytes.as_mut_slice());
        bytes
    }

    fn address(&mut self) -> Address {
        Address(self.fixed())
    }

    fn bytes(&mut self) -> Bytes {
        let len = self.below(100) as usize;
        let mut bytes = vec![0; len];
        self.rng.fill_bytes(&mut bytes);
        bytes.into()
    }

    fn maybe<T>(&mut self, draw: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(2) == 0).then(|| draw(self))
    }

    fn list<T>(&mut self, mut draw: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(4)).map(|_| draw(self)).collect()
    }

    fn nonzero(&mut self) -> Option<U256> {
        self.maybe(|draw| draw.big().max(U256::ONE))
    }

    fn replica(&mut self) -> Replica {
        let kinds = [ReplicaKind::Specimen, ReplicaKind::Result, ReplicaKind::Replica];
        let mut replica = Replica {
            kind: kinds[self.below(3) as usize],
            network_id: self.int(),
            hash: self.fixed(),
            total_difficulty: self.big(),
            header: self.header(),
            transactions: self.list(Self::transaction),
            uncles: self.list(Self::header),
            receipts: self.list(Self::receipt),
            senders: self.list(Self::address),
            state: self.state(),
            withdrawals: self.maybe(|draw| draw.list(Self::withdrawal)),
            blob_sidecars: self.maybe(|draw| draw.list(Self::sidecar)),
        };
        if self.profile == Profile::Complete {
            // What makes the replica one of this profile.
            let authorization_list = Some(vec![self.authorization()]);
            replica
                .transactions
                .push(ReplicaTransaction { authorization_list, ..Default::default() });
        }
        replica
    }

    fn header(&mut self) -> Header {
        Header {
            parent_hash: self.fixed(),
            ommers_hash: self.fixed(),
            beneficiary: self.address(),
            state_root: self.fixed(),
            transactions_root: self.fixed(),
            receipts_root: self.fixed(),
            logs_bloom: Bloom(self.fixed()),
            difficulty: self.big(),
            number: self.number_of(64),
            gas_limit: self.int(),
            gas_used: self.int(),
            timestamp: self.int(),
            extra_data: self.bytes(),
            mix_hash: self.fixed(),
            nonce: self.fixed::<8>() as B64,
            base_fee_per_gas: Some(self.number_of(64)),
            withdrawals_root: self.maybe(Self::fixed),
            blob_gas_used: self.maybe(Self::int),
            excess_blob_gas: self.maybe(Self::int),
            parent_beacon_block_root: self.maybe(Self::fixed),
            requests_hash: self.maybe(Self::fixed),
            block_access_list_hash: None,
            slot_number: None,
        }
    }

    fn transaction(&mut self) -> ReplicaTransaction {
        let complete = self.profile == Profile::Complete;
        ReplicaTransaction {
            tx_type: self.below(256) as u8,
            access_list: AccessList(self.list(|draw| AccessListItem {
                address: draw.address(),
                storage_keys: draw.list(Self::fixed),
            })),
            chain_id: self.big(),
            nonce: self.long(),
            gas_price: self.big(),
            gas: self.long(),
            gas_tip_cap: self.big(),
            gas_fee_cap: self.big(),
            from: self.maybe(Self::address),
            to: self.maybe(Self::address),
            value: self.big(),
            input: self.bytes(),
            v: self.nonzero(),
            r: self.nonzero(),
            s: self.nonzero(),
            blob_fee_cap: self.maybe(Self::big),
            blob_hashes: self.maybe(|draw| draw.list(Self::fixed)),
            blob_gas: self.maybe(Self::int),
            data: self.maybe(|_| "näïve \"text\"\n".to_owned()).filter(|_| complete),
            authorization_list: self
                .maybe(|draw| draw.list(Self::authorization))
                .filter(|_| complete),
        }
    }

    fn authorization(&mut self) -> ReplicaAuthorization {
        ReplicaAuthorization {
            chain_id: self.big(),
            address: self.address(),
            nonce: self.long(),
            y_parity: self.big(),
            r: self.big(),
            s: self.big(),
        }
    }

    fn receipt(&mut self) -> ReplicaReceipt {
        ReplicaReceipt {
            post_state_or_status: self.bytes(),
            cumulative_gas_used: self.int(),
            tx_hash: self.fixed(),
            contract_address: self.address(),
            logs: self.list(Self::log),
            gas_used: self.int(),
        }
    }

    fn log(&mut self) -> ReplicaLog {
        ReplicaLog {
            address: self.address(),
            topics: self.list(Self::fixed::<32>),
            data: self.bytes(),
            block_number: self.long(),
            tx_hash: self.fixed(),
            tx_index: self.int(),
            block_hash: self.fixed(),
            log_index: self.int(),
            removed: self.below(2) == 0,
        }
    }

    fn state(&mut self) -> StateSpecimen {
        StateSpecimen {
            account_read: self.list(|draw| AccountRead {
                address: draw.address(),
                nonce: draw.long(),
                balance: draw.big(),
                code_hash: draw.fixed(),
            }),
            storage_read: self.list(|draw| StorageRead {
                account: draw.address(),
                slot_key: draw.fixed(),
                value: draw.fixed(),
            }),
            code_read: self.list(|draw| CodeRead { hash: draw.fixed(), code: draw.bytes() }),
            blockhash_read: self.list(|draw| BlockhashRead {
                block_number: draw.long(),
                block_hash: draw.fixed::<32>() as B256,
            }),
        }
    }

    fn withdrawal(&mut self) -> Withdrawal {
        Withdrawal {
            index: self.long(),
            validator_index: self.long(),
            address: self.address(),
            amount: self.long(),
        }
    }

    fn sidecar(&mut self) -> ReplicaSidecar {
        ReplicaSidecar {
            blobs: self.list(Self::bytes),
            commitments: self.list(Self::bytes),
            proofs: self.list(Self::bytes),
        }
    }
}
