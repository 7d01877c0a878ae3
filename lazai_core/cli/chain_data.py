"""Reads the chain that a node keeps, without running it."""

from __future__ import annotations

from collections.abc import Sequence

from lazai_core.api.errors import ConsensusFault
from lazai_core.chain.history import ChainHistory
from lazai_core.chain.light_client import LightClient, TrustOptions
from lazai_core.chain.light_file import HEADERS_MAX, HeaderFile, headers_of, heights_between
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
        ends = headers_of(history, (start, end))
        if every:
            return headers_of(history, _bounded(range(min(start, end), max(start, end) + 1)))
        (engine,) = blueprint.of_kind(Kind.CONSENSUS)
        first, last = ends.headers[start], ends.headers[end]
        client = LightClient(
            rules=OfflineConsensus(blueprint.catalog, engine.offer.name),
            chain_id=blueprint.genesis.chain_id,
            now_s=last.timestamp,
            options=TrustOptions(trusting_period_s=None),
        )
        return headers_of(history, _bounded(heights_between(client, history, first.height, last.height)))
    finally:
        store.close()


def _bounded(heights: Sequence[int]) -> Sequence[int]:
    if len(heights) > HEADERS_MAX:
        raise ConsensusFault(
            f"{len(heights)} headers are more than the {HEADERS_MAX} of a file", hint="go in several steps"
        )
    return heights
