// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title The proof-check precompile, at address 0x0000000000000000000000000000000000000a02.
interface IProofCheck {
    /// @notice The bytes are no proof, key or statement of this system.
    error ProofMalformed();
    /// @notice A well-formed proof does not prove the statement; `check` names the check that failed.
    error ProofRejected(string check);
    /// @notice The chain has no proof system of this name.
    error UnknownProofSystem(string name);
    /// @notice The precompile was reached through DELEGATECALL or CALLCODE.
    error NotCalledDirectly();
    /// @notice The precompile takes no coins.
    error ValueNotAccepted();
    /// @notice The calldata is not the encoding of the function's arguments.
    error MalformedCall(string reason);

    /// @notice Verifies a proof of any proof system that the chain fixes; reverts when the proof is refused.
    /// @dev What it shows is about the weights that the given key commits to, and about the model, chain, job, input and
    /// output that the statement names. The caller brings both, so a contract must itself hold the key's hash (or read
    /// the key from the model registry) and compare model, chain and whatever of job, input and output it acts on; and
    /// it must remember statements, not proofs: one statement has many proofs. See examples/ProvenAnswers.sol.
    /// @param system Name of the proof system.
    /// @param verifyingKey Verifying key of the program, as the proof system defines it.
    /// @param statement Canonical bytes of the statement.
    /// @param proof Bytes of the proof.
    /// @return statementDigest Digest of the statement that was proven.
    function verify(string calldata system, bytes calldata verifyingKey, bytes calldata statement, bytes calldata proof)
        external
        view
        returns (bytes32 statementDigest);
}
