"""A plan carried out: every part built after what it needs, and closed in reverse, also when one fails half-way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any, cast

import structlog
from attrs import field, frozen

from lazai_core.api.compute import Capability, Coprocessor
from lazai_core.api.consensus import ConsensusEngine
from lazai_core.api.entries import ProofSystemEntry
from lazai_core.api.errors import AssemblyError, LazAIError, PluginBroken, StorageError
from lazai_core.api.gas import GasPolicy
from lazai_core.api.needs import Clock, NodeIdentity, ProofSystems
from lazai_core.api.precompile import BlockSummary, Precompile
from lazai_core.api.proof import ProofSystem, Rng
from lazai_core.api.service import Service
from lazai_core.api.storage import KeyValueStore
from lazai_core.api.types import AI_CALL_ADDRESS, Address, to_hex
from lazai_core.network.transport import TlsTransport
from lazai_core.registry import Catalog, Kind
from lazai_core.registry.catalog import address_of
from lazai_core.runtime.charged import charged
from lazai_core.runtime.disk import Disk, FolderDisk, MemoryDisk
from lazai_core.runtime.engine_room import EngineRoom, Machine, build_engine_room
from lazai_core.runtime.gateway import NodeGateway
from lazai_core.runtime.gossip import TOPICS
from lazai_core.runtime.namespace import PrefixedStore
from lazai_core.runtime.options import RuntimeOptions

from .blueprint import Blueprint, Part
from .charged_service import ChargedService
from .guarded import guard
from .identity import load_identity
from .injection import Need, call_build
from .lazy_coprocessor import LazyCoprocessor
from .models import FolderPrograms, ModelFolder, read_model_folder, served_models
from .system import SystemClock, SystemRng
from .warm_up import WarmUp

log = structlog.get_logger(__name__)


@frozen(kw_only=True)
class Node:
    """A built node. `services` are in the order in which they start; `close` undoes the building."""

    blueprint: Blueprint
    identity: NodeIdentity
    room: EngineRoom
    services: tuple[Service, ...]
    _closing: ExitStack = field(alias="closing", repr=False)

    @property
    def gateway(self) -> NodeGateway:
        """The front door."""
        return self.room.gateway

    def close(self) -> None:
        """Close everything that was opened, in reverse."""
        self._closing.close()


def assemble(
    blueprint: Blueprint,
    *,
    identity: NodeIdentity | None = None,
    clock: Clock | None = None,
    rng: Rng | None = None,
) -> Node:
    """Build the node of a plan. On AssemblyError, StorageError, ModelError or InvalidGenesis nothing stays open."""
    with ExitStack() as stack:
        identity = load_identity(blueprint.config.node.key_file) if identity is None else identity
        _check_role(blueprint, identity)
        builder = _Assembly(
            blueprint,
            identity=identity,
            clock=SystemClock() if clock is None else clock,
            rng=SystemRng() if rng is None else rng,
            stack=stack,
        )
        return builder.build(stack.pop_all)
    raise AssertionError("an ExitStack does not swallow exceptions here")


def open_store(blueprint: Blueprint) -> KeyValueStore:
    """The chain's store of a plan, alone; the caller closes it. Raises AssemblyError, StorageError."""
    (part,) = blueprint.of_kind(Kind.STORAGE)

    def provide(need: Need) -> object:
        return part.options if need is Need.OPTIONS else _store_folder(blueprint.config.node.data_dir, part)

    def build() -> Any:
        return call_build(part.key, part.offer.entry.build, part.needs, provide)

    return cast(KeyValueStore, charged(part.offer.candidate, "its build function", build))


