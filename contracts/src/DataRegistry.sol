// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title Data anchoring tokens (DATs), at address 0x0000000000000000000000000000000000000a12.
/// @notice A DAT stands for a data set kept elsewhere: its digest, its owner, the price of a use and who may use it.
/// Nobody but the owner may use a DAT before a grant. The AI-call precompile reads the slots of this contract
/// directly, so the order of its variables is fixed.
contract DataRegistry {
    /// @notice `price` in wei a use. `generation` numbers the sets of grants: a transfer starts a new, empty one.
    struct Dat {
        address owner;
        uint96 price;
        bytes32 contentDigest;
        uint256 generation;
        string uri;
    }

    /// @notice Longest URI in bytes.
    uint256 public constant URI_BYTES_MAX = 512;
    /// @notice A grant to this account is a grant to everyone.
    address public constant EVERYONE = address(0);

    /// @notice Number of DATs; they are numbered from 1. Slot 0.
    uint256 public count;
    /// @dev Slot 1: DATs by number.
    mapping(uint256 dat => Dat) private _dats;
    /// @dev Slot 2: last second of each grant, by DAT, generation and account.
    mapping(uint256 dat => mapping(uint256 generation => mapping(address account => uint64 until))) private _grants;

    /// @notice A DAT was registered.
    event DatRegistered(uint256 indexed dat, address indexed owner, bytes32 contentDigest, string uri, uint256 price);
    /// @notice `account` may use the DAT up to the second `until`.
    event PermissionGranted(uint256 indexed dat, address indexed account, uint64 until);
    /// @notice `account` may not use the DAT any more.
    event PermissionRevoked(uint256 indexed dat, address indexed account);
    /// @notice No account may use the DAT any more, except its owner.
    event PermissionsCleared(uint256 indexed dat);
    /// @notice The price of a use changed, in wei.
    event PriceSet(uint256 indexed dat, uint256 price);
    /// @notice A DAT has a new owner; all grants ended.
    event DatTransferred(uint256 indexed dat, address indexed previous, address indexed next);

    /// @notice There is no DAT of this number.
    error UnknownDat(uint256 dat);
    /// @notice Only the DAT's owner may do this.
    error NotDatOwner(uint256 dat, address caller, address owner);
    /// @notice A DAT needs the digest of its content.
    error ZeroDigest();
    /// @notice The zero address cannot own a DAT.
    error ZeroOwner(uint256 dat);
    /// @notice A grant must end in the future; use `revoke` to end one.
    error GrantInPast(uint64 until, uint256 timestamp);
    /// @notice More bytes were given than allowed.
    error TooLong(string field, uint256 size, uint256 sizeMax);

    modifier onlyOwner(uint256 dat) {
        address owner = _known(dat).owner;
        if (owner != msg.sender) revert NotDatOwner(dat, msg.sender, owner);
        _;
    }

    /// @notice Registers a data set; the caller becomes its owner.
    /// @param contentDigest SHA-256 of the content.
    /// @param uri Where the (encrypted) content can be found; may be empty.
    /// @param price Wei a use.
    /// @return dat The new DAT's number, 1 and up.
    function register(bytes32 contentDigest, string calldata uri, uint96 price) external returns (uint256 dat) {
        if (contentDigest == bytes32(0)) revert ZeroDigest();
        if (bytes(uri).length > URI_BYTES_MAX) revert TooLong("uri", bytes(uri).length, URI_BYTES_MAX);
        dat = ++count;
        Dat storage entry = _dats[dat];
        entry.owner = msg.sender;
        entry.price = price;
        entry.contentDigest = contentDigest;
        entry.uri = uri;
        emit DatRegistered(dat, msg.sender, contentDigest, uri, price);
    }

    /// @notice Lets an account use the DAT; replaces an earlier grant to it. Only the owner.
    /// @param dat The DAT's number.
    /// @param account Who may use it; the zero address stands for everyone.
    /// @param until Last second of the grant, in seconds since 1970.
    function grant(uint256 dat, address account, uint64 until) external onlyOwner(dat) {
        if (until < block.timestamp) revert GrantInPast(until, block.timestamp);
        _grants[dat][_dats[dat].generation][account] = until;
        emit PermissionGranted(dat, account, until);
    }

    /// @notice Ends the grant to one account, or to everyone for the zero address (grants by name stay). Only the owner.
    /// @param dat The DAT's number.
    /// @param account Whose grant ends.
    function revoke(uint256 dat, address account) external onlyOwner(dat) {
        delete _grants[dat][_dats[dat].generation][account];
        emit PermissionRevoked(dat, account);
    }

    /// @notice Ends all grants at once. Only the owner.
    /// @param dat The DAT's number.
    function revokeAll(uint256 dat) external onlyOwner(dat) {
        _dats[dat].generation++;
        emit PermissionsCleared(dat);
    }

    /// @notice Sets the price of a use. Only the owner.
    /// @param dat The DAT's number.
    /// @param price Wei a use.
    function setPrice(uint256 dat, uint96 price) external onlyOwner(dat) {
        _dats[dat].price = price;
        emit PriceSet(dat, price);
    }

    /// @notice Gives the DAT away and ends all grants: the new owner starts with none. Only the owner.
    /// @param dat The DAT's number.
    /// @param next The new owner.
    function transfer(uint256 dat, address next) external onlyOwner(dat) {
        if (next == address(0)) revert ZeroOwner(dat);
        _dats[dat].owner = next;
        _dats[dat].generation++;
        emit DatTransferred(dat, msg.sender, next);
    }

    /// @notice Owner of a DAT. Reverts with UnknownDat.
    /// @param dat The DAT's number.
    /// @return The owner.
    function ownerOf(uint256 dat) external view returns (address) {
        return _known(dat).owner;
    }

    /// @notice Whether an account may use a DAT now; false for an unknown DAT.
    /// @param dat The DAT's number.
    /// @param account Who wants to use it.
    /// @return True for the owner, and for accounts with a grant that has not ended.
    function permits(uint256 dat, address account) external view returns (bool) {
        return _permits(dat, _dats[dat], account);
    }

    /// @notice All that a settlement needs. Reverts with UnknownDat.
    /// @param dat The DAT's number.
    /// @param account Who wants to use it.
    /// @return owner Who is paid.
    /// @return price Wei a use.
    /// @return permitted Whether the account may use it now.
    function terms(uint256 dat, address account) external view returns (address owner, uint256 price, bool permitted) {
        Dat storage entry = _known(dat);
        return (entry.owner, entry.price, _permits(dat, entry, account));
    }

    /// @notice Everything about a DAT but its grants. Reverts with UnknownDat.
    /// @param dat The DAT's number.
    /// @return owner Who is paid.
    /// @return price Wei a use.
    /// @return contentDigest SHA-256 of the content.
    /// @return uri Where the content can be found.
    function describe(uint256 dat)
        external
        view
        returns (address owner, uint256 price, bytes32 contentDigest, string memory uri)
    {
        Dat storage entry = _known(dat);
        return (entry.owner, entry.price, entry.contentDigest, entry.uri);
    }

    /// @notice Last second of an account's own grant, 0 where there is none.
    /// @param dat The DAT's number.
    /// @param account Whose grant; the zero address for the grant to everyone.
    /// @return Seconds since 1970.
    function grantedUntil(uint256 dat, address account) external view returns (uint64) {
        return _grants[dat][_dats[dat].generation][account];
    }

    function _known(uint256 dat) private view returns (Dat storage entry) {
        entry = _dats[dat];
        if (entry.owner == address(0)) revert UnknownDat(dat);
    }

    function _permits(uint256 dat, Dat storage entry, address account) private view returns (bool) {
        if (entry.owner == address(0)) return false;
        if (account == entry.owner) return true;
        mapping(address account => uint64 until) storage grants = _grants[dat][entry.generation];
        return block.timestamp <= grants[account] || block.timestamp <= grants[EVERYONE];
    }
}
