"""Before a node is assembled: fill its empty store from peers, where the operator names a block to trust."""

from __future__ import annotations

import asyncio
import signal
from contextlib import closing
from random import Random
from typing import Any, cast

from lazai_core.api.consensus import ConsensusEngine
from lazai_core.api.errors import AssemblyError
from lazai_core.api.needs import Clock, NodeIdentity
from lazai_core.api.proof import Rng
from lazai_core.api.storage import KeyValueStore
from lazai_core.chain.history import ChainHistory
from lazai_core.config.schema import NetworkSection
from lazai_core.config.trusted_block import TrustedBlock
from lazai_core.network.transport import TlsTransport
from lazai_core.registry import Kind
from lazai_core.runtime.charged import charged
from lazai_core.runtime.gossip import TOPICS
from lazai_core.runtime.gossip.state_sync import StateSync

from .assemble import open_store
from .blueprint import Blueprint
from .guarded import guard
from .injection import Need, call_build
from .system import SystemClock, SystemRng

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def begin_from_snapshot(
    blueprint: Blueprint, identity: NodeIdentity, *, clock: Clock | None = None, rng: Rng | None = None
) -> bool:
    """Return at once unless the configuration names a block to trust and the store has no chain.

    False where SIGINT or SIGTERM came before all was there; the next call goes on with what is. Raises AssemblyError,
    StorageError, InvalidGenesis.
    """
    section = blueprint.config.network
    if section is None or not section.trust:
        return True
    clock = SystemClock() if clock is None else clock
    rng = SystemRng() if rng is None else rng
    with closing(open_store(blueprint)) as store:
        history = ChainHistory(store)
        if history.genesis_hash() is None:
            asyncio.run(_fill(blueprint, section, identity, store, clock, rng))
        return history.genesis_hash() is not None


async def _fill(
    blueprint: Blueprint,
    section: NetworkSection,
    identity: NodeIdentity,
    store: KeyValueStore,
    clock: Clock,
    rng: Rng,
) -> None:
    transport = TlsTransport(
        options=section,
        identity=identity,
        chain_id=blueprint.genesis.chain_id,
        genesis_hash=blueprint.genesis.hash,
        topics=TOPICS,
        clock=clock,
        chance=Random(rng.bytes(16)),
        folder=blueprint.config.node.data_dir / "network",
    )
    sync = StateSync(
        transport=transport,
        identity=identity,
        genesis=blueprint.genesis,
        store=store,
        verify_certificate=_engine(blueprint, identity).verify_certificate,
        trusted=TrustedBlock.parse(section.trust),
        rng=rng,
    )
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stopped.set)
    # The network ends by itself only when it cannot listen.
    tasks = [asyncio.create_task(each) for each in (sync.run(), transport.run(lambda: None), stopped.wait())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


def _engine(blueprint: Blueprint, identity: NodeIdentity) -> ConsensusEngine:
    """The consensus engine, for its rules of certificates alone."""
    (part,) = blueprint.of_kind(Kind.CONSENSUS)

    def provide(need: Need) -> Any:
        match need:
            case Need.OPTIONS:
                return part.options
            case Need.IDENTITY:
                return identity
            case Need.CHAIN:
                return blueprint.genesis.parameters
        raise AssemblyError(f"{part.key} needs {need.value}, which is not there before there is a chain")

    def build() -> Any:
        return call_build(part.key, part.offer.entry.build, part.needs, provide)

    made = charged(part.offer.candidate, "its build function", build)
    return cast(ConsensusEngine, guard(part.kind, made, part.offer))
