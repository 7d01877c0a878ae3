"""What a proof consists of: bytes by stage and kind of message, the verifier's time, and the prover's beside it.

Sizes are found by verifying with a channel that counts, so they are those of the very bytes, not an estimate.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from attrs import asdict, frozen

from lazai_core.api.errors import ProofMalformed
from lazai_core.api.transcript import Transcript

from .field import Extension
from .kernels.arrays import Words
from .messages import Receiver
from .profile import StageProfile
from .proof_folder import PROFILE, ProofFolder
from .system import StarkProofSystem
from .verifier import verify

PROFILE_BYTES_MAX = 1 << 20
STAGE_OF_LABEL = {"activations": "commit", "root": "lookups", "sums": "products"}
"""The message a stage begins with. The openings follow: the first after "operand sum", each ends with its queries."""


@frozen
class Block:
    """A rectangle of the picture: `weight` in the chart's unit; children add up to at most their parent."""

    name: str
    weight: float
    children: tuple[Block, ...] = ()


@frozen(kw_only=True)
class Chart:
    """One picture: a tree of blocks with a title and a unit."""

    title: str
    unit: str
    root: Block


class CountingReceiver(Receiver):
    """The verifier's end, counting bytes and time by stage and kind of message."""

    def __init__(self, transcript: Transcript, proof: bytes) -> None:
        super().__init__(transcript, proof)
        self.sizes: dict[str, dict[str, int]] = {}
        self.times: dict[str, int] = {}
        self._stage, self._next_stage = "statement", ""
        self._last = time.perf_counter_ns()

    def receive_elements(self, label: str, count: int) -> list[Extension]:
        """Counted."""
        self._enter(label)
        before = self._offset
        values = super().receive_elements(label, count)
        self._count(label, before)
        if label == "operand sum":
            self._next_stage = "open activations"
        return values

    def receive_digests(self, label: str, count: int) -> Words:
        """Counted."""
        self._enter(label)
        before = self._offset
        digests = super().receive_digests(label, count)
        self._count(f"{label} cap", before)
        return digests

    def receive_integer(self, label: str) -> int:
        """Counted; only the nonce before an opening's queries comes this way."""
        before = self._offset
        value = super().receive_integer(label)
        self._count(label, before)
        self._next_stage = "open weights"
        return value

    def receive_rows(self, count: int, words: int) -> Words:
        """Counted."""
        before = self._offset
        rows = super().receive_rows(count, words)
        self._count("opened rows", before)
        return rows

    def receive_hashes(self, count: int) -> Words:
        """Counted."""
        before = self._offset
        hashes = super().receive_hashes(count)
        self._count("merkle paths", before)
        return hashes

    def finish(self) -> None:
        """Refuse trailing bytes."""
        super().finish()
        self._leave(self._stage)

    def _count(self, kind: str, before: int) -> None:
        kinds = self.sizes.setdefault(self._stage, {})
        kinds[kind] = kinds.get(kind, 0) + self._offset - before

    def _enter(self, label: str) -> None:
        stage = self._next_stage or STAGE_OF_LABEL.get(label, self._stage)
        self._next_stage = ""
        if stage != self._stage:
            self._leave(stage)

    def _leave(self, stage: str) -> None:
        now = time.perf_counter_ns()
        self.times[self._stage] = self.times.get(self._stage, 0) + now - self._last
        self._stage, self._last = stage, now


@frozen(kw_only=True)
class Explanation:
    """Bytes by stage and kind of message, verifier's and prover's nanoseconds by stage."""

    sizes: dict[str, dict[str, int]]
    verify_nanoseconds: dict[str, int]
    prove_nanoseconds: dict[str, int]
    memory_bytes_peak: dict[str, int]

    def charts(self) -> tuple[Chart, ...]:
        """Size, verifier's time, and the prover's where it was recorded."""
        stages = [
            Block(stage, sum(kinds.values()), tuple(Block(kind, size) for kind, size in kinds.items()))
            for stage, kinds in self.sizes.items()
        ]
        charts = [
            Chart(title="proof size", unit="KiB", root=_joined("proof", stages, 1 / 1024)),
            Chart(title="verifier's time", unit="ms", root=_times("verify", self.verify_nanoseconds)),
        ]
        if self.prove_nanoseconds:
            charts.insert(0, Chart(title="prover's time", unit="ms", root=_times("prove", self.prove_nanoseconds)))
        return tuple(charts)

    def document(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def _joined(name: str, blocks: Sequence[Block], scale: float) -> Block:
    def scaled(block: Block) -> Block:
        return Block(block.name, block.weight * scale, tuple(scaled(child) for child in block.children))

    children = tuple(scaled(block) for block in blocks)
    return Block(name, sum(child.weight for child in children), children)


def _times(name: str, nanoseconds: dict[str, int]) -> Block:
    return _joined(name, [Block(stage, spent) for stage, spent in nanoseconds.items()], 1e-6)


def explain(system: StarkProofSystem, folder: ProofFolder, recorded: bytes | None = None) -> Explanation:
    """Verify once to warm up and once to count. Raises ProofMalformed, ProofRejected.

    `recorded` is what `profile.json` holds, written when the proof was made.
    """
    material = system.material(folder.key)
    made: list[CountingReceiver] = []

    def open_channel(transcript: Transcript, proof: bytes) -> Receiver:
        made.append(CountingReceiver(transcript, proof))
        return made[-1]

    for _ in range(2):
        verify(material.program, folder.key, material.weight_key, folder.statement, folder.proof.data, open_channel)
    counted = made[-1]
    stages = _recorded_stages(recorded) if recorded is not None else []
    return Explanation(
        sizes=counted.sizes,
        verify_nanoseconds=counted.times,
        prove_nanoseconds={stage.name: stage.nanoseconds for stage in stages},
        memory_bytes_peak={stage.name: stage.memory_bytes_peak for stage in stages},
    )


def _recorded_stages(data: bytes) -> list[StageProfile]:
    try:
        document = json.loads(data[:PROFILE_BYTES_MAX].decode("utf-8"))
        return [
            StageProfile(
                name=str(entry["name"]),
                nanoseconds=int(entry["nanoseconds"]),
                memory_bytes_peak=int(entry["memory_bytes_peak"]),
            )
            for entry in document["stages"]
        ]
    except (ValueError, KeyError, TypeError, RecursionError) as cause:
        raise ProofMalformed(f"{PROFILE} does not hold stages: {cause}") from cause
