"""One simulated node: the rooms that ship, over a simulated network, disk, clock and key."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import copy_context
from random import Random
from typing import Protocol

from attrs import frozen

from lazai_core.api.consensus import (
    Certificate,
    ConsensusEngine,
    ConsensusStatus,
    Effect,
    Input,
    MessagePlace,
    Offence,
    Validator,
    ValidatorsAt,
)
from lazai_core.api.errors import InvalidTransaction
from lazai_core.api.job import ComputeJob
from lazai_core.api.network import PeerId
from lazai_core.api.precompile import BlockSummary
from lazai_core.builtin.flat_gas import FlatGasPolicy
from lazai_core.builtin.precompiles.ai_call import build_ai_call
from lazai_core.chain.transaction import Transaction
from lazai_core.lazvm.vm import LazVM
from lazai_core.runtime.block_checks import BlockChecks
from lazai_core.runtime.block_timing import BlockTiming
from lazai_core.runtime.builder import Builder
from lazai_core.runtime.commit import Committer
from lazai_core.runtime.consensus_host import ConsensusHost
from lazai_core.runtime.evidence import EvidencePool
from lazai_core.runtime.execution import BoundedThreads
from lazai_core.runtime.gossip import Gossip
from lazai_core.runtime.gossip.pools import PoolTransactions
from lazai_core.runtime.host_parts import HostParts
from lazai_core.runtime.index import SettlementIndex
from lazai_core.runtime.jobs import ContractJobs
from lazai_core.runtime.last_sign import LastSigned, MessageSigner
from lazai_core.runtime.mempool import Mempool
from lazai_core.runtime.namespace import PrefixedStore
from lazai_core.runtime.options import RuntimeOptions
from lazai_core.runtime.pricing import Pricing
from lazai_core.runtime.records import RecordPool
from lazai_core.runtime.signing import CallSigner
from lazai_core.runtime.wal import WriteAheadLog
from lazai_core.runtime.work import WalletTransaction, Work
from lazai_core.testing.network import SimulatedNetwork, SimulatedTransport
from lazai_core.testing.parts import KnownIdentity
from lazai_core.testing.rng import SeededRng

from .byzantine import Behaviour, HidingPort, SpoilingTiming, quiet
from .chain import (
    CHAIN_ID,
    START_SECONDS,
    Executions,
    MakeEngine,
    Shape,
    chain_parameters_of,
    genesis_entries,
    genesis_of,
    identity,
    open_machine,
)
from .disk import SimulatedDisk, SimulatedStore
from .loop import LIFE, Life, VirtualLoop

SIGN_FILE = "signed"
QUEUE_MAX = 1024


class Watcher(Protocol):
    """Who sees what nodes do."""

    def trouble(self, node: SimulatedNode, operation: str) -> None:
        """A node is about to use its disk. What this raises is what happens."""

    def stepped(self, node: SimulatedNode, event: Input, effects: Sequence[Effect]) -> None:
        """An engine answered."""

    def signed(self, node: SimulatedNode, digest: bytes) -> None:
        """A node's key is used."""

    def committed(self, node: SimulatedNode, summary: BlockSummary) -> None:
        """A block is durable at a node."""

    def stopped(self, node: SimulatedNode, error: BaseException | None) -> None:
        """A node ended by itself."""


class SimulatedClock:
    """`Clock` that is off by a little, and runs a little too fast or too slow."""

    def __init__(self, loop: VirtualLoop, offset_ms: int, rate_per_mille: int) -> None:
        self._loop = loop
        self._offset_ms = offset_ms
        self._rate = rate_per_mille / 1000

    def now_seconds(self) -> int:
        """Seconds since 1970, as this node believes."""
        return START_SECONDS + int(self._loop.time() * self._rate + self._offset_ms / 1000)

    def monotonic_ns(self) -> int:
        """Nanoseconds since the simulation began."""
        return int(self._loop.time() * self._rate * 1e9)


