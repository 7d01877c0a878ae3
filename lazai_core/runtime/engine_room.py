"""All rooms of the runtime, made from the parts of a node and joined."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Protocol

from attrs import field, frozen

from lazai_core.api.compute import Coprocessor
from lazai_core.api.consensus import ConsensusEngine
from lazai_core.api.gas import GasPolicy
from lazai_core.api.job import ComputeJob, ComputeRecord
from lazai_core.api.needs import Clock, NodeIdentity, ProgramStore, ProofSystems
from lazai_core.api.network import PeerId, Transport
from lazai_core.api.precompile import BlockSummary, Precompile
from lazai_core.api.proof import AcceptancePolicy, Rng, Verdict
from lazai_core.api.service import ServedModel, Service
from lazai_core.api.storage import KeyValueStore
from lazai_core.api.types import GAS_PARAMETERS_ADDRESS, Address, Height
from lazai_core.chain.genesis import Genesis
from lazai_core.lazvm.records import RecordVerifier
from lazai_core.lazvm.vm import CallRequest, LazVM

from .admission import Admission
from .block_checks import BlockChecks
from .block_timing import BlockTiming
from .builder import Builder
from .commit import Committer
from .consensus_host import ConsensusHost
from .disk import Disk
from .evidence import EvidencePool
from .execution import BoundedThreads
from .gateway import NodeGateway, Rooms
from .gossip import Gossip
from .gossip.pools import PoolRecords, PoolTransactions
from .host_parts import HostParts
from .index import SettlementIndex
from .jobs import ContractJobs
from .lanes import Lanes
from .last_sign import LastSigned, MessageSigner
from .mempool import Mempool
from .namespace import PrefixedStore
from .options import RuntimeOptions
from .orchestrator import Orchestrator
from .outcome import RecordJudge
from .pace import BlockPace
from .pricing import Pricing
from .receipts import ReceiptFiles
from .records import RecordPool
from .signing import CallSigner
from .standing import ConnectedPeers, NodeStanding
from .wal import WriteAheadLog
from .workers import ComputeWorkers

EXECUTION_QUEUE_MAX = 1024
DISK_QUEUE_MAX = 64
OBSERVERS_QUEUE_MAX = 256


class RuntimeHooks(Protocol):
    """The hooks of a running node."""

    def route(self, job: ComputeJob, candidates: Sequence[str]) -> str | None:
        """`lazai_route_job`."""

    def observe(self, summary: BlockSummary) -> None:
        """`lazai_block_committed`."""


@frozen(kw_only=True)
class Machine:
    """The parts of a node that the runtime joins.

    `wal_disk` is for the consensus log alone. `sign_disk` lies beside the key; its `sign_file` says what the key has
    signed on this chain. Without a `network` the node is alone; whoever made it runs it before the room's services, and
    `connected` tells of its connections.
    """

    options: RuntimeOptions
    genesis: Genesis
    store: KeyValueStore
    precompiles: Mapping[Address, Precompile]
    pricing_precompile: Precompile
    gas_policy: GasPolicy
    proofs: ProofSystems
    tracing: Collection[str]
    default_proof: str
    coprocessor: Coprocessor
    programs: ProgramStore
    models: Mapping[str, ServedModel]
    engine: ConsensusEngine
    identity: NodeIdentity
    clock: Clock
    rng: Rng
    calls: RuntimeHooks
    wal_disk: Disk
    sign_disk: Disk
    sign_file: str
    network: Transport | None = None
    connected: ConnectedPeers | None = None


@frozen(kw_only=True)
class EngineRoom:
    """The joined runtime. `services` start in this order."""

    vm: LazVM
    proofs: ProofSystems
    execution: BoundedThreads
    pricing_thread: BoundedThreads
    workers: ComputeWorkers
    mempool: Mempool
    records: RecordPool
    index: SettlementIndex
    host: ConsensusHost
    gossip: Gossip | None
    gateway: NodeGateway
    services: tuple[Service, ...]
    first_call: Callable[[], object]
    host_threads: tuple[BoundedThreads, ...]
    _checks: list[Callable[[], Sequence[str]]] = field(alias="checks")

    def add_readiness(self, check: Callable[[], Sequence[str]]) -> None:
        """Another source of what keeps the node from serving."""
        self._checks.append(check)

    def close(self) -> None:
        """Stop the threads: first those that compute, then the one that commits."""
        self.pricing_thread.close()
        self.workers.close()
        for threads in self.host_threads:
            threads.close()
        self.execution.close()


@frozen(kw_only=True)
class _Chain:
    """The chain, the threads that may touch it, and what is read from it."""

    vm: LazVM
    index: SettlementIndex
    execution: BoundedThreads
    pricing_thread: BoundedThreads
    pricing: Pricing
    signer: CallSigner


@frozen(kw_only=True)
class _Flow:
    """The pools, and who fills them."""

    mempool: Mempool
    records: RecordPool
    evidence: EvidencePool
    contract_jobs: ContractJobs
    workers: ComputeWorkers
    orchestrator: Orchestrator


def build_engine_room(machine: Machine) -> EngineRoom:
    """Open the chain (a genesis block where the store is empty), catch the index up, and join the rooms."""
    chain = _open_chain(machine)
    flow = _flow(machine, chain)
    disk = BoundedThreads("disk", threads=1, waiting_max=DISK_QUEUE_MAX)
    observers = BoundedThreads("observers", threads=1, waiting_max=OBSERVERS_QUEUE_MAX)
    host = _host(machine, chain, flow, disk, observers)
    arriving = PoolTransactions(flow.mempool)
    gossip = _gossip(machine, chain, flow, host, arriving)
    standing = NodeStanding(
        vm=chain.vm,
        engine=machine.engine,
        mempool=flow.mempool,
        node=machine.identity.address,
        connected=machine.connected,
        heights=dict if gossip is None else partial(_heights, gossip),
    )
    checks: list[Callable[[], Sequence[str]]] = [standing.failing]
    gateway = _gateway(machine, chain, flow, checks, standing)
    arriving.admit_with(partial(gateway.accept_transaction, foreign=True))
    vm = chain.vm
    return EngineRoom(
        vm=vm,
        proofs=machine.proofs,
        execution=chain.execution,
        pricing_thread=chain.pricing_thread,
        workers=flow.workers,
        mempool=flow.mempool,
        records=flow.records,
        index=chain.index,
        host=host,
        gossip=gossip,
        gateway=gateway,
        services=(flow.orchestrator, *(() if gossip is None else (gossip,)), host, gateway),
        first_call=lambda: vm.call(CallRequest(to=GAS_PARAMETERS_ADDRESS, data=b"")),
        host_threads=(disk, observers),
        checks=checks,
    )


def _open_chain(machine: Machine) -> _Chain:
    vm = LazVM(
        genesis=machine.genesis,
        store=machine.store,
        precompiles=machine.precompiles,
        gas_policy=machine.gas_policy,
        verify_record=RecordVerifier(machine.proofs),
        consensus=machine.engine,
    )
    index = SettlementIndex(
        store=PrefixedStore(machine.store, b"p/index/"), history=vm.history, chain_id=machine.genesis.chain_id
    )
    index.catch_up()
    pricing = Pricing(vm=vm, gas_policy=machine.gas_policy, ai_call=machine.pricing_precompile)
    return _Chain(
        vm=vm,
        index=index,
        execution=BoundedThreads("execution", threads=1, waiting_max=EXECUTION_QUEUE_MAX),
        pricing_thread=BoundedThreads("pricing", threads=1, waiting_max=EXECUTION_QUEUE_MAX),
        pricing=pricing,
        signer=CallSigner(vm=vm, pricing=pricing, identity=machine.identity),
    )


def _flow(machine: Machine, chain: _Chain) -> _Flow:
    options = machine.options
    mempool = Mempool(options)
    records = RecordPool(
        count_max=options.records_max,
        bytes_max=options.records_bytes_max,
        blocks_max=options.records_blocks_max,
    )
    contract_jobs = ContractJobs()
    workers = _workers(machine, chain.vm)
    orchestrator = Orchestrator(
        options=options,
        vm=chain.vm,
        execution=chain.execution,
        mempool=mempool,
        records=records,
        workers=workers,
        programs=machine.programs,
        proofs=machine.proofs,
        route=machine.calls.route,
        signer=chain.signer,
        contract_jobs=contract_jobs,
        clock=machine.clock,
    )
    return _Flow(
        mempool=mempool,
        records=records,
        evidence=EvidencePool(chain.vm),
        contract_jobs=contract_jobs,
        workers=workers,
        orchestrator=orchestrator,
    )


def _host(
    machine: Machine, chain: _Chain, flow: _Flow, disk: BoundedThreads, observers: BoundedThreads
) -> ConsensusHost:
    pace = BlockPace(build_ms_max=machine.options.block_build_ms_max)
    builder = Builder(
        options=machine.options,
        vm=chain.vm,
        execution=chain.execution,
        mempool=flow.mempool,
        records=flow.records,
        orchestrator=flow.orchestrator,
        signer=chain.signer,
        evidence=flow.evidence,
        node=machine.identity.address,
        pace=pace,
    )
    committer = Committer(
        options=machine.options,
        vm=chain.vm,
        execution=chain.execution,
        observers=observers,
        mempool=flow.mempool,
        records=flow.records,
        index=chain.index,
        contract_jobs=flow.contract_jobs,
        clock=machine.clock,
        observe=machine.calls.observe,
    )
    last_signed = LastSigned(machine.sign_disk, machine.sign_file, machine.genesis.hash)
    return ConsensusHost(
        HostParts(
            engine=machine.engine,
            vm=chain.vm,
            execution=chain.execution,
            disk=disk,
            timing=BlockTiming(
                options=machine.options, vm=chain.vm, builder=builder, mempool=flow.mempool, clock=machine.clock
            ),
            checks=BlockChecks(vm=chain.vm, execution=chain.execution, clock=machine.clock, pace=pace),
            committer=committer,
            wal=WriteAheadLog(machine.wal_disk),
            signer=MessageSigner(machine.identity, last_signed),
            address=machine.identity.address,
            evidence=flow.evidence,
        )
    )


def _gossip(
    machine: Machine, chain: _Chain, flow: _Flow, host: ConsensusHost, transactions: PoolTransactions
) -> Gossip | None:
    """Joins host and pools with the network, where there is one."""
    if machine.network is None:
        return None
    records = PoolRecords(
        flow.records,
        judge=_judge(machine, chain.vm, AcceptancePolicy()),
        # Proofs come singly and take long; prices are asked for often and take little.
        threads=chain.pricing_thread,
        height=lambda: chain.vm.head.height,
    )
    gossip = Gossip(
        transport=machine.network,
        identity=machine.identity,
        chain=chain.vm,
        engine=machine.engine,
        rng=machine.rng,
        transactions=transactions,
        records=records,
        evidence=flow.evidence,
    )
    gossip.host = host
    host.connect(gossip)
    flow.orchestrator.borrow_from(gossip.records.borrow)
    return gossip


def _heights(gossip: Gossip) -> Mapping[PeerId, Height]:
    return {state.peer: state.height for state in gossip.peers}


def _judge(machine: Machine, vm: LazVM, accept: AcceptancePolicy) -> RecordJudge:
    """A verifier of its own, for several threads; the machine's belongs to the execution thread."""
    verifier = RecordVerifier(machine.proofs, accept)
    lock = threading.Lock()

    def judge(job: ComputeJob, record: ComputeRecord) -> Verdict:
        with lock:
            return verifier.verdict(job, record, vm.state())

    return judge


