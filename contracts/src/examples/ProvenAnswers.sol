// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {IProofCheck} from "../interfaces/IProofCheck.sol";

/// @title Keeps answers of one model that somebody proved: an example of what a caller of proof-check must pin.
/// @notice Whoever calls brings the verifying key, and a key may commit to any weights. So the contract knows the key's
/// hash, the model, the chain and what it took before; the precompile knows none of these.
contract ProvenAnswers {
    IProofCheck private constant PROOF_CHECK = IProofCheck(0x0000000000000000000000000000000000000a02);
    uint256 private constant MODEL_END = 32;
    uint256 private constant CHAIN_START = 64;
    uint256 private constant CHAIN_END = 72;

    /// @notice Program digest of the model.
    bytes32 public immutable model;
    /// @notice SHA-256 of the verifying key, made by who holds the model's weights.
    bytes32 public immutable keyHash;
    /// @notice Name of the proof system that the key belongs to.
    string public proofSystem;
    /// @notice Whether an answer was taken, by the digest of its statement. One statement has many proofs.
    mapping(bytes32 statementDigest => bool taken) public isTaken;

    /// @notice An answer was proven; `statement` holds its input and output.
    event AnswerProven(bytes32 indexed statementDigest, address indexed sender, bytes statement);

    /// @notice The verifying key is not the one that this contract was made for.
    error OtherVerifyingKey(bytes32 keyHash);
    /// @notice The statement is too short to name a model and a chain.
    error StatementTooShort(uint256 size);
    /// @notice The statement is about another model.
    error OtherModel(bytes32 model);
    /// @notice The statement is for another chain.
    error OtherChain(uint256 chainId);
    /// @notice The statement was proven here before.
    error AnswerTaken(bytes32 statementDigest);

    /// @param model_ Program digest of the model.
    /// @param keyHash_ SHA-256 of its verifying key.
    /// @param proofSystem_ Name of the proof system.
    constructor(bytes32 model_, bytes32 keyHash_, string memory proofSystem_) {
        model = model_;
        keyHash = keyHash_;
        proofSystem = proofSystem_;
    }

    /// @notice Takes an answer that is proven and not known yet.
    /// @param verifyingKey The key; its hash must be this contract's.
    /// @param statement Canonical bytes of the statement.
    /// @param proof Bytes of the proof.
    /// @return statementDigest Digest of the statement.
    function submit(bytes calldata verifyingKey, bytes calldata statement, bytes calldata proof)
        external
        returns (bytes32 statementDigest)
    {
        bytes32 given = sha256(verifyingKey);
        if (given != keyHash) revert OtherVerifyingKey(given);
        if (statement.length < CHAIN_END) revert StatementTooShort(statement.length);
        bytes32 claimed = bytes32(statement[:MODEL_END]);
        if (claimed != model) revert OtherModel(claimed);
        uint256 chainId = uint64(bytes8(statement[CHAIN_START:CHAIN_END]));
        if (chainId != block.chainid) revert OtherChain(chainId);
        statementDigest = PROOF_CHECK.verify(proofSystem, verifyingKey, statement, proof);
        if (isTaken[statementDigest]) revert AnswerTaken(statementDigest);
        isTaken[statementDigest] = true;
        emit AnswerProven(statementDigest, msg.sender, statement);
    }
}
