// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

import "../../contracts/BlockSpecimenProofChain.sol";

/// The proof chain with what tests arrange. Whoever calls a function here may: never deploy this where it matters.
contract ProofChainWithHooks is BlockSpecimenProofChain {
    string private _forcedRevert;
    bool private _withoutEvents;

    constructor() BlockSpecimenProofChain(Settings(240, 2, 1, 0.5e18)) {}

    function submitBlockSpecimenProof(
        uint64 chainId,
        uint64 blockHeight,
        bytes32 blockHash,
        bytes32 specimenHash,
        string calldata storageURL
    ) public override {
        if (bytes(_forcedRevert).length != 0) revert(_forcedRevert);
        if (_withoutEvents) return;
        super.submitBlockSpecimenProof(chainId, blockHeight, blockHash, specimenHash, storageURL);
    }

    /// Lets each submission fail with this text, until it is empty again.
    function forceRevert(string calldata reason) external {
        _forcedRevert = reason;
    }

    /// Lets submissions succeed without their event, and without effect.
    function setWithoutEvents(bool without) external {
        _withoutEvents = without;
    }

    function enableOperator(address operator, uint128 validator) external {
        if (isEnabled(operator)) disableOperator(operator);
        _add(operator, validator, BLOCK_SPECIMEN_PRODUCER_ROLE);
        _validators[validator] = true;
    }

    function disableOperator(address operator) public {
        _remove(operator, BLOCK_SPECIMEN_PRODUCER_ROLE, "Operator is not BSP");
    }

    function setValidatorEnabled(uint128 validator, bool enabled) external {
        _validators[validator] = enabled;
    }

    /// Without the checks of `configureChain`: the network's contract can be in states that ours can't.
    function setChainData(uint64 chainId, ChainData calldata chain) external {
        _chains[chainId] = chain;
    }

    /// In blocks of this chain. Sessions that have begun keep their deadline.
    function setSessionDuration(uint64 blocks) external {
        _settings.sessionDuration = blocks;
    }

    function setMinSubmissions(uint64 submissions) external {
        _settings.minSubmissions = submissions;
    }

    /// The seconds per block of this chain that live sync reckons with.
    function setSecondsPerBlock(uint64 secondsPerBlock) external {
        _settings.secondsPerBlock = secondsPerBlock;
    }

    /// Marks a height as done, whether or not it has a session.
    function closeSession(uint64 chainId, uint64 blockHeight) external {
        Session storage session = _sessions[chainId][blockHeight];
        session.done = true;
        if (session.deadline != 0) session.deadline = uint64(block.number) - 1;
    }
}
