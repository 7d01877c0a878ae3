// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @title The proof-check precompile, at address 0x0000000000000000000000000000000000000a02.
interface IProofCheck {
    /// @notice Verifies a proof of any proof system that the chain fixes; reverts when the proof is refused.
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
