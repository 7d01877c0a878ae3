"""Known classes of attack on proof systems, each as a test through the plugin's own verifier and through bytes.

Numbers in the names of groups are those of the project's list of attack classes. Classes that live in one layer alone
(Merkle trees, final messages, grinding, fractions) are tested beside that layer.
"""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from attack_cases import (
    ACCEPT_DEV,
    Cheater,
    Run,
    honest,
    key_of,
    network,
    one_run,
    record,
    refused,
    system,
    tables,
    verify_quietly,
    word_offsets,
)
from attrs import evolve

from lazai_core.api.errors import ProofMalformed, ProofRejected, UnsupportedProgram
from lazai_core.api.job import ProofEnvelope
from lazai_core.api.program import Dim, DType
from lazai_core.api.proof import AcceptancePolicy
from lazai_core.api.transcript import Transcript
from lazai_core.exact.builder import ProgramBuilder
from lazai_core.exact.codec import encode_inputs
from lazai_core.exact.cost import planned_usage
from lazai_core.exact.reference import run_job
from lazai_proof_stark import commitment, prover, verifier
from lazai_proof_stark import field as f
from lazai_proof_stark.field import P
from lazai_proof_stark.fuzz import FuzzReport, fuzz
from lazai_proof_stark.key_data import encode_key_data, with_skeleton
from lazai_proof_stark.messages import Sender
from lazai_proof_stark.model_key import SYSTEM_NAME, VERSION, circuit_of, make_key
from lazai_proof_stark.parameters import PARAMETER_SETS, parameter_set

MUTATIONS = 2_000


@pytest.fixture
def run() -> Run:
    return one_run()


@pytest.fixture
def cheater(monkeypatch: pytest.MonkeyPatch) -> Cheater:
    return Cheater(monkeypatch)


def test_the_honest_proof_is_accepted(run: Run) -> None:
    run.verify()


def test_proving_twice_gives_the_same_bytes(run: Run) -> None:
    assert honest(run.model).proof == run.proof


# 1, 16: everything public is bound.


@pytest.mark.parametrize(
    "changes",
    [
        {"job_id": bytes(32)},
        {"chain_id": 8},
        {"output": b"flip"},
        {"input": b"flip"},
        {"program_digest": bytes(32)},
        {"usage": None},
    ],
    ids=["job", "chain", "output", "input", "program", "usage"],
)
def test_another_statement_is_refused(run: Run, changes: dict[str, Any]) -> None:
    for name, value in list(changes.items()):
        if value == b"flip":
            data = bytearray(getattr(run.statement, name))
            data[-1] ^= 1
            changes[name] = bytes(data)
        if name == "usage":
            changes[name] = evolve(run.statement.usage, flops=run.statement.usage.flops + 1)
    refused(lambda: run.verify(statement=evolve(run.statement, **changes)))


def test_every_byte_of_the_input_and_the_output_matters(run: Run) -> None:
    for name in ("input", "output"):
        data = getattr(run.statement, name)
        for offset in range(0, len(data), 5):
            changed = bytearray(data)
            changed[offset] ^= 2
            refused(
                lambda name=name, changed=changed: run.verify(statement=evolve(run.statement, **{name: bytes(changed)}))
            )


def test_longer_or_shorter_public_data_are_refused(run: Run) -> None:
    for name in ("input", "output"):
        data = getattr(run.statement, name)
        for changed in (data[:-1], data + b"\0", b"", data[:4]):
            refused(lambda name=name, changed=changed: run.verify(statement=evolve(run.statement, **{name: changed})))