def _workers(machine: Machine, vm: LazVM) -> ComputeWorkers:
    return ComputeWorkers(
        options=machine.options,
        coprocessor=machine.coprocessor,
        programs=machine.programs,
        proofs=machine.proofs,
        tracing=machine.tracing,
        identity=machine.identity,
        rng=machine.rng,
        check=_judge(machine, vm, AcceptancePolicy()),
    )


def _gateway(
    machine: Machine, chain: _Chain, flow: _Flow, checks: list[Callable[[], Sequence[str]]], standing: NodeStanding
) -> NodeGateway:
    options, vm = machine.options, chain.vm
    lanes = Lanes(open_max=options.requests_open_max, open_per_account_max=options.requests_open_per_account_max)
    admission = Admission(
        options=options,
        vm=vm,
        programs=machine.programs,
        proofs=machine.proofs,
        default_proof=machine.default_proof,
        lanes=lanes,
        node=machine.identity.address,
        clock=machine.clock,
    )
    receipts = ReceiptFiles(
        history=vm.history, index=chain.index, validators=vm.validators, state=vm.state
    )
    return NodeGateway(
        Rooms(
            vm=vm,
            execution=chain.execution,
            pricing=chain.pricing,
            pricing_thread=chain.pricing_thread,
            admission=admission,
            lanes=lanes,
            mempool=flow.mempool,
            orchestrator=flow.orchestrator,
            index=chain.index,
            receipts=receipts,
            models=machine.models,
            node=machine.identity.address,
            clock=machine.clock,
            rng=machine.rng,
            check_signed=_judge(machine, vm, AcceptancePolicy(reexecute=False)),
            failing=lambda: [name for check in checks for name in check()],
            standing=standing.status,
        )
    )