class _Assembly:
    """The parts as they come into being."""

    def __init__(
        self, blueprint: Blueprint, *, identity: NodeIdentity, clock: Clock, rng: Rng, stack: ExitStack
    ) -> None:
        self._blueprint = blueprint
        self._identity = identity
        self._clock = clock
        self._rng = rng
        self._stack = stack
        self._built: dict[str, Any] = {}
        self._folders: tuple[ModelFolder, ...] = ()
        self._programs = FolderPrograms(())
        self._gateway: NodeGateway | None = None

    def build(self, keep_open: Callable[[], ExitStack]) -> Node:
        self._folders = tuple(read_model_folder(section.path) for section in self._blueprint.config.model)
        self._programs = FolderPrograms(self._folders)
        machine_parts = [part for part in self._blueprint.parts if part.kind is not Kind.SERVICE]
        for part in machine_parts:
            self._built[part.key] = self._make(part)
        options = self._blueprint.config.limits
        network = self._network()
        room = build_engine_room(self._machine(options, network))
        self._stack.callback(room.close)
        self._gateway = room.gateway
        warm_up = self._warm_up(room, options)
        services = [
            ChargedService(self._make(part), part.offer.candidate) for part in self._blueprint.of_kind(Kind.SERVICE)
        ]
        return Node(
            blueprint=self._blueprint,
            identity=self._identity,
            room=room,
            services=(*(() if network is None else (network,)), *room.services, warm_up, *services),
            closing=keep_open(),
        )

    def _make(self, part: Part) -> Any:
        if part.kind is Kind.COPROCESSOR:
            lazy = LazyCoprocessor(lambda: cast(Coprocessor, self._call(part)), part.offer.candidate)
            self._stack.callback(lazy.close)
            return lazy
        made = self._call(part)
        if part.kind is Kind.STORAGE:
            self._stack.callback(made.close)
        return guard(part.kind, made, part.offer)

    def _call(self, part: Part) -> Any:
        def build() -> Any:
            return call_build(part.key, part.offer.entry.build, part.needs, lambda need: self._provide(part, need))

        try:
            return charged(part.offer.candidate, "its build function", build)
        except PluginBroken as error:
            raise AssemblyError(error.message, path=[part.key], hint=error.hint) from error

    def _provide(self, part: Part, need: Need) -> Any:
        match need:
            case Need.OPTIONS:
                return part.options
            case Need.IDENTITY:
                return self._identity
            case Need.CHAIN:
                return self._blueprint.genesis.parameters
            case Need.STORE:
                return PrefixedStore(self._store(), f"p/{part.key}/".encode())
            case Need.COPROCESSOR:
                return self._one(Kind.COPROCESSOR)
            case Need.KERNELS:
                return self._one(Kind.COPROCESSOR).tensors
            case Need.PROGRAMS:
                return self._programs
            case Need.PROOFS:
                return self._proofs()
            case Need.GAS:
                return self._one(Kind.GAS_POLICY)
            case Need.GATEWAY:
                return self._gateway
            case Need.CLOCK:
                return self._clock
            case Need.RNG:
                return self._rng
            case Need.PATH:
                return _store_folder(self._blueprint.config.node.data_dir, part)

    def _one(self, kind: Kind) -> Any:
        (part,) = self._blueprint.of_kind(kind)
        return self._built[part.key]

    def _store(self) -> KeyValueStore:
        return cast(KeyValueStore, self._one(Kind.STORAGE))

    def _proofs(self) -> ProofSystems:
        parts = self._blueprint.of_kind(Kind.PROOF_SYSTEM)
        return ProofSystems({part.offer.name: cast(ProofSystem, self._built[part.key]) for part in parts})

    def _precompiles(self) -> Mapping[Address, Precompile]:
        parts = self._blueprint.of_kind(Kind.PRECOMPILE)
        return {Address(address_of(part.offer)): self._built[part.key] for part in parts}

    def _pricing_precompile(self) -> Precompile:
        """A second AI-call precompile: prices are made on the event loop, beside the execution thread's own."""
        for part in self._blueprint.of_kind(Kind.PRECOMPILE):
            if address_of(part.offer) == AI_CALL_ADDRESS:
                return cast(Precompile, self._make(part))
        raise AssemblyError("no precompile answers inference calls", hint="let the chain have the precompile ai-call")

    def _network(self) -> TlsTransport | None:
        """The way to other nodes, where the configuration has one. It is opened when it runs."""
        section = self._blueprint.config.network
        if section is None:
            return None
        return TlsTransport(
            options=section,
            identity=self._identity,
            chain_id=self._blueprint.genesis.chain_id,
            genesis_hash=self._blueprint.genesis.hash,
            topics=TOPICS,
            clock=self._clock,
            chance=Random(self._rng.bytes(16)),
            folder=self._blueprint.config.node.data_dir / "network",
        )

    def _machine(self, options: RuntimeOptions, network: TlsTransport | None) -> Machine:
        proof_parts = self._blueprint.of_kind(Kind.PROOF_SYSTEM)
        wal_disk, sign_disk = self._disks()
        return Machine(
            options=options,
            genesis=self._blueprint.genesis,
            store=self._store(),
            precompiles=self._precompiles(),
            pricing_precompile=self._pricing_precompile(),
            gas_policy=cast(GasPolicy, self._one(Kind.GAS_POLICY)),
            proofs=self._proofs(),
            tracing=_tracing(proof_parts),
            # What a request gets that names none: the first in the configuration, whatever the order of building.
            default_proof=self._blueprint.config.proof[0].use,
            coprocessor=self._one(Kind.COPROCESSOR),
            programs=self._programs,
            models=served_models(self._folders),
            engine=cast(ConsensusEngine, self._one(Kind.CONSENSUS)),
            identity=self._identity,
            clock=self._clock,
            rng=self._rng,
            calls=HookAdapter(self._blueprint.catalog),
            wal_disk=wal_disk,
            sign_disk=sign_disk,
            sign_file=self._sign_file(),
            network=network,
            connected=network,
        )

    def _disks(self) -> tuple[Disk, Disk]:
        """For the consensus log, and for what the key has signed: beside the data, and beside the key.

        A chain of one validator in a store that forgets begins anew with every start, and so does what binds its key.
        """
        node = self._blueprint.config.node
        if self._blueprint.config.storage.use == "memory" and len(self._blueprint.genesis.validators) == 1:
            return MemoryDisk(), MemoryDisk()
        disks = FolderDisk(node.data_dir / "consensus"), FolderDisk(node.key_file.parent)
        for disk in disks:
            self._stack.callback(disk.close)
        return disks

    def _sign_file(self) -> str:
        """One file a key and chain."""
        return f"{self._blueprint.config.node.key_file.name}.{self._blueprint.genesis.hash.hex()[:16]}.signed"

    def _warm_up(self, room: EngineRoom, options: RuntimeOptions) -> WarmUp:
        warm_up = WarmUp(
            coprocessor=self._one(Kind.COPROCESSOR),
            workers=room.workers,
            execution=room.execution,
            first_call=room.first_call,
            models=[folder.digest for folder in self._folders],
            models_max=options.models_loaded_max,
            clock=self._clock,
        )
        room.add_readiness(warm_up.failing)
        return warm_up