def test_transcript_covers_statement_and_proof(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is absorbed, in order, is the public data and then every byte before the first opening's answers."""
    absorbed, drawn = record(monkeypatch)
    run.verify()
    labels = [label for label, _ in absorbed]
    assert labels[:4] == ["parameters", "program", "verifying key", "statement"]
    assert dict(absorbed[:4]) == {
        "parameters": run.key.weight_key.parameters.digest,
        "program": run.statement.program_digest,
        "verifying key": run.key.verifying_key.digest,
        "statement": run.statement.digest,
    }
    messages = b"".join(data for _, data in absorbed[4:])
    first = b"".join(data for _, data in absorbed[4 : 4 + labels[4:].index("grind") + 1])
    assert run.proof.startswith(first)
    opened = len(run.proof) - len(messages)
    assert 0 < opened < len(run.proof)
    assert labels.count("grind") == 2
    assert drawn


def test_flipping_any_absorbed_word_changes_every_later_challenge(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    absorbed, drawn = record(monkeypatch)
    run.verify()
    honest_drawn, order = list(drawn), list(absorbed)
    size = sum(len(data) for label, data in order[4 : [label for label, _ in order].index("grind")])
    random = Random(5)
    for offset in word_offsets(run.proof[:size], random, 25):
        changed = bytearray(run.proof)
        changed[offset] ^= 1
        drawn.clear()
        assert verify_quietly(run, bytes(changed)) is not None
        same = 0
        while same < len(drawn) and drawn[same] == honest_drawn[same]:
            same += 1
        assert all(a != b for a, b in zip(drawn[same:], honest_drawn[same:], strict=False))
        assert same < len(honest_drawn)


# 2, 3, 14: what the prover says late is bound early.


def test_claimed_sums_are_absorbed_before_the_rounds_that_use_them(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    absorbed, drawn = record(monkeypatch)
    run.verify()
    events = [label for label, _ in absorbed]
    assert events.index("activations") < events.index("root") < events.index("sums")
    assert events.index("sums") < events.index("operands") < events.index("operand sum") < events.index("layer")
    names = [label for label, _ in drawn]
    assert (
        names.index("chi")
        < names.index("lookup")
        < names.index("claims")
        < names.index("operands")
        < names.index("join")
    )


def test_sums_moved_between_commitments_are_refused(
    cheater: Cheater, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prover adds to one claimed sum what it takes from the other."""
    honest_sum = prover.claimed_sum
    calls: list[int] = []

    def shifted(claims: Any, *rest: Any) -> Any:
        calls.append(1)
        value = honest_sum(claims, *rest)
        delta = {1: 1, 2: P - 1}.get(len(calls), 0)
        return ((value[0] + delta) % P, *value[1:])

    monkeypatch.setattr(prover, "claimed_sum", shifted)
    statement, proof = cheater.prove(run, run.trace)
    refused(lambda: run.verify(proof, statement))


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


def test_operands_that_only_fit_the_last_check_are_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch, cheater: Cheater
) -> None:
    """left' = 2 left, right' = right / 2: the product sumcheck holds, the openings do not."""

    def scaled(values: Messages) -> Messages:
        return [f.scale(values[0], 2), f.scale(values[1], pow(2, -1, P)), *values[2:]]

    altered(monkeypatch, "operands", 0, scaled)
    statement, proof = cheater.prove(run, run.trace)
    found = refused(lambda: run.verify(proof, statement))
    assert isinstance(found, ProofRejected)
    assert found.check == "sumcheck"


@pytest.mark.parametrize("occurrence", [0, 1, 5, 10])
def test_children_that_only_fit_their_level_are_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch, cheater: Cheater, occurrence: int
) -> None:
    """p0 + q0, p1 - q1 have the same sum; the claim one level down, or about the leaves, is then false."""

    def moved(values: Messages) -> Messages:
        p0, p1, q0, q1 = values
        return [f.add(p0, q0), f.subtract(p1, q1), q0, q1]

    altered(monkeypatch, "children", occurrence, moved)
    statement, proof = cheater.prove(run, run.trace)
    refused(lambda: run.verify(proof, statement))


@pytest.mark.parametrize("label", ["sums", "operand sum", "operands", "final", "root", "round"])
def test_any_claim_changed_by_one_is_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch, cheater: Cheater, label: str
) -> None:
    altered(monkeypatch, label, 0, lambda values: [f.add(values[0], f.ONE), *values[1:]])
    statement, proof = cheater.prove(run, run.trace)
    refused(lambda: run.verify(proof, statement))


def test_a_proof_of_one_activation_is_none_of_another(run: Run) -> None:
    """Same shapes, another table: the table is in W, and the program's digest in the transcript."""
    other = network(1, "leaky")
    assert other.program.digest() != run.model.program.digest()
    key = key_of(other)
    refused(lambda: run.verify(key=key))
    refused(lambda: run.verify(key=key, statement=evolve(run.statement, program_digest=other.program.digest())))


# 5: multiplicities.


def test_lookups_up_to_the_characteristic_are_refused() -> None:
    build = ProgramBuilder()
    x = build.input("x", DType.INT8, (1 << 16, 1 << 15))
    build.output("y", build.table(x, np.zeros(256, dtype=np.int64), offset=-128))
    program = build.build().program
    with pytest.raises(UnsupportedProgram, match="operation 0"):
        circuit_of(program, 0, one_run().key.weight_key)


def test_a_circuit_beyond_its_sets_limits_is_refused_by_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same run under a set that allows fewer lookups: the key cannot be used to prove, and not to verify."""
    run = honest(tables((5, 5)))
    name = "dev"
    small = evolve(PARAMETER_SETS[name], leaf_variables_max=6)
    key = evolve(run.key.weight_key, parameters=small, digest=b"another")
    with pytest.raises(UnsupportedProgram, match="lookups"):
        circuit_of(run.model.program, 0, key)
    with pytest.raises((ProofMalformed, ProofRejected), match="lookups"):
        verifier.verify(run.model.program, run.key.verifying_key, key, run.statement, run.proof)


def test_changed_multiplicities_are_refused(cheater: Cheater, run: Run) -> None:
    circuit = circuit_of(run.model.program, 0, run.key.weight_key)
    for table in circuit.tables:
        for delta in (1, -1, P // 2):

            def tamper(witness: Any, index: int = table.multiplicity, delta: int = delta) -> None:
                witness.columns[index] = np.array(witness.columns[index])
                witness.columns[index][0] += delta

            statement, proof = cheater.prove(run, run.trace, tamper=tamper)
            refused(lambda proof=proof, statement=statement: run.verify(proof, statement))


def test_a_multiplicity_plus_p_is_the_same_field_element(cheater: Cheater, run: Run) -> None:
    """The committed cell is an element of F, so m + p is m: the same bytes, not another proof."""
    circuit = circuit_of(run.model.program, 0, run.key.weight_key)

    def tamper(witness: Any) -> None:
        index = circuit.tables[0].multiplicity
        witness.columns[index] = np.array(witness.columns[index], dtype=np.int64)
        witness.columns[index][1] += P

    _, proof = cheater.prove(run, run.trace, tamper=tamper)
    assert proof == run.proof


# 7: queries.


def test_openings_of_other_places_are_refused(run: Run) -> None:
    """Swap pieces of the answers, and answer all of one row with another."""
    random = Random(11)
    size = len(run.proof)
    for _ in range(40):
        length = 4 * random.choice([5, 16, 64])
        a, b = (4 * random.randrange(size // 8, (size - length) // 4) for _ in range(2))
        changed = bytearray(run.proof)
        changed[a : a + length], changed[b : b + length] = run.proof[b : b + length], run.proof[a : a + length]
        if bytes(changed) != run.proof:
            refused(lambda changed=changed: run.verify(bytes(changed)))


# 9: grinding is checked with the set's own bits.


def test_a_proof_without_work_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch, cheater: Cheater) -> None:
    monkeypatch.setattr(commitment, "grind", lambda channel, bits: (1 << 40) + 3)
    statement, proof = cheater.prove(run, run.trace)
    found = refused(lambda: run.verify(proof, statement))
    assert isinstance(found, ProofRejected)
    assert found.check == "grinding"


# 10, 28: nothing of the structure comes from the proof.


def test_truncated_and_extended_proofs_are_refused(run: Run) -> None:
    for size in (0, 1, 3, 4, 31, 32, len(run.proof) // 2, len(run.proof) - 4, len(run.proof) - 1):
        refused(lambda size=size: run.verify(run.proof[:size]))
    for tail in (b"\0", b"\0\0\0\0", run.proof):
        assert isinstance(refused(lambda tail=tail: run.verify(run.proof + tail)), ProofMalformed)


def test_a_proof_for_another_size_is_refused() -> None:
    """The symbolic dimension is in the input's bytes; the circuit follows it, not the proof."""
    build = ProgramBuilder(dim=Dim(name="n", minimum=1, maximum=4))
    x = build.input("x", DType.INT8, (-1, 8))
    build.output("y", build.table(x, np.arange(-128, 128)[::-1].copy(), offset=-128))
    model = build.build()
    key = key_of(model)
    runs = {}
    for rows in (2, 3):
        data = encode_inputs(model.program, [np.zeros((rows, 8), dtype=np.int8)])
        found = run_job(model, data, keep_trace=True)
        assert found.trace is not None
        statement = evolve(
            one_run().statement,
            program_digest=model.program.digest(),
            input=data,
            output=found.output_bytes(),
            usage=planned_usage(found.bound),
        )
        trace = tuple(np.asarray(a) for a in found.trace.arrays)
        proof = prover.prove(key, statement, trace, _cancel())
        runs[rows] = Run(model=model, key=key, statement=statement, trace=trace, proof=proof)
        runs[rows].verify()
    refused(lambda: runs[3].verify(runs[2].proof))
    refused(lambda: runs[2].verify(runs[3].proof))
    refused(lambda: runs[2].verify(runs[2].proof, evolve(runs[3].statement, output=runs[2].statement.output)))


def test_mutations_are_refused_with_bounded_work(run: Run) -> None:
    """Most on the smallest circuit, which takes the least time to refuse; the same messages are in all."""
    for target, count in ((run, MUTATIONS // 10), (honest(tables((3,))), MUTATIONS - MUTATIONS // 10)):
        found = mutate(target, count, seed=1)
        assert found.tried == count
        assert found.accepted == 0
        assert {"malformed", "merkle path", "lookup level", "grinding"} <= set(found.reasons)


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


def test_random_bytes_are_refused(run: Run) -> None:
    random = Random(2)
    for _ in range(50):
        refused(lambda: run.verify(random.randbytes(random.randrange(0, 2 * len(run.proof)))))
    refused(lambda: run.verify(bytes(len(run.proof))))


# 11: partial execution.


def test_a_prefix_of_the_model_is_not_the_model(run: Run) -> None:
    """A proof of the first layer alone, its result claimed as the output."""
    random = np.random.default_rng(1)
    build = ProgramBuilder()
    x = build.input("x", DType.INT8, (2, 12))
    weight = random.integers(-20, 21, (12, 12))
    y = build.requantize(
        build.dense(x, weight, random.integers(-99, 100, 12)), shift=6, low=-128, high=127, dtype=DType.INT8
    )
    build.output("y", y)
    part = honest(build.build())
    assert part.statement.input == run.statement.input
    refused(lambda: run.verify(part.proof))
    refused(lambda: run.verify(part.proof, evolve(run.statement, output=part.statement.output)))
    refused(lambda: part.verify(part.proof, evolve(part.statement, program_digest=run.statement.program_digest)))


def test_an_intermediate_value_as_the_output_is_refused(cheater: Cheater, run: Run) -> None:
    first = run.model.program.first_result
    claimed = run.trace[first + 2].astype(np.int8).tobytes()
    assert claimed != run.statement.output
    assert len(claimed) == len(run.statement.output)
    trace = list(run.trace)
    trace[run.model.program.outputs[0].value] = run.trace[first + 2]
    statement, proof = cheater.prove(run, trace, output=claimed)
    refused(lambda: run.verify(proof, statement))


# 12, 13: a changed output with everything else solved again.


@pytest.mark.parametrize("delta", [1, -1, 7, 128])
def test_a_changed_output_is_refused_even_with_solved_columns(cheater: Cheater, run: Run, delta: int) -> None:
    index = run.model.program.outputs[0].value
    trace = [np.array(a) for a in run.trace]
    changed = trace[index].astype(np.int64)
    changed[1, 3] = np.clip(changed[1, 3] + delta, -128, 127) if abs(delta) < 128 else -changed[1, 3] - 1
    trace[index] = changed.astype(np.int8)
    statement, proof = cheater.prove(run, trace, output=trace[index].tobytes())
    refused(lambda: run.verify(proof, statement))


def test_a_changed_inner_value_with_the_rest_computed_from_it_is_refused(cheater: Cheater, run: Run) -> None:
    """The prover changes the first layer's result and runs the second layer honestly on it."""
    program = run.model.program
    first = program.first_result
    trace = [np.array(a) for a in run.trace]
    hidden = trace[first + 1].astype(np.int64)
    hidden[0, 0] = 127 if hidden[0, 0] < 100 else 0
    trace[first + 1] = hidden.astype(trace[first + 1].dtype)
    trace[first + 2] = np.maximum(hidden, 0).astype(np.int8)
    weight, bias = (run.model.constants[operand - program.first_constant] for operand in program.ops[3].operands[1:])
    accumulated = trace[first + 2].astype(np.int64) @ weight.astype(np.int64).T + bias
    trace[first + 3] = accumulated.astype(np.int32)
    trace[first + 4] = np.clip((accumulated + 32) >> 6, -128, 127).astype(np.int8)
    statement, proof = cheater.prove(run, trace, output=trace[first + 4].tobytes())
    assert statement.output != run.statement.output
    refused(lambda: run.verify(proof, statement))


def test_every_column_matters(cheater: Cheater, run: Run) -> None:
    """One cell of any column changed, multiplicities counted again: no proof."""
    from lazai_proof_stark.circuit.witness import count_lookups

    circuit = circuit_of(run.model.program, 0, run.key.weight_key)
    counted = {table.multiplicity for table in circuit.tables}
    random = np.random.default_rng(3)
    for column in circuit.columns:
        if column.index in counted:
            continue

        def tamper(witness: Any, index: int = column.index) -> None:
            changed = np.array(witness.columns[index], dtype=np.int64)
            changed.reshape(-1)[random.integers(changed.size)] += random.choice([-1, 1, 5])
            witness.columns[index] = changed
            count_lookups(witness)

        statement, proof = cheater.prove(run, run.trace, tamper=tamper)
        assert verify_quietly(run, proof, statement) is not None, column.name


def test_quotients_moved_by_the_field_are_refused(cheater: Cheater, run: Run) -> None:
    """q + p / 2^s and the remainder that goes with it: the wrap-around that integer identities must exclude."""
    from lazai_proof_stark.circuit.witness import count_lookups

    inverse = pow(64, -1, P)

    def tamper(witness: Any) -> None:
        changed = np.array(witness.columns[0], dtype=np.int64)
        changed[0, 0] = (changed[0, 0] + inverse) % P
        witness.columns[0] = changed
        count_lookups(witness)

    statement, proof = cheater.prove(run, run.trace, tamper=tamper)
    refused(lambda: run.verify(proof, statement))


# 14, 21: keys.


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
                key.sizes, range_bits=4, clamps=((width, reach, tabled, tabled), (255, reach, tabled, False))
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


# 17, 18: one encoding.


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


# 26: weak parameters.


def test_dev_parameters_are_refused_by_default(run: Run) -> None:
    envelope = ProofEnvelope(system=SYSTEM_NAME, version=VERSION, data=run.proof)
    with pytest.raises(ProofRejected, match="bits"):
        system().verify(run.key.verifying_key, run.statement, envelope, AcceptancePolicy())
    system().verify(run.key.verifying_key, run.statement, envelope, ACCEPT_DEV)


def test_a_weak_proof_is_none_under_a_strong_key(run: Run) -> None:
    strong = key_of(run.model, "proven100")
    refused(lambda: run.verify(key=strong))


def test_an_envelope_of_another_system_or_version_is_refused(run: Run) -> None:
    for envelope in (
        ProofEnvelope(system="plonk", version=VERSION, data=run.proof),
        ProofEnvelope(system=SYSTEM_NAME, version=VERSION + 1, data=run.proof),
    ):
        refused(lambda envelope=envelope: system().verify(run.key.verifying_key, run.statement, envelope, ACCEPT_DEV))


# 27: degenerate programs.


@pytest.mark.parametrize("shape", [(1,), (1, 1), (3,), (5, 1, 3)])
def test_small_and_odd_shapes(shape: tuple[int, ...]) -> None:
    build = ProgramBuilder()
    x = build.input("x", DType.INT8, shape)
    build.output("y", build.table(x, np.zeros(256, dtype=np.int64), offset=-128))
    run = honest(build.build())
    run.verify()
    wrong = bytearray(run.statement.output)
    wrong[0] = 1
    refused(lambda: run.verify(statement=evolve(run.statement, output=bytes(wrong))))


def test_a_program_without_any_column_of_its_own() -> None:
    """Only moves: the output is the input in another order, and no other order is accepted."""
    build = ProgramBuilder()
    x = build.input("x", DType.INT8, (3, 4))
    build.output("y", build.transpose(x, (1, 0)))
    run = honest(build.build(), seed=2)
    run.verify()
    output = np.frombuffer(run.statement.output, dtype=np.int8).copy()
    output[[0, 1]] = output[[1, 0]]
    assert output.tobytes() != run.statement.output
    refused(lambda: run.verify(statement=evolve(run.statement, output=output.tobytes())))
    statement = evolve(run.statement, output=output.tobytes())
    refused(lambda: run.verify(prover.prove(run.key, statement, run.trace, _cancel()), statement))


def _cancel() -> Any:
    from lazai_core.api.compute import CancelToken

    return CancelToken()


# 29: padding.


def test_values_in_padding_change_nothing_and_prove_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells beyond the true extents hold whatever the prover likes; the proof stays about the true cells."""
    run = honest(tables((3, 7)))
    fill = prover.fill_commitment
    circuit = circuit_of(run.model.program, 0, run.key.weight_key)
    blocks = [b for b in circuit.activations.blocks if not _true_cells(b.piece).all()]
    assert blocks

    def padded(layout: Any, variables: int, arrays: Any) -> Any:
        cells = fill(layout, variables, arrays)
        random = np.random.default_rng(1)
        for block in blocks:
            size = 1 << block.piece.bits
            part = cells[block.offset : block.offset + size]
            true = _true_cells(block.piece)
            part[~true] = random.integers(0, P, int((~true).sum()), dtype=np.uint32)
        return cells

    monkeypatch.setattr(prover, "fill_commitment", padded)
    statement, proof = evolve(run.statement), prover.prove(run.key, run.statement, run.trace, _cancel())
    assert proof != run.proof
    run.verify(proof, statement)
    wrong = bytearray(run.statement.output)
    wrong[0] ^= 1
    claimed = evolve(run.statement, output=bytes(wrong))
    proof = prover.prove(run.key, claimed, run.trace, _cancel())
    refused(lambda: run.verify(proof, claimed))


def _true_cells(piece: Any) -> Any:
    from lazai_proof_stark.expansion import padded_cells_of_box

    return padded_cells_of_box(np.ones(piece.extents, dtype=np.int8), piece).astype(bool)


def test_random_outputs_of_other_runs_are_refused(run: Run) -> None:
    other = honest(run.model, seed=5)
    refused(lambda: run.verify(other.proof))
    refused(lambda: other.verify(run.proof))
