"""The service's life: binding, stopping, bounds on work, bodies and connections, clients that hang up."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import socket
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from lazai_api_openai.options import ApiOptions
from lazai_api_openai.service import build_api
from lazai_core.api.errors import ConfigError

BODY = b'{"model":"bag","input":"hello"}'
JSON = {"Content-Type": "application/json"}


def raw_request(body: bytes = BODY, length: int | None = None, extra: str = "") -> bytes:
    size = len(body) if length is None else length
    head = f"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n"
    return head.encode() + extra.encode() + b"\r\n" + body


def connect(node: Any) -> socket.socket:
    return socket.create_connection(("127.0.0.1", node.service.bound_port), timeout=20)


def read_answer(connection: socket.socket) -> tuple[int, dict[str, Any], http.client.HTTPResponse]:
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response.status, json.loads(response.read()), response


def is_closed(connection: socket.socket) -> bool:
    """Wait for what the server does: an end or a reset is True, bytes are False."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(2_000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("the condition did not come true")


def in_work(node: Any) -> int:
    return int(httpx2.get(f"{node.url}/status", trust_env=False).json()["requests_in_work"])


def test_port_zero_takes_a_free_port(start_node: Callable[..., Any]) -> None:
    first, second = start_node(), start_node()

    assert first.service.bound_port != second.service.bound_port
    assert httpx2.get(f"{second.url}/livez", trust_env=False).status_code == 200


def test_a_taken_port_is_a_configuration_error(node: Any) -> None:
    service = build_api(ApiOptions(listen=f"127.0.0.1:{node.service.bound_port}"), node.gateway)

    with pytest.raises(ConfigError, match=r"listen: .* cannot be bound"):
        asyncio.run(service.run(lambda: pytest.fail("ready without a port")))


def test_stopping_lets_open_requests_end(start_node: Callable[..., Any]) -> None:
    node = start_node(unsigned="operator-pays")
    release = node.hold()
    with connect(node) as connection:
        connection.sendall(raw_request())
        wait_until(lambda: bool(node.gateway.submitted))
        stopping = threading.Thread(target=node.stop)
        stopping.start()
        release()
        status, body, _ = read_answer(connection)
        stopping.join()

    assert status == 200
    assert body["object"] == "list"
    assert node.failure is None


@pytest.mark.parametrize("unsigned", ["operator-pays", "reject"])
def test_stopping_answers_what_takes_too_long(start_node: Callable[..., Any], unsigned: str) -> None:
    node = start_node(unsigned=unsigned, stop_timeout_ms=0)
    signature = f"X-LazAI-Authorization: {node.authorization('bag', BODY)}\r\n" * (unsigned == "reject")
    node.hold()
    with connect(node) as connection:
        connection.sendall(raw_request(extra=signature))
        wait_until(lambda: bool(node.gateway.submitted))
        node.stop()
        status, body, response = read_answer(connection)

    assert (status, body["error"]["code"]) == (503, "node_stopping")
    assert response.headers["x-should-retry"] == ("false" if unsigned == "operator-pays" else None)


def test_a_full_node_answers_429_at_once(start_node: Callable[..., Any]) -> None:
    node = start_node(unsigned="operator-pays", requests_max=1, retry_after_ms=70)
    release = node.hold()
    with connect(node) as connection:
        connection.sendall(raw_request())
        wait_until(lambda: bool(node.gateway.submitted))
        busy = httpx2.post(f"{node.url}/v1/embeddings", content=BODY, headers=JSON, trust_env=False)
        release()
        status, _, _ = read_answer(connection)
    again = httpx2.post(f"{node.url}/v1/embeddings", content=BODY, headers=JSON, trust_env=False)

    assert (busy.status_code, busy.json()["error"]["code"]) == (429, "server_busy")
    assert busy.headers["retry-after-ms"] == "70"
    assert (status, again.status_code) == (200, 200)


def test_a_client_that_hangs_up_frees_its_place_and_is_replayed(node: Any) -> None:
    release = node.hold()
    header = f"X-LazAI-Authorization: {node.authorization('bag', BODY)}\r\n"
    with connect(node) as connection:
        connection.sendall(raw_request(extra=header))
        wait_until(lambda: bool(node.gateway.submitted))
        assert in_work(node) == 1
    wait_until(lambda: in_work(node) == 0)
    release()
    with connect(node) as connection:
        connection.sendall(raw_request(extra=header))
        status, _, response = read_answer(connection)

    assert status == 200
    assert response.headers["x-lazai-replayed"] == "1"
    assert len(node.gateway.submitted) == 1


