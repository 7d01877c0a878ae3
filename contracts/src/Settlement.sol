// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IArtificialIntelligence} from "./interfaces/IArtificialIntelligence.sol";
import {IDatTerms, IModelTerms, ITip} from "./interfaces/ISystemContracts.sol";
import {TransactionGas} from "./TransactionGas.sol";

/// @title Escrow and settlement of signed inference requests, at address 0x0000000000000000000000000000000000000a13.
/// @notice A user deposits coins and signs each request (EIP-712). The node that the request names runs it here: the
/// contract checks everything the user signed, calls the AI precompile for each input, and moves the cost from the
/// user's escrow to node, workers, model owner and data owners, never more than the user's maximum.
/// The sum of all escrow and earnings never passes the contract's balance.
contract Settlement {
    /// @notice What a user signs. `bodyHash` is the digest of the request as the node received it, `maxCost` in wei,
    /// `expiry` the last second in which it may run, `counter` counts up by one in each `lane`, so that requests
    /// in different lanes do not wait for each other.
    struct Request {
        address user;
        address node;
        bytes32 model;
        bytes32 bodyHash;
        uint256[] dats;
        uint256 maxCost;
        uint64 expiry;
        uint64 lane;
        uint64 counter;
    }

    /// @dev Sums of one settlement: prices of model and data and tips in wei, compute gas in units; what it returns.
    struct Tally {
        uint256 prices;
        uint256 tips;
        uint256 computeGas;
        uint256 outputs;
        uint256 outputWords;
    }

    /// @notice Seconds between `unlock` and the first withdrawal, so that a node can finish what it has begun.
    uint256 public constant WITHDRAWAL_DELAY_SECONDS = 600;

    /// @dev EIP-712: type of the domain, of the request, and the domain's fixed fields.
    bytes32 private constant DOMAIN_TYPE_HASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant REQUEST_TYPE_HASH = keccak256(
        "InferenceRequest(address user,address node,bytes32 model,bytes32 bodyHash,uint256[] dats,"
        "uint256 maxCost,uint64 expiry,uint64 lane,uint64 counter)"
    );
    bytes32 private constant NAME_HASH = keccak256("LazAI");
    bytes32 private constant VERSION_HASH = keccak256("1");
    /// @dev Half the order of secp256k1; a signature with a larger s has a twin with a smaller one (EIP-2).
    uint256 private constant S_MAX = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    IArtificialIntelligence private constant AI = IArtificialIntelligence(0x0000000000000000000000000000000000000a01);
    ITip private constant GAS_PARAMETERS = ITip(0x0000000000000000000000000000000000000a10);
    IModelTerms private constant MODELS = IModelTerms(0x0000000000000000000000000000000000000a11);
    IDatTerms private constant DATS = IDatTerms(0x0000000000000000000000000000000000000A12);

    /// @notice Wei that a user may spend on requests. Slot 0.
    mapping(address user => uint256) public escrow;
    /// @notice Wei that a payee may withdraw. Slot 1.
    mapping(address payee => uint256) public earnings;
    /// @notice Next counter of a user's lane. Slot 2.
    mapping(address user => mapping(uint64 lane => uint64)) public counters;
    /// @notice Second from which a user may withdraw escrow; 0 while it is locked. Slot 3.
    mapping(address user => uint256) public unlocksAt;

    /// @dev True while a settlement or a withdrawal runs.
    bool private transient _entered;
    /// @dev True once a settlement of this transaction has paid for what every transaction costs.
    bool private transient _transactionPaid;

    /// @notice A request ran. `requestHash` is the EIP-712 digest that the user signed, `cost` all that the user paid in wei.
    event Settled(
        bytes32 indexed requestHash, address indexed user, address indexed node, uint256 cost, uint256 computeGas
    );
    /// @notice Escrow grew.
    event Deposited(address indexed user, address indexed from, uint256 amount);
    /// @notice Escrow can be withdrawn from the given second on.
    event Unlocked(address indexed user, uint256 second);
    /// @notice Escrow cannot be withdrawn any more.
    event Locked(address indexed user);
    /// @notice Escrow went back to its user.
    event Withdrawn(address indexed user, uint256 amount);
    /// @notice Earnings were paid out.
    event EarningsWithdrawn(address indexed payee, uint256 amount);
    /// @notice Requests of this lane with a counter below `next` can run no more.
    event LaneAdvanced(address indexed user, uint64 indexed lane, uint64 next);

    /// @notice The request names another node.
    error NotTheNode(address caller, address node);
    /// @notice The request's time is over.
    error Expired(uint64 expiry, uint256 timestamp);
    /// @notice The signature is not 65 bytes with v 27 or 28 and a low s.
    error MalformedSignature();
    /// @notice The signature belongs to another account, or to another request, chain or contract.
    error WrongSigner(address signer, address user);
    /// @notice The counter was used before, or one before it is still to come.
    error WrongCounter(uint64 lane, uint64 counter, uint64 expected);
    /// @notice The user may not use this DAT.
    error DatNotPermitted(uint256 dat, address user);
    /// @notice The user's escrow is below the request's maximum cost.
    error InsufficientEscrow(address user, uint256 available, uint256 needed);
    /// @notice The request cost more than its user allows.
    error CostAboveMaximum(uint256 cost, uint256 maxCost);
    /// @notice There is nothing to run.
    error NoInputs();
    /// @notice There is nothing to move.
    error ZeroAmount();
    /// @notice The zero address has no key and could never withdraw.
    error ZeroUser();
    /// @notice Escrow must be unlocked first, and the delay must pass.
    error StillLocked(address user, uint256 unlocksAt);
    /// @notice The payee earned less than it asks for.
    error InsufficientEarnings(address payee, uint256 available, uint256 needed);
    /// @notice The receiver refused the coins.
    error TransferFailed(address to, uint256 amount);
    /// @notice A lane only moves forward.
    error LaneNotAdvanced(uint64 lane, uint64 next, uint64 current);
    /// @notice Called again from within.
    error Reentered();

    modifier notEntered() {
        if (_entered) revert Reentered();
        _entered = true;
        _;
        _entered = false;
    }

    /// @notice Coins sent without a call are a deposit of the sender.
    receive() external payable {
        _deposit(msg.sender);
    }

    /// @notice Adds the coins sent to the caller's escrow and locks it.
    function deposit() external payable {
        if (unlocksAt[msg.sender] != 0) _lock(msg.sender);
        _deposit(msg.sender);
    }

    /// @notice Adds the coins sent to another user's escrow.
    /// @param user Whose escrow grows.
    function depositFor(address user) external payable {
        _deposit(user);
    }

    /// @notice Announces a withdrawal: escrow can be withdrawn after WITHDRAWAL_DELAY_SECONDS. Requests still run meanwhile.
    function unlock() external {
        uint256 second = block.timestamp + WITHDRAWAL_DELAY_SECONDS;
        unlocksAt[msg.sender] = second;
        emit Unlocked(msg.sender, second);
    }

    /// @notice Takes an `unlock` back; nodes may refuse users whose escrow is not locked.
    function lock() external {
        _lock(msg.sender);
    }

    /// @notice Pays the caller's unlocked escrow back.
    /// @param amount Wei.
    function withdraw(uint256 amount) external notEntered {
        if (amount == 0) revert ZeroAmount();
        uint256 second = unlocksAt[msg.sender];
        if (second == 0 || block.timestamp < second) revert StillLocked(msg.sender, second);
        uint256 available = escrow[msg.sender];
        if (available < amount) revert InsufficientEscrow(msg.sender, available, amount);
        escrow[msg.sender] = available - amount;
        emit Withdrawn(msg.sender, amount);
        _send(msg.sender, amount);
    }

    /// @notice Pays the caller what it earned as node, worker, model owner or data owner.
    /// @param amount Wei.
    function withdrawEarnings(uint256 amount) external notEntered {
        if (amount == 0) revert ZeroAmount();
        uint256 available = earnings[msg.sender];
        if (available < amount) revert InsufficientEarnings(msg.sender, available, amount);
        earnings[msg.sender] = available - amount;
        emit EarningsWithdrawn(msg.sender, amount);
        _send(msg.sender, amount);
    }

    /// @notice Cancels the caller's signed requests of a lane up to a counter.
    /// @param lane The lane.
    /// @param next The counter that the lane's next request must have.
    function advanceLane(uint64 lane, uint64 next) external {
        uint64 current = counters[msg.sender][lane];
        if (next <= current) revert LaneNotAdvanced(lane, next, current);
        counters[msg.sender][lane] = next;
        emit LaneAdvanced(msg.sender, lane, next);
    }

    /// @notice Runs a signed request. Only the node it names.
    /// @dev The cost is, in wei: (gas of this transaction) x tx.gasprice, to the node, which pays that to the chain; compute
    /// gas x tip, to the workers; model price x inputs, to the model's owner; each DAT's price, to its owner.
    /// The maximum cost first moves to the node as a whole, and the rest goes back at the end: so the last writes
    /// touch only slots that were written before and cost the same in every case.
    /// @param request What the user signed.
    /// @param signature 65 bytes r, s, v by `request.user` over `hashRequest(request)`.
    /// @param inputs Job input bytes of each run, at least one.
    /// @param proofSystem Name of the proof system of all runs.
    /// @return outputs Job output bytes of each run.
    function execute(
        Request calldata request,
        bytes calldata signature,
        bytes[] calldata inputs,
        string calldata proofSystem
    ) external returns (bytes[] memory outputs) {
        uint256 gasAtStart = gasleft();
        if (_entered) revert Reentered();
        _entered = true;
        if (inputs.length == 0) revert NoInputs();
        bytes32 digest = _authorize(request, signature);
        _reserve(request);
        Tally memory tally;
        tally.outputs = inputs.length;
        tally.prices = _payOwners(request, inputs.length);
        outputs = _inferAll(request, inputs, proofSystem, tally);
        _close(request, digest, tally, gasAtStart);
        _entered = false;
    }

    /// @notice EIP-712 domain separator of this contract on this chain.
    /// @return The separator.
    function domainSeparator() public view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPE_HASH, NAME_HASH, VERSION_HASH, block.chainid, address(this)));
    }

    /// @notice What the user's wallet signs.
    /// @param request The request.
    /// @return EIP-712 digest of the request for this contract on this chain.
    function hashRequest(Request calldata request) public view returns (bytes32) {
        bytes32 structHash = keccak256(
            abi.encode(
                REQUEST_TYPE_HASH,
                request.user,
                request.node,
                request.model,
                request.bodyHash,
                keccak256(abi.encodePacked(request.dats)),
                request.maxCost,
                request.expiry,
                request.lane,
                request.counter
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domainSeparator(), structHash));
    }

    /// @notice Salt of the job that an input of a request becomes.
    /// @param user The request's user.
    /// @param lane The request's lane.
    /// @param counter The request's counter.
    /// @param index Position of the input, from 0.
    /// @return keccak256 over the four values as 32-byte words.
    function jobSalt(address user, uint64 lane, uint64 counter, uint256 index) public pure returns (bytes32) {
        return keccak256(abi.encode(user, lane, counter, index));
    }

    function _deposit(address user) private {
        if (msg.value == 0) revert ZeroAmount();
        if (user == address(0)) revert ZeroUser();
        escrow[user] += msg.value;
        emit Deposited(user, msg.sender, msg.value);
    }

    function _lock(address user) private {
        delete unlocksAt[user];
        emit Locked(user);
    }

    function _send(address to, uint256 amount) private {
        (bool sent,) = to.call{value: amount}("");
        if (!sent) revert TransferFailed(to, amount);
    }

    /// @dev Everything that the signature binds, then the counter.
    function _authorize(Request calldata request, bytes calldata signature) private returns (bytes32 digest) {
        if (msg.sender != request.node) revert NotTheNode(msg.sender, request.node);
        if (block.timestamp > request.expiry) revert Expired(request.expiry, block.timestamp);
        digest = hashRequest(request);
        address signer = _recover(digest, signature);
        if (signer != request.user) revert WrongSigner(signer, request.user);
        uint64 expected = counters[request.user][request.lane];
        if (request.counter != expected) revert WrongCounter(request.lane, request.counter, expected);
        counters[request.user][request.lane] = expected + 1;
    }

    function _recover(bytes32 digest, bytes calldata signature) private pure returns (address signer) {
        if (signature.length != 65) revert MalformedSignature();
        bytes32 r = bytes32(signature[0:32]);
        bytes32 s = bytes32(signature[32:64]);
        uint8 v = uint8(signature[64]);
        if ((v != 27 && v != 28) || uint256(s) > S_MAX) revert MalformedSignature();
        signer = ecrecover(digest, v, r, s);
        if (signer == address(0)) revert MalformedSignature();
    }

    function _reserve(Request calldata request) private {
        uint256 available = escrow[request.user];
        if (available < request.maxCost) revert InsufficientEscrow(request.user, available, request.maxCost);
        escrow[request.user] = available - request.maxCost;
        earnings[request.node] += request.maxCost;
    }

    function _payOwners(Request calldata request, uint256 inputCount) private returns (uint256 prices) {
        (address modelOwner, uint256 modelPrice) = MODELS.terms(request.model);
        prices = _pay(modelOwner, modelPrice * inputCount);
        for (uint256 index = 0; index < request.dats.length; index++) {
            uint256 dat = request.dats[index];
            (address datOwner, uint256 datPrice, bool permitted) = DATS.terms(dat, request.user);
            if (!permitted) revert DatNotPermitted(dat, request.user);
            prices += _pay(datOwner, datPrice);
        }
    }

    function _inferAll(
        Request calldata request,
        bytes[] calldata inputs,
        string calldata proofSystem,
        Tally memory tally
    ) private returns (bytes[] memory outputs) {
        uint256 tip = GAS_PARAMETERS.tip();
        outputs = new bytes[](inputs.length);
        for (uint256 index = 0; index < inputs.length; index++) {
            (bytes memory output, uint256 computeGas, address worker) =
                _infer(request, inputs[index], proofSystem, index);
            outputs[index] = output;
            tally.outputWords += (output.length + 31) / 32;
            tally.computeGas += computeGas;
            tally.tips += _pay(worker, computeGas * tip);
        }
    }

    function _infer(Request calldata request, bytes calldata input, string calldata proofSystem, uint256 index)
        private
        returns (bytes memory, uint256, address)
    {
        bytes32 salt = jobSalt(request.user, request.lane, request.counter, index);
        return AI.infer(request.model, input, request.dats, proofSystem, salt);
    }

    function _pay(address payee, uint256 amount) private returns (uint256) {
        if (amount != 0) earnings[payee] += amount;
        return amount;
    }

    /// @dev Nothing but warm, written slots is touched after the gas was measured; TransactionGas knows what that costs.
    function _close(Request calldata request, bytes32 digest, Tally memory tally, uint256 gasAtStart) private {
        bool first = !_transactionPaid;
        _transactionPaid = true;
        uint256 nodeCost = TransactionGas.used(gasAtStart, first, tally.outputs, tally.outputWords) * tx.gasprice;
        uint256 cost = nodeCost + tally.tips + tally.prices;
        if (cost > request.maxCost) revert CostAboveMaximum(cost, request.maxCost);
        earnings[request.node] -= request.maxCost - nodeCost;
        escrow[request.user] += request.maxCost - cost;
        emit Settled(digest, request.user, request.node, cost, tally.computeGas);
    }
}
