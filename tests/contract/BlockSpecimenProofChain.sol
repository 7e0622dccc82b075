// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// The proof chain as an operator sees it: the functions, views, events, order of checks and revert strings that
/// bsp-agent v1.9.2 meets on the network, for tests. Whoever calls a function under "What tests arrange" may: never
/// deploy this where it matters. Stakes and rewards are left out.
contract BlockSpecimenProofChain {
    /// Where a chain is, as far as this contract knows, and what is accepted of it.
    struct ChainData {
        uint256 blockOnTargetChain;
        uint256 blockOnCurrentChain;
        uint256 secondsPerBlockTargetChain;
        uint128 allowedThreshold;
        uint128 maxSubmissionsPerBlockHeight;
        uint64 nthBlock;
    }

    /// All that was submitted for one height. It accepts until the block of its deadline, that one included.
    struct Session {
        uint64 deadline;
        bool done;
        bytes32[] blockHashes;
        mapping(address => uint128) submissions;
        mapping(bytes32 => bytes32[]) specimenHashes;
        mapping(bytes32 => mapping(bytes32 => address[])) submitters;
    }

    event BlockSpecimenProductionProofSubmitted(
        uint64 chainId, uint64 blockHeight, bytes32 blockHash, bytes32 specimenHash, string storageURL
    );
    event BlockSpecimenQuorum(
        uint64 indexed chainId,
        uint64 indexed blockHeight,
        uint256 validatorBitMap,
        bytes32 indexed blockHash,
        bytes32 specimenHash
    );
    event SessionStarted(uint64 indexed chainId, uint64 indexed blockHeight, uint64 deadline);
    event QuorumNotReached(uint64 indexed chainId, uint64 blockHeight);

    bytes32 public constant BLOCK_SPECIMEN_PRODUCER_ROLE = keccak256("BLOCK_SPECIMEN_PRODUCER_ROLE");

    /// How many specimen hashes of a block are looked at when an operator submits again.
    uint256 private constant SPECIMENS_LOOKED_AT = 50;

    mapping(address => bytes32) public operatorRoles;
    mapping(address => uint128) public validatorIDs;

    uint64 private _sessionDuration = 240;
    uint64 private _minSubmissions = 2;
    uint256 private _quorum = 0.5e18;
    uint256 private _secondsPerBlock = 1;
    mapping(uint64 => ChainData) private _chains;
    mapping(uint128 => bool) private _validators;
    mapping(bytes32 => string[]) private _urls;
    mapping(uint64 => mapping(uint64 => Session)) private _sessions;
    string private _forcedRevert;
    bool private _withoutEvents;

    // --- What operators call ---------------------------------------------------------------------------------

    function submitBlockSpecimenProof(
        uint64 chainId,
        uint64 blockHeight,
        bytes32 blockHash,
        bytes32 specimenHash,
        string calldata storageURL
    ) external {
        if (bytes(_forcedRevert).length != 0) revert(_forcedRevert);
        require(blockHash != 0, "Invalid block hash");
        require(specimenHash != 0, "Invalid specimen hash");
        require(bytes(storageURL).length != 0, "Invalid storage URL");
        require(isEnabled(msg.sender), "Sender is not BLOCK_SPECIMEN_PRODUCER_ROLE");
        ChainData storage chain = _chains[chainId];
        require(chain.nthBlock != 0, "Invalid chain ID");
        require(blockHeight % chain.nthBlock == 0, "Invalid block height");

        Session storage session = _sessions[chainId][blockHeight];
        if (session.deadline == 0) {
            _begin(session, chain, chainId, blockHeight);
        } else {
            require(block.number <= session.deadline, "Session submissions have closed");
            require(
                session.submissions[msg.sender] < chain.maxSubmissionsPerBlockHeight,
                "Max submissions limit exceeded"
            );
            _requireValidator();
            _requireFirstOf(session, blockHash);
        }

        bytes32[] storage specimens = session.specimenHashes[blockHash];
        if (specimens.length == 0) session.blockHashes.push(blockHash);
        address[] storage submitters = session.submitters[blockHash][specimenHash];
        if (submitters.length == 0) specimens.push(specimenHash);
        submitters.push(msg.sender);
        session.submissions[msg.sender] += 1;
        _urls[specimenHash].push(storageURL);
        if (!_withoutEvents) {
            emit BlockSpecimenProductionProofSubmitted(
                chainId, blockHeight, blockHash, specimenHash, storageURL
            );
        }
    }

    function _begin(Session storage session, ChainData storage chain, uint64 chainId, uint64 blockHeight)
        private
    {
        require(!session.done, "Session submissions have closed");
        uint256 current = chain.blockOnTargetChain
            + (block.number - chain.blockOnCurrentChain) * _secondsPerBlock / chain.secondsPerBlockTargetChain;
        uint256 half = chain.allowedThreshold / 2;
        require(
            current <= blockHeight + half && blockHeight <= current + half,
            "Block height is out of bounds for live sync"
        );
        _requireValidator();
        session.deadline = uint64(block.number) + _sessionDuration;
        if (!_withoutEvents) emit SessionStarted(chainId, blockHeight, session.deadline);
    }

    function _requireValidator() private view {
        require(_validators[validatorIDs[msg.sender]], "Validator is not enabled");
    }

    function _requireFirstOf(Session storage session, bytes32 blockHash) private view {
        bytes32[] storage specimens = session.specimenHashes[blockHash];
        for (uint256 i = 0; i < specimens.length && i < SPECIMENS_LOOKED_AT; i++) {
            address[] storage submitters = session.submitters[blockHash][specimens[i]];
            for (uint256 k = 0; k < submitters.length; k++) {
                require(
                    submitters[k] != msg.sender, "Operator already submitted for the provided block hash"
                );
            }
        }
    }

    /// Whether the operator may submit for the height, as far as its session is concerned.
    function isSessionOpen(uint64 chainId, uint64 blockHeight, address operator) external view returns (bool) {
        Session storage session = _sessions[chainId][blockHeight];
        if (session.deadline == 0) return !session.done;
        return block.number <= session.deadline
            && session.submissions[operator] < _chains[chainId].maxSubmissionsPerBlockHeight;
    }

    function getChainData(uint64 chainId)
        external
        view
        returns (uint256, uint256, uint256, uint128, uint128, uint64)
    {
        ChainData storage chain = _chains[chainId];
        return (
            chain.blockOnTargetChain,
            chain.blockOnCurrentChain,
            chain.secondsPerBlockTargetChain,
            chain.allowedThreshold,
            chain.maxSubmissionsPerBlockHeight,
            chain.nthBlock
        );
    }

    function getMetadata() external view returns (address, uint128, uint64, uint64, uint256, uint256) {
        return (address(0), 0, _sessionDuration, _minSubmissions, _quorum, _secondsPerBlock);
    }

    function getURLS(bytes32 specimenHash) external view returns (string[] memory) {
        return _urls[specimenHash];
    }

    function isEnabled(address operator) public view returns (bool) {
        return operatorRoles[operator] == BLOCK_SPECIMEN_PRODUCER_ROLE;
    }

    function isValidatorEnabled(uint128 validator) external view returns (bool) {
        return _validators[validator];
    }

    /// Ends a session whose deadline is over, with a quorum or without.
    function finalizeSpecimenSession(uint64 chainId, uint64 blockHeight) external {
        Session storage session = _sessions[chainId][blockHeight];
        require(session.deadline != 0 && block.number > session.deadline, "Session not past deadline");
        require(!session.done, "Session cannot be finalized");
        session.done = true;
        for (uint256 i = 0; i < session.blockHashes.length; i++) {
            bytes32 blockHash = session.blockHashes[i];
            bytes32[] storage specimens = session.specimenHashes[blockHash];
            for (uint256 k = 0; k < specimens.length; k++) {
                address[] storage submitters = session.submitters[blockHash][specimens[k]];
                if (submitters.length < _minSubmissions) continue;
                uint256 bitmap = 0;
                for (uint256 s = 0; s < submitters.length; s++) {
                    bitmap |= 1 << (255 - uint256(validatorIDs[submitters[s]]));
                }
                emit BlockSpecimenQuorum(chainId, blockHeight, bitmap, blockHash, specimens[k]);
                return;
            }
        }
        emit QuorumNotReached(chainId, blockHeight);
    }

    // --- What tests arrange ----------------------------------------------------------------------------------

    function enableOperator(address operator, uint128 validator) external {
        operatorRoles[operator] = BLOCK_SPECIMEN_PRODUCER_ROLE;
        validatorIDs[operator] = validator;
        _validators[validator] = true;
    }

    function disableOperator(address operator) external {
        operatorRoles[operator] = 0;
    }

    function setValidatorEnabled(uint128 validator, bool enabled) external {
        _validators[validator] = enabled;
    }

    function setChainData(uint64 chainId, ChainData calldata chain) external {
        _chains[chainId] = chain;
    }

    /// In blocks of this chain. Sessions that have begun keep their deadline.
    function setSessionDuration(uint64 blocks) external {
        _sessionDuration = blocks;
    }

    function setMinSubmissions(uint64 submissions) external {
        _minSubmissions = submissions;
    }

    /// The seconds per block of this chain that live sync reckons with.
    function setSecondsPerBlock(uint256 secondsPerBlock) external {
        _secondsPerBlock = secondsPerBlock;
    }

    /// Marks a height as done, whether or not it has a session.
    function closeSession(uint64 chainId, uint64 blockHeight) external {
        Session storage session = _sessions[chainId][blockHeight];
        session.done = true;
        if (session.deadline != 0) session.deadline = uint64(block.number) - 1;
    }

    /// Lets each submission fail with this text, until it is empty again.
    function forceRevert(string calldata reason) external {
        _forcedRevert = reason;
    }

    /// Lets submissions succeed without their event.
    function setWithoutEvents(bool without) external {
        _withoutEvents = without;
    }
}
