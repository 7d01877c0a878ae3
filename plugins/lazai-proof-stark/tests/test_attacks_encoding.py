"""One value, one encoding (classes 17, 18)."""

from __future__ import annotations

from random import Random

import pytest
from attack_cases import (
    Run,
    record,
    refused,
    word_offsets,
)

from lazai_proof_stark.field import P


def test_field_elements_plus_p_are_refused(run: Run) -> None:
    """All words of the first messages that still fit 32 bits with p added are malformed, never another proof."""
    random = Random(9)
    tried = 0
    for offset in word_offsets(run.proof, random, 200):
        value = int.from_bytes(run.proof[offset : offset + 4], "little")
        if value + P < 1 << 32:
            changed = bytearray(run.proof)
            changed[offset : offset + 4] = (value + P).to_bytes(4, "little")
            refused(lambda changed=changed: run.verify(bytes(changed)))
            tried += 1
    assert tried > 50


def test_a_nonces_upper_bits_are_no_second_encoding(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    absorbed, _ = record(monkeypatch)
    run.verify()
    nonce = next(data for label, data in absorbed if label == "grind")
    offset = run.proof.index(nonce)
    for bit in (62, 63):
        changed = int.from_bytes(nonce, "little") | 1 << bit
        proof = run.proof[:offset] + changed.to_bytes(8, "little") + run.proof[offset + 8 :]
        refused(lambda proof=proof: run.verify(proof))
