"""Row 28: random mutations of proofs, keys and every file format. `LAZAI_FUZZ_MUTATIONS=100000` is the long run.

What is a proof or a key is refused always. A mutated file may still be a file, of something else: then what uses it
next must take it or refuse it, and a key that was changed must not accept the honest proof.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from functools import cache

import pytest
from attrs import evolve
from plonk_cases import CONTEXT, made_case

from lazai_core.api.errors import EncodingError, ProofError
from lazai_proof_plonk import native_verifier, snarkjs_verifier
from lazai_proof_plonk.ceremony import CeremonyRefused, check_powers, insecure_test_powers
from lazai_proof_plonk.files.json_codec import (
    read_proof,
    read_public,
    read_verification_key,
    write_proof,
    write_public,
    write_verification_key,
)
from lazai_proof_plonk.files.limbs import limbs_from_integers
from lazai_proof_plonk.files.ptau import read_ptau, write_ptau
from lazai_proof_plonk.files.r1cs import read_r1cs, write_r1cs
from lazai_proof_plonk.files.wtns import read_wtns, write_wtns
from lazai_proof_plonk.files.zkey import read_zkey, write_zkey
from lazai_proof_plonk.native_key import NativeKey
from lazai_proof_plonk.native_key_file import read_native_key, write_native_key
from lazai_proof_plonk.parameters import ORDER
from lazai_proof_plonk.r1cs_gates import gates_of
from lazai_proof_plonk.snarkjs_setup import verification_key

MUTATIONS = int(os.environ.get("LAZAI_FUZZ_MUTATIONS", "600"))
HANG_SECONDS = 60
REFUSALS = (ProofError, EncodingError, CeremonyRefused)
Judge = Callable[[bytes], bool]
"""Raises one of `REFUSALS`, or says whether what was read says the same as before."""


def native_proof(data: bytes) -> bool:
    case = made_case()
    native_verifier.verify(case.native_key, case.public, data, CONTEXT, trusted_key=True)
    raise AssertionError("a mutated proof was accepted")


def native_key(data: bytes) -> bool:
    case = made_case()
    native_verifier.verify(NativeKey.decode(data), case.public, case.native_proof, CONTEXT)
    raise AssertionError("a mutated key accepted the proof")


def proof_json(data: bytes) -> bool:
    case = made_case()
    found = read_proof(data)
    if found != case.proof:
        snarkjs_verifier.verify(case.prover.key, case.public, found)
        raise AssertionError("a mutated proof was accepted")
    return True


def public_json(data: bytes) -> bool:
    case = made_case()
    found = read_public(data)
    if found != case.public:
        snarkjs_verifier.verify(case.prover.key, found, case.proof)
        raise AssertionError("mutated public values were accepted")
    return True


def key_json(data: bytes) -> bool:
    case = made_case()
    found = read_verification_key(data)
    if found != case.prover.key:
        snarkjs_verifier.verify(found, case.public, case.proof)
        raise AssertionError("a mutated key accepted the proof")
    return True


def r1cs(data: bytes) -> bool:
    found = read_r1cs(data)
    gates_of(found)
    return write_r1cs(found) == write_r1cs(made_case().circuit)


def wtns(data: bytes) -> bool:
    return write_wtns(read_wtns(data)) == write_wtns(limbs_from_integers(made_case().witness))


@cache
def small_powers() -> bytes:
    powers = insecure_test_powers(8)
    return write_ptau(evolve(powers, g1=powers.g1[:15], g2=powers.g2[:8], power=3, ceremony_power=3))


def ptau(data: bytes) -> bool:
    found, honest = read_ptau(data), read_ptau(small_powers())
    # Powers in G2 above the first are read, but no prover and no verifier uses them.
    if bool((found.g1[:15] != honest.g1).any() or (found.g2[:2] != honest.g2[:2]).any()):
        check_powers(found, "seed")
        raise AssertionError("mutated powers passed for those of one tau")
    return write_ptau(found) == small_powers()


def zkey(data: bytes) -> bool:
    case = made_case()
    found = read_zkey(data)
    if verification_key(found) != case.prover.key:
        snarkjs_verifier.verify(verification_key(found), case.public, case.proof)
        raise AssertionError("a mutated key accepted the proof")
    return write_zkey(found) == write_zkey(case.zkey)


def lzpk(data: bytes) -> bool:
    case = made_case()
    found = read_native_key(data)
    if found.key != case.native_key:
        native_verifier.verify(found.key, case.public, case.native_proof, CONTEXT)
        raise AssertionError("a mutated key accepted the proof")
    return write_native_key(found) == write_native_key(case.native)


def mutate(data: bytes, source: random.Random) -> bytes:
    """One to three random changes: flips, words, cuts, insertions, swaps."""
    out = bytearray(data)
    for _ in range(source.randint(1, 3)):
        at = source.randrange(len(out) + 1)
        kind = source.randrange(6)
        if kind == 0 and at < len(out):
            out[at] ^= 1 << source.randrange(8)
        elif kind == 1:
            word = 32 * (at // 32)
            out[word : word + 32] = source.choice(
                [bytes(32), b"\xff" * 32, ORDER.to_bytes(32, "big"), source.randbytes(32)]
            )
        elif kind == 2:
            del out[at : at + source.randint(1, 40)]
        elif kind == 3:
            out[at:at] = source.randbytes(source.randint(1, 40))
        elif kind == 4 and len(out) >= 64:
            first, second = (32 * source.randrange(len(out) // 32) for _ in range(2))
            out[first : first + 32], out[second : second + 32] = out[second : second + 32], out[first : first + 32]
        elif at < len(out):
            out[at] = source.randrange(256)
    return bytes(out)


@cache
def formats() -> dict[str, tuple[bytes, Judge]]:
    case = made_case()
    return {
        "native proof": (case.native_proof, native_proof),
        "native key": (case.native_key.encode(), native_key),
        "proof.json": (write_proof(case.proof).encode(), proof_json),
        "public.json": (write_public(case.public).encode(), public_json),
        "verification_key.json": (write_verification_key(case.prover.key).encode(), key_json),
        "r1cs": (write_r1cs(case.circuit), r1cs),
        "wtns": (write_wtns(limbs_from_integers(case.witness)), wtns),
        "ptau": (small_powers(), ptau),
        "zkey": (write_zkey(case.zkey), zkey),
        "lzpk": (write_native_key(case.native), lzpk),
    }


STRICT = ("native proof", "native key")


@pytest.mark.parametrize("name", list(formats()))
def test_mutations_are_refused_or_are_something_else(name: str) -> None:
    data, judge = formats()[name]
    source = random.Random(7)
    refused = same = 0
    slowest, reasons = 0.0, set[str]()
    for number in range(MUTATIONS):
        mutated = mutate(data, source)
        if mutated == data:
            continue
        start = time.perf_counter()
        try:
            same += judge(mutated)
        except REFUSALS as error:
            refused += 1
            reasons.add(error.message)
        except Exception as error:
            error.add_note(f"mutation {number} of {name}")
            raise
        slowest = max(slowest, time.perf_counter() - start)
    print(f"{name}: {refused} of {MUTATIONS} refused, {same} said the same, slowest {1000 * slowest:.1f} ms")
    assert refused > MUTATIONS // 3
    assert slowest < HANG_SECONDS
    assert "" not in reasons
    if name in STRICT:
        assert same == 0


@pytest.mark.parametrize("name", list(formats()))
def test_what_was_not_mutated_is_taken(name: str) -> None:
    data, judge = formats()[name]
    if name in STRICT:
        with pytest.raises(AssertionError, match="accepted"):
            judge(data)
    else:
        assert judge(data)