class WatchedEngine:
    """`ConsensusEngine` whose steps somebody sees."""

    def __init__(self, engine: ConsensusEngine, node: SimulatedNode, watcher: Watcher) -> None:
        self.name, self.version = engine.name, engine.version
        self._engine, self._node, self._watcher = engine, node, watcher

    def step(self, event: Input) -> Sequence[Effect]:
        """See `ConsensusEngine`."""
        effects = self._engine.step(event)
        self._watcher.stepped(self._node, event, effects)
        return effects

    def verify_certificate(self, certificate: Certificate, validators: Sequence[Validator], chain_id: int) -> None:
        """See `ConsensusEngine`."""
        self._engine.verify_certificate(certificate, validators, chain_id)

    def vouches(self, certificate: Certificate, validators: Sequence[Validator]) -> bool:
        """See `ConsensusEngine`."""
        return self._engine.vouches(certificate, validators)

    def verify_evidence(self, evidence: bytes, validators: ValidatorsAt, chain_id: int) -> Offence:
        """See `ConsensusEngine`."""
        return self._engine.verify_evidence(evidence, validators, chain_id)

    def place_of(self, payload: bytes) -> MessagePlace:
        """See `ConsensusEngine`."""
        return self._engine.place_of(payload)

    def status(self) -> ConsensusStatus:
        """See `ConsensusEngine`."""
        return self._engine.status()


class WatchedIdentity:
    """`NodeIdentity` whose every signature somebody sees."""

    def __init__(self, known: KnownIdentity, node: SimulatedNode, watcher: Watcher) -> None:
        self.address = known.address
        self._known, self._node, self._watcher = known, node, watcher

    def sign(self, digest: bytes) -> bytes:
        """65 bytes."""
        self._watcher.signed(self._node, digest)
        return self._known.sign(digest)


class _NoJobs:
    def resume(self, work: Work, job: ComputeJob) -> None:
        raise AssertionError("nothing on this chain needs records")


@frozen(kw_only=True)
class Rooms:
    """What runs in one life."""

    vm: LazVM
    mempool: Mempool
    host: ConsensusHost
    gossip: Gossip
    transport: SimulatedTransport
    life: Life


