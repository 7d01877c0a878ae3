"""A node joins the validators of a running network by a transaction, signs blocks, and leaves by another."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from lazai_core.api.errors import LazAIError
from lazai_core.api.hashing import address_of_private_key, sign_digest
from lazai_core.api.types import VALIDATORS_ADDRESS, ZERO_ADDRESS, Gas, Wei
from lazai_core.builtin.sqlite_store import SqliteOptions, build_sqlite
from lazai_core.chain.abi import encode_call
from lazai_core.chain.history import ChainHistory
from lazai_core.chain.staking import COIN_WEI
from lazai_core.chain.staking_calls import REGISTER_VALIDATOR, WITHDRAW_STAKE, registration_digest
from lazai_core.chain.transaction import Transaction
from lazai_core.node.devnet import RunningNode
from lazai_core.node.identity import read_key_file
from tests.e2e.network import PATIENCE_S, check_ledgers, trial
from tests.e2e.test_network_processes import until_final, write_follower

pytestmark = pytest.mark.slow
CHAIN_ID = 1612


def key_in(path: Path) -> bytes:
    """A key, whose password lies beside it."""
    return read_key_file(path, path.with_name(path.name + ".password").read_bytes().strip()).reveal()


def call(folder: Path, nonce: int, signature: str, *values: Any, value: int = 0) -> str:
    """A call of the contract Validators by the funded account, as raw hexadecimal digits."""
    transaction = Transaction(
        chain_id=CHAIN_ID,
        nonce=nonce,
        max_fee_per_gas=Wei(10**10),
        max_priority_fee_per_gas=Wei(0),
        gas=Gas(600_000),
        to=VALIDATORS_ADDRESS,
        value=Wei(value),
        data=encode_call(signature, *values),
    )
    return "0x" + transaction.signed(key_in(folder / "account.json")).raw.hex()


def until_set(node: RunningNode, count: int, *, inside: bool) -> int:
    """Wait until a node says that the set has so many members, itself among them or not; its height then."""
    ends = time.monotonic() + PATIENCE_S
    status: dict[str, Any] = {}
    while time.monotonic() < ends:
        try:
            status = node.client.get("/status")
        except (OSError, LazAIError):
            continue
        if (status["validators"], status["validator"]) == (count, inside):
            return int(status["height"])
        time.sleep(0.2)
    raise AssertionError(f"{node.place.name} still says {status}")


def test_a_node_joins_the_validators_signs_and_leaves(tmp_path: Path) -> None:
    folder = tmp_path / "net"
    with trial(folder, validators=4, seed=11) as network:
        place = write_follower(folder, network.running.devnet)
        config = place.folder / "node.toml"
        config.write_text(config.read_text(encoding="utf-8").replace('\nrole = "full"', ""), encoding="utf-8")
        key = key_in(place.folder / "keys" / "node.json")
        validator, account = address_of_private_key(key), address_of_private_key(key_in(folder / "account.json"))
        proof = sign_digest(registration_digest(CHAIN_ID, validator, account, ZERO_ADDRESS), key)
        joiner = RunningNode(place)
        joiner.start()
        try:
            network.running.wait_height(4, nodes=[joiner])
            assert until_set(joiner, 4, inside=False) >= 4
            joining = call(folder, 0, REGISTER_VALIDATOR, validator, ZERO_ADDRESS, proof, value=COIN_WEI)
            sent = joiner.client.post("/v1/lazai/transactions", {"raw": joining})["hash"]
            until_final(joiner, sent)
            joined = until_set(joiner, 5, inside=True)
            network.running.wait_height(joined + 6)
            leaving = call(folder, 1, WITHDRAW_STAKE, validator, COIN_WEI)
            joiner.client.post("/v1/lazai/transactions", {"raw": leaving})
            left = until_set(joiner, 4, inside=False)
            network.running.wait_height(left + 3)
            codes = network.running.stop()
        finally:
            joiner.send(signal.SIGTERM)
            assert joiner.wait(20) == 0
    assert codes == [0, 0, 0, 0]
    check_ledgers(folder)
    store = build_sqlite(folder / "node-0" / "data" / "sqlite", SqliteOptions())
    try:
        blocks = [ChainHistory(store).block(height) for height in range(joined, left + 1)]
    finally:
        store.close()
    certificates = [block.last_certificate for block in blocks if block is not None]
    signers = [{entry.validator for entry in one.signatures} for one in certificates if one is not None]
    assert sum(validator in some for some in signers) >= 3
    assert any(block is not None and block.header.proposer == validator for block in blocks)
