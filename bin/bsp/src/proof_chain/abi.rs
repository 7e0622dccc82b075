//! The contract of `contracts/`: what administers it, and its code.

use alloy_primitives::Bytes;
use alloy_sol_types::{SolValue, sol};
use eyre::OptionExt;
use serde_json::Value;

/// What the compiler made of the contract's source.
const ARTEFACT: &str = include_str!("../../../../contracts/BlockSpecimenProofChain.json");

sol! {
    #[derive(Debug)]
    struct ChainData {
        uint256 blockOnTargetChain;
        uint256 blockOnCurrentChain;
        uint256 secondsPerBlockTargetChain;
        uint128 allowedThreshold;
        uint128 maxSubmissionsPerBlockHeight;
        uint64 nthBlock;
    }

    #[derive(Debug)]
    struct Settings {
        uint64 sessionDuration;
        uint64 minSubmissions;
        uint64 secondsPerBlock;
        uint256 quorum;
    }

    struct Candidate {
        bytes32 blockHash;
        bytes32 specimenHash;
    }

    function configureChain(uint64 chainId, ChainData calldata chain) external;
    function getSession(uint64 chainId, uint64 blockHeight) external view returns (uint64 deadline, bool done, Candidate[] candidates, uint256[] votes);
    function owner() external view returns (address);
    function pendingOwner() external view returns (address);
    function KIND() external view returns (string);

    // These the network's contract has too.
    function finalizeSpecimenSession(uint64 chainId, uint64 blockHeight) external;
    function getAllOperators() external view returns (address[] producers, address[] governors, address[] auditors);
    function addBSPOperator(address operator, uint128 validatorId) external;
    function removeBSPOperator(address operator) external;
    function enableValidator(uint128 validatorId) external;
    function disableValidator(uint128 validatorId) external;
    function addAuditor(address auditor) external;
    function removeAuditor(address auditor) external;
    function addGovernor(address governor) external;
    function removeGovernor(address governor) external;
    function BLOCK_SPECIMEN_PRODUCER_ROLE() external view returns (bytes32);

    // These tell other contracts apart.
    function BLOCK_RESULT_PRODUCER_ROLE() external view returns (bytes32);
    function symbol() external view returns (string);
    function decimals() external view returns (uint8);
    function supportsInterface(bytes4 interfaceId) external view returns (bool);
    function getThreshold() external view returns (uint256);
}

/// A share of one, in the contract's terms.
pub(super) const WHOLE: u64 = 1_000_000_000_000_000_000;

/// What deploys the contract.
pub(super) fn creation(settings: &Settings) -> eyre::Result<Bytes> {
    let mut code = code("bytecode")?.to_vec();
    code.extend(settings.abi_encode());
    Ok(code.into())
}

/// What is at its address then.
pub(super) fn deployed() -> eyre::Result<Bytes> {
    code("deployedBytecode")
}

fn code(which: &str) -> eyre::Result<Bytes> {
    let artefact: Value = serde_json::from_str(ARTEFACT)?;
    Ok(artefact[which].as_str().ok_or_eyre("the contract's artefact has no code")?.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{U256, keccak256};
    use alloy_sol_types::SolCall;

    /// Every function that is called here is one of the contract's.
    #[test]
    fn the_contract_has_what_is_called() {
        let artefact: Value = serde_json::from_str(ARTEFACT).unwrap();
        let tuples = |kind: &Value| match kind["components"].as_array() {
            Some(parts) => {
                let parts: Vec<_> =
                    parts.iter().map(|part| part["type"].as_str().unwrap()).collect();
                format!("({})", parts.join(","))
            }
            None => kind["type"].as_str().unwrap().to_owned(),
        };
        let functions =
            artefact["abi"].as_array().unwrap().iter().filter(|item| item["type"] == "function");
        let selectors: Vec<[u8; 4]> = functions
            .map(|item| {
                let inputs: Vec<_> =
                    item["inputs"].as_array().unwrap().iter().map(tuples).collect();
                let signature = format!("{}({})", item["name"].as_str().unwrap(), inputs.join(","));
                keccak256(signature)[..4].try_into().unwrap()
            })
            .collect();
        for called in [
            configureChainCall::SELECTOR,
            getSessionCall::SELECTOR,
            ownerCall::SELECTOR,
            pendingOwnerCall::SELECTOR,
            KINDCall::SELECTOR,
            finalizeSpecimenSessionCall::SELECTOR,
            getAllOperatorsCall::SELECTOR,
            addBSPOperatorCall::SELECTOR,
            removeBSPOperatorCall::SELECTOR,
            enableValidatorCall::SELECTOR,
            disableValidatorCall::SELECTOR,
            addAuditorCall::SELECTOR,
            removeAuditorCall::SELECTOR,
            addGovernorCall::SELECTOR,
            removeGovernorCall::SELECTOR,
            BLOCK_SPECIMEN_PRODUCER_ROLECall::SELECTOR,
        ] {
            assert!(selectors.contains(&called), "{called:x?}");
        }
    }

    #[test]
    fn the_code_that_deploys_holds_the_code_that_stays() {
        let settings = Settings {
            sessionDuration: 1,
            minSubmissions: 1,
            secondsPerBlock: 1,
            quorum: U256::ONE,
        };
        let (creation, deployed) = (creation(&settings).unwrap(), deployed().unwrap());
        assert!(creation.windows(deployed.len()).any(|part| part == deployed.as_ref()));
    }
}
