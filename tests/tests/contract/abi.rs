//! The contract's whole interface.

#![allow(clippy::too_many_arguments)]

use alloy_sol_types::sol;

sol! {
    #[derive(Debug, PartialEq, Eq)]
    struct ChainData {
        uint256 blockOnTargetChain;
        uint256 blockOnCurrentChain;
        uint256 secondsPerBlockTargetChain;
        uint128 allowedThreshold;
        uint128 maxSubmissionsPerBlockHeight;
        uint64 nthBlock;
    }

    #[derive(Debug, PartialEq, Eq)]
    struct Settings {
        uint64 sessionDuration;
        uint64 minSubmissions;
        uint64 secondsPerBlock;
        uint256 quorum;
    }

    #[derive(Debug, PartialEq, Eq)]
    struct Candidate {
        bytes32 blockHash;
        bytes32 specimenHash;
    }

    function submitBlockSpecimenProof(uint64 chainId, uint64 blockHeight, bytes32 blockHash, bytes32 specimenHash, string calldata storageURL) external;
    function finalizeSpecimenSession(uint64 chainId, uint64 blockHeight) external;
    function isSessionOpen(uint64 chainId, uint64 blockHeight, address operator) external view returns (bool);
    function getSession(uint64 chainId, uint64 blockHeight) external view returns (uint64 deadline, bool done, Candidate[] candidates, uint256[] votes);
    function getMetadata() external view returns (address stakingManager, uint128 reward, uint64 sessionDuration, uint64 minSubmissions, uint256 quorum, uint256 secondsPerBlock);
    function getURLS(bytes32 specimenHash) external view returns (string[] urls);
    function isEnabled(address operator) external view returns (bool);
    function isValidatorEnabled(uint128 validatorId) external view returns (bool);
    function getAllOperators() external view returns (address[] producers, address[] governors, address[] auditors);
    function operatorRoles(address account) external view returns (bytes32);
    function validatorIDs(address account) external view returns (uint128);
    function owner() external view returns (address);
    function pendingOwner() external view returns (address);
    function addBSPOperator(address operator, uint128 validatorId) external;
    function removeBSPOperator(address operator) external;
    function enableValidator(uint128 validatorId) external;
    function disableValidator(uint128 validatorId) external;
    function addAuditor(address auditor) external;
    function removeAuditor(address auditor) external;
    function addGovernor(address governor) external;
    function removeGovernor(address governor) external;
    function configureChain(uint64 chainId, ChainData calldata chain) external;
    function changeSettings(Settings calldata settings) external;
    function transferOwnership(address newOwner) external;
    function acceptOwnership() external;

    #[derive(Debug, PartialEq, Eq)]
    event BlockSpecimenProductionProofSubmitted(uint64 chainId, uint64 blockHeight, bytes32 blockHash, bytes32 specimenHash, string storageURL);
    #[derive(Debug, PartialEq, Eq)]
    event BlockSpecimenQuorum(uint64 indexed chainId, uint64 indexed blockHeight, uint256 validatorBitMap, bytes32 indexed blockHash, bytes32 specimenHash);
    #[derive(Debug, PartialEq, Eq)]
    event SessionStarted(uint64 indexed chainId, uint64 indexed blockHeight, uint64 deadline);
    #[derive(Debug, PartialEq, Eq)]
    event QuorumNotReached(uint64 indexed chainId, uint64 blockHeight);
}
