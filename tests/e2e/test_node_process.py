"""The process that an operator starts: ready, serving, stopping, and starting again where it was."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest

from lazai_core.api.consensus import validators_hash
from lazai_core.api.errors import LazAIError
from lazai_core.chain.block import BlockHeader
from lazai_core.chain.receipt_file import JobReceipt
from lazai_core.node.assemble import assemble
from lazai_core.node.demo_wallet import DemoWallet
from tests.e2e.solo import (
    MODEL_NAME,
    SAMPLE,
    WALLET_KEY,
    NodeProcess,
    plan,
    prepare,
    write_folder,
)

pytestmark = pytest.mark.slow

PATH = f"/v2/models/{MODEL_NAME}/infer"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = write_folder(tmp_path)
    text = path.read_text(encoding="utf-8").replace('use = "torch"', 'use = "reference"')
    path.write_text(text + '\n[[service]]\nuse = "openai"\n', encoding="utf-8")
    prepare(path)
    return path


def body_of(number: int) -> dict[str, Any]:
    values = [(number * 31 + position * 7) % 201 - 100 for position in range(20)]
    return {"inputs": [{"name": "features", "shape": [1, 20], "datatype": "INT8", "data": values}]}


def expected_scores(number: int) -> list[int]:
    import numpy as np

    from lazai_core.exact.codec import encode_inputs

    values = np.array([body_of(number)["inputs"][0]["data"]])
    outputs = SAMPLE.run(encode_inputs(SAMPLE.model.program, [values])).outputs
    return [int(value) for value in outputs[0].ravel()]


def wallet_for(process: NodeProcess) -> DemoWallet:
    return DemoWallet(WALLET_KEY, None, process.url)  # type: ignore[arg-type]


def scores(answer: dict[str, Any]) -> list[int]:
    return next(item["data"] for item in answer["outputs"] if item["name"] == "scores")


def test_a_request_is_served_settled_proven_and_replayed_after_a_restart(config: Path, tmp_path: Path) -> None:
    node = NodeProcess(config)
    node.start()
    wallet = wallet_for(node)
    paid = wallet.authorize(body_of(1), model=MODEL_NAME, lane=3)
    answer, _ = wallet.send_paid(PATH, paid)
    assert scores(answer) == expected_scores(1)
    said = answer["lazai"]
    receipt = wallet.fetch(f"/v1/lazai/receipts/{said['receipts'][0]}")
    assert node.stop() == 0
    assert [event["event"] for event in node.events].count("request.settled") == 1

    node.start()
    again, headers = wallet_for(node).send_paid(PATH, paid)
    assert headers["x-lazai-replayed"] == "1"
    assert scores(again) == scores(answer)
    assert again["lazai"]["transaction"] == said["transaction"]
    assert wallet_for(node).fetch(f"/v1/lazai/receipts/{said['receipts'][0]}") == receipt
    node.stop()
    check_receipt(config, tmp_path / "receipt.json", receipt)
    check_path(config, tmp_path / "receipt.json", JobReceipt.decode(receipt).header)


def check_path(config: Path, receipt: Path, header: BlockHeader) -> None:
    """The headers that `lazai headers export` writes lead from the genesis to the receipt's block."""
    genesis, headers = config.parent / "genesis.json", receipt.with_name("headers.json")
    genesis.write_bytes(plan(config).genesis.canonical)
    written = lazai("headers", "export", str(config), "--to", str(header.height), "--out", str(headers))
    assert written.returncode == 0, written.stderr
    led = lazai("verify", str(receipt), "--genesis", str(genesis), "--headers", str(headers))
    assert led.returncode == 0, led.stdout
    assert "certificates from there" in led.stdout
    again = lazai("headers", "export", str(config), "--to", str(header.height), "--out", str(headers))
    assert "nothing was written" in again.stderr
    far = lazai("headers", "export", str(config), "--to", "999999", "--out", str(headers.with_name("far.json")))
    assert "no header of height" in far.stderr
    assert lazai("verify", str(receipt), "--header", "0x" + header.hash.hex()).returncode == 0


