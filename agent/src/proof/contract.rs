//! The proof-chain contract as an operator uses it: `BlockSpecimenProofChain` of Covalent's
//! ewm-contracts, on whichever EVM chain it is deployed.

use super::Claim;
use alloy_primitives::{Address, Bytes, LogData};
use alloy_sol_types::{SolCall, SolEvent, sol};

sol! {
    #![sol(extra_derives(Debug))]

    /// Proves a specimen: what bsp-agent v1.9.2 sends.
    function submitBlockSpecimenProof(
        uint64 chainId,
        uint64 blockHeight,
        bytes32 blockHash,
        bytes32 specimenHash,
        string calldata storageURL
    ) external;

    /// Whether a height's session takes submissions of an operator.
    function isSessionOpen(uint64 chainId, uint64 blockHeight, address operator) external view returns (bool);

    /// Where a chain is as far as the contract knows, and what it takes of it.
    function getChainData(uint64 chainId)
        external
        view
        returns (
            uint256 blockOnTargetChain,
            uint256 blockOnCurrentChain,
            uint256 secondsPerBlockTargetChain,
            uint128 allowedThreshold,
            uint128 maxSubmissionsPerBlockHeight,
            uint64 nthBlock
        );

    /// What holds for all chains. The session's duration is in blocks of the proof chain.
    function getMetadata()
        external
        view
        returns (
            address stakingManager,
            uint128 reward,
            uint64 sessionDuration,
            uint64 minSubmissions,
            uint256 quorum,
            uint256 secondsPerBlockCurrentChain
        );

    /// All URLs submitted for a specimen hash, oldest first.
    function getURLS(bytes32 specimenHash) external view returns (string[] memory);

    /// Whether an operator may submit.
    function isEnabled(address operator) external view returns (bool);

    /// An operator's validator.
    function validatorIDs(address operator) external view returns (uint128);

    /// Whether a validator's operators may submit.
    function isValidatorEnabled(uint128 validator) external view returns (bool);

    /// An operator's role, zero without one.
    function operatorRoles(address operator) external view returns (bytes32);

    /// A submission was taken.
    #[derive(PartialEq, Eq)]
    event BlockSpecimenProductionProofSubmitted(
        uint64 chainId,
        uint64 blockHeight,
        bytes32 blockHash,
        bytes32 specimenHash,
        string storageURL
    );

    /// A session ended with enough equal submissions.
    #[derive(PartialEq, Eq)]
    event BlockSpecimenQuorum(
        uint64 indexed chainId,
        uint64 indexed blockHeight,
        uint256 validatorBitMap,
        bytes32 indexed blockHash,
        bytes32 specimenHash
    );

    /// The first submission of a height was taken.
    #[derive(PartialEq, Eq)]
    event SessionStarted(uint64 indexed chainId, uint64 indexed blockHeight, uint64 deadline);

    /// A session ended without enough equal submissions.
    #[derive(PartialEq, Eq)]
    event QuorumNotReached(uint64 indexed chainId, uint64 blockHeight);
}

/// The call that proves a claim.
pub fn submission(claim: &Claim) -> Bytes {
    submitBlockSpecimenProofCall {
        chainId: claim.block.network_id,
        blockHeight: claim.block.number,
        blockHash: claim.block.hash,
        specimenHash: claim.specimen_hash,
        storageURL: claim.url.clone(),
    }
    .abi_encode()
    .into()
}

/// The submission that a log tells of, if it is one, whoever emitted it.
pub fn submitted(log: &LogData) -> Option<BlockSpecimenProductionProofSubmitted> {
    BlockSpecimenProductionProofSubmitted::decode_log_data_validate(log).ok()
}

impl BlockSpecimenProductionProofSubmitted {
    /// Whether all five fields are the claim's.
    pub fn proves(&self, claim: &Claim) -> bool {
        self.has_specimen(claim) && self.storageURL == claim.url
    }

    /// Whether it proves the claim's specimen for the claim's block, wherever it says that the
    /// content is.
    pub fn has_specimen(&self, claim: &Claim) -> bool {
        self.is_of_block(claim) && self.specimenHash == claim.specimen_hash
    }

    /// Whether it is of the claim's block, with whatever specimen and URL.
    pub fn is_of_block(&self, claim: &Claim) -> bool {
        self.chainId == claim.block.network_id
            && self.blockHeight == claim.block.number
            && self.blockHash == claim.block.hash
    }
}

