// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IGovernor} from "./interfaces/ISystemContracts.sol";

/// @title The validators of the chain, at address 0x0000000000000000000000000000000000000a14.
/// @notice Who has staked enough is in the set, with a power in proportion to the stake. The set that this contract
/// names after block H - 1 decides block H + 1. Nodes read it from the slots directly, so the order of the variables is
/// fixed. At the start of a block the chain itself calls `beginBlock`: validators that are absent too often are jailed,
/// those that broke the rules of consensus are convicted, which cannot be undone. Slashed coins are burnt: they stay
/// here for ever. The contract holds exactly all stake, all unbonding stake and what was burnt.
contract Validators {
    /// @notice Stakes in wei, times in blocks, shares in millionths. `powerUnit` is the stake for one unit of power and
    /// never changes. `countMax` is the largest set. Stake that is withdrawn can be claimed, and cannot be slashed any
    /// more, after `unbondingBlocks`; offences are judged up to `evidenceBlocks` after their height, which never grows. More than
    /// `absencesMax` absences in one window of `windowBlocks` mean jail for at least `jailBlocks`. `entryShare` of the
    /// set's power may enter it in one window without the governor's approval, so that newcomers cannot stop the chain.
    struct Parameters {
        uint256 powerUnit;
        uint256 minimumStake;
        uint256 countMax;
        uint256 unbondingBlocks;
        uint256 evidenceBlocks;
        uint256 windowBlocks;
        uint256 absencesMax;
        uint256 jailBlocks;
        uint256 doubleSignShare;
        uint256 amnesiaShare;
        uint256 downtimeShare;
        uint256 entryShare;
    }

    /// @notice Stake on its way out; from block `releaseBlock` on it is its owner's.
    struct Unbonding {
        uint128 amount;
        uint64 releaseBlock;
    }

    /// @notice A validator. `position` is its place in the set counted from 1, 0 outside of it; `power` is 0 then.
    /// `approved` is the power up to which it may enter without a limit. `jailedUntil` is the first block in which its
    /// owner may end the jail, 0 where there is none. `absences` are those in the window of number `window`.
    struct Record {
        address owner;
        uint32 position;
        bool convicted;
        address idao;
        uint64 power;
        uint128 stake;
        uint64 approved;
        uint64 jailedUntil;
        uint64 window;
        uint64 absences;
        Unbonding[] unbonding;
    }

    /// @notice What the chain found a validator to have done: `kind` is 0 for two proposals or votes in one step, 1 for amnesia.
    struct Offence {
        address validator;
        uint8 kind;
    }

    /// @notice Why a validator cannot enter the set, or not with more power.
    enum Obstacle {
        None,
        Convicted,
        Jailed,
        StakeTooSmall,
        EntryLimit,
        SetFull
    }

    /// @dev Power that entered in a window and in the one before, and the set's power without the latter when the first
    /// of this window came. Members that gave way count as well: the set has lost what they did for it.
    struct Entries {
        uint64 window;
        uint64 base;
        uint64 entered;
        uint64 earlier;
    }

    /// @dev Power that was jailed for absence in a window.
    struct Jailings {
        uint64 window;
        uint64 power;
    }

    /// @notice Most pieces of unbonding stake of a validator at a time.
    uint256 public constant UNBONDINGS_MAX = 16;
    /// @notice No set is larger, whatever the parameters say: the work at the start of a block grows with it.
    uint256 public constant COUNT_LIMIT = 512;
    uint256 private constant POWER_MAX = 2 ** 48;
    uint256 private constant STAKE_LIMIT = 2 ** 127;
    uint256 private constant BLOCKS_LIMIT = 2 ** 40;
    uint256 private constant SHARE_ALL = 1_000_000;

    /// @dev EIP-712: type of the domain, of the registration, and the domain's fixed fields.
    bytes32 private constant DOMAIN_TYPE_HASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant REGISTRATION_TYPE_HASH =
        keccak256("ValidatorRegistration(address validator,address owner,address idao)");
    bytes32 private constant NAME_HASH = keccak256("LazAI");
    bytes32 private constant VERSION_HASH = keccak256("1");
    /// @dev Half the order of secp256k1; a signature with a larger s has a twin with a smaller one (EIP-2).
    uint256 private constant S_MAX = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    /// @dev Sender of the calls that the chain makes itself (EIP-4788).
    address private constant SYSTEM = 0xffffFFFfFFffffffffffffffFfFFFfffFFFfFFfE;
    IGovernor private constant GAS_PARAMETERS = IGovernor(0x0000000000000000000000000000000000000a10);

    /// @dev The set, in no order. Slot 0.
    address[] private _set;
    /// @dev Slot 1.
    mapping(address validator => Record) private _records;
    /// @notice Who may act for an iDAO besides the iDAO's own account, or zero. Slot 2.
    mapping(address idao => address) public admins;
    /// @notice Whether an iDAO takes a validator as its member. Slot 3.
    mapping(address idao => mapping(address validator => bool)) public consents;
    /// @notice Power of the whole set. Slot 4.
    uint256 public totalPower;
    /// @notice Wei that were slashed; nobody can ever have them. Slot 5.
    uint256 public burnt;
    /// @dev Slot 6.
    Entries private _entries;
    /// @dev Slot 7.
    Jailings private _jailings;
    /// @dev A convicted validator that stays because a set cannot be empty; it goes when another comes. Slot 8.
    address private _lingering;
    /// @dev Slots 9 to 20; set by the genesis, as are the first validators.
    Parameters private _parameters;

    /// @dev True while stake is paid out.
    bool private transient _entered;

    /// @notice A validator is known from now on.
    event Registered(address indexed validator, address indexed owner, address indexed idao, uint256 stake);
    /// @notice Stake grew.
    event StakeAdded(address indexed validator, uint256 amount);
    /// @notice Stake shrinks; it can be claimed from `releaseBlock` on.
    event StakeWithdrawn(address indexed validator, uint256 amount, uint256 releaseBlock);
    /// @notice Unbonding stake was paid out.
    event Claimed(address indexed validator, uint256 amount);
    /// @notice A validator's power in the set from the second block after this one on; 0 where it leaves.
    event PowerSet(address indexed validator, uint256 power);
    /// @notice A validator was let out of jail.
    event Unjailed(address indexed validator);
    /// @notice A validator belongs to an iDAO, or to none.
    event Moved(address indexed validator, address indexed previous, address indexed next);
    /// @notice An iDAO takes a validator, or does not any more.
    event ConsentSet(address indexed idao, address indexed validator, bool consent);
    /// @notice An iDAO has another admin.
    event AdminSet(address indexed idao, address indexed admin);
    /// @notice The governor lets a validator enter with up to this power at once.
    event Approved(address indexed validator, uint256 power);
    /// @notice New parameters hold from now on.
    event ParametersSet(Parameters previous, Parameters next);

    /// @notice Only the chain itself may do this.
    error NotSystem(address caller);
    /// @notice Only the governor may do this.
    error NotGovernor(address caller, address governor);
    /// @notice Only the validator's owner may do this.
    error NotOwner(address caller, address owner);
    /// @notice Only the iDAO or its admin may do this.
    error NotOfIdao(address caller, address idao);
    /// @notice The validator has an owner already.
    error AlreadyRegistered(address validator);
    /// @notice The iDAO did not say that it takes this validator.
    error NoConsent(address idao, address validator);
    /// @notice The zero address is no iDAO.
    error NoIdao();
    /// @notice The signature is not 65 bytes with v 27 or 28 and a low s.
    error MalformedSignature();
    /// @notice The key that signed is not the validator's, or it signed for another owner, iDAO, chain or contract.
    error NotSignedByValidator(address signer, address validator);
    /// @notice The stake would be less than the minimum; all of it may be withdrawn.
    error StakeTooSmall(uint256 stake, uint256 minimum);
    /// @notice The stake would be more than can be counted.
    error StakeTooLarge(uint256 stake);
    /// @notice There is nothing to move.
    error ZeroAmount();
    /// @notice The validator has less stake.
    error InsufficientStake(uint256 stake, uint256 amount);
    /// @notice The set would be empty.
    error LastValidator(address validator);
    /// @notice Claim first: no more pieces of stake may unbond at a time.
    error TooManyUnbondings(uint256 count);
    /// @notice The validator broke the rules of consensus; it will never be in the set again.
    error IsConvicted(address validator);
    /// @notice The validator is not in jail.
    error NotJailed(address validator);
    /// @notice The jail is not over.
    error StillJailed(uint256 blockNumber, uint256 until);
    /// @notice The validator cannot enter the set, or not with more power.
    error CannotEnter(address validator, Obstacle obstacle);
    /// @notice The parameter is outside its range.
    error OutOfRange(string parameter, uint256 value, uint256 minimum, uint256 maximum);
    /// @notice The receiver refused the coins.
    error TransferFailed(address to, uint256 amount);
    /// @notice Called again from within.
    error Reentered();

    modifier onlyGovernor() {
        address governor = GAS_PARAMETERS.governor();
        if (msg.sender != governor) revert NotGovernor(msg.sender, governor);
        _;
    }

    modifier onlyOwner(address validator) {
        address owner = _records[validator].owner;
        if (owner == address(0) || msg.sender != owner) revert NotOwner(msg.sender, owner);
        _;
    }

    // Owners.

    /// @notice Makes a validator known, with the coins sent as its stake and the caller as its owner. It enters the set
    /// at once where nothing stands against it.
    /// @param validator Address of the validator's node key.
    /// @param idao The iDAO to which it belongs, which has consented, or zero.
    /// @param signature 65 bytes r, s, v by the validator's key over `hashRegistration(validator, caller, idao)`.
    function register(address validator, address idao, bytes calldata signature) external payable {
        Record storage record = _records[validator];
        if (record.owner != address(0)) revert AlreadyRegistered(validator);
        address signer = _recover(hashRegistration(validator, msg.sender, idao), signature);
        if (signer != validator) revert NotSignedByValidator(signer, validator);
        if (idao != address(0) && !consents[idao][validator]) revert NoConsent(idao, validator);
        if (msg.value < _parameters.minimumStake) revert StakeTooSmall(msg.value, _parameters.minimumStake);
        record.owner = msg.sender;
        record.idao = idao;
        _addStake(record);
        emit Registered(validator, msg.sender, idao, msg.value);
        _place(validator, record);
    }

    /// @notice Adds the coins sent to a validator's stake. Only its owner.
    /// @param validator The validator.
    function addStake(address validator) external payable onlyOwner(validator) {
        Record storage record = _records[validator];
        if (msg.value == 0) revert ZeroAmount();
        if (record.convicted) revert IsConvicted(validator);
        _addStake(record);
        emit StakeAdded(validator, msg.value);
        _place(validator, record);
    }

    /// @notice Takes stake away from a validator. Only its owner, who can claim it after `unbondingBlocks`; until then it
    /// can be slashed. What is left is at least the minimum, or nothing.
    /// @param validator The validator.
    /// @param amount Wei.
    function withdrawStake(address validator, uint256 amount) external onlyOwner(validator) {
        Record storage record = _records[validator];
        if (amount == 0) revert ZeroAmount();
        uint256 stake = record.stake;
        if (amount > stake) revert InsufficientStake(stake, amount);
        uint256 left = stake - amount;
        if (left != 0 && left < _parameters.minimumStake) revert StakeTooSmall(left, _parameters.minimumStake);
        if (record.unbonding.length == UNBONDINGS_MAX) revert TooManyUnbondings(UNBONDINGS_MAX);
        uint256 releaseBlock = block.number + _parameters.unbondingBlocks;
        record.stake = uint128(left);
        record.unbonding.push(Unbonding(uint128(amount), uint64(releaseBlock)));
        emit StakeWithdrawn(validator, amount, releaseBlock);
        if (record.position == 0) return;
        if (left == 0) {
            if (_set.length == 1) revert LastValidator(validator);
            _remove(validator, record);
        } else {
            uint256 power = _powerOf(left);
            if (power < record.power) _setPower(validator, record, power);
        }
    }

    /// @notice Pays out stake whose time is over. Only the validator's owner.
    /// @param validator The validator.
    function claim(address validator) external onlyOwner(validator) {
        if (_entered) revert Reentered();
        _entered = true;
        Unbonding[] storage pieces = _records[validator].unbonding;
        uint256 amount = 0;
        uint256 index = 0;
        while (index < pieces.length) {
            if (pieces[index].releaseBlock > block.number) {
                index++;
                continue;
            }
            amount += pieces[index].amount;
            pieces[index] = pieces[pieces.length - 1];
            pieces.pop();
        }
        if (amount == 0) revert ZeroAmount();
        emit Claimed(validator, amount);
        (bool sent,) = msg.sender.call{value: amount}("");
        if (!sent) revert TransferFailed(msg.sender, amount);
        _entered = false;
    }

    /// @notice Ends a validator's jail, when its time is over. Only its owner.
    /// @param validator The validator.
    function unjail(address validator) external onlyOwner(validator) {
        Record storage record = _records[validator];
        if (record.convicted) revert IsConvicted(validator);
        if (record.jailedUntil == 0) revert NotJailed(validator);
        if (block.number < record.jailedUntil) revert StillJailed(block.number, record.jailedUntil);
        record.jailedUntil = 0;
        record.absences = 0;
        emit Unjailed(validator);
        _place(validator, record);
    }

    /// @notice Brings a validator into the set, or its power up to its stake, as far as the rules allow. Anyone.
    /// @param validator The validator.
    function activate(address validator) external {
        Obstacle obstacle = _place(validator, _records[validator]);
        if (obstacle != Obstacle.None) revert CannotEnter(validator, obstacle);
    }

    /// @notice Lets a validator belong to another iDAO, which has consented, or to none. Only its owner.
    /// @param validator The validator.
    /// @param idao The iDAO, or zero.
    function move(address validator, address idao) external onlyOwner(validator) {
        if (idao != address(0) && !consents[idao][validator]) revert NoConsent(idao, validator);
        _move(validator, idao);
    }

    // iDAOs.

    /// @notice Says that an iDAO takes a validator as its member. Only the iDAO or its admin.
    /// @param idao The iDAO.
    /// @param validator The validator, which need not be registered yet.
    function consent(address idao, address validator) external {
        _onlyIdao(idao);
        consents[idao][validator] = true;
        emit ConsentSet(idao, validator, true);
    }

    /// @notice Takes a consent back; a member belongs to no iDAO then and votes for itself. Only the iDAO or its admin.
    /// @param idao The iDAO.
    /// @param validator The validator.
    function dismiss(address idao, address validator) external {
        _onlyIdao(idao);
        consents[idao][validator] = false;
        emit ConsentSet(idao, validator, false);
        if (_records[validator].idao == idao) _move(validator, address(0));
    }

    /// @notice Names the admin of the iDAO whose account is the caller; zero for none.
    /// @param admin Who may act for the iDAO.
    function setAdmin(address admin) external {
        admins[msg.sender] = admin;
        emit AdminSet(msg.sender, admin);
    }

    // The governor.

    /// @notice Lets a validator enter the set with up to this power, whatever entered already. Only the governor.
    /// @param validator The validator, which need not be registered yet.
    /// @param power The power.
    function approve(address validator, uint64 power) external onlyGovernor {
        _records[validator].approved = power;
        emit Approved(validator, power);
    }

    /// @notice Sets all parameters. Only the governor. Validators in the set stay, whatever the new minimum stake and
    /// largest count are.
    /// @param next The new parameters; the unit of power is the old one.
    function setParameters(Parameters calldata next) external onlyGovernor {
        Parameters memory previous = _parameters;
        _check("powerUnit", next.powerUnit, previous.powerUnit, previous.powerUnit);
        _check("minimumStake", next.minimumStake, next.powerUnit, STAKE_LIMIT);
        _check("countMax", next.countMax, 1, COUNT_LIMIT);
        // A validator may withdraw its stake one block before it votes for the last time. The time for evidence never
        // grows: stake that was withdrawn before would be gone too early, and nodes that began from a snapshot may lack
        // headers that are older.
        _check("evidenceBlocks", next.evidenceBlocks, 1, previous.evidenceBlocks);
        _check("unbondingBlocks", next.unbondingBlocks, next.evidenceBlocks + 2, BLOCKS_LIMIT);
        _check("windowBlocks", next.windowBlocks, 2, BLOCKS_LIMIT);
        _check("absencesMax", next.absencesMax, 1, next.windowBlocks - 1);
        _check("jailBlocks", next.jailBlocks, 1, BLOCKS_LIMIT);
        _check("doubleSignShare", next.doubleSignShare, 0, SHARE_ALL);
        _check("amnesiaShare", next.amnesiaShare, 0, SHARE_ALL);
        _check("downtimeShare", next.downtimeShare, 0, SHARE_ALL);
        // With half of its power new and silent, the set could not decide.
        _check("entryShare", next.entryShare, 0, SHARE_ALL / 2 - 1);
        _parameters = next;
        emit ParametersSet(previous, next);
    }

    // The chain.

    /// @notice What the chain found out with the block before. Only the chain itself, before all transactions of a block.
    /// @dev It never reverts, and what it emits is in no receipt. Its work is bounded by the largest set.
    /// @param absent Validators of the block before that did not sign it.
    /// @param offences Validators that broke the rules of consensus.
    function beginBlock(address[] calldata absent, Offence[] calldata offences) external {
        if (msg.sender != SYSTEM) revert NotSystem(msg.sender);
        for (uint256 index = 0; index < offences.length; index++) {
            _convict(offences[index].validator, offences[index].kind);
        }
        for (uint256 index = 0; index < absent.length; index++) {
            _countAbsence(absent[index]);
        }
    }

    // Views.

    /// @notice The set that decides the second block after this one, in no order.
    /// @return Addresses of the validators.
    function validators() external view returns (address[] memory) {
        return _set;
    }

    /// @notice All about a validator.
    /// @param validator The validator.
    /// @return Its record; the owner is zero where it is not registered.
    function recordOf(address validator) external view returns (Record memory) {
        return _records[validator];
    }

    /// @notice All parameters at once.
    /// @return All parameters that hold now.
    function parameters() external view returns (Parameters memory) {
        return _parameters;
    }

    /// @notice What a validator's key signs to be registered (EIP-712).
    /// @param validator Address of the key.
    /// @param owner Who will register it.
    /// @param idao The iDAO to which it will belong, or zero.
    /// @return The digest.
    function hashRegistration(address validator, address owner, address idao) public view returns (bytes32) {
        bytes32 domain = keccak256(abi.encode(DOMAIN_TYPE_HASH, NAME_HASH, VERSION_HASH, block.chainid, address(this)));
        bytes32 structHash = keccak256(abi.encode(REGISTRATION_TYPE_HASH, validator, owner, idao));
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    // Stakes.

    function _addStake(Record storage record) private {
        uint256 stake = uint256(record.stake) + msg.value;
        if (stake > STAKE_LIMIT) revert StakeTooLarge(stake);
        record.stake = uint128(stake);
    }

    function _powerOf(uint256 stake) private view returns (uint256) {
        uint256 power = stake / _parameters.powerUnit;
        return power < POWER_MAX ? power : POWER_MAX;
    }

    /// @dev Burns a share of all stake that is not released yet.
    function _slash(Record storage record, uint256 share) private {
        uint256 loss = uint256(record.stake) * share / SHARE_ALL;
        record.stake -= uint128(loss);
        uint256 total = loss;
        Unbonding[] storage pieces = record.unbonding;
        for (uint256 index = 0; index < pieces.length; index++) {
            if (pieces[index].releaseBlock <= block.number) continue;
            loss = uint256(pieces[index].amount) * share / SHARE_ALL;
            pieces[index].amount -= uint128(loss);
            total += loss;
        }
        burnt += total;
    }

    // The set.

    /// @dev Brings a validator into the set, or its power up to its stake, as far as the rules allow.
    function _place(address validator, Record storage record) private returns (Obstacle) {
        if (record.convicted) return Obstacle.Convicted;
        if (record.jailedUntil != 0) return Obstacle.Jailed;
        if (record.owner == address(0) || record.stake < _parameters.minimumStake) return Obstacle.StakeTooSmall;
        uint256 wanted = _powerOf(record.stake);
        if (wanted <= record.power) return Obstacle.None;
        uint256 free = record.power > record.approved ? record.power : record.approved;
        uint256 granted = free;
        if (wanted <= free) {
            granted = wanted;
        } else {
            uint256 allowance = _allowance();
            granted += wanted - free < allowance ? wanted - free : allowance;
        }
        if (granted <= record.power) return Obstacle.EntryLimit;
        if (record.position == 0 && !_takeSeat(validator, record, granted)) return Obstacle.SetFull;
        if (granted > free) _entries.entered += uint64(granted - free);
        _setPower(validator, record, granted);
        return Obstacle.None;
    }

    /// @dev Power that may still enter in this window. Who stays silent is jailed in the window after its entry at the
    /// latest, so that what two windows let in may be silent at once.
    function _allowance() private returns (uint256) {
        uint64 window = _window();
        Entries storage entries = _entries;
        if (entries.window != window || entries.base == 0) {
            entries.earlier = window == entries.window + 1 ? entries.entered : 0;
            entries.window = window;
            entries.base = totalPower > entries.earlier ? uint64(totalPower) - entries.earlier : 1;
            entries.entered = 0;
        }
        uint256 most = uint256(entries.base) * _parameters.entryShare / SHARE_ALL;
        uint256 used = uint256(entries.entered) + entries.earlier;
        return most > used ? most - used : 0;
    }

    /// @dev In a full set the weakest goes for someone stronger; it may come back as everybody else. A convict that only
    /// stayed because it was alone goes for anybody.
    function _takeSeat(address validator, Record storage record, uint256 power) private returns (bool) {
        address lingering = _lingering;
        if (lingering == address(0) && _set.length >= _parameters.countMax) {
            address weakest = _set[0];
            for (uint256 index = 1; index < _set.length; index++) {
                if (_records[_set[index]].power < _records[weakest].power) weakest = _set[index];
            }
            uint256 lost = _records[weakest].power;
            if (lost >= power) return false;
            _allowance();
            _entries.entered += uint64(lost);
            _remove(weakest, _records[weakest]);
        }
        _set.push(validator);
        record.position = uint32(_set.length);
        if (lingering != address(0)) {
            _lingering = address(0);
            _remove(lingering, _records[lingering]);
        }
        return true;
    }

    function _setPower(address validator, Record storage record, uint256 power) private {
        totalPower = totalPower - record.power + power;
        record.power = uint64(power);
        emit PowerSet(validator, power);
    }

    /// @dev The last of the set takes the free place.
    function _remove(address validator, Record storage record) private {
        _setPower(validator, record, 0);
        uint256 place = record.position - 1;
        uint256 last = _set.length - 1;
        if (place != last) {
            address moved = _set[last];
            _set[place] = moved;
            _records[moved].position = uint32(place + 1);
        }
        _set.pop();
        record.position = 0;
    }

    function _window() private view returns (uint64) {
        return uint64(block.number / _parameters.windowBlocks);
    }

    function _convict(address validator, uint8 kind) private {
        Record storage record = _records[validator];
        if (record.owner == address(0) || record.convicted) return;
        record.convicted = true;
        _slash(record, kind == 0 ? _parameters.doubleSignShare : _parameters.amnesiaShare);
        if (record.position == 0) return;
        if (_set.length == 1) {
            _lingering = validator;
        } else {
            _remove(validator, record);
        }
    }

    /// @dev Jails who is absent too often, unless the set would be empty, or in this window more than a third of its power
    /// would be gone in this way: then the chain needs them back more than it needs them out.
    function _countAbsence(address validator) private {
        Record storage record = _records[validator];
        if (record.position == 0) return;
        uint64 window = _window();
        if (record.window != window) {
            record.window = window;
            record.absences = 0;
        }
        record.absences += 1;
        if (record.absences <= _parameters.absencesMax || _set.length == 1) return;
        Jailings storage jailings = _jailings;
        if (jailings.window != window) {
            jailings.window = window;
            jailings.power = 0;
        }
        uint256 gone = uint256(jailings.power) + record.power;
        if (3 * gone > totalPower + jailings.power) return;
        jailings.power = uint64(gone);
        record.jailedUntil = uint64(block.number + _parameters.jailBlocks);
        _slash(record, _parameters.downtimeShare);
        _remove(validator, record);
    }

    // The rest.

    function _move(address validator, address idao) private {
        Record storage record = _records[validator];
        emit Moved(validator, record.idao, idao);
        record.idao = idao;
    }

    function _onlyIdao(address idao) private view {
        if (idao == address(0)) revert NoIdao();
        if (msg.sender != idao && msg.sender != admins[idao]) revert NotOfIdao(msg.sender, idao);
    }

    function _check(string memory parameter, uint256 value, uint256 minimum, uint256 maximum) private pure {
        if (value < minimum || value > maximum) revert OutOfRange(parameter, value, minimum, maximum);
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
}