def check_receipt(config: Path, path: Path, receipt: bytes) -> None:
    """`lazai verify` accepts the receipt, and refuses it with any byte changed (twelve of them here)."""
    genesis = plan(config).genesis
    trust = "0x" + validators_hash(genesis.validators).hex()
    path.write_bytes(receipt)
    assert lazai("verify", str(path), "--trust", trust).returncode == 0
    changed = []
    for number, position in enumerate(Random(1).sample(range(len(receipt)), 12)):
        bad = path.with_name(f"changed-{number}.json")
        bad.write_bytes(receipt[:position] + bytes([receipt[position] ^ 1]) + receipt[position + 1 :])
        changed.append(str(bad))
    refused = lazai("verify", *changed, "--trust", trust, "--json")
    assert refused.returncode == 4
    assert [outcome["accepted"] for outcome in json.loads(refused.stdout)["receipts"]] == [False] * 12


def lazai(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "from lazai_core.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


class Client:
    """Sends request after request in a lane of its own until the node is gone; remembers what was acknowledged."""

    def __init__(self, process: NodeProcess, lane: int) -> None:
        self.acknowledged: list[tuple[Any, dict[str, Any]]] = []
        self._wallet = wallet_for(process)
        self.lane = lane
        self._numbers = iter(range(1000 * lane, 1000 * lane + 1000))

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                paid = self._wallet.authorize(body_of(next(self._numbers)), model=MODEL_NAME, lane=self.lane)
                answer, _ = self._wallet.send_paid(PATH, paid)
            except (OSError, LazAIError):
                return
            self.acknowledged.append((paid, answer))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_killed_node_keeps_whole_blocks_and_everything_it_acknowledged(config: Path, seed: int) -> None:
    node = NodeProcess(config)
    node.start()
    clients = [Client(node, lane) for lane in range(4)]
    stop = threading.Event()
    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(client.run, stop) for client in clients]
        time.sleep(1.0 + Random(seed).random() * 1.5)
        node.kill()
        stop.set()
        for future in running:
            future.result()
    acknowledged = [item for client in clients for item in client.acknowledged]
    assert acknowledged, "the node was killed before it answered anything"

    check_chain(config, acknowledged)
    node.start()
    for paid, answer in acknowledged:
        again, headers = wallet_for(node).send_paid(PATH, paid)
        assert headers["x-lazai-replayed"] == "1"
        assert scores(again) == scores(answer)
    # Lanes go on where they stopped, whether the last request of each was settled or not.
    for client in clients:
        fresh = wallet_for(node)
        number = 500_000 + client.lane
        paid = fresh.authorize(body_of(number), model=MODEL_NAME, lane=client.lane)
        answer, _ = fresh.send_paid(PATH, paid)
        assert scores(answer) == expected_scores(number)
    assert node.stop() == 0


def check_chain(config: Path, acknowledged: list[tuple[Any, dict[str, Any]]]) -> None:
    """The store holds whole blocks, one on the other, and each acknowledged answer in the block it named."""
    node = assemble(plan(config))
    try:
        vm = node.room.vm
        parent = vm.history.block(0)
        assert parent is not None
        for height in range(1, vm.head.height + 1):
            block = vm.history.block(height)
            assert block is not None
            assert block.header.parent_hash == parent.hash
            assert len(vm.history.receipts(height)) == len(block.transactions)
            assert vm.history.certificate(height)
            assert vm.state(block.header.state_root).nonce(node.identity.address) >= 0
            parent = block
        assert parent.hash == vm.head.hash
        assert node.room.index.height == vm.head.height
        for _, answer in acknowledged:
            said = answer["lazai"]
            assert "0x" + vm.history.block(said["height"]).hash.hex() == said["block"]  # type: ignore[union-attr]
    finally:
        node.close()


def test_an_interrupt_stops_the_node_cleanly(config: Path) -> None:
    node = NodeProcess(config)
    node.start()
    with urllib.request.urlopen(f"{node.url}/readyz", timeout=10) as response:
        assert response.status == 200
    assert node.stop(signal.SIGINT) == 0
    assert node.events[-1]["event"] == "node.stopped"
