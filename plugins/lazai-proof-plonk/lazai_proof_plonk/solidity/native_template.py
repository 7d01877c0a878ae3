"""The contract for proofs of native mode: the transcript and the checks of PROTOCOL.md, sections 3 to 7."""

from __future__ import annotations

WORDS = (
    "SUM",
    "SUM_Y",
    "TERM",
    "TERM_Y",
    "TERM_SCALE",
    "BETA",
    "GAMMA",
    "ETA",
    "CHI",
    "ALPHA",
    "XI",
    "U",
    "V1",
    "V2",
    "V3",
    "V4",
    "V5",
    "V6",
    "V7",
    "EVAL_A",
    "EVAL_B",
    "EVAL_C",
    "EVAL_S1",
    "EVAL_S2",
    "EVAL_Z_NEXT",
    "EVAL_C_NEXT",
    "EVAL_TAG",
    "EVAL_TABLE",
    "EVAL_S_NEXT",
    "POWER_N",
    "FIRST",
    "PUBLIC_AT",
    "PERMUTED",
    "SCALE",
    "MINUS",
    "LOOKED",
    "LISTED",
    "CUBE",
    "LEFT",
    "LEFT_Y",
)
"""SUM and TERM must stay together and in this order: they are the precompiles' arguments."""

CONTRACT = """// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// PLONK over BN254 in LazAI's native mode, for the key @DIGEST@.
/// Circuit: @SIZE@ rows, @PUBLIC@ public values.
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
    uint256 private constant TAG = @TAG@;
    uint256 private constant STATE = @STATE@;
    uint256 private constant BUFFER = @BUFFER@;

    /// Whether the proof is right. `proof`: @POINTS@ as x, y; then
    /// @EVALUATIONS@. `context`: what the application bound, often nothing.
    /// Everything that is not canonical gives false.
@PUBLIC_NOTE@
    function verifyProof(uint256[@PROOF_WORDS@] calldata proof@SIGNALS@, bytes calldata context)
        external
        view
        returns (bool)
    {
        assembly {
@FUNCTIONS@

            // STATE = SHA-256 of the last byte of TAG, STATE and `size` bytes at BUFFER: they lie together
            function step(size) {
                if iszero(staticcall(gas(), 2, add(TAG, 0x1f), add(0x21, size), STATE, 0x20)) { refuse() }
            }

            // Absorb `bytes_` bytes of calldata behind a header of `size` bytes.
            function absorb(header, size, place, bytes_) {
                mstore(BUFFER, header)
                calldatacopy(add(BUFFER, size), place, bytes_)
                step(add(size, bytes_))
            }

            // target = a challenge below R, drawn by rejection; the header has `size` bytes.
            function draw(header, size, target) {
                for { } 1 { } {
                    mstore8(add(TAG, 0x1f), 1)
                    mstore(BUFFER, header)
                    step(size)
                    mstore8(add(TAG, 0x1f), 0)
                    for { let half := 0 } lt(half, 2) { half := add(half, 1) } {
                        mstore(TERM, mload(STATE))
                        mstore(TERM_Y, shl(192, half))
                        if iszero(staticcall(gas(), 2, TERM, 0x28, target, 0x20)) { refuse() }
                        let value := and(mload(target), @CHALLENGE_MASK@)
                        if lt(value, R) {
                            mstore(target, value)
                            leave
                        }
                    }
                }
            }

            // Ranges: coordinates below q, no point at infinity, evaluations and public values below r.
            {
                let good := 1
                for { let at := proof } lt(at, add(proof, @POINT_BYTES@)) { at := add(at, 0x40) } {
                    let x := calldataload(at)
                    let y := calldataload(add(at, 0x20))
                    good := and(good, and(and(lt(x, Q), lt(y, Q)), iszero(iszero(or(x, y)))))
                }
                for { let at := add(proof, @POINT_BYTES@) } lt(at, add(proof, @PROOF_BYTES@)) { at := add(at, 0x20) } {
                    good := and(good, lt(calldataload(at), R))
                }
                for { let at := 0 } lt(at, @PUBLIC_BYTES@) { at := add(at, 0x20) } {
                    good := and(good, lt(calldataload(add(@SIGNALS_AT@, at)), R))
                }
                if iszero(good) { refuse() }
            }

            // Challenges: the state after key, domain and count is a constant.
            mstore(TAG, 0)
            mstore(STATE, @STATE_AFTER_KEY@)
            {
                let header := or(@CONTEXT_HEADER@, shl(@CONTEXT_SHIFT@, context.length))
                absorb(header, @CONTEXT_SIZE@, context.offset, context.length)
            }
            absorb(@PUBLIC_HEADER@, @PUBLIC_SIZE@, @SIGNALS_AT@, @PUBLIC_BYTES@)
            calldatacopy(EVAL_A, add(proof, @POINT_BYTES@), @EVALUATION_BYTES@)
@TRANSCRIPT@
            for { let at := V1 } lt(at, @LAST_V@) { at := add(at, 0x20) } {
                mstore(add(at, 0x20), mulmod(mload(at), mload(V1), R))
            }

@LAGRANGE@

            // ALPHA^2 L_1 and the product of the permuted side.
            mstore(FIRST, mulmod(mload(FIRST), mulmod(mload(ALPHA), mload(ALPHA), R), R))
            mstore(
                PERMUTED,
                mulmod(
                    mulmod(shifted(mload(EVAL_A), mload(EVAL_S1)), shifted(mload(EVAL_B), mload(EVAL_S2)), R),
                    mulmod(mload(ALPHA), mload(EVAL_Z_NEXT), R),
                    R
                )
            )
            mstore(
                MINUS,
                addmod(mload(FIRST), mulmod(mload(PERMUTED), addmod(mload(EVAL_C), mload(GAMMA), R), R), R)
            )

            // LEFT = W + U W_next, negated.
            setProofPoint(SUM, add(proof, @W_NEXT@), mload(U))
            addPoint(calldataload(add(proof, @W@)), calldataload(add(proof, add(@W@, 0x20))))
            mstore(LEFT, mload(SUM))
            mstore(LEFT_Y, mod(sub(Q, mload(SUM_Y)), Q))

            // SUM = XI W + U XI ROOT W_next + F - E, without the constant.
            setProofPoint(SUM, add(proof, @W@), mload(XI))
            addProofPoint(add(proof, @W_NEXT@), mulmod(mulmod(mload(U), mload(XI), R), ROOT, R))
@FIXED_TERMS@
            {
                let x := mload(XI)
                let straight := mulmod(shifted(mload(EVAL_A), x), shifted(mload(EVAL_B), mulmod(2, x, R)), R)
                straight := mulmod(straight, shifted(mload(EVAL_C), mulmod(3, x, R)), R)
                straight := mulmod(straight, mload(ALPHA), R)
                addProofPoint(add(proof, @Z@), addmod(addmod(straight, mload(FIRST), R), mload(U), R))
            }
            {
                let scale := addmod(1, sub(R, mload(POWER_N)), R)
                addProofPoint(add(proof, @T_LOW@), scale)
                scale := mulmod(scale, mload(POWER_N), R)
                addProofPoint(add(proof, add(@T_LOW@, 0x40)), scale)
                scale := mulmod(scale, mload(POWER_N), R)
                addProofPoint(add(proof, add(@T_LOW@, 0x80)), scale)
            }
            addProofPoint(proof, mload(V1))
            addProofPoint(add(proof, 0x40), mload(V2))
            addProofPoint(add(proof, 0x80), addmod(mload(V3), mulmod(mload(U), mload(V1), R), R))
@LOOKUP_TERMS@
            {
                let minus := mload(MINUS)
                for { let i := 0 } lt(i, 0xa0) { i := add(i, 0x20) } {
                    minus := addmod(minus, mulmod(mload(add(V1, i)), mload(add(EVAL_A, i)), R), R)
                }
                let next := addmod(mload(EVAL_Z_NEXT), mulmod(mload(V1), mload(EVAL_C_NEXT), R), R)
                minus := addmod(minus, mulmod(mload(U), next, R), R)
                addScaled(1, 2, addmod(mload(PUBLIC_AT), sub(R, minus), R))
            }

@PAIRING@
        }
    }
}
"""

