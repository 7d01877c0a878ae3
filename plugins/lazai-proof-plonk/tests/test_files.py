"""Readers and writers: round trips, strictness, fuzz."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve
from plonk_cases import Case, made_case

from lazai_core.api.errors import EncodingError
from lazai_core.testing.cases import cases
from lazai_proof_plonk.files.container import read_container, write_container
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
from lazai_proof_plonk.native_key_file import read_native_key, write_native_key
from lazai_proof_plonk.parameters import FIELD, ORDER

Pair = tuple[Callable[[bytes], Any], bytes]


def binary_files() -> dict[str, Pair]:
    case = made_case()
    return {
        "r1cs": (read_r1cs, write_r1cs(case.circuit)),
        "wtns": (read_wtns, write_wtns(limbs_from_integers(case.witness))),
        "ptau": (read_ptau, write_ptau(evolve_power(case))),
        "zkey": (read_zkey, write_zkey(case.zkey)),
        "lzpk": (read_native_key, write_native_key(case.native)),
    }


def evolve_power(case: Case) -> Any:
    return evolve(case.powers, g1=case.powers.g1[:15], g2=case.powers.g2[:8], power=3, ceremony_power=3)


def json_files() -> dict[str, Pair]:
    case = made_case()
    return {
        "proof.json": (read_proof, write_proof(case.proof).encode()),
        "public.json": (read_public, write_public(case.public).encode()),
        "verification_key.json": (read_verification_key, write_verification_key(case.prover.key).encode()),
    }


def test_files_come_back_as_they_were(case: Case) -> None:
    files = binary_files()
    assert write_r1cs(read_r1cs(files["r1cs"][1])) == files["r1cs"][1]
    assert write_wtns(read_wtns(files["wtns"][1])) == files["wtns"][1]
    assert write_ptau(read_ptau(files["ptau"][1])) == files["ptau"][1]
    assert write_zkey(read_zkey(files["zkey"][1])) == files["zkey"][1]
    assert write_native_key(read_native_key(files["lzpk"][1])) == files["lzpk"][1]
    assert read_proof(write_proof(case.proof)) == case.proof
    assert read_public(write_public(case.public)) == case.public
    assert read_verification_key(write_verification_key(case.prover.key)) == case.prover.key


@pytest.mark.parametrize("name", ["r1cs", "wtns", "ptau", "zkey", "lzpk"])
def test_mutated_files_raise_encoding_errors_or_read_as_something_else(name: str) -> None:
    read, data = binary_files()[name]
    for fuzz in cases(150):
        with fuzz:
            mutated = fuzz.mutate(data)
            try:
                read(mutated)
            except EncodingError as error:
                told = str(error)
            else:
                continue
            assert f".{name}" in told or "offset" in told


@pytest.mark.parametrize("name", ["r1cs", "wtns", "ptau", "zkey", "lzpk"])
def test_truncated_and_extended_files_are_refused(name: str) -> None:
    read, data = binary_files()[name]
    for length in (0, 3, 4, 11, 12, 23, 24, 30, len(data) // 2, len(data) - 1):
        with pytest.raises(EncodingError):
            read(data[:length])
    with pytest.raises(EncodingError, match="follow the last section"):
        read(data + b"\x00")


def test_sections_may_come_in_any_order_and_unknown_ones_are_ignored(case: Case) -> None:
    data = write_zkey(case.zkey)
    sections = [(section.number, [section.body]) for section in read_container(data, b"zkey", (1,)).sections]
    shuffled = write_container(b"zkey", 1, [(99, [b"anything"]), *reversed(sections)])

    assert write_zkey(read_zkey(shuffled)) == data


def test_a_section_that_occurs_twice_is_refused(case: Case) -> None:
    sections = [
        (section.number, [section.body]) for section in read_container(write_zkey(case.zkey), b"zkey", (1,)).sections
    ]
    with pytest.raises(EncodingError, match="section 7 must occur once, it occurs 2 times"):
        read_zkey(write_container(b"zkey", 1, [*sections, sections[4]]))


def test_huge_counts_are_refused_at_once() -> None:
    header = b"\x20\x00\x00\x00" + ORDER.to_bytes(32, "little")
    body = header + (2**32 - 1).to_bytes(4, "little") + bytes(12) + bytes(8) + (2**32 - 1).to_bytes(4, "little")
    with pytest.raises(EncodingError):
        read_r1cs(write_container(b"r1cs", 1, [(1, [body]), (2, [b""])]))
    with pytest.raises(EncodingError, match="sections are more than"):
        read_container(b"r1cs\x01\x00\x00\x00\xff\xff\xff\xff", b"r1cs", (1,))
    with pytest.raises(EncodingError):
        read_wtns(write_container(b"wtns", 2, [(1, [header + b"\xff\xff\xff\xff"]), (2, [b""])]))


def test_a_circuit_without_labels_costs_no_memory_for_them() -> None:
    header = b"\x20\x00\x00\x00" + ORDER.to_bytes(32, "little")
    body = header + (1 << 26).to_bytes(4, "little") + bytes(12) + bytes(8) + bytes(4)
    data = write_container(b"r1cs", 1, [(1, [body]), (2, [b""])])
    circuit = read_r1cs(data)
    assert circuit.labels == ()
    assert write_r1cs(circuit) == data


def test_a_witness_value_that_is_not_canonical_is_named_by_its_offset() -> None:
    data = bytearray(write_wtns(limbs_from_integers([1, 2, 3])))
    data[-32:] = ORDER.to_bytes(32, "little")
    with pytest.raises(EncodingError, match=r"section 2 at offset \d+: element 2 is not below the prime"):
        read_wtns(bytes(data))


# JSON: one number has one text (zk.md rows 17, 18).


def test_proofs_in_other_texts_are_refused(case: Case) -> None:
    proof = json.loads(write_proof(case.proof))
    value, x = int(proof["eval_a"]), int(proof["A"][0])
    text: Any
    point: Any
    for text in (
        str(value + ORDER),
        "0" + proof["eval_a"],
        hex(value),
        "-1",
        "1e3",
        "",
        " 1",
        "+1",
        value,
        None,
        [],
        1.5,
    ):
        with pytest.raises(EncodingError):
            read_proof(json.dumps(proof | {"eval_a": text}))
    for point in (
        [str(x + FIELD), proof["A"][1], "1"],
        [proof["A"][0], proof["A"][1], "2"],
        ["0", "0", "1"],
        ["1"],
        {},
    ):
        with pytest.raises(EncodingError):
            read_proof(json.dumps(proof | {"A": point}))


def test_unknown_missing_and_doubled_keys_are_refused(case: Case) -> None:
    text = write_proof(case.proof)
    proof = json.loads(text)
    with pytest.raises(EncodingError, match="unknown keys"):
        read_proof(json.dumps(proof | {"extra": "1"}))
    del proof["Z"]
    with pytest.raises(EncodingError, match="missing keys"):
        read_proof(json.dumps(proof))
    with pytest.raises(EncodingError, match="twice"):
        read_proof(text.replace('"eval_a"', '"eval_b"', 1))


def test_deep_large_and_strange_json_is_refused() -> None:
    for text in (
        "[" * 100_000,
        "{" * 50_000,
        "NaN",
        "[1.0]",
        "",
        "\xff",
        "[" + "1," * 9 + "1]",
        "9" * 5000,
        '["1", 1]',
    ):
        with pytest.raises(EncodingError):
            read_public(text)
    with pytest.raises(EncodingError, match="bytes are more than"):
        read_public(" " * (1 << 21))


@pytest.mark.parametrize("name", ["proof.json", "public.json", "verification_key.json"])
def test_mutated_json_raises_encoding_errors_only(name: str) -> None:
    read, data = json_files()[name]
    for fuzz in cases(200):
        with fuzz:
            try:
                read(fuzz.mutate(data))
            except EncodingError:
                continue


def test_a_key_with_another_root_or_tiny_domain_is_refused(case: Case) -> None:
    key = json.loads(write_verification_key(case.prover.key))
    for changes in (
        {"w": "1"},
        {"power": 2},
        {"power": -1},
        {"power": 10**9},
        {"nPublic": 10**9},
        {"curve": "bls12381"},
    ):
        with pytest.raises(EncodingError):
            read_verification_key(json.dumps(key | changes))


@pytest.mark.parametrize("size", [0, 1, 4, 255, 257, 2**32 - 1])
def test_a_key_whose_domain_is_no_power_of_two_is_refused(case: Case, size: int) -> None:
    # Row 27.
    sections = read_container(write_zkey(case.zkey), b"zkey", (1,)).sections
    changed = []
    for section in sections:
        body = bytearray(section.body)
        if section.number == 2:
            assert int.from_bytes(body[80:84], "little") == case.zkey.domain_size
            body[80:84] = size.to_bytes(4, "little")
        changed.append((section.number, [bytes(body)]))
    with pytest.raises(EncodingError):
        read_zkey(write_container(b"zkey", 1, changed))
