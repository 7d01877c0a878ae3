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

from lazai_core.api.errors import EncodingError
from lazai_core.api.job import ProofEnvelope
from lazai_proof_stark.field import P
from lazai_proof_stark.model_key import SYSTEM_NAME, VERSION


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


def nonce_of(run: Run, absorbed: list[tuple[str, bytes]]) -> tuple[int, bytes]:
    """Place and bytes of the first nonce. It may be a small number, found elsewhere too: what stands before is not."""
    place = next(index for index, (label, _) in enumerate(absorbed) if label == "grind")
    before, nonce = absorbed[place - 1][1], absorbed[place][1]
    return run.proof.index(before + nonce) + len(before), nonce


def test_a_nonces_upper_bits_are_no_second_encoding(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    absorbed, _ = record(monkeypatch)
    run.verify()
    offset, nonce = nonce_of(run, absorbed)
    for bit in (62, 63):
        changed = int.from_bytes(nonce, "little") | 1 << bit
        proof = run.proof[:offset] + changed.to_bytes(8, "little") + run.proof[offset + 8 :]
        refused(lambda proof=proof: run.verify(proof))


def test_another_nonce_that_shows_work_is_no_second_proof(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The nonce is absorbed before the queries are drawn: whoever changes it owes other answers."""
    with monkeypatch.context() as patch:
        absorbed, _ = record(patch)
        run.verify()
    offset, nonce = nonce_of(run, absorbed)
    found = set()
    for step in range(1, 200):
        changed = (int.from_bytes(nonce, "little") + step).to_bytes(8, "little")
        refusal = refused(lambda c=changed: run.verify(run.proof[:offset] + c + run.proof[offset + 8 :]))
        found.add(getattr(refusal, "check", "malformed"))
    # Some of them show the work that the weak set asks for, and fail at the answers.
    assert "grinding" in found
    assert found - {"grinding"}


def test_an_envelope_has_one_form(run: Run) -> None:
    envelope = ProofEnvelope(system=SYSTEM_NAME, version=VERSION, data=run.proof)
    data = envelope.encode()
    assert ProofEnvelope.decode(data) == envelope
    for changed in (data + b"\0", data[:-1], b"\0" + data):
        with pytest.raises(EncodingError):
            ProofEnvelope.decode(changed)


def test_zero_has_one_encoding(run: Run) -> None:
    """No sign, and no p in its place: where an honest proof holds a zero word, p there is malformed."""
    zeros = [offset for offset in range(0, len(run.proof), 4) if run.proof[offset : offset + 4] == bytes(4)]
    assert zeros
    for offset in zeros[:20]:
        for other in (P, P | 1 << 31, 1 << 31):
            changed = run.proof[:offset] + other.to_bytes(4, "little") + run.proof[offset + 4 :]
            refused(lambda changed=changed: run.verify(changed))
