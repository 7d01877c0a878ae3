"""Noise on every way in: the answer is 200 or a 4xx in the error shape, never 5xx, and the server goes on."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

SCALARS = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
EMBEDDINGS = st.fixed_dictionaries(
    {},
    optional={
        "model": st.sampled_from(["bag", "classifier", "no"]) | JSON,
        "input": st.text(max_size=30) | st.lists(st.text(max_size=5) | st.integers(-2, 20), max_size=4) | JSON,
        "encoding_format": st.sampled_from(["float", "base64", "hex"]) | JSON,
        "dimensions": JSON,
        "lazai": st.fixed_dictionaries({}, optional={"dats": JSON, "proof_system": JSON}) | JSON,
    },
)
TENSOR = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["pixels", "tokens"]) | JSON,
        "shape": st.lists(st.integers(-1, 5), max_size=4) | JSON,
        "datatype": st.sampled_from(["FP32", "INT8", "INT32", "BYTES"]) | JSON,
        "data": st.lists(st.integers(-200, 200) | st.floats(), max_size=8) | JSON,
        "parameters": JSON,
    },
)
INFER = st.fixed_dictionaries(
    {},
    optional={
        "id": JSON,
        "inputs": st.lists(TENSOR, max_size=2) | JSON,
        "outputs": st.lists(st.fixed_dictionaries({"name": st.just("logits")}, optional={"parameters": JSON})) | JSON,
        "parameters": JSON,
        "lazai": JSON,
    },
)
GOOD_TENSOR = {"name": "pixels", "shape": [1, 4], "datatype": "FP32", "data": [0.5, 1, -2, 3.25]}


@pytest.fixture(scope="module")
def sender(open_node: Any) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=open_node.url, trust_env=False) as client:
        yield client


def assert_orderly(response: httpx2.Response) -> None:
    assert response.status_code == 200 or 400 <= response.status_code < 500, response.text
    assert response.headers["x-request-id"]
    if response.status_code != 200:
        error = response.json()["error"]
        assert {"message", "type", "param", "code"} <= set(error)
        assert len(response.content) < 20_000


def post(sender: httpx2.Client, path: str, body: bytes, **headers: str) -> httpx2.Response:
    return sender.post(path, content=body, headers={"content-type": "application/json"} | headers)


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/lazai/quote"])
@given(body=EMBEDDINGS)
def test_embeddings_bodies(sender: httpx2.Client, path: str, body: Any) -> None:
    assert_orderly(post(sender, path, json.dumps(body).encode()))


@pytest.mark.parametrize("path", ["/v2/models/classifier/infer", "/v2/models/bag/infer", "/v1/lazai/quote?model=bag"])
@given(body=INFER)
def test_infer_bodies(sender: httpx2.Client, path: str, body: Any) -> None:
    assert_orderly(post(sender, path, json.dumps(body).encode()))


@given(changes=TENSOR)
def test_tensors_that_are_nearly_right(sender: httpx2.Client, changes: dict[str, Any]) -> None:
    body = {"inputs": [GOOD_TENSOR | changes]}
    assert_orderly(post(sender, "/v2/models/classifier/infer", json.dumps(body).encode()))


@given(body=st.binary(max_size=80))
def test_bodies_of_any_bytes(sender: httpx2.Client, body: bytes) -> None:
    assert post(sender, "/v1/embeddings", body).status_code == 400


@given(header=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=80))
def test_authorisations_of_any_characters(sender: httpx2.Client, header: str) -> None:
    body = b'{"model":"bag","input":"x"}'
    response = post(sender, "/v1/embeddings", body, **{"X-LazAI-Authorization": header})

    assert response.status_code == 401
    assert_orderly(response)


@given(key=st.binary(max_size=40).filter(lambda key: not set(key) & set(b"\r\n\0")))
def test_keys_of_any_bytes(open_node: Any, key: bytes) -> None:
    body = b'{"model":"bag","input":"x"}'
    head = b"POST /v1/lazai/quote HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
    head += b"Content-Length: %d\r\nAuthorization: Bearer %s\r\nX-Any: %s\r\n\r\n" % (len(body), key, key)
    status, _ = exchange(open_node, head + body)

    assert status in (200, 400)


@given(
    path=st.text(max_size=30).map(lambda text: "/" + text.lstrip("/"))
    | st.sampled_from(["/v1/models/", "/v2/models/", "/v1/lazai/receipts/", "/v1/lazai/account/"]).flatmap(
        lambda start: st.text(max_size=20).map(lambda text: start + text)
    ),
    query=st.dictionaries(st.sampled_from(["user", "lane", "model", "dimension", "dats"]), st.text(max_size=8)),
)
def test_paths_and_queries(sender: httpx2.Client, path: str, query: dict[str, str]) -> None:
    assert_orderly(sender.get(quote(path), params=query))


def exchange(node: Any, data: bytes, *, half_close: bool = False) -> tuple[int, bytes]:
    """Status and body for raw bytes, status 0 where the server only closes."""
    with socket.create_connection(("127.0.0.1", node.service.bound_port), timeout=20) as connection:
        connection.sendall(data)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        response = http.client.HTTPResponse(connection)
        try:
            response.begin()
            return response.status, response.read()
        except (http.client.HTTPException, ConnectionError):
            return 0, b""


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET /livez HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000,
        b"POST /v1/embeddings HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json"
        b"\r\n\r\nZZ\r\n",
    ],
)
def test_what_is_not_http_is_400_in_json(open_node: Any, data: bytes) -> None:
    status, body = exchange(open_node, data)

    assert status == 400
    assert json.loads(body)["error"]["code"] == "invalid_http"


@given(data=st.binary(min_size=1, max_size=60).map(lambda noise: noise + b"\r\n\r\n"))
def test_noise_instead_of_http(open_node: Any, data: bytes) -> None:
    status, body = exchange(open_node, data, half_close=True)

    assert status == 0 or 400 <= status < 500
    if status:
        assert json.loads(body)["error"]["code"]


def test_the_server_is_still_well(sender: httpx2.Client) -> None:
    assert post(sender, "/v1/embeddings", b'{"model":"bag","input":"x"}').status_code == 200
    assert sender.get("/status").json()["requests_in_work"] == 0
