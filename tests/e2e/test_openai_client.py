"""The unmodified `openai` client and the process that an operator starts: paid, refused, repeated, killed."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from attrs import frozen
from openai import DefaultHttpxClient, OpenAI

from lazai_api_openai.client import WalletAuth
from lazai_core.api.types import MODEL_REGISTRY_ADDRESS
from lazai_core.chain.abi import encode_call
from lazai_core.chain.system_calls import REGISTER_MODEL
from lazai_core.exact.compiler.options import CompiledModel
from lazai_core.exact.text import ExactEmbedder, FileTokenizer
from lazai_core.node.assemble import assemble
from lazai_core.testing.parts import account_key
from tests.e2e.solo import (
    MODEL_NAME,
    TRANSACTION_GAS,
    WALLET_KEY,
    NodeProcess,
    plan,
    running,
    settle_in,
    write_folder,
)
from tests.e2e.test_node_process import body_of, expected_scores, scores
from tests.e2e.tiny_encoder import NAME, TOKENS_MAX, write_tiny_encoder

pytestmark = pytest.mark.slow

TEXTS = ["the sun rises over the sea", "a quiet moon sets under the hill"]


@frozen(kw_only=True)
class Served:
    """A running node, and what it serves."""

    process: NodeProcess
    folder: Path
    encoder: CompiledModel

    def client(self, key: bytes = WALLET_KEY.reveal(), **options: Any) -> OpenAI:
        """The stock client with a wallet."""
        http_client = DefaultHttpxClient(auth=WalletAuth(key, **options), trust_env=False)
        return OpenAI(base_url=f"{self.process.url}/v1", api_key="-", http_client=http_client, max_retries=0)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("node")
    config = write_folder(folder)
    encoder = write_tiny_encoder(folder / "models" / NAME)
    text = config.read_text(encoding="utf-8").replace('use = "torch"', 'use = "reference"')
    more = f'\n[[model]]\npath = "models/{NAME}"\n\n[[service]]\nuse = "openai"\n'
    config.write_text(text + more, encoding="utf-8")
    register(config, encoder)
    process = NodeProcess(config)
    process.start()
    yield Served(process=process, folder=folder, encoder=encoder)
    process.stop()


def register(config: Path, encoder: CompiledModel) -> None:
    """Escrow for the wallet, and both models in the chain's registry."""

    async def work() -> None:
        node = assemble(plan(config))
        try:
            async with running(node):
                wallet = await settle_in(node)
                call = encode_call(REGISTER_MODEL, encoder.program.skeleton(), NAME, "", 0)
                await wallet.transact(MODEL_REGISTRY_ADDRESS, call, gas=TRANSACTION_GAS)
        finally:
            node.close()

    asyncio.run(work())


def expected_vectors(served: Served) -> list[list[float]]:
    from lazai_core.exact.reference import run_job

    embedder = ExactEmbedder(served.encoder.program, FileTokenizer(served.folder / "models" / NAME / "tokenizer.json"))
    outputs = [run_job(served.encoder.model, embedder.job_input(text)).output_bytes() for text in TEXTS]
    return [list(embedder.vector(output)) for output in outputs]


def test_embeddings_are_the_exact_programs_and_their_receipts_hold(served: Served, tmp_path: Path) -> None:
    with served.client() as client:
        assert {model.id for model in client.models.list()} == {NAME, MODEL_NAME}
        packed = client.embeddings.create(model=NAME, input=TEXTS)
        plain = client.embeddings.create(model=NAME, input=TEXTS, encoding_format="float")
    for entry, other, expected in zip(packed.data, plain.data, expected_vectors(served), strict=True):
        assert other.embedding == expected
        assert entry.embedding == pytest.approx(expected, abs=1e-6)
    assert packed.usage.prompt_tokens == sum(len(text.split()) for text in TEXTS)

    said: Any = (packed.model_extra or {})["lazai"]
    assert int(said["cost"]) > 0
    files = []
    for receipt_id in said["receipts"]:
        files.append(tmp_path / f"{receipt_id}.json")
        files[-1].write_bytes(httpx2.get(f"{served.process.url}/v1/lazai/receipts/{receipt_id}").content)
    arguments = ["verify", *map(str, files), "--genesis", str(served.folder / "genesis.json"), "--json"]
    arguments += ["--model", str(served.folder / "models" / NAME)]
    document = json.loads(lazai(*arguments).stdout)
    assert [receipt["accepted"] for receipt in document["receipts"]] == [True, True]
    assert "running the program again" in " ".join(document["receipts"][0]["proven"])


