"""Four validators as processes: they decide, survive what may happen to one of them, and end with one chain.

`python -m tests.e2e.long_network` does the same a hundred times, and with thirty-one.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lazai_core.api.errors import LazAIError
from lazai_core.api.types import Gas, Wei
from lazai_core.chain.transaction import Transaction
from lazai_core.node.devnet import Devnet, NodePlace, RunningNode, free_base_port, read_devnet
from lazai_core.node.identity import new_private_key, read_key_file, write_key_file
from tests.e2e.network import check_ledgers, trial

pytestmark = pytest.mark.slow


def test_four_validators_survive_a_kill_a_stop_and_a_cut(tmp_path: Path) -> None:
    folder = tmp_path / "net"
    with trial(folder, validators=4, seed=7) as network:
        network.kill()
        network.stop()
        network.partition()
        codes = network.running.stop()
    assert codes == [0, 0, 0, 0]
    assert check_ledgers(folder) >= 4
    assert {kind: len(times) for kind, times in network.recoveries.items()} == {"kill": 1, "stop": 1, "partition": 1}


def test_a_node_that_is_no_validator_follows(tmp_path: Path) -> None:
    """It begins late with nobody but a seed, fetches what there is, and takes transactions on for the others."""
    folder = tmp_path / "net"
    with trial(folder, validators=4, seed=3) as network:
        place = write_follower(folder, network.running.devnet)
        follower = RunningNode(place)
        follower.start()
        try:
            network.running.wait_height(4)
            network.running.wait_height(4, nodes=[follower])
            status = follower.client.get("/status")
            assert (status["validator"], status["validators"]) == (False, 4)
            sent = follower.client.post("/v1/lazai/transactions", {"raw": payment(folder)})["hash"]
            until_final(network.running.nodes[2], sent)
            until_final(follower, sent)
        finally:
            follower.send(signal.SIGTERM)
            assert follower.wait(20) == 0


def write_follower(folder: Path, devnet: Devnet) -> NodePlace:
    """A fifth node with a key of its own, that knows the first validator as a seed."""
    first = devnet.nodes[0]
    home = folder / "follower"
    (home / "keys").mkdir(parents=True)
    write_key_file(home / "keys" / "node.json", new_private_key(), b"x", work_factor=1000)
    (home / "keys" / "node.json.password").write_bytes(b"x")
    (home / "genesis.json").write_bytes((folder / "genesis.json").read_bytes())
    base = free_base_port(1)
    text = first.config.read_text(encoding="utf-8")
    text = re.sub(r"(?m)^peers = .*$", f'seeds = ["{first.address}@{first.network}"]', text)
    text = text.replace(first.network, f"127.0.0.1:{base}", 1).replace(first.api, f"127.0.0.1:{base + 1000}")
    text = text.replace('name = "node-0"', 'name = "follower"\nrole = "full"')
    (home / "node.toml").write_text(text, encoding="utf-8")
    return NodePlace(
        name="follower", folder=home, address="", network=f"127.0.0.1:{base}", api=f"127.0.0.1:{base + 1000}"
    )


def payment(folder: Path) -> str:
    """A transfer of the funded account, as raw hexadecimal digits."""
    account = folder / "account.json"
    password = account.with_name("account.json.password").read_bytes().strip()
    transaction = Transaction(
        chain_id=1612,
        nonce=0,
        max_fee_per_gas=Wei(10**10),
        max_priority_fee_per_gas=Wei(0),
        gas=Gas(21_000),
        to=b"\x77" * 20,
        value=Wei(5),
    )
    return "0x" + transaction.signed(read_key_file(account, password).reveal()).raw.hex()


def until_final(node: RunningNode, transaction_hash: str) -> None:
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        try:
            if node.client.get(f"/v1/lazai/transactions/{transaction_hash}")["succeeded"]:
                return
        except LazAIError:
            # It has not come here yet.
            pass
        time.sleep(0.2)
    raise AssertionError(f"{node.place.name} never saw {transaction_hash}")


def test_without_a_quorum_nothing_is_decided_and_nodes_say_so(tmp_path: Path) -> None:
    folder = tmp_path / "net"
    with trial(folder, validators=4, seed=1) as network:
        nodes = network.running.nodes
        for node in nodes[2:]:
            node.send(signal.SIGKILL)
            node.wait(10)
        status = nodes[0].client.get("/status")
        network.running.nodes = nodes[:2]
        while status["ready"] or status["peers"] > 1:
            status = nodes[0].client.get("/status")
        assert status["failing"] == ["no-quorum-of-peers"]
        height = status["height"]
        for node in nodes[2:]:
            node.start()
        network.running.nodes = nodes
        network.running.wait_height(height + 2)
        assert nodes[0].client.get("/status")["failing"] == []
    check_ledgers(folder)


def test_nodes_end_with_whoever_started_them(tmp_path: Path) -> None:
    """`lazai devnet` is killed, politely and not: no node is left behind."""
    folder = tmp_path / "net"
    code = "from lazai_core.cli.main import main; main()"
    arguments = ("devnet", "--dir", str(folder), "--base-port", str(free_base_port(2)), "--validators", "2")
    for number in (signal.SIGKILL, signal.SIGTERM):
        with subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True) as process:
            ends = time.monotonic() + 100
            while not (folder / "devnet.json").exists() or not all(map(answers, read_devnet(folder).nodes)):
                assert time.monotonic() < ends
                time.sleep(0.2)
            process.send_signal(number)
            process.communicate()
        while any(map(answers, read_devnet(folder).nodes)):
            assert time.monotonic() < ends
            time.sleep(0.2)


def answers(place: NodePlace) -> bool:
    node = RunningNode(place)
    try:
        return node.answers()
    finally:
        node.client.close()
