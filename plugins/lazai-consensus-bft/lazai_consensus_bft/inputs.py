"""Inputs this engine understands besides those of `lazai_core.api.consensus`."""

from __future__ import annotations

from attrs import field, frozen

from lazai_core.api.consensus import StartHeight

from .committee import Committee


@frozen(kw_only=True)
class WalRecord:
    """A record that `AppendWal` made durable, in its order. All come before the first `StartHeight` of a life."""

    payload: bytes = field(repr=lambda data: f"<{len(data)} bytes>")


@frozen(kw_only=True)
class StartHeightWith(StartHeight):
    """`StartHeight`, with the validators of that height where they changed."""

    committee: Committee
