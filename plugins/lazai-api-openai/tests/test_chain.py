"""Raw transactions, blocks and peers over HTTP."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from lazai_core.api.errors import Busy, InvalidTransaction
from lazai_core.api.hashing import keccak256

SEND = "/v1/lazai/transactions"


def schema(http: httpx2.Client, name: str) -> set[str]:
    return set(http.get("/openapi.json").json()["components"]["schemas"][name]["properties"])


def test_a_raw_transaction_reaches_the_pool(node: Any, http: httpx2.Client) -> None:
    answer = http.post(SEND, json={"raw": "0x02aB"})

    assert (answer.status_code, answer.json()) == (200, {"hash": "0x" + keccak256(b"\x02\xab").hex()})
    assert node.gateway.sent == [b"\x02\xab"]


def test_of_many_transactions_each_has_its_answer(node: Any, http: httpx2.Client) -> None:
    node.gateway.refusals = {b"\x01": InvalidTransaction("its nonce is used"), b"\x02": Busy("the pool is full")}

    answer = http.post(SEND, json={"raw": ["0x01", "0x02", "0x03", "three", 4]}).json()["data"]

    assert [list(item) for item in answer] == [["error"], ["error"], ["hash"], ["error"], ["error"]]
    codes = [item["error"]["code"] for item in answer if "error" in item]
    assert codes == ["invalid_transaction", "server_busy", "invalid_request", "invalid_request"]
    assert node.gateway.sent == [b"\x03"]


@pytest.mark.parametrize("raw", [None, 5, {}, [], "", "0x", "02ab", "0x2", "0xzz", ["0x01"] * 1001])
def test_what_is_no_transaction_is_refused(node: Any, http: httpx2.Client, raw: Any) -> None:
    answer = http.post(SEND, json={"raw": raw})

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "raw")
    assert node.gateway.sent == []


def test_refusals_of_the_pool_have_their_status(node: Any, http: httpx2.Client) -> None:
    node.gateway.refusals = {b"\x01": InvalidTransaction("its nonce is used"), b"\x02": Busy("the pool is full")}

    assert http.post(SEND, json={"raw": "0x01"}).status_code == 400
    busy = http.post(SEND, json={"raw": "0x02"})
    assert busy.status_code == 429
    assert int(busy.headers["retry-after-ms"]) > 0


def test_where_a_transaction_stands(node: Any, http: httpx2.Client) -> None:
    node.gateway.sent = [b"one"]
    node.gateway.refusals = {b"two": InvalidTransaction("another one took its nonce")}
    hashes = ["0x" + keccak256(raw).hex() for raw in (b"one", b"two", b"three")]

    waiting = http.get(f"{SEND}/{hashes[0]}")

    assert waiting.json()["hash"] == hashes[0]
    assert waiting.json()["height"] is waiting.json()["succeeded"] is None
    assert set(waiting.json()) == schema(http, "TransactionStatus")
    assert http.get(f"{SEND}/{hashes[1]}").json()["error"]["code"] == "transaction_dropped"
    assert http.get(f"{SEND}/{hashes[2]}").status_code == 404
    assert http.get(f"{SEND}/0x12").status_code == 400


def test_blocks_by_height(node: Any, http: httpx2.Client) -> None:
    latest = http.get("/v1/lazai/blocks/latest").json()

    assert (latest["height"], latest["round"]) == (10, 1)
    assert set(latest) == schema(http, "Block")
    assert http.get("/v1/lazai/blocks/3").json()["height"] == 3
    assert http.get("/v1/lazai/blocks/11").status_code == 404
    for text in ("-1", "x", "9" * 19, "１"):
        assert http.get(f"/v1/lazai/blocks/{text}").status_code == 400


def test_peers_are_listed_without_their_places(node: Any, http: httpx2.Client) -> None:
    peers = http.get("/v1/lazai/peers").json()

    assert peers["faults"] == {"flood": 3}
    assert [peer["height"] for peer in peers["data"]] == [9]
    assert "192.0.2.7" not in http.get("/v1/lazai/peers").text
    items = http.get("/openapi.json").json()["components"]["schemas"]["PeerList"]["properties"]["data"]["items"]
    assert set(peers["data"][0]) == set(items["properties"])


def test_status_and_meters_tell_of_the_network(http: httpx2.Client) -> None:
    status, meters = http.get("/status").json(), http.get("/metrics").text

    assert (status["deciding"], status["round"], status["validators"], status["peers"]) == (11, 2, 4, 1)
    assert "lazai_network_peers 1.0" in meters
    assert "lazai_consensus_round 2.0" in meters
    assert 'lazai_network_faults{fault="flood"} 3.0' in meters


def test_an_account_has_coins_and_a_nonce(node: Any, http: httpx2.Client) -> None:
    node.gateway.sent = [b"one"]

    account = http.get(f"/v1/lazai/account/0x{'11' * 20}").json()

    assert (account["balance"], account["nonce"], account["escrow"]) == ("17", 1, "0")
    assert set(account) - {"domain"} == schema(http, "Account") - {"domain"}
