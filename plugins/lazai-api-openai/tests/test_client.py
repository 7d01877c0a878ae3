"""The unmodified `openai` client against the real server."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, DefaultHttpxClient, OpenAI

from lazai_api_openai.client import WalletAuth, WrongNode
from lazai_core.api.errors import BackendUnavailable, Busy
from lazai_core.api.types import to_hex

USER_KEY = bytes([0x46]) * 32
NOW = 1_800_000_000


class Recorder(httpx2.HTTPTransport):
    """The real transport, remembering what was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[httpx2.Request] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append(request)
        return super().handle_request(request)

    def paths(self) -> list[str]:
        return [request.url.path for request in self.sent]


def wallet(**options: Any) -> WalletAuth:
    return WalletAuth(USER_KEY, now_seconds=lambda: NOW, **options)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def make_client(node: Any, recorder: Recorder) -> Iterator[Callable[..., OpenAI]]:
    clients: list[OpenAI] = []

    def make(auth: httpx2.Auth | None = None, **options: Any) -> OpenAI:
        http_client = DefaultHttpxClient(auth=auth, transport=recorder, trust_env=False)
        clients.append(OpenAI(base_url=f"{node.url}/v1", api_key="-", http_client=http_client, **options))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def client(make_client: Callable[..., OpenAI]) -> OpenAI:
    return make_client(wallet())


def test_models_are_listed_with_identity_and_price(client: OpenAI, node: Any) -> None:
    models = {model.id: model for model in client.models.list()}

    assert set(models) == {"classifier", "bag"}
    bag = models["bag"]
    assert bag.model_extra is not None
    assert bag.model_extra["weights_root"] == to_hex(node.gateway.models["bag"].model)
    assert bag.model_extra["max_model_len"] == 8
    assert bag.model_extra["determinism"] == "exact-int"
    assert int(bag.model_extra["price"]["cost_max"]) > 0
    assert client.models.retrieve("classifier").model_extra["labels"] == ["a", "b", "c"]  # type: ignore[index]


def test_embeddings_default_to_base64_and_equal_the_float_ones(client: OpenAI, recorder: Recorder) -> None:
    packed = client.embeddings.create(model="bag", input=["one", "two words"])
    plain = client.embeddings.create(model="bag", input=["one", "two words"], encoding_format="float")

    assert b'"encoding_format":"base64"' in recorder.sent[1].content
    assert [entry.index for entry in packed.data] == [0, 1]
    for left, right in zip(packed.data, plain.data, strict=True):
        assert left.embedding == pytest.approx(right.embedding, abs=1e-6)
        assert math.sqrt(sum(value * value for value in right.embedding)) == pytest.approx(1.0)
    assert packed.usage.prompt_tokens == packed.usage.total_tokens == 3 + 4


def test_the_answer_says_what_was_done_and_paid(client: OpenAI, node: Any) -> None:
    before = node.gateway.escrow[wallet().address]
    answer = client.embeddings.create(model="bag", input="hello")
    lazai = (answer.model_extra or {})["lazai"]

    assert lazai["determinism"] == "exact-int"
    assert lazai["model_digest"] == to_hex(node.gateway.models["bag"].model)
    assert before - node.gateway.escrow[wallet().address] == int(lazai["cost"]) > 0
    assert lazai["gas"]["flops"] > 0
    assert lazai["gas"]["compute_gas"] > lazai["gas"]["memory_bytes_peak"] > 0
    assert lazai["height"] == node.gateway.height
    assert len(lazai["receipts"]) == len(lazai["job_ids"]) == len(lazai["verified"]) == 1
    receipt = httpx2.get(f"{node.url}/v1/lazai/receipts/{lazai['receipts'][0]}")
    assert receipt.content == b'{"format":"lazai/receipt/v1"}'


def test_headers_repeat_the_essentials(client: OpenAI) -> None:
    raw = client.embeddings.with_raw_response.create(model="bag", input="hello", user="me")
    lazai = (raw.parse().model_extra or {})["lazai"]

    assert raw.headers["x-lazai-job-id"] == lazai["job_ids"][0]
    assert raw.headers["x-lazai-transaction"] == lazai["transaction"]
    assert raw.headers["x-lazai-cost"] == lazai["cost"]
    assert raw.headers["x-lazai-ignored"] == "user"
    assert raw.headers["x-request-id"] == lazai["request_id"]


