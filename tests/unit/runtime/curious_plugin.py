"""A plugin that watches blocks and routes jobs, and fails at both when it is told to."""

from __future__ import annotations

from collections.abc import Sequence

from lazai_core.api import PluginInfo, hookimpl
from lazai_core.api.job import ComputeJob
from lazai_core.api.precompile import BlockSummary

seen: list[BlockSummary] = []
routed: list[tuple[ComputeJob, tuple[str, ...]]] = []


@hookimpl
def lazai_plugin() -> PluginInfo:
    return PluginInfo(name="curious", hook_api=(1, 0), summary="Watches and fails")


@hookimpl
def lazai_block_committed(summary: BlockSummary) -> None:
    seen.append(summary)
    raise RuntimeError("the observer fell asleep")


@hookimpl
def lazai_route_job(job: ComputeJob, candidates: Sequence[str]) -> str | None:
    routed.append((job, tuple(candidates)))
    if len(routed) == 1:
        raise RuntimeError("no idea")
    return None
