"""Parts that the contracts of both modes share, with labels for what depends on the key."""

from __future__ import annotations

from collections.abc import Mapping

PRECOMPILE_GAS: Mapping[str, int] = {
    "ADD_GAS": 2_000,
    "MULTIPLY_GAS": 30_000,
    "POWER_GAS": 30_000,
    "PAIRING_GAS": 400_000,
}
"""What precompiles are given: several times their prices (150, 6,000, 4,080 and 113,000), and no more than that.

A precompile that fails, as for a point off the curve, takes all it was given.
"""

PUBLIC_NOTE = """\
    /// Public values are held below R, and no further: a program's inputs and outputs have intervals, and negative ones
    /// stand as R - |v|. The caller must check that each lies in its interval, or another run is proven."""

FUNCTIONS = """\
            function refuse() {
                mstore(0, 0)
                return(0, 0x20)
            }

            // SUM += (x, y)
            function addPoint(x, y) {
                mstore(TERM, x)
                mstore(TERM_Y, y)
                if iszero(staticcall(@ADD_GAS@, 6, SUM, 0x80, SUM, 0x40)) { refuse() }
            }

            // SUM += scale * (x, y)
            function addScaled(x, y, scale) {
                mstore(TERM, x)
                mstore(TERM_Y, y)
                mstore(TERM_SCALE, scale)
                if iszero(staticcall(@MULTIPLY_GAS@, 7, TERM, 0x60, TERM, 0x40)) { refuse() }
                if iszero(staticcall(@ADD_GAS@, 6, SUM, 0x80, SUM, 0x40)) { refuse() }
            }

            // SUM += scale * the proof's point at this place of the calldata
            function addProofPoint(place, scale) {
                addScaled(calldataload(place), calldataload(add(place, 0x20)), scale)
            }

            // target = scale * the proof's point at this place
            function setProofPoint(target, place, scale) {
                calldatacopy(TERM, place, 0x40)
                mstore(TERM_SCALE, scale)
                if iszero(staticcall(@MULTIPLY_GAS@, 7, TERM, 0x60, target, 0x40)) { refuse() }
            }

            // value + BETA * other + GAMMA
            function shifted(value, other) -> out {
                out := addmod(addmod(value, mulmod(mload(BETA), other, R), R), mload(GAMMA), R)
            }"""
"""Curve operations on the words SUM and TERM, and the copy argument's sum; a failed precompile refuses."""

LAGRANGE = """\
            // XI^N, the first Lagrange polynomials there, and the public polynomial.
            {
                let power := mload(XI)
                for { let i := 0 } lt(i, @POWER@) { i := add(i, 1) } { power := mulmod(power, power, R) }
                mstore(POWER_N, power)
                let running := 1
                let root := 1
                for { let at := 0 } lt(at, mul(0x20, @OPENED@)) { at := add(at, 0x20) } {
                    let gap := mulmod(SIZE, addmod(mload(XI), sub(R, root), R), R)
                    mstore(add(ROOTS, at), root)
                    mstore(add(GAPS, at), gap)
                    mstore(add(PREFIXES, at), running)
                    running := mulmod(running, gap, R)
                    root := mulmod(root, ROOT, R)
                }
                if or(iszero(running), eq(power, 1)) { refuse() }
                mstore(BUFFER, 0x20)
                mstore(add(BUFFER, 0x20), 0x20)
                mstore(add(BUFFER, 0x40), 0x20)
                mstore(add(BUFFER, 0x60), running)
                mstore(add(BUFFER, 0x80), sub(R, 2))
                mstore(add(BUFFER, 0xa0), R)
                if iszero(staticcall(@POWER_GAS@, 5, BUFFER, 0xc0, 0, 0x20)) { refuse() }
                let inverse := mload(0)
                let vanishing := addmod(power, sub(R, 1), R)
                let total := 0
                for { let at := mul(0x20, @OPENED@) } gt(at, 0) { } {
                    at := sub(at, 0x20)
                    let each := mulmod(mload(add(ROOTS, at)), vanishing, R)
                    each := mulmod(each, mulmod(inverse, mload(add(PREFIXES, at)), R), R)
                    inverse := mulmod(inverse, mload(add(GAPS, at)), R)
                    if lt(at, @PUBLIC_BYTES@) {
                        total := addmod(total, mulmod(each, calldataload(add(@SIGNALS_AT@, at)), R), R)
                    }
                    if iszero(at) { mstore(FIRST, each) }
                }
                mstore(PUBLIC_AT, sub(R, total))
            }"""
"""From the opening point in XI: POWER_N, the first Lagrange polynomial in FIRST, the public polynomial in PUBLIC_AT."""

PAIRING = """\
            // e(LEFT, [tau]_2) e(SUM, G2) = 1
            mstore(BUFFER, mload(LEFT))
            mstore(add(BUFFER, 0x20), mload(add(LEFT, 0x20)))
            mstore(add(BUFFER, 0x40), @X2_X1@)
            mstore(add(BUFFER, 0x60), @X2_X0@)
            mstore(add(BUFFER, 0x80), @X2_Y1@)
            mstore(add(BUFFER, 0xa0), @X2_Y0@)
            mstore(add(BUFFER, 0xc0), mload(SUM))
            mstore(add(BUFFER, 0xe0), mload(add(SUM, 0x20)))
            mstore(add(BUFFER, 0x100), @G2_X1@)
            mstore(add(BUFFER, 0x120), @G2_X0@)
            mstore(add(BUFFER, 0x140), @G2_Y1@)
            mstore(add(BUFFER, 0x160), @G2_Y0@)
            if iszero(staticcall(@PAIRING_GAS@, 8, BUFFER, 0x180, 0, 0x20)) { refuse() }
            mstore(0, eq(mload(0), 1))
            return(0, 0x20)"""
"""Ends the contract with its answer."""
