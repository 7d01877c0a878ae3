"""The demonstration's processes: commands of `lazai`, and the other validators, which must end with the same chain."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from typing import Any

from lazai_core.api.errors import LazAIError
from lazai_core.api.types import to_hex

from .assemble import Node
from .demo_report import Step
from .devnet import READY_PATIENCE_S, RunningNetwork

_LAZAI = (sys.executable, "-c", "from lazai_core.cli.main import main; main()")
_COMMAND_TIMEOUT_SECONDS = 120


def run_lazai(*arguments: str) -> str:
    """Run a command of `lazai` in a process of its own. Raises LazAIError with what it said."""
    environment = {**os.environ, "COLUMNS": str(shutil.get_terminal_size((100, 24)).columns)}
    finished = subprocess.run(
        [*_LAZAI, *arguments],
        capture_output=True,
        check=False,
        env=environment,
        text=True,
        timeout=_COMMAND_TIMEOUT_SECONDS,
    )
    if finished.returncode:
        raise LazAIError(f"`lazai {' '.join(arguments)}` ended with {finished.returncode}: {finished.stderr.strip()}")
    return finished.stdout



async def meet(node: Node, others: RunningNetwork, move: Any) -> None:
    """Until the first block that the validators have decided together."""
    ends = time.monotonic() + READY_PATIENCE_S
    while not node.gateway.readiness().ready or node.room.vm.head.height < 1:
        for other in others.nodes:
            other.require_running()
        if time.monotonic() > ends:
            raise LazAIError(f"the validators did not meet within {READY_PATIENCE_S:g} s: {node.gateway.readiness()}")
        move(len(node.gateway.node_status().peers), len(others.nodes))
        await asyncio.sleep(0.05)


async def compare_heads(step: Step, node: Node, others: RunningNetwork) -> dict[str, Any]:
    """The block of one height at every validator, asked of each through its own API."""
    height = node.room.vm.head.height
    await asyncio.to_thread(others.wait_height, height)
    blocks = [other.client.get(f"/v1/lazai/blocks/{height}") for other in others.nodes]
    head = node.room.vm.history.block_hash(height)
    assert head is not None, "the head's block is there"
    same = all(block["hash"] == to_hex(head) for block in blocks)
    step.show("height", f"{height}, {to_hex(head)}")
    step.show("validators", "the same block at all four" if same else "DIFFERENT BLOCKS")
    step.note(height=height, head=to_hex(head), same_at_all=same)
    return {"height": height, "head": to_hex(head)}
