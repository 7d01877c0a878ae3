"""One small model, its keys and proofs, and a prover that cheats."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from random import Random
from typing import Any

import numpy as np
import pytest
from attrs import evolve, frozen

from lazai_core.api.compute import CancelToken
from lazai_core.api.errors import ProofError, ProofMalformed, ProofRejected
from lazai_core.api.job import ProofEnvelope
from lazai_core.api.program import DType
from lazai_core.api.proof import AcceptancePolicy, Statement
from lazai_core.api.transcript import Transcript
from lazai_core.exact.builder import ProgramBuilder
from lazai_core.exact.codec import encode_inputs
from lazai_core.exact.cost import planned_usage
from lazai_core.exact.model import ExactModel
from lazai_core.exact.reference import run_job
from lazai_proof_stark import prover, verifier
from lazai_proof_stark.fuzz import FuzzReport, fuzz
from lazai_proof_stark.key_data import with_skeleton
from lazai_proof_stark.messages import Sender
from lazai_proof_stark.model_key import SYSTEM_NAME, VERSION, StarkProvingKey, make_key
from lazai_proof_stark.options import StarkOptions
from lazai_proof_stark.parameters import parameter_set
from lazai_proof_stark.system import StarkProofSystem

WIDTH = 12
ACCEPT_DEV = AcceptancePolicy(security_bits_min=10)
Array = np.ndarray[Any, Any]


@cache
def network(seed: int = 1, activation: str = "relu") -> ExactModel:
    """Two dense layers of the same shape with a function between them."""
    random = np.random.default_rng(seed)
    build = ProgramBuilder()
    x = build.input("x", DType.INT8, (2, WIDTH))
    for layer in range(2):
        weight = random.integers(-20, 21, (WIDTH, WIDTH))
        y = build.requantize(
            build.dense(x, weight, random.integers(-99, 100, WIDTH)), shift=6, low=-128, high=127, dtype=DType.INT8
        )
        values = np.arange(-128, 128)
        table = np.maximum(values, 0) if activation == "relu" else np.maximum(values, values // 4)
        x = build.table(y, table, offset=-128) if layer == 0 else y
    build.output("y", x)
    return build.build()


@cache
def tables(shape: tuple[int, ...]) -> ExactModel:
    """Two functions one after the other: the value between them is committed."""
    build = ProgramBuilder()
    x = build.input("x", DType.INT8, shape)
    y = build.table(x, np.arange(-128, 128)[::-1].copy(), offset=-128)
    build.output("y", build.table(y, np.maximum(np.arange(-128, 128), -3), offset=-128))
    return build.build()


@frozen(kw_only=True, eq=False)
class Run:
    """A model's key, one honest run of it, and its proof."""

    model: ExactModel
    key: StarkProvingKey
    statement: Statement
    trace: tuple[Array, ...]
    proof: bytes

    def verify(
        self, proof: bytes | None = None, statement: Statement | None = None, key: StarkProvingKey | None = None
    ) -> None:
        """The plugin's verifier on this run, some of it replaced."""
        chosen = key or self.key
        envelope = ProofEnvelope(system=SYSTEM_NAME, version=VERSION, data=self.proof if proof is None else proof)
        system().verify(chosen.verifying_key, statement or self.statement, envelope, ACCEPT_DEV)


@cache
def system() -> StarkProofSystem:
    """A verifier whose own set is the strong one; what it accepts is up to the policy."""
    return StarkProofSystem(StarkOptions())


@cache
def key_of(model: ExactModel, parameters: str = "dev") -> StarkProvingKey:
    """Made once."""
    return with_skeleton(make_key(model.program, model.constants, parameter_set(parameters)))


def inputs_of(model: ExactModel, seed: int) -> list[Array]:
    """Random inputs."""
    random = np.random.default_rng(seed)
    return [random.integers(i.low, i.high + 1, i.shape).astype(np.int8) for i in model.program.inputs]


