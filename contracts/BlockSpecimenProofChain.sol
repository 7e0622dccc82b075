// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// @title A proof chain of one's own
/// @notice Operators submit, for a block of another chain, the hash of its specimen and where the specimen is. All
/// submissions for one height make a session, which ends at a block of this chain. When it has ended, anyone may
/// finalize it: the specimen that enough validators agree on has a quorum.
///
/// Agents, finalizers and readers of the Covalent Network's `BlockSpecimenProofChain` work with this contract: it has
/// the same functions, views, events, order of checks and revert strings for them. Administration is its own.
///
/// @dev What differs from the network's contract, on purpose:
///
/// - It holds no stake, pays nothing and takes no value: no function is payable, and it calls no other contract. So
///   nothing here can be stolen, and no call can be re-entered.
/// - It can't be upgraded. Who wants other rules deploys another contract.
/// - A quorum counts validators, not submissions: the two operators of one validator are one voice, and a validator that
///   submits three block hashes is one of those who took part, not three.
/// - Among equals the one that was first submitted last wins: after a reorganisation every operator has proved both
///   blocks, and the later one is the one that the other chain kept.
/// - What was submitted stays readable after the end. A URL that a specimen has already is not stored once more.
contract BlockSpecimenProofChain {
    /// @notice What is accepted of another chain, and where that chain is as far as this contract knows.
    /// @dev `blockOnTargetChain` was the other chain's height when this chain's was `blockOnCurrentChain`. Only the ratio
    /// of the two block times matters, so they may be in any unit, as long as both are in the same.
    struct ChainData {
        uint256 blockOnTargetChain;
        uint256 blockOnCurrentChain;
        uint256 secondsPerBlockTargetChain;
        uint128 allowedThreshold;
        uint128 maxSubmissionsPerBlockHeight;
        uint64 nthBlock;
    }

    /// @notice What holds for all chains.
    /// @dev `sessionDuration` is in blocks of this chain. `quorum` is a share of the validators that took part in a
    /// session, in 10^-18. `secondsPerBlock` is this chain's block time.
    struct Settings {
        uint64 sessionDuration;
        uint64 minSubmissions;
        uint64 secondsPerBlock;
        uint256 quorum;
    }

    /// @notice A block and a specimen of it that somebody submitted.
    struct Candidate {
        bytes32 blockHash;
        bytes32 specimenHash;
    }

    /// @dev `votes` has, for the hash of a candidate, a bit for each validator that submitted it. `submitted` has an
    /// operator's block hashes, counted from 0 and without gaps: one slot for each tells both whether a block hash was
    /// submitted before and how many were.
    struct Session {
        uint64 deadline;
        bool done;
        Candidate[] candidates;
        mapping(bytes32 => uint256) votes;
        mapping(address => mapping(uint256 => bytes32)) submitted;
    }

    event BlockSpecimenProductionProofSubmitted(
        uint64 chainId, uint64 blockHeight, bytes32 blockHash, bytes32 specimenHash, string storageURL
    );
    /// @dev Bit 255 - n of the map is that of validator n.
    event BlockSpecimenQuorum(
        uint64 indexed chainId,
        uint64 indexed blockHeight,
        uint256 validatorBitMap,
        bytes32 indexed blockHash,
        bytes32 specimenHash
    );
    event SessionStarted(uint64 indexed chainId, uint64 indexed blockHeight, uint64 deadline);
    event QuorumNotReached(uint64 indexed chainId, uint64 blockHeight);
    event OperatorAdded(address operator, uint128 validatorId, bytes32 role);
    event OperatorRemoved(address operator, uint128 validatorId, uint128 activeOperatorCount, bytes32 role);
    event ValidatorEnabled(uint128 validatorId);
    event ValidatorDisabled(uint128 validatorId);
    event ChainConfigured(uint64 indexed chainId, ChainData chain);
    event SettingsChanged(Settings settings);
    event OwnershipTransferStarted(address indexed previousOwner, address indexed newOwner);
    event OwnershipTransferred(address indexed previousOwner, address indexed newOwner);

    bytes32 public constant GOVERNANCE_ROLE = keccak256("GOVERNANCE_ROLE");
    bytes32 public constant BLOCK_SPECIMEN_PRODUCER_ROLE = keccak256("BLOCK_SPECIMEN_PRODUCER_ROLE");
    bytes32 public constant AUDITOR_ROLE = keccak256("AUDITOR_ROLE");

    /// @notice What this contract is, for tools.
    string public constant KIND = "bsp-reth BlockSpecimenProofChain 1";

    /// @dev A share of one.
    uint256 private constant WHOLE = 1e18;
    /// @dev A map of validators has 256 bits.
    uint128 private constant LAST_VALIDATOR = 255;
    /// @dev The blocks of a height that an operator may prove. Bounds what a session holds, and so what it costs to
    /// finalize one.
    uint128 private constant MOST_SUBMISSIONS = 3;
    /// @dev More than any chain will have, and far from where a deadline would overflow.
    uint64 private constant LONGEST_SESSION = 1 << 40;

    /// @notice Who may do everything. Appoints governors.
    address public owner;
    /// @notice Who becomes the owner by accepting.
    address public pendingOwner;

    /// @notice The role of an account, zero without one. No account has two.
    mapping(address => bytes32) public operatorRoles;
    /// @notice The validator that an operator works for.
    mapping(address => uint128) public validatorIDs;

    Settings internal _settings;
    mapping(bytes32 => address[]) internal _members;
    mapping(uint128 => bool) internal _validators;
    mapping(uint64 => ChainData) internal _chains;
    mapping(uint64 => mapping(uint64 => Session)) internal _sessions;
    mapping(bytes32 => string[]) internal _urls;

    modifier onlyOwner() {
        require(msg.sender == owner, "Sender is not the owner");
        _;
    }

    /// @dev The owner and the governors: a group that has appointed one goes on if the owner's key is lost.
    modifier onlyGovernor() {
        require(
            msg.sender == owner || operatorRoles[msg.sender] == GOVERNANCE_ROLE, "Sender is not GOVERNANCE_ROLE"
        );
        _;
    }

    /// @notice Whoever deploys it is its owner. No chain is accepted until it is configured.
    constructor(Settings memory settings) {
        owner = msg.sender;
        emit OwnershipTransferred(address(0), msg.sender);
        _set(settings);
    }

    // --- What operators call ---------------------------------------------------------------------------------

    /// @notice Proves a specimen. The first proof of a height begins its session.
    /// @param chainId The chain that the block is of.
    /// @param blockHeight Its number.
    /// @param blockHash Its hash: after a reorganisation a height has several.
    /// @param specimenHash What the specimen hashes to.
    /// @param storageURL Where it can be fetched.
    function submitBlockSpecimenProof(
        uint64 chainId,
        uint64 blockHeight,
        bytes32 blockHash,
        bytes32 specimenHash,
        string calldata storageURL
    ) public virtual {
        require(blockHash != 0, "Invalid block hash");
        require(specimenHash != 0, "Invalid specimen hash");
        require(bytes(storageURL).length != 0, "Invalid storage URL");
        require(isEnabled(msg.sender), "Sender is not BLOCK_SPECIMEN_PRODUCER_ROLE");
        ChainData storage chain = _chains[chainId];
        require(chain.nthBlock != 0, "Invalid chain ID");
        require(blockHeight % chain.nthBlock == 0, "Invalid block height");

        Session storage session = _sessions[chainId][blockHeight];
        uint128 validator = validatorIDs[msg.sender];
        if (session.deadline == 0) {
            _begin(session, chain, chainId, blockHeight);
            require(_validators[validator], "Validator is not enabled");
            session.submitted[msg.sender][0] = blockHash;
        } else {
            require(!session.done && block.number <= session.deadline, "Session submissions have closed");
            (uint256 count, bool again) = _submissions(session, msg.sender, blockHash);
            require(count < chain.maxSubmissionsPerBlockHeight, "Max submissions limit exceeded");
            require(_validators[validator], "Validator is not enabled");
            require(!again, "Operator already submitted for the provided block hash");
            session.submitted[msg.sender][count] = blockHash;
        }
        _vote(session, blockHash, specimenHash, validator);
        _keep(specimenHash, storageURL);
        emit BlockSpecimenProductionProofSubmitted(chainId, blockHeight, blockHash, specimenHash, storageURL);
    }

    /// @dev Where the other chain should be by now is reckoned from this chain's height. A height far from there is
    /// refused, so that nobody fills sessions of blocks that do not exist yet.
    function _begin(Session storage session, ChainData storage chain, uint64 chainId, uint64 blockHeight)
        private
    {
        require(!session.done, "Session submissions have closed");
        uint256 current = chain.blockOnTargetChain
            + (block.number - chain.blockOnCurrentChain) * _settings.secondsPerBlock
                / chain.secondsPerBlockTargetChain;
        uint256 half = chain.allowedThreshold / 2;
        require(
            current <= blockHeight + half && blockHeight <= current + half,
            "Block height is out of bounds for live sync"
        );
        session.deadline = uint64(block.number) + _settings.sessionDuration;
        emit SessionStarted(chainId, blockHeight, session.deadline);
    }

    /// @dev How many block hashes an operator has submitted, and whether this is one of them.
    function _submissions(Session storage session, address operator, bytes32 blockHash)
        private
        view
        returns (uint256 count, bool again)
    {
        mapping(uint256 => bytes32) storage submitted = session.submitted[operator];
        for (bytes32 one = submitted[0]; one != 0; one = submitted[count]) {
            again = again || one == blockHash;
            count++;
        }
    }

    /// @dev The validator is noted, not the operator: who is removed later is no other validator's voice then.
    function _vote(Session storage session, bytes32 blockHash, bytes32 specimenHash, uint128 validator) private {
        bytes32 key = _key(blockHash, specimenHash);
        uint256 votes = session.votes[key];
        if (votes == 0) session.candidates.push(Candidate(blockHash, specimenHash));
        session.votes[key] = votes | (1 << (LAST_VALIDATOR - validator));
    }

    /// @dev Operators with the same specimen pin it under the same CID, so their URL is the first one again. To compare
    /// costs a twentieth of what it costs to store it.
    function _keep(bytes32 specimenHash, string calldata storageURL) private {
        string[] storage urls = _urls[specimenHash];
        if (urls.length != 0 && keccak256(bytes(urls[0])) == keccak256(bytes(storageURL))) return;
        urls.push(storageURL);
    }

    function _key(bytes32 blockHash, bytes32 specimenHash) private pure returns (bytes32) {
        return keccak256(abi.encode(blockHash, specimenHash));
    }

    // --- What anyone calls -----------------------------------------------------------------------------------

    /// @notice Ends a session whose deadline is over, with a quorum or without.
    /// @dev The settings of this moment hold. As nobody gains by the result, nobody has to be trusted to ask for it.
    function finalizeSpecimenSession(uint64 chainId, uint64 blockHeight) external {
        Session storage session = _sessions[chainId][blockHeight];
        require(block.number > session.deadline, "Session not past deadline");
        require(!session.done, "Session cannot be finalized");
        require(session.deadline != 0, "Session not started");
        session.done = true;

        uint256 most;
        uint256 agreed;
        uint256 everyone;
        Candidate memory winner;
        uint256 length = session.candidates.length;
        for (uint256 i = 0; i < length; i++) {
            Candidate memory candidate = session.candidates[i];
            uint256 votes = session.votes[_key(candidate.blockHash, candidate.specimenHash)];
            uint256 count = _count(votes);
            everyone |= votes;
            if (count >= most) {
                most = count;
                agreed = votes;
                winner = candidate;
            }
        }
        if (most >= _settings.minSubmissions && most * WHOLE >= _settings.quorum * _count(everyone)) {
            emit BlockSpecimenQuorum(chainId, blockHeight, agreed, winner.blockHash, winner.specimenHash);
        } else {
            emit QuorumNotReached(chainId, blockHeight);
        }
    }

    /// @dev The bits of a map that are set.
    function _count(uint256 map) private pure returns (uint256 count) {
        for (; map != 0; map &= map - 1) count++;
    }

    /// @notice Whether an operator may submit for a height, as far as its session is concerned.
    function isSessionOpen(uint64 chainId, uint64 blockHeight, address operator) external view returns (bool) {
        Session storage session = _sessions[chainId][blockHeight];
        if (session.done) return false;
        if (session.deadline == 0) return true;
        (uint256 count,) = _submissions(session, operator, 0);
        return block.number <= session.deadline && count < _chains[chainId].maxSubmissionsPerBlockHeight;
    }

    /// @notice All that was submitted for a height, in order, and the validators behind each. No deadline: no session.
    function getSession(uint64 chainId, uint64 blockHeight)
        external
        view
        returns (uint64 deadline, bool done, Candidate[] memory candidates, uint256[] memory votes)
    {
        Session storage session = _sessions[chainId][blockHeight];
        candidates = session.candidates;
        votes = new uint256[](candidates.length);
        for (uint256 i = 0; i < votes.length; i++) {
            votes[i] = session.votes[_key(candidates[i].blockHash, candidates[i].specimenHash)];
        }
        return (session.deadline, session.done, candidates, votes);
    }

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
        )
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

    /// @dev As the network's contract answers. There is no staking manager, and no reward.
    function getMetadata()
        external
        view
        returns (
            address stakingManager,
            uint128 blockSpecimenRewardAllocation,
            uint64 blockSpecimenSessionDuration,
            uint64 minSubmissionsRequired,
            uint256 blockSpecimenQuorum,
            uint256 secondsPerBlockCurrentChain
        )
    {
        Settings storage settings = _settings;
        return (
            address(0),
            0,
            settings.sessionDuration,
            settings.minSubmissions,
            settings.quorum,
            settings.secondsPerBlock
        );
    }

    /// @notice Where a specimen is, in the order of submission.
    function getURLS(bytes32 specimenHash) external view returns (string[] memory) {
        return _urls[specimenHash];
    }

    /// @notice Whether an account is an operator.
    function isEnabled(address operator) public view returns (bool) {
        return operatorRoles[operator] == BLOCK_SPECIMEN_PRODUCER_ROLE;
    }

    /// @notice Whether the operators of a validator may submit.
    function isValidatorEnabled(uint128 validatorId) external view returns (bool) {
        return _validators[validatorId];
    }

    /// @notice All accounts that have a role. The owner needs none.
    function getAllOperators()
        external
        view
        returns (address[] memory producers, address[] memory governors, address[] memory auditors)
    {
        return (_members[BLOCK_SPECIMEN_PRODUCER_ROLE], _members[GOVERNANCE_ROLE], _members[AUDITOR_ROLE]);
    }

    // --- What governors call ---------------------------------------------------------------------------------

    /// @notice Makes an account an operator of a validator, which has to be enabled apart.
    function addBSPOperator(address operator, uint128 validatorId) external onlyGovernor {
        require(validatorId <= LAST_VALIDATOR, "Validator ID cannot be greater than 255");
        _add(operator, validatorId, BLOCK_SPECIMEN_PRODUCER_ROLE);
    }

    /// @notice Takes an operator's role away. What it has submitted stays.
    function removeBSPOperator(address operator) external onlyGovernor {
        _remove(operator, BLOCK_SPECIMEN_PRODUCER_ROLE, "Operator is not BSP");
    }

    /// @notice Lets the operators of a validator submit.
    function enableValidator(uint128 validatorId) external onlyGovernor {
        require(validatorId <= LAST_VALIDATOR, "validatorId out of range");
        _validators[validatorId] = true;
        emit ValidatorEnabled(validatorId);
    }

    /// @notice Takes no more of a validator's operators. What they have submitted stays.
    function disableValidator(uint128 validatorId) external onlyGovernor {
        require(validatorId <= LAST_VALIDATOR, "validatorId out of range");
        _validators[validatorId] = false;
        emit ValidatorDisabled(validatorId);
    }

    /// @notice Names an account whose audits the group stands by. It may do nothing here that others may not.
    function addAuditor(address auditor) external onlyGovernor {
        _add(auditor, 0, AUDITOR_ROLE);
    }

    function removeAuditor(address auditor) external onlyGovernor {
        _remove(auditor, AUDITOR_ROLE, "Operator is not auditor");
    }

    /// @notice Accepts blocks of a chain, or accepts others than before. As a whole, so that no chain is half configured.
    function configureChain(uint64 chainId, ChainData calldata chain) external onlyGovernor {
        require(chain.nthBlock != 0, "Nth block cannot be 0");
        require(chain.secondsPerBlockTargetChain != 0, "Seconds per block cannot be 0");
        require(chain.secondsPerBlockTargetChain < 1 << 64, "Seconds per block out of range");
        require(chain.allowedThreshold != 0, "Threshold cannot be 0");
        require(chain.maxSubmissionsPerBlockHeight != 0, "Max submissions cannot be 0");
        require(
            chain.maxSubmissionsPerBlockHeight <= MOST_SUBMISSIONS, "Max submissions cannot be more than 3"
        );
        // Otherwise the reckoning of the other chain's height would fail, and with it every first submission.
        require(chain.blockOnCurrentChain <= block.number, "Sync block is in the future");
        require(chain.blockOnTargetChain < 1 << 64, "Sync block out of range");
        _chains[chainId] = chain;
        emit ChainConfigured(chainId, chain);
    }

    /// @notice Changes what holds for all chains. Sessions that have begun keep their deadline.
    function changeSettings(Settings calldata settings) external onlyGovernor {
        _set(settings);
    }

    function _set(Settings memory settings) private {
        require(settings.sessionDuration != 0, "Session duration cannot be 0");
        require(settings.sessionDuration <= LONGEST_SESSION, "Session duration out of range");
        require(settings.minSubmissions != 0, "Minimum submissions must be at least 1");
        require(settings.minSubmissions <= 255, "Maximum allowed minimum submissions is 255");
        require(settings.secondsPerBlock != 0, "Seconds per block cannot be 0");
        require(settings.quorum <= WHOLE, "Quorum cannot be greater than 100%");
        _settings = settings;
        emit SettingsChanged(settings);
    }

    // --- What the owner calls --------------------------------------------------------------------------------

    /// @notice Lets an account do everything but appoint governors and give the ownership away.
    function addGovernor(address governor) external onlyOwner {
        _add(governor, 0, GOVERNANCE_ROLE);
    }

    function removeGovernor(address governor) external onlyOwner {
        _remove(governor, GOVERNANCE_ROLE, "Operator is not governor");
    }

    /// @notice Offers the ownership to an account, which has to accept: an address with a typing error never does. Zero
    /// takes the offer back. An owner can't resign without a successor.
    function transferOwnership(address newOwner) external onlyOwner {
        pendingOwner = newOwner;
        emit OwnershipTransferStarted(msg.sender, newOwner);
    }

    /// @notice Takes the ownership that was offered.
    function acceptOwnership() external {
        require(msg.sender == pendingOwner, "Sender is not the pending owner");
        emit OwnershipTransferred(owner, msg.sender);
        owner = msg.sender;
        pendingOwner = address(0);
    }

    // --- Roles -----------------------------------------------------------------------------------------------

    function _add(address account, uint128 validatorId, bytes32 role) internal {
        require(account != address(0), "Invalid operator address");
        require(operatorRoles[account] == 0, "Operator already exists");
        operatorRoles[account] = role;
        validatorIDs[account] = validatorId;
        _members[role].push(account);
        emit OperatorAdded(account, validatorId, role);
    }

    function _remove(address account, bytes32 role, string memory otherwise) internal {
        require(operatorRoles[account] == role, otherwise);
        uint128 validatorId = validatorIDs[account];
        operatorRoles[account] = 0;
        validatorIDs[account] = 0;
        address[] storage members = _members[role];
        uint256 last = members.length - 1;
        for (uint256 i = 0; i < last; i++) {
            if (members[i] == account) {
                members[i] = members[last];
                break;
            }
        }
        members.pop();
        emit OperatorRemoved(account, validatorId, _operatorsOf(validatorId, role), role);
    }

    /// @dev For an event that the network's contract has. Whoever removes pays for the count, nobody else.
    function _operatorsOf(uint128 validatorId, bytes32 role) private view returns (uint128 count) {
        address[] storage members = _members[role];
        for (uint256 i = 0; i < members.length; i++) {
            if (validatorIDs[members[i]] == validatorId) count++;
        }
    }
}
