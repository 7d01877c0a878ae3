"""Verifying keys: every part is bound, hostile ones are refused (classes 14, 21)."""

from __future__ import annotations

from random import Random

import pytest
from attack_cases import (
    Run,
    refused,
)
from attrs import evolve

from lazai_proof_stark.key_data import encode_key_data, with_skeleton
from lazai_proof_stark.model_key import make_key
from lazai_proof_stark.parameters import parameter_set


def test_swapped_layers_of_the_same_shape_are_another_key(run: Run) -> None:
    program = run.model.program
    weights = [program.ops[i].operands[1] - program.first_constant for i in (0, 3)]
    arrays = list(run.model.constants)
    arrays[weights[0]], arrays[weights[1]] = arrays[weights[1]], arrays[weights[0]]
    other = with_skeleton(make_key(program, arrays, parameter_set("dev")))
    assert other.verifying_key.digest != run.key.verifying_key.digest
    refused(lambda: run.verify(key=other))


def test_every_part_of_the_key_is_bound(run: Run) -> None:
    key = run.key.weight_key
    cap = key.cap.copy()
    cap[0, 0] ^= 1
    sizes = evolve(key.sizes, range_bits=key.sizes.range_bits + 1)
    for changed in (
        evolve(key, cap=cap),
        evolve(key, sizes=sizes),
        evolve(key, parameters=parameter_set("proven100")),
        evolve(key, cap=key.cap[:8]),
    ):
        data = encode_key_data(run.model.program, changed)
        verifying = evolve(run.key.verifying_key, data=data)
        assert verifying.digest != run.key.verifying_key.digest
        refused(lambda verifying=verifying: run.verify(key=evolve(run.key, verifying_key=verifying)))


@pytest.mark.parametrize("reach", [0, 1, 255, (1 << 32) - 1])
def test_table_sizes_of_a_hostile_key_are_refused(run: Run, reach: int) -> None:
    key = run.key.weight_key
    for tabled in (True, False):
        for width in (0, 255, (1 << 32) - 1):
            sizes = evolve(
                key.sizes, range_bits=8, clamps=((width, reach, tabled, tabled), (255, reach, tabled, False))
            )
            data = encode_key_data(run.model.program, evolve(key, sizes=sizes))
            verifying = evolve(run.key.verifying_key, data=data)
            refused(lambda verifying=verifying: run.verify(key=evolve(run.key, verifying_key=verifying)))


def test_damaged_keys_are_refused(run: Run) -> None:
    random = Random(8)
    data = run.key.verifying_key.data
    for _ in range(150):
        changed = bytearray(data)
        changed[random.randrange(len(data))] ^= 1 << random.randrange(8)
        verifying = evolve(
            run.key.verifying_key, data=bytes(changed[: random.choice([len(data)] * 3 + [random.randrange(len(data))])])
        )
        refused(lambda verifying=verifying: run.verify(key=evolve(run.key, verifying_key=verifying)))


def test_every_byte_of_the_key_changes_its_digest_and_is_refused(run: Run) -> None:
    verifying = run.key.verifying_key
    for offset in range(len(verifying.data)):
        data = bytearray(verifying.data)
        data[offset] ^= 1
        changed = evolve(verifying, data=bytes(data))
        assert changed.digest != verifying.digest
        refused(lambda changed=changed: run.verify(key=evolve(run.key, verifying_key=changed)))
    for changed in (
        evolve(verifying, system="plonk"),
        evolve(verifying, version=2),
        evolve(verifying, program_digest=bytes(32)),
    ):
        assert changed.digest != verifying.digest
        refused(lambda changed=changed: run.verify(key=evolve(run.key, verifying_key=changed)))