def test_token_lists_are_taken_as_they_are(client: OpenAI) -> None:
    texts = client.embeddings.create(model="bag", input="one", encoding_format="float")
    tokens = [1, 3 + sum(b"one") % 13, 2]
    single = client.embeddings.create(model="bag", input=tokens, encoding_format="float")
    several = client.embeddings.create(model="bag", input=[tokens, tokens], encoding_format="float")

    assert single.data[0].embedding == texts.data[0].embedding
    assert [entry.embedding for entry in several.data] == [texts.data[0].embedding] * 2
    assert several.usage.prompt_tokens == 6


def test_without_payment_402_is_raised_once_with_the_quote(
    make_client: Callable[..., OpenAI], recorder: Recorder
) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        make_client().embeddings.create(model="bag", input="hello")

    assert len(recorder.sent) == 1
    assert caught.value.status_code == 402
    assert caught.value.code == "payment_required"
    assert caught.value.request_id is not None
    body: Any = caught.value.body
    assert int(body["quote"]["cost_max"]) > 0
    assert "payment-required" in caught.value.response.headers


def test_a_busy_node_is_asked_again_with_the_same_nonce(client: OpenAI, node: Any, recorder: Recorder) -> None:
    node.gateway.faults = [Busy("full", retry_after_ms=1), BackendUnavailable("loading")]
    answer = client.embeddings.create(model="bag", input="hello")

    assert answer.data
    assert recorder.paths() == ["/v1/lazai/quote", *["/v1/embeddings"] * 3]
    headers = {request.headers["x-lazai-authorization"] for request in recorder.sent[1:]}
    assert len(headers) == 1
    assert len(node.gateway.submitted) == 1


def test_a_lost_answer_is_replayed_and_paid_once(node: Any, recorder: Recorder) -> None:
    class LosesFirst(Recorder):
        lost = False

        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            response = super().handle_request(request)
            if request.url.path == "/v1/embeddings" and not self.lost:
                self.lost = True
                response.read()
                raise httpx2.ReadError("the connection broke")
            return response

    transport = LosesFirst()
    http_client = DefaultHttpxClient(auth=wallet(), transport=transport, trust_env=False)
    with OpenAI(base_url=f"{node.url}/v1", api_key="-", http_client=http_client) as stock:
        raw = stock.embeddings.with_raw_response.create(model="bag", input="hello")

    assert raw.headers["x-lazai-replayed"] == "1"
    assert len(node.gateway.submitted) == 1
    assert 10**18 - node.gateway.escrow[wallet().address] == int(raw.headers["x-lazai-cost"])


def test_equal_requests_are_two_requests(client: OpenAI, node: Any) -> None:
    for _ in range(2):
        client.embeddings.create(model="bag", input="hello")

    assert node.gateway.counters == {(wallet().address, 0): 2}
    assert len(node.gateway.submitted) == 2


def test_requests_at_the_same_time_use_lanes(node: Any) -> None:
    async def ask_all() -> None:
        http_client = DefaultAsyncHttpxClient(auth=wallet(lane=100), trust_env=False)
        async with AsyncOpenAI(base_url=f"{node.url}/v1", api_key="-", http_client=http_client) as stock:
            asking = [asyncio.ensure_future(stock.embeddings.create(model="bag", input=f"text {n}")) for n in range(3)]
            while len(node.gateway.submitted) < 3:
                await asyncio.sleep(0.01)
            release()
            await asyncio.gather(*asking)

    release = node.hold()
    asyncio.run(ask_all())

    assert node.gateway.counters == {(wallet().address, lane): 1 for lane in (100, 101, 102)}


def test_the_limit_of_the_wallet_is_never_passed(
    make_client: Callable[..., OpenAI], node: Any, recorder: Recorder
) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        make_client(wallet(max_cost=5)).embeddings.create(model="bag", input="hello")

    assert (caught.value.status_code, caught.value.code) == (402, "fee_too_low")
    assert recorder.paths() == ["/v1/lazai/quote", "/v1/embeddings"]
    assert node.gateway.counters == {}


