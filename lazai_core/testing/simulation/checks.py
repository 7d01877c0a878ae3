"""What must hold after every step, whatever fails; and a referee that executes every block for itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from lazai_core.api.consensus import (
    Certificate,
    ConsensusEngine,
    Effect,
    ReportEvidence,
    SignMessage,
    signing_digest,
)
from lazai_core.api.errors import ConsensusFault, EncodingError, InvalidBlock
from lazai_core.api.precompile import BlockSummary
from lazai_core.api.types import Address
from lazai_core.builtin.stores import MemoryStore
from lazai_core.chain.block import Block
from lazai_core.chain.history import ChainHistory

from .chain import CHAIN_ID, Shape, accounts, genesis_entries, genesis_of, open_machine
from .node import SimulatedNode

EFFECTS_MAX = 1000


class Violation(AssertionError):
    """A property does not hold."""


class _Entries(MemoryStore):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self._entries = dict(genesis_entries(shape))


class Checks:
    """Sees everything that honest nodes sign, decide and accuse. `guilty` are the keys of faulty validators."""

    def __init__(self, shape: Shape, engine: ConsensusEngine, guilty: frozenset[Address]) -> None:
        self.chosen: dict[int, bytes] = {}
        self.evidence: Counter[str] = Counter()
        self.transactions = self.convictions = 0
        self.rounds: list[int] = []
        self._engine = engine
        self._shape = shape
        self._guilty = guilty
        self._referee = open_machine(shape, _Entries(shape), engine)
        self._total_wei = self._total()
        self._places: dict[bytes, tuple[int, int, int]] = {}
        self._said: dict[tuple[bytes, tuple[int, int, int]], bytes] = {}

    # Signatures.

    def effects(self, node: SimulatedNode, effects: Sequence[Effect]) -> None:
        """An engine's answer: bounded, and no honest validator accused."""
        if len(effects) > EFFECTS_MAX:
            raise Violation(f"{len(effects)} effects of one input")
        for effect in effects:
            if isinstance(effect, SignMessage):
                self._places[signing_digest(effect.payload)] = (effect.height, effect.round, effect.step)
            elif isinstance(effect, ReportEvidence) and node.is_honest:
                self._accuse(effect)

    def _accuse(self, effect: ReportEvidence) -> None:
        if effect.validator not in self._guilty:
            raise Violation(f"an honest validator is accused of {effect.kind}")
        try:
            found = self._engine.verify_evidence(effect.evidence, self._referee.validators, CHAIN_ID)
        except ConsensusFault as error:
            raise Violation(f"the evidence of {effect.kind} proves nothing: {error}") from error
        if (found.validator, found.kind) != (effect.validator, effect.kind):
            raise Violation(f"evidence of {effect.kind} proves {found}")
        self.evidence[effect.kind] += 1

    def signature(self, node: SimulatedNode, digest: bytes) -> None:
        """An honest key signs one thing for a step."""
        place = self._places.get(digest)
        if place is None or not node.is_honest:
            return
        if self._said.setdefault((node.identity.address, place), digest) != digest:
            raise Violation(f"validator {node.number} signs twice at height, round and step {place}")

    # Decisions.

    def decision(self, node: SimulatedNode, summary: BlockSummary) -> None:
        """An honest node has a durable block."""
        known = self.chosen.get(summary.height)
        if known is None:
            self._choose(node, summary)
        elif known != summary.block_hash:
            raise Violation(f"height {summary.height} is split")
        if node.rooms is None:
            return
        head = node.rooms.vm.head
        block = self._referee.history.block(head.height)
        # The node may be a block further than what was told of it; then its next report is judged.
        if block is not None and block.header.state_root != head.header.state_root:
            raise Violation(f"state roots differ at height {head.height}")

    def _choose(self, node: SimulatedNode, summary: BlockSummary) -> None:
        history = ChainHistory(node.store)
        for height in range(self._referee.head.height + 1, summary.height + 1):
            block = history.block(height)
            if block is None:
                raise Violation(f"validator {node.number} decided {summary.height} and lacks block {height}")
            self._judge(block, history.certificate(height))
        if self.chosen.get(summary.height) != summary.block_hash:
            raise Violation(f"height {summary.height} is split")

    def _judge(self, block: Block, certificate: bytes) -> None:
        """Executed again on another machine: valid, certified, and no coin made or lost."""
        referee = self._referee
        try:
            decoded = Certificate.decode(certificate)
            self._engine.verify_certificate(decoded, referee.validators(block.height), CHAIN_ID)
            executed = referee.check_block(block)
        except (InvalidBlock, ConsensusFault, EncodingError) as error:
            raise Violation(f"block {block.height} was decided and is not valid: {error}") from error
        referee.commit(executed, certificate)
        burnt = block.header.base_fee_per_gas * block.header.gas_used
        total = self._total()
        if total != self._total_wei - burnt:
            raise Violation(f"block {block.height} turned {self._total_wei} wei into {total}, {burnt} were burnt")
        self._total_wei = total
        self.chosen[block.height] = block.hash
        self.transactions += len(block.transactions)
        self.convictions += len(block.evidence)
        self.rounds.append(decoded.round + 1)

    def _total(self) -> int:
        state = self._referee.state()
        return sum(state.balance(address) for address in self._everybody())

    def _everybody(self) -> tuple[Address, ...]:
        return (*accounts(self._shape), *genesis_of(self._shape).contracts)
