"""Reads the chain that a node keeps, without running it."""

from __future__ import annotations

from lazai_core.chain.history import ChainHistory
from lazai_core.chain.light_client import LightClient, TrustOptions
from lazai_core.chain.light_file import HeaderFile, headers_of, heights_between
from lazai_core.node.assemble import open_store
from lazai_core.node.blueprint import Blueprint
from lazai_core.registry import Kind

from .offline import OfflineConsensus


def exported_headers(blueprint: Blueprint, start: int, end: int, *, every: bool = False) -> HeaderFile:
    """The headers that lead from height `start`, trusted, to height `end`, as a light client goes.

    Raises StorageError, and ConsensusFault where the node lacks one of them.
    """
    store = open_store(blueprint)
    try:
        history = ChainHistory(store)
        known = headers_of(history, range(min(start, end), max(start, end) + 1))
        if every:
            return known
        (engine,) = blueprint.of_kind(Kind.CONSENSUS)
        client = LightClient(
            rules=OfflineConsensus(blueprint.catalog, engine.offer.name),
            chain_id=blueprint.genesis.chain_id,
            now_s=known.headers[end].timestamp,
            options=TrustOptions(trusting_period_s=None),
        )
        first, last = known.headers[start], known.headers[end]
        return headers_of(history, heights_between(client, known, first.height, last.height))
    finally:
        store.close()
