"""Hooks of lazai-consensus-bft."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lazai_core.api import ConsensusEntry, PluginInfo, hookimpl
from lazai_core.api.needs import ChainParameters, NodeIdentity

from .options import BftOptions

if TYPE_CHECKING:
    from lazai_core.api.consensus import ConsensusEngine


def build_bft(options: BftOptions, identity: NodeIdentity, chain: ChainParameters) -> ConsensusEngine:
    """The engine of this node's key, over the genesis validators."""
    from .committee import committee_of
    from .engine import BftEngine

    return BftEngine(
        chain_id=chain.chain_id,
        address=identity.address,
        committee=committee_of(chain.validators),
        options=options,
    )


@hookimpl
def lazai_plugin() -> PluginInfo:
    return PluginInfo(name="consensus-bft", hook_api=(1, 0), summary="Byzantine fault tolerant consensus by quorums")


@hookimpl
def lazai_consensus_engines() -> Iterable[ConsensusEntry]:
    yield ConsensusEntry(
        name="bft",
        summary="Tendermint rules over quorums of power; stands faulty validators of less than a third",
        build=build_bft,
        options=BftOptions,
    )