def _check_role(blueprint: Blueprint, identity: NodeIdentity) -> None:
    """A node that neither decides blocks alone nor hears of others would take requests and never answer."""
    if blueprint.config.network is not None:
        return
    validators = [validator.address for validator in blueprint.genesis.validators]
    if len(validators) > 1:
        raise AssemblyError(
            f"this chain has {len(validators)} validators, and this node has no network to meet them",
            hint="add [network] with their addresses in peers",
        )
    if identity.address not in validators:
        raise AssemblyError(
            f"the key {to_hex(identity.address)} is no validator of this chain, and there is no network to follow one",
            hint=f"add [network], or use the key of {', '.join(to_hex(address) for address in validators[:3])}",
        )


class HookAdapter:
    """The two hooks of the running node; a failing implementation is logged with its plugin's name."""

    def __init__(self, catalog: Catalog) -> None:
        self._calls = catalog.calls
        self.failures = 0

    def route(self, job: Any, candidates: Sequence[str]) -> str | None:
        """Ask `lazai_route_job`."""
        chosen, failures = self._calls.route_job(job, candidates)
        self._report(failures)
        return chosen

    def observe(self, summary: BlockSummary) -> None:
        """Tell `lazai_block_committed`."""
        self._report(self._calls.block_committed(summary))

    def _report(self, failures: Sequence[LazAIError]) -> None:
        for failure in failures:
            self.failures += 1
            log.error("hook.failed", plugin=getattr(failure, "plugin", ""), error=str(failure), count=self.failures)


def _tracing(parts: Sequence[Part]) -> frozenset[str]:
    """Proof systems that read the trace of a run."""
    found = set()
    for part in parts:
        entry = part.offer.entry
        assert isinstance(entry, ProofSystemEntry), "the catalog keeps kinds apart"
        if Capability.TRACE in entry.requires:
            found.add(part.offer.name)
    return frozenset(found)


def _store_folder(data_dir: Path, part: Part) -> Path:
    folder = data_dir / part.offer.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make the data folder {folder}: {error.strerror}") from error
    return folder