LOOKUPS = """\
            // The lookup argument: LOOKED = F, LISTED = T, CUBE = ALPHA^3.
            mstore(CUBE, mulmod(mulmod(mload(ALPHA), mload(ALPHA), R), mload(ALPHA), R))
            mstore(
                LOOKED,
                addmod(
                    addmod(mload(CHI), mload(EVAL_A), R),
                    mulmod(mload(ETA), addmod(mload(EVAL_B), mulmod(mload(ETA), mload(EVAL_TAG), R), R), R),
                    R
                )
            )
            mstore(LISTED, addmod(mload(CHI), mload(EVAL_TABLE), R))
            {
                let both := mulmod(mulmod(mload(CUBE), mload(LOOKED), R), mload(LISTED), R)
                let second := mulmod(mload(U), mload(V2), R)
                addProofPoint(add(proof, @S@), addmod(second, sub(R, both), R))
                addProofPoint(add(proof, @M@), mulmod(mload(CUBE), mload(LOOKED), R))
                let minus := addmod(mload(MINUS), mulmod(addmod(second, sub(R, both), R), mload(EVAL_S_NEXT), R), R)
                minus := addmod(minus, mulmod(mload(V6), mload(EVAL_TAG), R), R)
                mstore(MINUS, addmod(minus, mulmod(mload(V7), mload(EVAL_TABLE), R), R))
            }
"""
