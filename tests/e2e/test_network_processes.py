"""Four validators as processes: they decide, survive what may happen to one of them, and end with one chain.

`python -m tests.e2e.long_network` does the same a hundred times, and with thirty-one.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

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
