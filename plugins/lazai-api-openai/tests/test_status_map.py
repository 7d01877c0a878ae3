"""Every situation and what the client gets for it: status, code, param, and whether it may repeat."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from attrs import field, frozen

from lazai_core.api.errors import (
    BackendUnavailable,
    BadSignature,
    Busy,
    Cancelled,
    ComputeLimitExceeded,
    ConfigError,
    EncodingError,
    FeeTooLow,
    InvalidBlock,
    InvalidInput,
    InvalidProgram,
    LazAIError,
    NotExact,
    OutOfMemory,
    OverLimit,
    PaymentRequired,
    ProvingFailed,
    RequestRejected,
    StorageError,
    UnknownDat,
)
from lazai_core.testing.golden import GoldenFolder

BODY = b'{"model":"bag","input":"hello"}'
EMBEDDINGS = "/v1/embeddings"
OTHER_KEY = bytes([0x48]) * 32


@frozen(kw_only=True)
class Case:
    """A request that `changes` spoil, and its answer. `retry` is the `x-should-retry` header, None for none."""

    name: str
    status: int
    code: str
    param: str | None = None
    retry: str | None = None
    changes: dict[str, Any] = field(factory=dict)
    body: bytes = BODY
    path: str = EMBEDDINGS
    signed: bool = True
    headers: dict[str, str] = field(factory=dict)
    method: str = "POST"


HEADER = "X-LazAI-Authorization"
CASES = [
    Case(name="no payment material", status=402, code="payment_required", signed=False),
    Case(name="a key nobody knows", status=402, code="payment_required", signed=False,
         headers={"Authorization": "Bearer sk-unknown"}),
    Case(name="an empty key", status=402, code="payment_required", signed=False, headers={"Authorization": "Bearer"}),
    Case(name="fee cap below the quote", status=402, code="fee_too_low", changes={"max_cost": 1}),
    Case(name="escrow too small", status=402, code="insufficient_escrow", changes={"max_cost": 10**18 + 1}),
    Case(name="foreign signature", status=401, code="invalid_signature", changes={"key": OTHER_KEY}),
    Case(name="signed for another chain", status=401, code="invalid_signature", changes={"chain_id": 1}),
    Case(name="signed for another node", status=401, code="invalid_signature", changes={"node": bytes(20)}),
    Case(name="signed for another body", status=401, code="invalid_signature", changes={"body_hash": bytes(32)}),
    Case(name="signed for another model", status=401, code="authorization_mismatch", changes={"model": bytes(32)},
         param=f"{HEADER}.model"),
    Case(name="headers that bind nothing", status=401, code="unsupported_authorization", signed=False,
         headers={"X-LazAI-User": "0x" + "11" * 20, "X-LazAI-Nonce": "1", "X-LazAI-Signature": "ab" * 65},
         param="X-LazAI-Signature"),
    Case(name="empty header", status=401, code="invalid_authorization", signed=False, headers={HEADER: ""},
         param=HEADER, retry="false"),
    Case(name="nonce ahead", status=400, code="nonce_expired", changes={"counter": 5}),
    Case(name="deadline passed", status=400, code="deadline_passed", changes={"expiry": 1_800_000_000}),
    Case(name="DAT unknown", status=404, code="dat_not_found", changes={"dats": (99,)}),
    Case(name="DAT not permitted", status=403, code="dat_access_denied", changes={"dats": (8,)}),
    Case(name="DATs that the wallet did not name", status=401, code="authorization_mismatch",
         body=b'{"model":"bag","input":"hello","lazai":{"dats":[7]}}', param=f"{HEADER}.dats"),
    Case(name="unknown model", status=404, code="model_not_found", body=b'{"model":"gpt","input":"x"}', param="model"),
    Case(name="over-length", status=400, code="context_length_exceeded", param="input",
         body=b'{"model":"bag","input":"a b c d e f g h i"}'),
    Case(name="unsupported parameter", status=400, code="unsupported_parameter", param="dimensions",
         body=b'{"model":"bag","input":"x","dimensions":2}'),
    Case(name="no input", status=400, code="missing_parameter", param="input", body=b'{"model":"bag"}'),
    Case(name="no model", status=400, code="missing_parameter", param="model", body=b'{"input":"x"}'),
    Case(name="empty list", status=400, code="invalid_request", param="input", body=b'{"model":"bag","input":[]}'),
    Case(name="empty text in a list", status=400, code="invalid_request", param="input",
         body=b'{"model":"bag","input":["x",""]}'),
    Case(name="texts and tokens mixed", status=400, code="invalid_request", param="input",
         body=b'{"model":"bag","input":["x",5]}'),
    Case(name="no tokens", status=400, code="invalid_request", param="input", body=b'{"model":"bag","input":[[]]}'),
    Case(name="negative token", status=400, code="invalid_request", param="input",
         body=b'{"model":"bag","input":[-1]}'),
    Case(name="unknown encoding", status=400, code="invalid_request", param="encoding_format",
         body=b'{"model":"bag","input":"x","encoding_format":"hex"}'),
    Case(name="a stream of embeddings", status=400, code="unsupported_parameter", param="stream",
         body=b'{"model":"bag","input":"x","stream":true}'),
    Case(name="too many inputs", status=400, code="too_many_inputs", param="input",
         body=json.dumps({"model": "bag", "input": ["x"] * 257}).encode()),
    Case(name="misspelt extension", status=400, code="invalid_request", param="lazai",
         body=b'{"model":"bag","input":"x","lazai":{"dat":[7]}}'),
    Case(name="not JSON", status=400, code="invalid_json", body=b"{"),
    Case(name="duplicate key", status=400, code="invalid_json", body=b'{"model":"bag","model":"bag","input":"x"}'),
    Case(name="NaN", status=400, code="invalid_json", body=b'{"model":"bag","input":[NaN]}'),
    Case(name="not UTF-8", status=400, code="invalid_json", body=b'{"model":"bag","input":"\xff"}'),
    Case(name="lone surrogate", status=400, code="invalid_json", body=b'{"model":"bag","input":"\\ud800"}'),
    Case(name="nested deeply", status=400, code="invalid_json", body=b'{"input":' + b"[" * 50_000),
    Case(name="number of many digits", status=400, code="invalid_json", body=b'{"input":' + b"9" * 5_000 + b"}"),
    Case(name="not an object", status=400, code="invalid_json", body=b'"model"'),
    Case(name="no route", status=404, code="not_found", path="/v1/chat/completions"),
    Case(name="no such path", status=404, code="not_found", path="/%00/../etc", method="GET"),
    Case(name="wrong method", status=405, code="method_not_allowed", method="GET"),
    Case(name="not JSON by type", status=415, code="unsupported_media_type", headers={"Content-Type": "text/plain"}),
    Case(name="compressed", status=415, code="unsupported_encoding", headers={"Content-Encoding": "gzip"}),
    Case(name="no such receipt", status=404, code="receipt_not_found", method="GET", path="/v1/lazai/receipts/ab",
         param="receipt_id"),
    Case(name="no such version", status=404, code="model_not_found", method="GET", param="version",
         path="/v2/models/bag/versions/2"),
    Case(name="not an address", status=400, code="invalid_parameter", method="GET", param="user",
         path="/v1/lazai/nonce?user=0x12"),
    Case(name="no address", status=400, code="missing_parameter", method="GET", param="user",
         path="/v1/lazai/nonce"),
    Case(name="lane too large", status=400, code="invalid_parameter", method="GET", param="lane",
         path=f"/v1/lazai/nonce?user={'11' * 20}&lane={2**64}"),
    Case(name="size out of range", status=400, code="invalid_parameter", method="GET", param="dimension",
         path="/v1/lazai/quote?model=bag&dimension=9"),
]  # fmt: skip

FAULTS: list[tuple[LazAIError | Exception, int, str, str | None]] = [
    (BadSignature("x"), 401, "invalid_signature", None),
    (FeeTooLow("x", quote=5), 402, "fee_too_low", None),
    (PaymentRequired("x", quote=5), 402, "payment_required", None),
    (UnknownDat("x"), 404, "dat_not_found", None),
    (OverLimit("x"), 400, "context_length_exceeded", None),
    (InvalidInput("x"), 400, "invalid_input", None),
    (RequestRejected("x"), 400, "request_rejected", None),
    (Busy("x", retry_after_ms=1), 429, "server_busy", None),
    (ComputeLimitExceeded("x"), 400, "compute_limit_exceeded", None),
    (BackendUnavailable("x"), 503, "model_loading", None),
    (OutOfMemory("x"), 503, "out_of_memory", None),
    (Cancelled("x"), 503, "cancelled", None),
    (NotExact("x"), 500, "engine_error", "false"),
    (InvalidProgram("x"), 500, "engine_error", "false"),
    (ProvingFailed("x"), 500, "engine_error", "false"),
    (EncodingError("x"), 500, "engine_error", "false"),
    (InvalidBlock("x", check="y"), 500, "engine_error", "false"),
    (StorageError("x"), 500, "engine_error", "false"),
    (ConfigError([]), 500, "engine_error", "false"),
    (KeyError("secret path"), 500, "engine_error", "false"),
]


def send(node: Any, http: httpx2.Client, case: Case) -> httpx2.Response:
    headers = {"Content-Type": "application/json"} | case.headers
    if case.signed and case.method == "POST":
        headers[HEADER] = node.authorization("bag", case.body, **case.changes)
    content = case.body if case.method == "POST" else None
    return http.request(case.method, case.path, content=content, headers=headers)


def checked_error(response: httpx2.Response) -> dict[str, Any]:
    """The error object, after checking what holds for every failure."""
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"].startswith("req_")
    body = response.json()
    assert set(body) == {"error"}
    error: dict[str, Any] = body["error"]
    assert {"message", "type", "param", "code"} <= set(error)
    assert isinstance(error["message"], str)
    assert error["message"]
    assert isinstance(error["code"], str)
    return error


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_situation(node: Any, http: httpx2.Client, case: Case) -> None:
    response = send(node, http, case)
    error = checked_error(response)

    assert (response.status_code, error["code"], error["param"]) == (case.status, case.code, case.param)
    assert response.headers.get("x-should-retry") == case.retry
    assert node.gateway.submitted == []
    assert node.gateway.counters == {}


@pytest.mark.parametrize(("fault", "status", "code", "retry"), FAULTS, ids=lambda value: type(value).__name__)
def test_error_of_the_node(
    node: Any, http: httpx2.Client, fault: Exception, status: int, code: str, retry: str | None
) -> None:
    node.gateway.faults = [fault]
    response = send(node, http, Case(name="", status=0, code=""))
    error = checked_error(response)

    assert (response.status_code, error["code"]) == (status, code)
    assert response.headers.get("x-should-retry") == retry
    assert "secret" not in response.text
    if status in (429, 503):
        assert int(response.headers["retry-after-ms"]) <= 120_000
        assert 1 <= int(response.headers["retry-after"]) <= 120


def test_transcripts(node: Any, http: httpx2.Client, golden: GoldenFolder) -> None:
    transcript = []
    for case in CASES:
        response = send(node, http, case)
        kept = ("x-should-retry", "allow", "retry-after", "retry-after-ms")
        challenge = base64.b64decode(response.headers.get("payment-required", "")).decode()
        transcript.append(
            {
                "case": case.name,
                "request": f"{case.method} {case.path[:80]}",
                "status": response.status_code,
                "headers": {name: response.headers[name] for name in kept if name in response.headers},
                "payment-required": json.loads(challenge or "null"),
                "body": response.json(),
            }
        )
    golden.check_json("errors.json", transcript)


def test_402_carries_everything_a_wallet_needs(node: Any, http: httpx2.Client) -> None:
    response = send(node, http, CASES[0])
    quote = checked_error(response)["quote"]
    challenge = json.loads(base64.b64decode(response.headers["payment-required"]))
    accepted = challenge["accepts"][0]

    assert quote["chain_id"] == 1612
    assert quote["node"] == "0x" + node.gateway.node_address.hex()
    assert quote["model_digest"] == "0x" + node.gateway.models["bag"].model.hex()
    assert quote["settlement"] == "0x" + node.gateway.settlement_address.hex()
    assert challenge["x402Version"] == 2
    assert accepted["amount"] == quote["cost_max"]
    assert accepted["network"] == "eip155:1612"
    assert accepted["extra"]["header"] == HEADER


def test_402_without_a_price_tells_what_is_known(node: Any, http: httpx2.Client) -> None:
    node.gateway.height = 10_000  # A price already known at this height would be told again.
    node.gateway.quote_fault = StorageError("no state")
    node.gateway.faults = [FeeTooLow("x", quote=77)]
    signed = send(node, http, Case(name="", status=0, code=""))
    unsigned = send(node, http, CASES[0])
    card = http.get("/v1/models/bag").json()

    assert (signed.status_code, checked_error(signed)["quote"]["cost_max"]) == (402, "77")
    assert (unsigned.status_code, checked_error(unsigned)["code"]) == (500, "engine_error")
    assert card["price"] is None


def test_a_nonce_is_the_idempotency_key(node: Any, http: httpx2.Client) -> None:
    case = Case(name="", status=0, code="")
    first, second = send(node, http, case), send(node, http, case)
    other = send(node, http, Case(name="", status=0, code="", body=b'{"model":"bag","input":"bye"}'))

    assert (first.status_code, second.status_code) == (200, 200)
    assert "x-lazai-replayed" not in first.headers
    assert second.headers["x-lazai-replayed"] == "1"
    assert first.json()["data"] == second.json()["data"]
    assert second.json()["lazai"]["replayed"] is True
    assert (other.status_code, checked_error(other)["code"]) == (400, "nonce_reused")
    assert len(node.gateway.submitted) == 1


def test_a_node_that_is_not_ready_asks_to_wait(node: Any, http: httpx2.Client) -> None:
    node.gateway.ready = False
    response = send(node, http, Case(name="", status=0, code=""))

    assert (response.status_code, checked_error(response)["code"]) == (503, "node_syncing")
    assert "sync" in response.json()["error"]["message"]
    assert int(response.headers["retry-after"]) <= 120


def test_two_authorisations_are_none(node: Any, http: httpx2.Client) -> None:
    header = node.authorization("bag", BODY)
    headers = [("Content-Type", "application/json"), (HEADER, header), (HEADER, header)]
    response = http.post(EMBEDDINGS, content=BODY, headers=headers)

    assert (response.status_code, checked_error(response)["code"]) == (401, "invalid_authorization")


def test_the_operator_pays_where_configured(start_node: Callable[..., Any]) -> None:
    node = start_node(unsigned="operator-pays")
    with httpx2.Client(base_url=node.url, trust_env=False) as http:
        response = http.post(EMBEDDINGS, content=BODY, headers={"Content-Type": "application/json"})

    assert response.status_code == 200
    assert node.gateway.submitted[0].authorization is None
    assert node.gateway.submitted[0].api_key_id == "operator"


def test_the_extension_reaches_the_node(start_node: Callable[..., Any]) -> None:
    node = start_node(unsigned="operator-pays")
    body = b'{"model":"bag","input":"hello","lazai":{"dats":["7"],"proof_system":"stark"}}'
    with httpx2.Client(base_url=node.url, trust_env=False) as http:
        response = http.post(EMBEDDINGS, content=body, headers={"Content-Type": "application/json"})

    assert response.json()["lazai"]["proof_system"] == "stark"
    assert node.gateway.submitted[0].dats == (7,)