class SimulatedNode:
    """One copy of a validator. Its disks and its clock outlive its crashes; `rooms` is None while it is down."""

    def __init__(
        self,
        *,
        index: int,
        number: int,
        behaviour: Behaviour,
        shape: Shape,
        options: RuntimeOptions,
        make_engine: MakeEngine,
        network: SimulatedNetwork,
        clock: SimulatedClock,
        random: Random,
        watcher: Watcher,
        executions: Executions,
    ) -> None:
        self.index, self.number, self.behaviour = index, number, behaviour
        self.identity = WatchedIdentity(identity(number), self, watcher)
        self.rooms: Rooms | None = None
        self.lives = 0
        self._executions = executions
        self._main: asyncio.Task[None] | None = None
        self._shape, self._options, self._make_engine = shape, options, make_engine
        self._network, self._clock, self._random, self._watcher = network, clock, random, watcher
        self.store = SimulatedStore(genesis_entries(shape), self._trouble)
        self.wal_disk = SimulatedDisk(random, self._trouble)
        self.sign_disk = SimulatedDisk(random, self._trouble)

    def _trouble(self, operation: str) -> None:
        self._watcher.trouble(self, operation)

    @property
    def is_honest(self) -> bool:
        """Whether it keeps the rules."""
        return self.behaviour is Behaviour.HONEST

    @property
    def height(self) -> int:
        """Height of the newest durable block."""
        data = self.store.get(b"h")
        return 0 if data is None else int.from_bytes(data, "big")

    def start(self, loop: VirtualLoop) -> Rooms:
        """Power on."""
        assert self.rooms is None
        self.lives += 1
        life = Life(self.index, self.lives)
        context = copy_context()
        context.run(LIFE.set, life)
        self.rooms = context.run(self._build, life)
        self._main = loop.create_task(self._run(self.rooms), context=context)
        return self.rooms

    def crash(self, loop: VirtualLoop, *, power: bool = True) -> None:
        """Power off, at whatever point it is. Without `power` loss only the process dies."""
        rooms = self.rooms
        if rooms is None:
            return
        self.rooms = None
        loop.end(rooms.life)
        rooms.transport.cut()
        if power:
            self.wal_disk.lose_power()
            self.sign_disk.lose_power()
        if self.behaviour is Behaviour.FORGETFUL:
            self.wal_disk.wipe()
            self.sign_disk.wipe()

    def freeze(self, loop: VirtualLoop) -> Life | None:
        """Stop the process, as SIGSTOP does."""
        if self.rooms is None or self.rooms.life.is_frozen:
            return None
        loop.freeze(self.rooms.life)
        return self.rooms.life

    async def _run(self, rooms: Rooms) -> None:
        services = [
            asyncio.ensure_future(service.run(lambda: None)) for service in (rooms.gossip, rooms.host)
        ]
        try:
            done, _ = await asyncio.wait(services, return_when=asyncio.FIRST_COMPLETED)
            self._watcher.stopped(self, next(iter(done)).exception())
        finally:
            for service in services:
                service.cancel()
            await asyncio.gather(*services, return_exceptions=True)

    def _threads(self, name: str) -> BoundedThreads:
        return BoundedThreads(name, threads=1, waiting_max=QUEUE_MAX, inline=self._pause)

    def _pause(self) -> float:
        return self._random.randrange(4) / 1000

    def _build(self, life: Life) -> Rooms:
        engine = WatchedEngine(self._make_engine(self.identity, self._shape), self, self._watcher)
        vm = open_machine(self._shape, self.store, engine)
        vm.executions = self._executions
        index = SettlementIndex(store=PrefixedStore(self.store, b"p/index/"), history=vm.history, chain_id=CHAIN_ID)
        index.catch_up()
        mempool, execution = Mempool(self._options), self._threads("execution")
        evidence = EvidencePool(vm)
        timing = self._timing(vm, mempool, execution, evidence)
        committer = self._committer(vm, mempool, execution, index)
        signer = MessageSigner(self.identity, LastSigned(self.sign_disk, SIGN_FILE, genesis_of(self._shape).hash))
        host = ConsensusHost(
            HostParts(
                engine=engine,
                vm=vm,
                execution=execution,
                disk=self._threads("disk"),
                timing=timing,
                checks=BlockChecks(vm=vm, execution=execution, clock=self._clock),
                committer=committer,
                wal=WriteAheadLog(self.wal_disk),
                signer=signer,
                address=self.identity.address,
                evidence=evidence,
            )
        )
        transactions = PoolTransactions(mempool)
        transactions.admit_with(lambda transaction: _admit(vm, mempool, transaction))
        transport = self._network.attach(PeerId(self.identity.address))
        gossip = Gossip(
            transport=transport,
            identity=self.identity,
            chain=vm,
            engine=engine,
            rng=SeededRng(self._random.getrandbits(64)),
            transactions=transactions,
            evidence=evidence,
        )
        gossip.host = HidingPort(host) if self.behaviour is Behaviour.WITHHOLDING else host
        host.connect(quiet(self.behaviour, gossip))
        return Rooms(vm=vm, mempool=mempool, host=host, gossip=gossip, transport=transport, life=life)

    def _timing(
        self, vm: LazVM, mempool: Mempool, execution: BoundedThreads, evidence: EvidencePool
    ) -> BlockTiming:
        policy = FlatGasPolicy()
        pricing = Pricing(vm=vm, gas_policy=policy, ai_call=build_ai_call(policy, chain_parameters_of(self._shape)))
        builder = Builder(
            options=self._options,
            vm=vm,
            execution=execution,
            mempool=mempool,
            records=self._records(),
            orchestrator=_NoJobs(),
            signer=CallSigner(vm=vm, pricing=pricing, identity=self.identity),
            evidence=evidence,
            node=self.identity.address,
        )
        kind = SpoilingTiming if self.behaviour is Behaviour.INVALID else BlockTiming
        timing = kind(options=self._options, vm=vm, builder=builder, mempool=mempool, clock=self._clock)
        if isinstance(timing, SpoilingTiming):
            timing.random = self._random
        return timing

    def _records(self) -> RecordPool:
        return RecordPool(count_max=16, bytes_max=1 << 20, blocks_max=16)

    def _committer(
        self, vm: LazVM, mempool: Mempool, execution: BoundedThreads, index: SettlementIndex
    ) -> Committer:
        return Committer(
            options=self._options,
            vm=vm,
            execution=execution,
            observers=self._threads("observers"),
            mempool=mempool,
            records=self._records(),
            index=index,
            contract_jobs=ContractJobs(),
            clock=self._clock,
            observe=lambda summary: self._watcher.committed(self, summary),
        )

    def submit(self, transaction: Transaction) -> None:
        """Take a wallet's transaction in, if the node is up. Raises Busy or InvalidTransaction."""
        if self.rooms is not None:
            _admit(self.rooms.vm, self.rooms.mempool, transaction)


def _admit(vm: LazVM, mempool: Mempool, transaction: Transaction) -> None:
    """The door for payments, from wallets and from peers: nothing on this chain needs records."""
    if mempool.get(transaction.hash) is not None:
        return
    if transaction.nonce < vm.state().nonce(transaction.sender):
        raise InvalidTransaction(f"nonce {transaction.nonce} was used")
    work = WalletTransaction(
        work_id=transaction.hash, sender=transaction.sender, size_bytes=len(transaction.raw), transaction=transaction
    )
    mempool.add(work)
    mempool.mark_ready(work)
