"""The classes of attack on general computations: what is public, what is said late, sums, shapes, encodings."""

from __future__ import annotations

import os
from random import Random
from typing import Any

import numpy as np
import pytest
from attack_cases import record, refused

from lazai_core.api.errors import ProofMalformed, ProofRejected
from lazai_core.api.transcript import Transcript
from lazai_proof_stark import scalars as f
from lazai_proof_stark.air import Air, prove_air, verify_air
from lazai_proof_stark.air import prove as prover
from lazai_proof_stark.air.examples.fibonacci import fibonacci, fibonacci_table
from lazai_proof_stark.air.examples.memory import Access, memory, memory_table
from lazai_proof_stark.field import P
from lazai_proof_stark.fuzz import fuzz
from lazai_proof_stark.kernels.arrays import extension_array, extension_values
from lazai_proof_stark.messages import Sender
from lazai_proof_stark.parameters import parameter_set

DEV = parameter_set("dev")
ROWS = 32


def machine() -> tuple[Air, dict[str, Any], list[int], bytes]:
    """A memory, its table, what is public of it, and a proof."""
    accesses = [Access(time % 5, 100 + time, time % 3 != 2 or time < 5) for time in range(ROWS)]
    held: dict[int, int] = {}
    for time, access in enumerate(accesses):
        if access.is_write:
            held[access.address] = access.value
        else:
            accesses[time] = Access(access.address, held[access.address], False)
    air, table = memory(5), memory_table(accesses)
    return air, table, prover.public_values(air, table), prove_air(air, table, DEV)


def said(air: Air, publics: list[int], proof: bytes, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bytes]]:
    """All that is absorbed, public data included."""
    with monkeypatch.context() as patch:
        absorbed, _ = record(patch)
        verify_air(air, publics, proof, DEV, 0)
    return absorbed


# 1, 16, 17: public data.


def test_the_computation_and_its_public_cells_are_absorbed_first(monkeypatch: pytest.MonkeyPatch) -> None:
    air, _, publics, proof = machine()
    absorbed = said(air, publics, proof, monkeypatch)
    assert [label for label, _ in absorbed[:3]] == ["parameters", "computation", "public"]
    assert [data for _, data in absorbed[:2]] == [DEV.digest, air.digest()]
    labels = [label for label, _ in absorbed[3:]]
    assert labels.index("columns") < labels.index("root") < labels.index("bus cells") < labels.index("cells")


def test_another_public_value_changes_every_challenge(monkeypatch: pytest.MonkeyPatch) -> None:
    air, table = fibonacci(5), fibonacci_table(5)
    publics, proof = prover.public_values(air, table), prove_air(air, table, DEV)
    _, drawn = record(monkeypatch)
    verify_air(air, publics, proof, DEV, 0)
    usual = list(drawn)
    for index in range(len(publics)):
        drawn.clear()
        changed = [value ^ (place == index) for place, value in enumerate(publics)]
        refused(lambda changed=changed: verify_air(air, changed, proof, DEV, 0))
        assert drawn
        assert all(a != b for a, b in zip(drawn, usual, strict=False))
        aliased = [value + P * (place == index) for place, value in enumerate(publics)]
        refused(lambda aliased=aliased: verify_air(air, aliased, proof, DEV, 0))


# 3, 10, 15: messages.


def test_every_message_is_wanted_once_and_of_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    air, _, publics, proof = machine()
    absorbed = said(air, publics, proof, monkeypatch)[3:]
    parts = [data for _, data in absorbed][: [label for label, _ in absorbed].index("grind") + 1]
    rest = proof[sum(map(len, parts)) :]
    assert b"".join(parts) + rest == proof
    for index, part in enumerate(parts):
        before, after = parts[:index], parts[index + 1 :]
        for changed in ([], [part, part], [bytes(len(part))], [part + bytes(20)], [part[:-20]]):
            data = b"".join([*before, *changed, *after]) + rest
            if data != proof:
                refused(lambda data=data: verify_air(air, publics, data, DEV, 0))


@pytest.mark.parametrize("label", ["cells", "bus cells", "round", "root", "children", "final"])
def test_any_claim_changed_by_one_is_refused(label: str, monkeypatch: pytest.MonkeyPatch) -> None:
    air, table, publics, honest = machine()
    send = Sender.send_elements
    changed: list[str] = []

    def sending(self: Sender, name: str, values: Any) -> None:
        if name == label and not changed:
            changed.append(name)
            values = [f.add(values[0], f.ONE), *values[1:]]
        send(self, name, values)

    with monkeypatch.context() as patch:
        patch.setattr(Sender, "send_elements", sending)
        proof = prove_air(air, table, DEV)
    assert proof != honest
    refused(lambda: verify_air(air, publics, proof, DEV, 0))


# 4, 5, 13: sums over buses, and multiplicities.


def unchecked(patch: pytest.MonkeyPatch) -> None:
    """A prover that does not look at its table first."""
    patch.setattr(prover, "_check_table", lambda *_: None)
    patch.setattr(prover, "_check_buses", lambda *_: None)


