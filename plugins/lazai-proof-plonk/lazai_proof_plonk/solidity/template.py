"""The contract with labels for what depends on the key. Memory words are named; their places are filled in too."""

from __future__ import annotations

WORDS = (
    "SUM",
    "SUM_Y",
    "TERM",
    "TERM_Y",
    "TERM_SCALE",
    "BETA",
    "GAMMA",
    "ALPHA",
    "XI",
    "U",
    "V1",
    "V2",
    "V3",
    "V4",
    "V5",
    "EVAL_A",
    "EVAL_B",
    "EVAL_C",
    "EVAL_S1",
    "EVAL_S2",
    "EVAL_ZW",
    "POWER_N",
    "FIRST",
    "PUBLIC_AT",
    "PERMUTED",
    "QM_SCALE",
    "S3_SCALE",
    "LEFT",
    "LEFT_Y",
)
"""SUM and TERM must stay together and in this order: they are the precompiles' arguments."""

CONTRACT = """// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// PLONK over BN254, for the key @DIGEST@.
/// Circuit: @SIZE@ rows, @PUBLIC@ public values. Proofs are those of snarkjs' PLONK, in its order of words.
contract @NAME@ {
    /// Identity of the verification key.
    bytes32 public constant KEY_DIGEST = @DIGEST@;

    uint256 private constant Q = @Q@;
    uint256 private constant R = @R@;
    uint256 private constant SIZE = @SIZE@;
    uint256 private constant ROOT = @ROOT@;

@WORDS@
    uint256 private constant ROOTS = @ROOTS@;
    uint256 private constant GAPS = @GAPS@;
    uint256 private constant PREFIXES = @PREFIXES@;
    uint256 private constant BUFFER = @BUFFER@;

    /// Whether the proof is right. `proof`: A, B, C, Z, T1, T2, T3, Wxi, Wxiw as x, y; then a, b, c, s1, s2, zw.
    /// Everything that is not canonical gives false.
@PUBLIC_NOTE@
    function verifyProof(uint256[24] calldata proof@SIGNALS@) external view returns (bool) {
        assembly {
@FUNCTIONS@

            let data := proof

            // Ranges: coordinates below q, no point at infinity, evaluations and public values below r.
            {
                let good := 1
                for { let at := data } lt(at, add(data, 0x240)) { at := add(at, 0x40) } {
                    let x := calldataload(at)
                    let y := calldataload(add(at, 0x20))
                    good := and(good, and(and(lt(x, Q), lt(y, Q)), iszero(iszero(or(x, y)))))
                }
                for { let at := add(data, 0x240) } lt(at, add(data, add(0x300, @PUBLIC_BYTES@))) { at := add(at, 0x20) } {
                    good := and(good, lt(calldataload(at), R))
                }
                if iszero(good) { refuse() }
            }

            // Challenges.
            mstore(0x40, 0)
@STORE_KEY@
            calldatacopy(add(BUFFER, @KEY_BYTES@), @SIGNALS_AT@, @PUBLIC_BYTES@)
            calldatacopy(add(BUFFER, add(@KEY_BYTES@, @PUBLIC_BYTES@)), data, 0xc0)
            mstore(BETA, mod(keccak256(BUFFER, @TRANSCRIPT_BYTES@), R))
            mstore(GAMMA, mod(keccak256(BETA, 0x20), R))
            mstore(BUFFER, mload(BETA))
            mstore(add(BUFFER, 0x20), mload(GAMMA))
            calldatacopy(add(BUFFER, 0x40), add(data, 0xc0), 0x40)
            mstore(ALPHA, mod(keccak256(BUFFER, 0x80), R))
            mstore(BUFFER, mload(ALPHA))
            calldatacopy(add(BUFFER, 0x20), add(data, 0x100), 0xc0)
            mstore(XI, mod(keccak256(BUFFER, 0xe0), R))
            calldatacopy(EVAL_A, add(data, 0x240), 0xc0)
            mstore(BUFFER, mload(XI))
            calldatacopy(add(BUFFER, 0x20), add(data, 0x240), 0xc0)
            mstore(V1, mod(keccak256(BUFFER, 0xe0), R))
            calldatacopy(BUFFER, add(data, 0x1c0), 0x80)
            mstore(U, mod(keccak256(BUFFER, 0x80), R))
            for { let at := V1 } lt(at, V5) { at := add(at, 0x20) } {
                mstore(add(at, 0x20), mulmod(mload(at), mload(V1), R))
            }

@LAGRANGE@

            // ALPHA^2 L_1 and the two products of the permutation.
            mstore(FIRST, mulmod(mload(FIRST), mulmod(mload(ALPHA), mload(ALPHA), R), R))
            mstore(
                PERMUTED,
                mulmod(
                    mulmod(shifted(mload(EVAL_A), mload(EVAL_S1)), shifted(mload(EVAL_B), mload(EVAL_S2)), R),
                    mulmod(mload(ALPHA), mload(EVAL_ZW), R),
                    R
                )
            )
            mstore(QM_SCALE, mulmod(mload(EVAL_A), mload(EVAL_B), R))
            mstore(S3_SCALE, sub(R, mulmod(mload(PERMUTED), mload(BETA), R)))

            // LEFT = Wxi + U Wxiw, negated.
            setProofPoint(SUM, add(data, 0x200), mload(U))
            addPoint(calldataload(add(data, 0x1c0)), calldataload(add(data, 0x1e0)))
            mstore(LEFT, mload(SUM))
            mstore(add(LEFT, 0x20), mod(sub(Q, mload(add(SUM, 0x20))), Q))

            // SUM = XI Wxi + U XI ROOT Wxiw + F - E.
            setProofPoint(SUM, add(data, 0x1c0), mload(XI))
            addProofPoint(add(data, 0x200), mulmod(mulmod(mload(U), mload(XI), R), ROOT, R))
@FIXED_TERMS@
            {
                let x := mload(XI)
                let straight := mulmod(shifted(mload(EVAL_A), x), shifted(mload(EVAL_B), mulmod(2, x, R)), R)
                straight := mulmod(straight, shifted(mload(EVAL_C), mulmod(3, x, R)), R)
                straight := mulmod(straight, mload(ALPHA), R)
                addProofPoint(add(data, 0xc0), addmod(addmod(straight, mload(FIRST), R), mload(U), R))
            }
            {
                let scale := addmod(1, sub(R, mload(POWER_N)), R)
                addProofPoint(add(data, 0x100), scale)
                scale := mulmod(scale, mload(POWER_N), R)
                addProofPoint(add(data, 0x140), scale)
                scale := mulmod(scale, mload(POWER_N), R)
                addProofPoint(add(data, 0x180), scale)
            }
            addProofPoint(data, mload(V1))
            addProofPoint(add(data, 0x40), mload(V2))
            addProofPoint(add(data, 0x80), mload(V3))
            {
                let minus := addmod(mload(FIRST), mulmod(mload(PERMUTED), addmod(mload(EVAL_C), mload(GAMMA), R), R), R)
                for { let i := 0 } lt(i, 0xa0) { i := add(i, 0x20) } {
                    minus := addmod(minus, mulmod(mload(add(V1, i)), mload(add(EVAL_A, i)), R), R)
                }
                minus := addmod(minus, mulmod(mload(U), mload(EVAL_ZW), R), R)
                addScaled(1, 2, addmod(mload(PUBLIC_AT), sub(R, minus), R))
            }

@PAIRING@
        }
    }
}
"""