def test_a_node_that_is_not_the_pinned_one_gets_no_signature(
    make_client: Callable[..., OpenAI], recorder: Recorder
) -> None:
    for pin in ({"chain_id": 1}, {"node": "0x" + "11" * 20}, {"models": {"bag": "22" * 32}}):
        with pytest.raises((WrongNode, openai.APIConnectionError)):
            make_client(wallet(**pin), max_retries=0).embeddings.create(model="bag", input="hello")
    assert set(recorder.paths()) == {"/v1/lazai/quote"}


@pytest.mark.parametrize(
    ("arguments", "error", "code", "param"),
    [
        ({"model": "nobody", "input": "x"}, openai.NotFoundError, "model_not_found", "model"),
        ({"model": "bag", "input": "x " * 9}, openai.BadRequestError, "context_length_exceeded", "input"),
        ({"model": "bag", "input": [1] * 9}, openai.BadRequestError, "context_length_exceeded", "input"),
        ({"model": "bag", "input": ""}, openai.BadRequestError, "invalid_request", "input"),
        ({"model": "bag", "input": [99]}, openai.BadRequestError, "invalid_input", "input"),
        ({"model": "classifier", "input": "x"}, openai.BadRequestError, "unsupported_model", "model"),
        (
            {"model": "bag", "input": "x", "dimensions": 2},
            openai.BadRequestError,
            "unsupported_parameter",
            "dimensions",
        ),
    ],
)
def test_refusals_are_the_clients_own_classes(
    client: OpenAI, recorder: Recorder, arguments: dict[str, Any], error: type, code: str, param: str
) -> None:
    with pytest.raises(error) as caught:
        client.embeddings.create(**arguments)

    assert (caught.value.code, caught.value.param) == (code, param)
    assert len(recorder.sent) == 1


def test_over_length_tells_both_counts(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="at most 8 tokens, but the input has 11") as caught:
        client.embeddings.create(model="bag", input="x " * 9)

    body: Any = caught.value.body
    assert (body["tokens"], body["tokens_max"]) == (11, 8)


def test_tensor_requests_of_a_plain_client_are_paid_too(node: Any, recorder: Recorder) -> None:
    body = {"inputs": [{"name": "pixels", "shape": [1, 4], "datatype": "INT8", "data": [1, 2, 3, 4]}]}
    with httpx2.Client(base_url=node.url, auth=wallet(dats=[7]), transport=recorder, trust_env=False) as plain:
        answers = [
            plain.post(path, json=body)
            for path in ("/v2/models/classifier/infer", "/v2/models/classifier/versions/1/infer")
        ]
        assert plain.get("/v2/models/classifier").status_code == 200

    assert [answer.status_code for answer in answers] == [200, 200]
    assert node.gateway.submitted[0].dats == (7,)
    assert dict(recorder.sent[0].url.params)["model"] == "classifier"
    assert "x-lazai-authorization" not in recorder.sent[-1].headers


def test_a_lane_is_free_again_once_its_request_cannot_come_back(node: Any) -> None:
    class Breaks(httpx2.BaseTransport):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            if request.url.path == "/v1/embeddings":
                raise httpx2.ConnectError("down")
            return recorder.handle_request(request)

    now, recorder = [NOW], Recorder()
    auth = WalletAuth(USER_KEY, now_seconds=lambda: now[0], valid_for_seconds=60)
    with httpx2.Client(base_url=node.url, auth=auth, transport=Breaks(), trust_env=False) as plain:
        for moment in (NOW, NOW + 59, NOW + 60, NOW + 118):
            now[0] = moment
            with pytest.raises(httpx2.ConnectError):
                plain.post("/v1/embeddings", json={"model": "bag", "input": "x"})
    recorder.close()

    lanes = [dict(request.url.params)["lane"] for request in recorder.sent]
    assert lanes == ["0", "1", "0", "2"]


def test_the_readmes_minute_works(node: Any, capsys: pytest.CaptureFixture[str]) -> None:
    readme = Path(__file__).resolve().parents[1].joinpath("README.md").read_text(encoding="utf-8")
    (snippet,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    node.gateway.now = 0
    script = snippet.replace("http://127.0.0.1:8000", node.url).replace('model="minilm"', 'model="bag"')
    namespace: dict[str, Any] = {}
    exec(compile(script, "README.md", "exec"), namespace)
    namespace["client"].close()

    assert "prompt_tokens=8" in capsys.readouterr().out