@pytest.mark.parametrize("right", [[5] * ROWS, [1] * ROWS, [*range(1, ROWS), 1]], ids=["fives", "ones", "one twice"])
def test_repeating_some_entries_is_no_shuffle(right: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """What a shuffle argument that ignores multiplicities would take: all entries occur on the other side."""
    unchecked(monkeypatch)
    air = Air("shuffle", ("a", "b"), 5)
    air.permutation("order", [air.row["a"]], [air.row["b"]])
    numbers = list(range(1, ROWS + 1))
    refused(lambda: verify_air(air, [], prove_air(air, {"a": numbers, "b": right}, DEV), DEV, 0))
    verify_air(air, [], prove_air(air, {"a": numbers, "b": numbers[::-1]}, DEV), DEV, 0)


@pytest.mark.parametrize("delta", [1, P - 1, P // 2])
def test_wrong_multiplicities_are_refused(delta: int, monkeypatch: pytest.MonkeyPatch) -> None:
    air, table, publics, _ = machine()
    unchecked(monkeypatch)
    for row in (0, 3, ROWS - 1):
        forged = table | {"asked": (table["asked"] + delta * (np.arange(ROWS) == row)) % P}
        refused(lambda forged=forged: verify_air(air, publics, prove_air(air, forged, DEV), DEV, 0))


def test_fractions_that_the_columns_do_not_give_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    air, table, publics, _ = machine()
    zero_sum = prover.prove_zero_sum

    def compensated(p: Any, q: Any, channel: Sender) -> Any:
        numerators, denominators = extension_values(p), extension_values(q)
        numerators[1] = f.add(numerators[1], denominators[1])
        numerators[9] = f.subtract(numerators[9], denominators[9])
        return zero_sum(extension_array(numerators), extension_array(denominators), channel)

    monkeypatch.setattr(prover, "prove_zero_sum", compensated)
    found = refused(lambda: verify_air(air, publics, prove_air(air, table, DEV), DEV, 0))
    assert isinstance(found, ProofRejected)
    assert found.check == "bus"


# 8, 27: degenerate challenges and sizes.


@pytest.mark.parametrize("value", [0, 1])
@pytest.mark.parametrize("label", ["bus", "constraints", "rows", "round", "join", "child", "mix"])
def test_degenerate_challenges_are_no_crash(label: str, value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    drawing = Transcript.challenge_integers

    def constant(self: Transcript, name: str, bound: int, count: int) -> Any:
        found = drawing(self, name, bound, count)
        return tuple(value if place % 5 == 0 else 0 for place in range(count)) if name == label else found

    air, table, publics, _ = machine()
    monkeypatch.setattr(Transcript, "challenge_integers", constant)
    refusal = None
    try:
        verify_air(air, publics, prove_air(air, table, DEV), DEV, 0)
    except (ProofMalformed, ProofRejected) as caught:
        refusal = caught
    if value == 0 and label in ("rows", "child"):
        assert refusal is not None
        assert "challenge is zero" in refusal.message
    if label in ("constraints", "join"):
        assert refusal is None


def test_tables_of_zeros_and_of_one_value() -> None:
    air = Air("same", ("a",), 4)
    air.always("same", air.following["a"] - air.row["a"])
    air.public("a", 3)
    for value in (0, 1, P - 1):
        proof = prove_air(air, {"a": [value] * 16}, DEV)
        verify_air(air, [value], proof, DEV, 0)
        refused(lambda value=value, proof=proof: verify_air(air, [(value + 1) % P], proof, DEV, 0))


# 10: other shapes.


def test_a_proof_of_another_length_or_order_of_columns_is_refused() -> None:
    _, _, publics, proof = machine()
    refused(lambda: verify_air(memory(6), publics, proof, DEV, 0))
    renamed = fibonacci(5)
    swapped = Air("fibonacci", ("b", "a"), 5)
    swapped.transition("shift", swapped.following["a"] - swapped.row["b"])
    swapped.transition("sum", swapped.following["b"] - swapped.row["a"] - swapped.row["b"])
    for column, row in (("a", 0), ("b", 0), ("b", -1)):
        swapped.public(column, row)
    table = fibonacci_table(5)
    values = prover.public_values(renamed, table)
    assert swapped.digest() != renamed.digest()
    refused(lambda: verify_air(swapped, values, prove_air(renamed, table, DEV), DEV, 0))


# 17, 18, 28: bytes.


def test_words_plus_p_are_malformed() -> None:
    air, _, publics, proof = machine()
    random, tried = Random(1), 0
    for _ in range(150):
        offset = 4 * random.randrange(len(proof) // 4)
        value = int.from_bytes(proof[offset : offset + 4], "little") + P
        if value < 1 << 32:
            changed = proof[:offset] + value.to_bytes(4, "little") + proof[offset + 4 :]
            refused(lambda changed=changed: verify_air(air, publics, changed, DEV, 0))
            tried += 1
    assert tried > 40


def test_mutations_are_refused_in_words() -> None:
    air, _, publics, proof = machine()
    count = int(os.environ.get("LAZAI_MUTATIONS", "2000")) // 4
    found = fuzz(lambda data: verify_air(air, publics, data, DEV, 0), proof, count, seed=3)
    assert found.tried == count
    assert found.accepted == 0
    assert {"malformed", "merkle path", "lookup level", "constraints"} <= set(found.reasons)


# 29: padding.


def test_unused_columns_of_the_commitment_prove_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns beyond the table hold whatever the prover likes; nothing reads them."""
    air, table = fibonacci(5), fibonacci_table(5)
    publics, honest = prover.public_values(air, table), prove_air(air, table, DEV)
    commit = prover.commit

    def padded(cells: Any, parameters: Any) -> Any:
        changed = cells.copy()
        changed[2 * 32 :] = np.random.default_rng(1).integers(0, P, len(cells) - 64, dtype=np.uint32)
        return commit(changed, parameters)

    monkeypatch.setattr(prover, "commit", padded)
    proof = prove_air(air, table, DEV)
    assert proof != honest
    verify_air(air, publics, proof, DEV, 0)
    unchecked(monkeypatch)
    table["b"][7] += 1
    refused(lambda: verify_air(air, publics, prove_air(air, table, DEV), DEV, 0))