/// Whether a transaction's logs hold the claim's event, emitted by the contract.
pub fn records<'a>(
    logs: impl IntoIterator<Item = (Address, &'a LogData)>,
    contract: Address,
    claim: &Claim,
) -> bool {
    logs.into_iter()
        .filter(|(emitter, _)| *emitter == contract)
        .filter_map(|(_, log)| submitted(log))
        .any(|event| event.proves(claim))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::tests::claim;
    use alloy_primitives::{B256, b256, keccak256};

    #[test]
    fn selectors_and_topics_are_the_networks() {
        let selectors: [([u8; 4], u32); 9] = [
            (submitBlockSpecimenProofCall::SELECTOR, 0x151f_d8f3),
            (isSessionOpenCall::SELECTOR, 0xba75_fd2f),
            (getChainDataCall::SELECTOR, 0x54cf_a69f),
            (getMetadataCall::SELECTOR, 0x7a5b_4f59),
            (getURLSCall::SELECTOR, 0xd583_9da9),
            (isEnabledCall::SELECTOR, 0x9015_d371),
            (validatorIDsCall::SELECTOR, 0x0d92_f4ed),
            (isValidatorEnabledCall::SELECTOR, 0x429a_481b),
            (operatorRolesCall::SELECTOR, 0x6ab9_d8e8),
        ];
        for (ours, networks) in selectors {
            assert_eq!(u32::from_be_bytes(ours), networks, "{networks:#x}");
        }
        assert_eq!(
            [
                BlockSpecimenProductionProofSubmitted::SIGNATURE_HASH,
                BlockSpecimenQuorum::SIGNATURE_HASH,
                SessionStarted::SIGNATURE_HASH,
                QuorumNotReached::SIGNATURE_HASH,
            ],
            TOPICS
        );
    }

    const TOPICS: [B256; 4] = [
        b256!("d79027d5232050798063d67d05f9e1545ea5b954e2334b09db548e63823fa1b1"),
        b256!("858deae9d885ee978c04934ceabf15ebe77ae274f3af6a05ecf3bd9880b08e1e"),
        b256!("8b1f889addbfa41db5227bae3b091bd5c8b9a9122f874dfe54ba2f75aabe1f4c"),
        b256!("398fd8f638a7242217f011fd0720a06747f7a85b7d28d7276684b841baea4021"),
    ];

    /// The contract of `contracts/` has the same interface, indexed arguments included.
    #[test]
    fn our_contract_has_the_networks_interface() {
        let artefact: serde_json::Value =
            serde_json::from_str(include_str!("../../../contracts/BlockSpecimenProofChain.json"))
                .unwrap();
        let mut signatures = std::collections::BTreeMap::new();
        let items = artefact["abi"].as_array().unwrap();
        for item in items.iter().filter(|item| item["type"] != "constructor") {
            let inputs = item["inputs"].as_array().unwrap();
            let types: Vec<_> =
                inputs.iter().map(|input| input["type"].as_str().unwrap()).collect();
            let name = item["name"].as_str().unwrap();
            let indexed = inputs.iter().filter(|input| input["indexed"] == true).count();
            signatures.insert(keccak256(format!("{name}({})", types.join(","))), indexed);
        }
        for (topic, indexed) in TOPICS.iter().zip([0, 3, 2, 1]) {
            assert_eq!(signatures.get(topic), Some(&indexed), "{topic}");
        }
        for selector in [
            submitBlockSpecimenProofCall::SELECTOR,
            isSessionOpenCall::SELECTOR,
            getChainDataCall::SELECTOR,
            getMetadataCall::SELECTOR,
            getURLSCall::SELECTOR,
            isEnabledCall::SELECTOR,
            validatorIDsCall::SELECTOR,
            isValidatorEnabledCall::SELECTOR,
            operatorRolesCall::SELECTOR,
            // `finalizeSpecimenSession(uint64,uint64)`, which finalizers send.
            [0xd2, 0x69, 0x55, 0x0a],
        ] {
            assert!(signatures.keys().any(|hash| hash.starts_with(&selector)), "{selector:?}");
        }
    }

    #[test]
    fn only_the_contracts_own_event_with_all_five_fields_counts() {
        let contract = Address::repeat_byte(1);
        let claim = claim(7);
        let event = BlockSpecimenProductionProofSubmitted {
            chainId: claim.block.network_id,
            blockHeight: claim.block.number,
            blockHash: claim.block.hash,
            specimenHash: claim.specimen_hash,
            storageURL: claim.url.clone(),
        };
        let log = event.encode_log_data();
        assert!(records([(contract, &log)], contract, &claim));
        assert!(!records([(Address::repeat_byte(2), &log)], contract, &claim));
        assert!(!records([], contract, &claim));

        let others: [fn(&mut BlockSpecimenProductionProofSubmitted); 5] = [
            |event| event.chainId += 1,
            |event| event.blockHeight += 1,
            |event| event.blockHash = B256::ZERO,
            |event| event.specimenHash = B256::ZERO,
            |event| event.storageURL.push('/'),
        ];
        for (field, change) in others.into_iter().enumerate() {
            let mut other = event.clone();
            change(&mut other);
            let log = other.encode_log_data();
            assert!(!records([(contract, &log)], contract, &claim), "field {field}");
        }
        let garbage = LogData::new_unchecked(vec![TOPICS[0]], Bytes::from(vec![0xff; 31]));
        assert!(!records([(contract, &garbage)], contract, &claim));
    }
}
