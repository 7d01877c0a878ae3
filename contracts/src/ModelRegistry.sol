// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ChunkStore} from "./ChunkStore.sol";

/// @title Models by program digest, at address 0x0000000000000000000000000000000000000a11.
/// @notice Keeps the skeleton of each program, constants of models that run inline, and verifying keys. The
/// AI-call precompile reads the slots and chunks of this contract directly, so the order of its variables is
/// fixed. The registry does not judge skeletons: bytes that are no valid program can be registered and never run.
/// A digest belongs to whoever registers it first.
contract ModelRegistry {
    using ChunkStore for ChunkStore.Blob;

    /// @notice A model. `price` in wei a call, paid to `owner` by settlements. Owner and price share a slot.
    struct Model {
        address owner;
        uint96 price;
        string name;
        string uri;
        ChunkStore.Blob program;
    }

    /// @notice Longest name in bytes.
    uint256 public constant NAME_BYTES_MAX = 64;
    /// @notice Longest URI in bytes.
    uint256 public constant URI_BYTES_MAX = 512;
    /// @notice Longest name of a proof system in bytes.
    uint256 public constant SYSTEM_BYTES_MAX = 32;
    /// @notice Longest skeleton, constant or verifying key in bytes; memory beyond this would fill a block.
    uint256 public constant BLOB_BYTES_MAX = 2 ** 21;

    /// @dev Slot 0: models by program digest.
    mapping(bytes32 model => Model) private _models;
    /// @dev Slot 1: constants by the SHA-256 of their bytes.
    mapping(bytes32 digest => ChunkStore.Blob) private _constants;
    /// @dev Slot 2: verifying keys by program digest and by keccak-256 of the proof system's name.
    mapping(bytes32 model => mapping(bytes32 system => ChunkStore.Blob)) private _verifyingKeys;
    /// @dev Slot 3: all program digests in the order of registration.
    bytes32[] private _digests;
    /// @dev Slot 4: unfinished uploads by uploader and a number of the uploader's choice.
    mapping(address uploader => mapping(uint256 upload => ChunkStore.Blob)) private _uploads;

    /// @notice A model was registered.
    event ModelRegistered(bytes32 indexed model, address indexed owner, string name, string uri, uint256 price);
    /// @notice The price of a call changed, in wei.
    event PriceSet(bytes32 indexed model, uint256 price);
    /// @notice The URI of a model's file changed.
    event UriSet(bytes32 indexed model, string uri);
    /// @notice A model has a new owner.
    event ModelTransferred(bytes32 indexed model, address indexed previous, address indexed next);
    /// @notice Constants with this SHA-256 can be used by inline models.
    event ConstantsStored(bytes32 indexed digest, uint256 size);
    /// @notice A verifying key was set; `digest` is its SHA-256.
    event VerifyingKeySet(bytes32 indexed model, string system, bytes32 digest);

    /// @notice No model of this digest is registered.
    error UnknownModel(bytes32 model);
    /// @notice The digest is taken.
    error ModelExists(bytes32 model, address owner);
    /// @notice Only the model's owner may do this.
    error NotModelOwner(bytes32 model, address caller, address owner);
    /// @notice Zero bytes were given where some are needed.
    error Empty(string field);
    /// @notice More bytes were given than allowed.
    error TooLong(string field, uint256 size, uint256 sizeMax);
    /// @notice The zero address cannot own a model.
    error ZeroOwner(bytes32 model);

    modifier onlyOwner(bytes32 model) {
        address owner = _models[model].owner;
        if (owner == address(0)) revert UnknownModel(model);
        if (owner != msg.sender) revert NotModelOwner(model, msg.sender, owner);
        _;
    }

    /// @notice Registers a model in one call; the caller becomes its owner. Fits skeletons up to about 100 kB in a block
    /// of 30 million gas; use `append` and `finishModel` for longer ones.
    /// @param skeleton Canonical skeleton of the program.
    /// @param name Name to show, 1 to 64 bytes.
    /// @param uri Where the program file can be found; may be empty.
    /// @param price Wei a call.
    /// @return model SHA-256("lazai/program/v1" || 0x00 || skeleton).
    function register(bytes calldata skeleton, string calldata name, string calldata uri, uint96 price)
        external
        returns (bytes32 model)
    {
        _checkSize("skeleton", skeleton.length, BLOB_BYTES_MAX);
        model = _programDigest(skeleton);
        _create(model, name, uri, price).append(skeleton);
    }

    /// @notice Adds bytes to an upload of the caller.
    /// @param upload Any number; each uploader has its own.
    /// @param data The next bytes, at most about 100 kB a call.
    function append(uint256 upload, bytes calldata data) external {
        ChunkStore.Blob storage blob = _uploads[msg.sender][upload];
        _checkSize("upload", blob.size + data.length, BLOB_BYTES_MAX);
        blob.append(data);
    }

    /// @notice Forgets an upload of the caller.
    /// @param upload The upload's number.
    function discard(uint256 upload) external {
        delete _uploads[msg.sender][upload];
    }

    /// @notice Registers a model whose skeleton is an upload of the caller; the upload ends.
    /// @param upload The upload's number.
    /// @param name Name to show, 1 to 64 bytes.
    /// @param uri Where the program file can be found; may be empty.
    /// @param price Wei a call.
    /// @return model SHA-256("lazai/program/v1" || 0x00 || skeleton).
    function finishModel(uint256 upload, string calldata name, string calldata uri, uint96 price)
        external
        returns (bytes32 model)
    {
        ChunkStore.Blob storage blob = _uploads[msg.sender][upload];
        if (blob.size == 0) revert Empty("upload");
        model = _programDigest(blob.read());
        _create(model, name, uri, price);
        _models[model].program = blob;
        delete _uploads[msg.sender][upload];
    }

    /// @notice Stores the raw bytes of one constant, for models that run inline. Anyone may; twice is harmless.
    /// @param blob Little-endian bytes of the tensor in C order.
    /// @return digest SHA-256 of the bytes.
    function storeConstants(bytes calldata blob) external returns (bytes32 digest) {
        _checkSize("constants", blob.length, BLOB_BYTES_MAX);
        digest = sha256(blob);
        if (_constants[digest].size != 0) return digest;
        _constants[digest].append(blob);
        emit ConstantsStored(digest, blob.length);
    }

    /// @notice Stores an upload of the caller as one constant; the upload ends.
    /// @param upload The upload's number.
    /// @return digest SHA-256 of the bytes.
    function finishConstants(uint256 upload) external returns (bytes32 digest) {
        ChunkStore.Blob storage blob = _uploads[msg.sender][upload];
        if (blob.size == 0) revert Empty("upload");
        digest = sha256(blob.read());
        if (_constants[digest].size == 0) {
            _constants[digest] = blob;
            emit ConstantsStored(digest, blob.size);
        }
        delete _uploads[msg.sender][upload];
    }

    /// @notice Sets the verifying key of a model for one proof system. Only the owner. A key is a function of the program
    /// alone: whoever holds the program can compare.
    /// @param model Program digest.
    /// @param system Name of the proof system, 1 to 32 bytes.
    /// @param key The key's bytes.
    function setVerifyingKey(bytes32 model, string calldata system, bytes calldata key) external onlyOwner(model) {
        _checkSize("system", bytes(system).length, SYSTEM_BYTES_MAX);
        _checkSize("verifyingKey", key.length, BLOB_BYTES_MAX);
        bytes32 systemHash = keccak256(bytes(system));
        delete _verifyingKeys[model][systemHash];
        _verifyingKeys[model][systemHash].append(key);
        emit VerifyingKeySet(model, system, sha256(key));
    }

    /// @notice Sets an upload of the caller as verifying key; the upload ends. Only the owner.
    /// @param upload The upload's number.
    /// @param model Program digest.
    /// @param system Name of the proof system, 1 to 32 bytes.
    function finishVerifyingKey(uint256 upload, bytes32 model, string calldata system) external onlyOwner(model) {
        _checkSize("system", bytes(system).length, SYSTEM_BYTES_MAX);
        ChunkStore.Blob storage blob = _uploads[msg.sender][upload];
        if (blob.size == 0) revert Empty("upload");
        _verifyingKeys[model][keccak256(bytes(system))] = blob;
        emit VerifyingKeySet(model, system, sha256(blob.read()));
        delete _uploads[msg.sender][upload];
    }

    /// @notice Sets the price of a call. Only the owner.
    /// @param model Program digest.
    /// @param price Wei a call.
    function setPrice(bytes32 model, uint96 price) external onlyOwner(model) {
        _models[model].price = price;
        emit PriceSet(model, price);
    }

    /// @notice Sets where the program file can be found. Only the owner.
    /// @param model Program digest.
    /// @param uri The address; may be empty.
    function setUri(bytes32 model, string calldata uri) external onlyOwner(model) {
        if (bytes(uri).length > URI_BYTES_MAX) revert TooLong("uri", bytes(uri).length, URI_BYTES_MAX);
        _models[model].uri = uri;
        emit UriSet(model, uri);
    }

    /// @notice Gives a model away. Only the owner.
    /// @param model Program digest.
    /// @param next The new owner.
    function transfer(bytes32 model, address next) external onlyOwner(model) {
        if (next == address(0)) revert ZeroOwner(model);
        _models[model].owner = next;
        emit ModelTransferred(model, msg.sender, next);
    }

    /// @notice Owner and price, all that a settlement needs. Reverts with UnknownModel.
    /// @param model Program digest.
    /// @return owner Who is paid.
    /// @return price Wei a call.
    function terms(bytes32 model) external view returns (address owner, uint256 price) {
        Model storage entry = _known(model);
        return (entry.owner, entry.price);
    }

    /// @notice Everything but the bytes. Reverts with UnknownModel.
    /// @param model Program digest.
    /// @return owner Who is paid.
    /// @return price Wei a call.
    /// @return name Name to show.
    /// @return uri Where the program file can be found.
    /// @return skeletonBytes Length of the skeleton.
    function describe(bytes32 model)
        external
        view
        returns (address owner, uint256 price, string memory name, string memory uri, uint256 skeletonBytes)
    {
        Model storage entry = _known(model);
        return (entry.owner, entry.price, entry.name, entry.uri, entry.program.size);
    }

    /// @notice The skeleton's bytes. Reverts with UnknownModel.
    /// @param model Program digest.
    /// @return The skeleton.
    function skeletonOf(bytes32 model) external view returns (bytes memory) {
        return _known(model).program.read();
    }

    /// @notice The bytes of a constant; empty where it is not stored.
    /// @param digest SHA-256 of the bytes.
    /// @return The constant's bytes.
    function constants(bytes32 digest) external view returns (bytes memory) {
        return _constants[digest].read();
    }

    /// @notice A verifying key; empty where none was set.
    /// @param model Program digest.
    /// @param system Name of the proof system.
    /// @return The key's bytes.
    function verifyingKey(bytes32 model, string calldata system) external view returns (bytes memory) {
        return _verifyingKeys[model][keccak256(bytes(system))].read();
    }

    /// @notice Length of an unfinished upload in bytes.
    /// @param uploader Whose upload.
    /// @param upload The upload's number.
    /// @return Bytes appended so far.
    function uploadedBytes(address uploader, uint256 upload) external view returns (uint256) {
        return _uploads[uploader][upload].size;
    }

    /// @notice How many models there are.
    /// @return Number of registered models.
    function modelCount() external view returns (uint256) {
        return _digests.length;
    }

    /// @notice Program digest by order of registration, from 0.
    /// @param index Less than `modelCount`.
    /// @return Program digest.
    function modelAt(uint256 index) external view returns (bytes32) {
        return _digests[index];
    }

    function _create(bytes32 model, string calldata name, string calldata uri, uint96 price)
        private
        returns (ChunkStore.Blob storage program)
    {
        _checkSize("name", bytes(name).length, NAME_BYTES_MAX);
        if (bytes(uri).length > URI_BYTES_MAX) revert TooLong("uri", bytes(uri).length, URI_BYTES_MAX);
        Model storage entry = _models[model];
        if (entry.owner != address(0)) revert ModelExists(model, entry.owner);
        entry.owner = msg.sender;
        entry.price = price;
        entry.name = name;
        entry.uri = uri;
        _digests.push(model);
        emit ModelRegistered(model, msg.sender, name, uri, price);
        return entry.program;
    }

    function _known(bytes32 model) private view returns (Model storage entry) {
        entry = _models[model];
        if (entry.owner == address(0)) revert UnknownModel(model);
    }

    function _programDigest(bytes memory skeleton) private pure returns (bytes32) {
        return sha256(abi.encodePacked("lazai/program/v1", hex"00", skeleton));
    }

    function _checkSize(string memory field, uint256 size, uint256 sizeMax) private pure {
        if (size == 0) revert Empty(field);
        if (size > sizeMax) revert TooLong(field, size, sizeMax);
    }
}
