"""A validator that lost everything but its key begins from a block that its operator trusts."""

from __future__ import annotations

import json
import shutil
import signal
import time
from pathlib import Path

import pytest

from lazai_core.builtin.sqlite_store import SqliteOptions, build_sqlite
from lazai_core.chain.history import ChainHistory
from lazai_core.lazvm.snapshot import missing_entries
from tests.e2e.network import PATIENCE_S, trial

pytestmark = pytest.mark.slow
TRUSTED = 5


def test_a_validator_begins_from_a_trusted_block(tmp_path: Path) -> None:
    folder = tmp_path / "net"
    with trial(folder, validators=4, seed=3) as network:
        running = network.running
        running.wait_height(TRUSTED + 2, patience_s=PATIENCE_S)
        node = running.nodes[3]
        node.kill()
        data = node.place.folder / "data"
        store = build_sqlite(data / "sqlite", SqliteOptions())
        trusted = ChainHistory(store).block_hash(TRUSTED)
        store.close()
        assert trusted is not None
        shutil.rmtree(data)
        text = node.place.config.read_text(encoding="utf-8")
        line = f'trust = "{TRUSTED}:0x{trusted.hex()}"'
        # A hash that no peer has: the node looks for it, and stops when it is told to.
        wrong = line.replace(trusted.hex(), bytes(32).hex())
        node.place.config.write_text(text.replace("[network]", f"[network]\n{wrong}"), encoding="utf-8")
        node.start()
        while "snapshot.other_header" not in node.log_tail():
            node.require_running()
            time.sleep(0.2)
        node.send(signal.SIGTERM)
        assert node.wait(PATIENCE_S) == 0
        node.place.config.write_text(text.replace("[network]", f"[network]\n{line}"), encoding="utf-8")
        node.start()
        target = running.nodes[0].client.get("/status")["height"] + 2
        began = time.monotonic()
        while not (node.answers() and node.client.get("/status")["height"] >= target):
            node.require_running()
            assert time.monotonic() - began < PATIENCE_S, node.log_tail()
            time.sleep(0.2)
        assert running.stop() == [0, 0, 0, 0]
        events = [json.loads(each) for each in node.place.log.read_text(encoding="utf-8").splitlines()]
    assert [event["height"] for event in events if event["event"] == "snapshot.done"] == [TRUSTED]
    store = build_sqlite(data / "sqlite", SqliteOptions())
    history = ChainHistory(store)
    assert history.first_height() == TRUSTED
    assert history.block(TRUSTED - 1) is None
    header = history.header(TRUSTED)
    assert header is not None
    assert list(missing_entries(store, header.state_root)) == []
    store.close()
