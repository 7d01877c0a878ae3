"""One seed: a committee, who is faulty and how, every delay, loss, crash and payment, until everybody is level.

For `FAULTS_S` of virtual time the network loses, reorders and is cut, disks tear and fail, nodes crash wherever they
stand; then it only delays, everybody is started again, and all honest nodes must decide two more heights in time.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from random import Random
from typing import Any

from attrs import frozen

from lazai_core.api.consensus import ConsensusEngine, Effect, Input
from lazai_core.api.entries import ConsensusEntry
from lazai_core.api.errors import Busy, InvalidTransaction, StorageError
from lazai_core.api.needs import NodeIdentity
from lazai_core.api.network import Envelope, PeerId
from lazai_core.api.precompile import BlockSummary
from lazai_core.runtime.options import RuntimeOptions
from lazai_core.testing.network import SimulatedNetwork, SimulatedTransport

from .byzantine import FAULTY, Behaviour
from .chain import WALLETS, Executions, Shape, accounts, build_engine, identity, transfer
from .checks import Checks, Violation
from .disk import PowerLoss, full_disk
from .loop import LIFE, VirtualLoop, run_virtual
from .node import SimulatedClock, SimulatedNode

FAULTS_S = 3.0
QUIET_S = 120.0
HEIGHTS_AFTER = 2
POLL_S = 0.05
REPEAT_ONE_IN = 4
ENGINE_MS: Mapping[str, int] = {
    "propose_ms": 400,
    "propose_growth_ms": 150,
    "prevote_ms": 200,
    "prevote_growth_ms": 100,
    "precommit_ms": 200,
    "precommit_growth_ms": 100,
    "timeout_ms_max": 5000,
    "rebroadcast_ms": 500,
}
NODE_OPTIONS = RuntimeOptions(empty_block_interval_ms=100, block_transactions_max=20, timestamp_ahead_s_max=10)


@frozen(kw_only=True)
class Plan:
    """What is simulated. `faulty` None lets the seed choose; `calm` leaves out faults of network, disk and power.

    With `shipped_times` all timeouts and intervals are those of a new node, else shorter ones.
    """

    shape: Shape
    seed: int
    entry: ConsensusEntry
    faulty: Mapping[int, Behaviour] | None = None
    calm: bool = False
    heights: int = HEIGHTS_AFTER
    shipped_times: bool = False
    traced: bool = False


@frozen(kw_only=True)
class Outcome:
    """How a seed went. `trace` is a hash over everything that was sent, where it was asked for."""

    heights: int
    rounds: tuple[int, ...]
    transactions: int
    crashes: int
    evidence: Mapping[str, int]
    convictions: int
    virtual_s: float
    bytes_by_node: Mapping[int, int]
    bytes_by_topic: Mapping[str, int]
    trace: str


class Simulation:
    """A `Watcher` of all its nodes."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.random = Random(f"{plan.shape.name}/{plan.seed}")
        self.faulty = dict(self._draw_faulty() if plan.faulty is None else plan.faulty)
        self.nodes: list[SimulatedNode] = []
        self.crashes = 0
        self._loop: VirtualLoop
        self._network: SimulatedNetwork
        self._checks: Checks
        self._executions: Executions
        self._failing: set[int] = set()
        self._nonces = [0] * WALLETS
        self._power_fails_one_in = 400
        self._violation: BaseException | None = None
        self._trace = hashlib.blake2b(digest_size=16)

    def _draw_faulty(self) -> Mapping[int, Behaviour]:
        random, shape = self.random, self.plan.shape
        faulty: dict[int, Behaviour] = {}
        if random.randrange(5):
            for number in random.sample(range(shape.size), shape.size):
                if shape.bearable({*faulty, number}):
                    faulty[number] = random.choice(FAULTY)
        return faulty

    def run(self) -> Outcome:
        """Play it. Raises Violation."""
        return run_virtual(self._play)

    # The play.

    async def _play(self) -> Outcome:
        plan, loop = self.plan, asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self._loop = loop
        guilty = frozenset(identity(number).address for number in self.faulty)
        self._checks = Checks(plan.shape, self._engine(identity(0), plan.shape), guilty)
        self._network = SimulatedNetwork(
            random=self.random,
            loss_per_mille=0 if plan.calm else self.random.choice((0, 10, 50, 150)),
            delay_ms=(1, 20) if plan.calm else (1, self.random.choice((20, 60, 250))),
        )
        if plan.traced:
            self._network.watch = self._note
        self._executions = Executions(self.random, REPEAT_ONE_IN)
        self._make_nodes()
        if not plan.calm:
            self._plan_faults()
            await self._until(FAULTS_S)
            self._end_faults()
        target = max(node.height for node in self._honest()) + plan.heights
        await self._reach(target)
        return self._outcome()

    def _make_nodes(self) -> None:
        for number in range(self.plan.shape.size):
            behaviour = self.faulty.get(number, Behaviour.HONEST)
            for _ in range(2 if behaviour is Behaviour.TWINS else 1):
                self.nodes.append(self._make_node(number, behaviour))
        for node in self.nodes:
            self._later(self.random.uniform(0, 0.05), partial(self._start, node))
        self._later(0.1, self._pay)

    def _make_node(self, number: int, behaviour: Behaviour) -> SimulatedNode:
        random, calm = self.random, self.plan.calm
        offset_ms, rate = (0, 1000) if calm else (random.randint(-1500, 1500), random.randint(980, 1020))
        return SimulatedNode(
            index=len(self.nodes),
            number=number,
            behaviour=behaviour,
            shape=self.plan.shape,
            options=RuntimeOptions() if self.plan.shipped_times else NODE_OPTIONS,
            make_engine=self._engine,
            network=self._network,
            clock=SimulatedClock(self._loop, offset_ms, rate),
            random=random,
            watcher=self,
            executions=self._executions,
        )

    def _engine(self, who: NodeIdentity, shape: Shape) -> ConsensusEngine:
        # Timers drift as clocks do.
        percent = 100 if self.plan.calm else self.random.randint(95, 105)
        if self.plan.shipped_times:
            return build_engine(self.plan.entry, {}, who, shape)
        known = {item.name for item in getattr(self.plan.entry.options, "__attrs_attrs__", ())}
        options: dict[str, Any] = {name: ms * percent // 100 for name, ms in ENGINE_MS.items() if name in known}
        return build_engine(self.plan.entry, options, who, shape)

    def _honest(self) -> list[SimulatedNode]:
        return [node for node in self.nodes if node.is_honest]

    async def _until(self, seconds: float) -> None:
        while self._loop.time() < seconds:
            self._raise()
            await asyncio.sleep(POLL_S)
        self._raise()

    async def _reach(self, target: int) -> None:
        end_s = self._loop.time() + QUIET_S
        while any(node.height < target for node in self._honest()):
            self._raise()
            if self._loop.time() > end_s:
                places = [(node.number, node.height, node.rooms is not None) for node in self._honest()]
                raise Violation(f"height {target} is not reached {QUIET_S} s after the faults: {places}")
            await asyncio.sleep(POLL_S)
        self._raise()

    def _raise(self) -> None:
        if self._violation is not None:
            raise self._violation

    def _outcome(self) -> Outcome:
        by_node: dict[int, int] = {}
        by_topic: dict[str, int] = {}
        ends = self._network.owners
        for (end, topic), size in self._network.sent_bytes.items():
            node = ends[end]
            by_node[node] = by_node.get(node, 0) + size
            by_topic[topic] = by_topic.get(topic, 0) + size
        return Outcome(
            heights=max(self._checks.chosen),
            rounds=tuple(self._checks.rounds),
            transactions=self._checks.transactions,
            crashes=self.crashes,
            evidence=dict(self._checks.evidence),
            convictions=self._checks.convictions,
            virtual_s=self._loop.time(),
            bytes_by_node=by_node,
            bytes_by_topic=by_topic,
            trace=self._trace.hexdigest(),
        )

    # Nodes and connections.

    def _later(self, delay_s: float, act: Callable[[], None]) -> None:
        """Something that happens to the world, whoever's code asks for it."""

        def outside() -> None:
            LIFE.set(None)
            act()

        self._loop.call_later(delay_s, outside)

    def _start(self, node: SimulatedNode) -> None:
        if node.rooms is not None or self._violation is not None:
            return
        rooms = node.start(self._loop)
        self._network.owners[rooms.transport.number] = node.number
        for other in self.nodes:
            if other.number != node.number and other.rooms is not None:
                self._join(node, other)

    def _join(self, one: SimulatedNode, other: SimulatedNode) -> None:
        """Connect two nodes; of twins, everybody hears one at a time."""
        if one.rooms is None or other.rooms is None:
            return
        mine, theirs = one.rooms.transport.links, other.rooms.transport.links
        taken = PeerId(other.identity.address) in mine or PeerId(one.identity.address) in theirs
        if not taken or self.random.randrange(2):
            self._network.join(one.rooms.transport, other.rooms.transport)

    def _crash(self, node: SimulatedNode, *, power: bool = True) -> None:
        if node.rooms is None:
            return
        self.crashes += 1
        node.crash(self._loop, power=power)
        self._later(self.random.uniform(0.01, 0.8), partial(self._start, node))

    def _freeze(self, node: SimulatedNode) -> None:
        life = node.freeze(self._loop)
        if life is not None:
            self._later(self.random.uniform(0.1, 2.0), partial(self._loop.thaw, life))

    # Faults.

    def _plan_faults(self) -> None:
        random = self.random
        for _ in range(random.randint(0, 3)):
            self._later(random.uniform(0, FAULTS_S), self._partition)
            self._later(random.uniform(0, FAULTS_S), self._network.heal)
        self._power_fails_one_in = random.choice((400, 400, 400, 60))
        crashing = [node for node in self.nodes if node.is_honest or node.behaviour is Behaviour.FORGETFUL]
        for _ in range(random.choice((0, 1, 2, 3, 4, 12))):
            node, power = random.choice(crashing), random.randrange(3) > 0
            self._later(random.uniform(0, FAULTS_S), partial(self._crash, node, power=power))
        for _ in range(random.choice((0, 0, 1, 2))):
            self._later(random.uniform(0, FAULTS_S), partial(self._failing.add, random.choice(self.nodes).index))
        for _ in range(random.choice((0, 0, 1, 3))):
            self._later(random.uniform(0, FAULTS_S), partial(self._freeze, random.choice(self.nodes)))
        if Behaviour.TWINS in self.faulty.values():
            for _ in range(random.randint(2, 12)):
                self._later(random.uniform(0, FAULTS_S), self._change_sides)

    def _partition(self) -> None:
        up = [node for node in self.nodes if node.rooms is not None]
        if len(up) < 2:
            return
        order = self.random.sample(up, len(up))
        cut = self.random.randint(1, len(up) - 1)
        ends = [[node.rooms.transport.number for node in part if node.rooms] for part in (order[:cut], order[cut:])]
        self._network.partition(*ends)

    def _change_sides(self) -> None:
        twins = [node for node in self.nodes if node.behaviour is Behaviour.TWINS]
        twin, other = self.random.choice(twins), self.random.choice(self.nodes)
        if twin.number != other.number:
            self._join(twin, other)

    def _end_faults(self) -> None:
        self._network.loss_per_mille = 0
        self._network.delay_ms = (1, 30)
        self._network.heal()
        self._failing.clear()
        for node in self.nodes:
            self._start(node)
        for node in self.nodes:
            for other in self.nodes[: node.index]:
                if node.rooms and other.rooms and other.number != node.number:
                    self._join(node, other)

    @property
    def _is_rough(self) -> bool:
        return not self.plan.calm and self._loop.time() < FAULTS_S

    # Payments.

    def _pay(self) -> None:
        random = self.random
        wallet = random.randrange(WALLETS)
        everybody = accounts(self.plan.shape)
        signed = transfer(wallet, self._nonces[wallet], random.choice(everybody), random.randrange(10**17))
        self._nonces[wallet] += 1
        # The wallet may be behind what this node knows; it sends to another one the next time.
        with suppress(Busy, InvalidTransaction):
            random.choice(self.nodes).submit(signed)
        self._later(random.uniform(0.05, 0.4), self._pay)

    # What nodes do.

    def trouble(self, node: SimulatedNode, operation: str) -> None:
        """A node uses its disk: the power may fail now, or the disk."""
        life = LIFE.get()
        if life is not None and life.is_over:
            raise PowerLoss
        if node.rooms is None or not self._is_rough:
            return
        if operation == "sync" and node.index in self._failing:
            self._failing.discard(node.index)
            raise full_disk()
        if self.random.randrange(self._power_fails_one_in) == 0 and node.is_honest:
            self._crash(node)
            raise PowerLoss

    def stepped(self, node: SimulatedNode, event: Input, effects: Sequence[Effect]) -> None:
        """An engine answered."""
        self._guard(lambda: self._checks.effects(node, effects))

    def signed(self, node: SimulatedNode, digest: bytes) -> None:
        """A key is used."""
        self._guard(lambda: self._checks.signature(node, digest))

    def committed(self, node: SimulatedNode, summary: BlockSummary) -> None:
        """A block is durable."""
        if node.is_honest:
            self._guard(lambda: self._checks.decision(node, summary))

    def stopped(self, node: SimulatedNode, error: BaseException | None) -> None:
        """A node ended by itself: as it should where its disk failed, or it is not honest."""
        is_disk = isinstance(error, StorageError) and "simulated fault" in error.hint
        if is_disk or not node.is_honest:
            self._later(0, partial(self._crash, node))
            return
        if self._violation is None:
            self._violation = Violation(f"validator {node.number} stopped: {type(error).__name__}: {error}")
            self._violation.__cause__ = error

    def _guard(self, check: Callable[[], None]) -> None:
        try:
            check()
        except Violation as violation:
            # It must not get lost in whatever task it was found.
            self._violation = self._violation or violation
            raise

    def _note(self, sender: SimulatedTransport, receiver: PeerId, envelope: Envelope) -> None:
        moment = f"{self._loop.time():.6f} {sender.number} {receiver.hex()} {envelope.topic} ".encode()
        self._trace.update(moment + hashlib.blake2b(envelope.payload, digest_size=8).digest())