def lazai(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "from lazai_core.cli.main import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize(
    ("options", "arguments", "error", "status", "code"),
    [
        ({}, {"model": "gpt-4"}, openai.NotFoundError, 404, "model_not_found"),
        ({}, {"model": MODEL_NAME}, openai.BadRequestError, 400, "unsupported_model"),
        ({}, {"input": "sea " * (TOKENS_MAX + 1)}, openai.BadRequestError, 400, "context_length_exceeded"),
        ({"max_cost": 1}, {}, openai.APIStatusError, 402, "fee_too_low"),
        ({"key": account_key(555)}, {}, openai.APIStatusError, 402, "insufficient_escrow"),
        ({"now_seconds": lambda: int(time.time()) - 5_000}, {}, openai.APIStatusError, 400, "deadline_passed"),
        ({"dats": [77]}, {}, openai.NotFoundError, 404, "dat_not_found"),
    ],
)
def test_refusals(
    served: Served,
    options: dict[str, Any],
    arguments: dict[str, Any],
    error: type[openai.APIStatusError],
    status: int,
    code: str,
) -> None:
    with served.client(**options) as client, pytest.raises(error) as caught:
        client.embeddings.create(**{"model": NAME, "input": "the sea", **arguments})

    assert (caught.value.status_code, caught.value.code) == (status, code)


def test_without_a_wallet_the_price_is_asked_for(served: Served) -> None:
    http_client = DefaultHttpxClient(trust_env=False)
    client = OpenAI(base_url=f"{served.process.url}/v1", api_key="-", http_client=http_client, max_retries=0)
    with client, pytest.raises(openai.APIStatusError) as caught:
        client.embeddings.create(model=NAME, input="the sea")

    assert (caught.value.status_code, caught.value.code) == (402, "payment_required")
    body: Any = caught.value.body
    assert int(body["quote"]["cost_max"]) > 0


class Sent(httpx2.HTTPTransport):
    """The real transport; keeps the last paid request."""

    request: httpx2.Request

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if "x-lazai-authorization" in request.headers:
            self.request = request
        return super().handle_request(request)


def again(request: httpx2.Request, url: str, body: bytes | None = None) -> httpx2.Response:
    """The same authorisation once more, with the same body or another."""
    header = request.headers["x-lazai-authorization"]
    headers = {"content-type": "application/json", "x-lazai-authorization": header}
    return httpx2.post(f"{url}{request.url.path}", content=body or request.content, headers=headers, timeout=60)


def test_a_request_counts_once_even_after_a_kill(served: Served) -> None:
    transport, url = Sent(), served.process.url
    http_client = DefaultHttpxClient(auth=WalletAuth(WALLET_KEY.reveal()), transport=transport, trust_env=False)
    with OpenAI(base_url=f"{url}/v1", api_key="-", http_client=http_client) as client:
        first = client.embeddings.create(model=NAME, input=TEXTS, encoding_format="float")
    paid: Any = (first.model_extra or {})["lazai"]

    repeated = again(transport.request, url)
    assert repeated.headers["x-lazai-replayed"] == "1"
    other = again(transport.request, url, transport.request.content.replace(b"sun", b"sea"))
    assert (other.status_code, other.json()["error"]["code"]) == (401, "invalid_signature")

    served.process.kill()
    served.process.start()
    after = again(transport.request, served.process.url)
    assert after.headers["x-lazai-replayed"] == "1"
    assert [entry["embedding"] for entry in after.json()["data"]] == [entry.embedding for entry in first.data]
    assert after.json()["lazai"]["transaction"] == paid["transaction"]


def test_tensors_through_the_open_inference_protocol(served: Served) -> None:
    auth = WalletAuth(WALLET_KEY.reveal(), lane=9)
    with httpx2.Client(base_url=served.process.url, auth=auth, trust_env=False, timeout=60) as client:
        assert client.get("/v2/health/ready").status_code == 200
        answer = client.post(f"/v2/models/{MODEL_NAME}/infer", json=body_of(4)).json()

    assert scores(answer) == expected_scores(4)
