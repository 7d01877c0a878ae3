"""Run as a script: kills a process that commits blocks, again and again, and looks at what is left each time.

Prints one line of JSON. The committing process is a fork, so that py-evm is imported once.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from lazai_core.api.types import Address
from lazai_core.builtin.sqlite_store import SqliteOptions, SqliteStore
from lazai_core.lazvm.vm import LazVM
from tests.unit.lazvm.world import ACCOUNTS, PROPOSER, machine, plan, transaction


def payee(height: int) -> Address:
    """Another account in each block, and no precompile."""
    return Address((2**64 + height).to_bytes(20, "big"))


def open_machine(folder: Path) -> tuple[SqliteStore, LazVM]:
    store = SqliteStore(folder, SqliteOptions(cache_mib=4))
    return store, machine(store=store)


def commit_for_ever(folder: Path, acknowledge: int) -> None:
    """Commit block after block; write height and hash to the pipe once a block is durable."""
    _, vm = open_machine(folder)
    while True:
        nonce = vm.state().nonce(ACCOUNTS[0])
        height = vm.head.height + 1
        payments = [transaction(0, nonce + n, payee(height), value=n + 1) for n in range(8)]
        executed = vm.build_block(plan(vm, *payments)).executed
        vm.commit(executed, b"certificate %d" % height)
        os.write(acknowledge, b"%d %s\n" % (height, executed.block.hash.hex().encode()))


def run_until_killed(folder: Path, delay_seconds: float) -> list[tuple[int, str]]:
    """What the process acknowledged before it was killed, `delay_seconds` after its first block."""
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(source)
        try:
            commit_for_ever(folder, sink)
        finally:
            os._exit(1)
    os.close(sink)
    data = os.read(source, 1)
    time.sleep(delay_seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while chunk := os.read(source, 65536):
        data += chunk
    os.close(source)
    lines = data.decode().split("\n")[:-1]
    return [(int(height), digest) for height, digest in (line.split() for line in lines)]


def require_whole(folder: Path, acknowledged: list[tuple[int, str]]) -> int:
    """Height of the head, once everything that belongs to the chain up to it was found."""
    store, vm = open_machine(folder)
    head = vm.head
    assert head.height >= max(height for height, _ in acknowledged), "an acknowledged block is gone"
    for height, digest in acknowledged:
        assert vm.history.block_hash(height) == bytes.fromhex(digest), "an acknowledged block changed"
    for height in range(max(1, head.height - 30), head.height + 1):
        block = vm.history.block(height)
        assert block is not None
        assert len(vm.history.receipts(height)) == len(block.transactions) == 8
        assert vm.history.certificate(height) == b"certificate %d" % height
        assert vm.history.block(height - 1).hash == block.header.parent_hash  # type: ignore[union-attr]
        assert vm.state().balance(payee(height)) == sum(range(1, 9))
    assert vm.history.block(head.height + 1) is None, "a block above the head"
    assert vm.state().nonce(ACCOUNTS[0]) == 8 * head.height
    paid = head.height * 8 * 21_000 * 10**9
    assert vm.state().balance(PROPOSER) == paid
    store.close()
    return head.height


def main() -> None:
    folder, rounds, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    case = random.Random(seed)
    heights, acknowledged = [], []
    for _ in range(rounds):
        acknowledged += run_until_killed(folder, case.random() * 0.15)
        heights.append(require_whole(folder, acknowledged))
    sys.stdout.write(json.dumps({"seed": seed, "heights": heights, "acknowledged": len(acknowledged)}) + "\n")


if __name__ == "__main__":
    main()