def test_no_block_in_time_is_504_that_only_a_wallet_repeats(start_node: Callable[..., Any]) -> None:
    node = start_node(unsigned="operator-pays", timeout_ms=50)
    release = node.hold()
    signed = JSON | {"X-LazAI-Authorization": node.authorization("bag", BODY)}
    for headers, retry in ((JSON, "false"), (signed, "true")):
        response = httpx2.post(f"{node.url}/v1/embeddings", content=BODY, headers=headers, trust_env=False)

        assert (response.status_code, response.json()["error"]["code"]) == (504, "timeout")
        assert response.headers["x-should-retry"] == retry
    release()


@pytest.mark.parametrize("size", [1_025, 3_000, 200_000])
def test_a_large_body_is_refused_before_it_is_parsed(start_node: Callable[..., Any], size: int) -> None:
    node = start_node(body_bytes_max=1_024)
    response = httpx2.post(f"{node.url}/v1/embeddings", content=b"[" * size, headers=JSON, trust_env=False)

    assert (response.status_code, response.json()["error"]["code"]) == (413, "request_too_large")


def test_a_slow_body_is_cut_off(start_node: Callable[..., Any]) -> None:
    node = start_node(body_timeout_ms=100)
    with connect(node) as connection:
        connection.sendall(raw_request(b"{", length=500))
        status, body, _ = read_answer(connection)

    assert (status, body["error"]["code"]) == (408, "request_timeout")
    wait_until(lambda: in_work(node) == 0)


@pytest.mark.parametrize("start", [b"", b"POST /v1/emb"])
def test_a_slow_head_is_cut_off(start_node: Callable[..., Any], start: bytes) -> None:
    node = start_node(body_timeout_ms=100)
    with connect(node) as connection:
        connection.sendall(start)
        assert is_closed(connection)


def test_connections_are_bounded(start_node: Callable[..., Any]) -> None:
    node = start_node(connections_max=2)
    held = [connect(node) for _ in range(2)]
    try:
        for connection in held:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            assert read_answer(connection)[0] == 200
        with connect(node) as one_more:
            assert is_closed(one_more)
    finally:
        for connection in held:
            connection.close()


def key_file(folder: Path, text: str, mode: int = 0o600) -> str:
    path = folder / "keys"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return str(path)


ALICE = f"alice {hashlib.sha256(b'sk-alice').hexdigest()} first key"


def test_a_known_key_is_paid_by_the_operator(start_node: Callable[..., Any], tmp_path: Path) -> None:
    node = start_node(api_keys_file=key_file(tmp_path, f"# keys\n\n{ALICE}\n"))
    answers = [
        httpx2.post(f"{node.url}/v1/embeddings", content=BODY, headers=JSON | {"Authorization": key}, trust_env=False)
        for key in ("Bearer sk-alice", "Bearer sk-bob", "Basic sk-alice", "Bearer " + "x" * 600)
    ]

    assert [answer.status_code for answer in answers] == [200, 402, 402, 402]
    assert node.gateway.submitted[0].api_key_id == "alice"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_key_file_open_to_others_is_refused(node: Any, tmp_path: Path, mode: int) -> None:
    path = key_file(tmp_path, ALICE, mode)

    with pytest.raises(ConfigError, match=f"{stat.S_IMODE(mode):04o}.*chmod 600"):
        build_api(ApiOptions(api_keys_file=path), node.gateway)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("alice", "keys:1"),
        ("alice abcd", "keys:1"),
        (f"\n{ALICE}\n{ALICE}", "keys:3.*twice"),
        (ALICE + "\nbob " + "g" * 64, "keys:2"),
        ("two words " + "a" * 64, "keys:1"),
    ],
)
def test_a_malformed_key_file_is_refused_by_line(node: Any, tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        build_api(ApiOptions(api_keys_file=key_file(tmp_path, text)), node.gateway)


def test_a_key_file_that_is_no_file_is_refused(node: Any, tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(ConfigError, match="api_keys_file"):
            build_api(ApiOptions(api_keys_file=str(path)), node.gateway)
    (tmp_path / "latin").write_bytes(b"\xff")
    (tmp_path / "latin").chmod(0o600)
    with pytest.raises(ConfigError, match="UTF-8"):
        build_api(ApiOptions(api_keys_file=str(tmp_path / "latin")), node.gateway)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"listen": "8000"}, "host:port"),
        ({"listen": "127.0.0.1"}, "host:port"),
        ({"listen": "127.0.0.1:x"}, "0 to 65535"),
        ({"listen": "127.0.0.1:65536"}, "0 to 65535"),
        ({"listen": "::1:80"}, r"\[::1\]"),
        ({"unsigned": "free"}, "operator-pays"),
        ({"requests_max": 0}, "requests_max"),
        ({"requests_max": True}, "requests_max"),
        ({"timeout_ms": 1.5}, "timeout_ms"),
        ({"cors_origins": ("app.example",)}, "https://app.example"),
        ({"cors_origins": ("https://app.example/",)}, "origin"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        ApiOptions(**options)