def honest(model: ExactModel, seed: int = 0, parameters: str = "dev", **changes: Any) -> Run:
    """Run and prove."""
    key = key_of(model, parameters)
    data = encode_inputs(model.program, inputs_of(model, seed))
    found = run_job(model, data, keep_trace=True)
    assert found.trace is not None
    statement = evolve(
        Statement(
            program_digest=model.program.digest(),
            job_id=bytes(range(32)),
            chain_id=7,
            input=data,
            output=found.output_bytes(),
            usage=planned_usage(found.bound),
        ),
        **changes,
    )
    trace = tuple(np.asarray(a) for a in found.trace.arrays)
    proof = prover.prove(key, statement, trace, CancelToken())
    return Run(model=model, key=key, statement=statement, trace=trace, proof=proof)


@cache
def one_run() -> Run:
    """The run that most tests attack."""
    return honest(network())


def refused(action: Callable[[], object]) -> ProofError:
    """The action must be refused in one of the two documented ways."""
    with pytest.raises((ProofMalformed, ProofRejected)) as caught:
        action()
    return caught.value


class Cheater:
    """A prover that may change any column before it commits, and any public value that it claims."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def prove(
        self,
        run: Run,
        trace: Sequence[Array],
        output: bytes | None = None,
        tamper: Callable[[Any], None] | None = None,
        statement: Statement | None = None,
    ) -> tuple[Statement, bytes]:
        """A proof of a (false) statement from a changed trace and changed columns; multiplicities are recounted."""
        made = prover.make_witness

        def changed(*arguments: Any) -> Any:
            witness = made(*arguments)
            if tamper is not None:
                tamper(witness)
            return witness

        claimed = statement or evolve(run.statement, output=output if output is not None else run.statement.output)
        with self._monkeypatch.context() as patch:
            patch.setattr(prover, "make_witness", changed)
            return claimed, prover.prove(run.key, claimed, trace, CancelToken())


def word_offsets(proof: bytes, random: Random, count: int) -> Iterator[int]:
    """Byte offsets of some 32-bit words."""
    for _ in range(count):
        yield 4 * random.randrange(len(proof) // 4)


def record(monkeypatch: pytest.MonkeyPatch) -> tuple[list[tuple[str, bytes]], list[tuple[str, bytes]]]:
    """What all transcripts absorb, and the streams that they give, from now on."""
    absorbed: list[tuple[str, bytes]] = []
    drawn: list[tuple[str, bytes]] = []
    absorb, challenge = Transcript.absorb, Transcript.challenge_bytes

    def recording_absorb(self: Transcript, label: str, data: bytes) -> None:
        absorbed.append((label, data))
        absorb(self, label, data)

    def recording_challenge(self: Transcript, label: str, count: int) -> bytes:
        data = challenge(self, label, count)
        drawn.append((label, data))
        return data

    monkeypatch.setattr(Transcript, "absorb", recording_absorb)
    monkeypatch.setattr(Transcript, "challenge_bytes", recording_challenge)
    return absorbed, drawn


def verify_quietly(run: Run, proof: bytes, statement: Statement | None = None) -> ProofError | None:
    """The refusal, or None."""
    try:
        run.verify(proof, statement)
    except (ProofMalformed, ProofRejected) as refusal:
        return refusal
    return None


Messages = list[tuple[int, int, int, int, int]]


def altered(monkeypatch: pytest.MonkeyPatch, label: str, occurrence: int, change: Any) -> None:
    """Change the elements that the prover sends under a label the n-th time (-1: the last of this proof)."""
    send = Sender.send_elements
    seen: list[int] = []

    def sending(self: Sender, name: str, values: Any) -> None:
        if name == label:
            seen.append(1)
            if len(seen) - 1 == occurrence:
                values = change(list(values))
        send(self, name, values)

    monkeypatch.setattr(Sender, "send_elements", sending)


def mutate(run: Run, count: int, seed: int) -> FuzzReport:
    """Random mutations, none of which makes the verifier read more messages than the honest proof."""
    calls = 0
    absorb = Transcript.absorb

    def counting(self: Transcript, label: str, data: bytes) -> None:
        nonlocal calls
        calls += 1
        absorb(self, label, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Transcript, "absorb", counting)
        run.verify()
        honest_calls = calls

        def verify(proof: bytes) -> None:
            nonlocal calls
            calls = 0
            try:
                run.verify(proof)
            finally:
                assert calls <= honest_calls

        return fuzz(verify, run.proof, count, seed)


__all__ = [name for name in dir() if not name.startswith("_")] + ["verifier"]
