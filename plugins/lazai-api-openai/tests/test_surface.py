"""Everything beside paid work: description, health, meters, CORS, prices, nonces; and that the README tells it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
from attrs import fields

from lazai_api_openai.options import ApiOptions
from lazai_api_openai.plugin import lazai_plugin, lazai_services
from lazai_api_openai.routes import operations
from lazai_core.api.version import HOOK_API

README = Path(__file__).resolve().parents[1].joinpath("README.md").read_text(encoding="utf-8")
JSON = {"content-type": "application/json"}
USER = "0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f"


def test_the_hooks_offer_one_service() -> None:
    (entry,) = lazai_services()

    assert entry.name == "openai"
    assert entry.options is ApiOptions
    assert lazai_plugin().hook_api[0] == HOOK_API[0]


def test_the_hook_module_is_light() -> None:
    heavy = ("uvicorn", "starlette", "msgspec", "numpy", "prometheus_client", "httpx2", "openai")
    script = (
        f"import sys, lazai_api_openai.plugin\nsys.exit(','.join(name for name in {heavy} if name in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_the_readme_tells_every_option_with_its_default() -> None:
    for option in fields(ApiOptions):
        default = {"str": f'"{option.default}"', "tuple": "[]"}.get(type(option.default).__name__, str(option.default))
        assert f"| `{option.name}` | `{default}` | {option.metadata['doc']} |" in README


def test_the_readme_tells_every_route() -> None:
    text = re.sub(r"{(id|name|user|hash|height)}", "{}", README)
    for operation in operations():
        if "/versions/" not in operation.path:
            assert re.sub(r"{[^}]+}", "{}", operation.path) in text, operation.path


def test_the_readme_tells_every_code() -> None:
    source = Path(__file__).resolve().parents[1] / "lazai_api_openai"
    texts = [path.read_text(encoding="utf-8") for path in source.glob("*.py")]
    codes = set(re.findall(r'ApiFailure\(\s*\d{3},\s*"(\w+)"', "\n".join(texts)))

    told = set(re.findall(r"`(\w+)`", README))
    assert codes - told <= {"unsupported_encoding", "http_error", "invalid_parameter", "compute_limit_exceeded"}
    assert len(codes) > 15


def test_openapi_has_every_route_and_no_dangling_reference(http: httpx2.Client) -> None:
    document = http.get("/openapi.json").json()

    for operation in operations():
        assert operation.method.lower() in document["paths"][operation.path.replace(":path}", "}")]
    references = set(re.findall(r"'#/components/schemas/(\w+)'", str(document)))
    assert references
    assert references <= set(document["components"]["schemas"])
    names = [entry["operationId"] for path in document["paths"].values() for entry in path.values()]
    assert len(names) == len(set(names))


def test_openapi_tells_every_field_of_an_answer(open_node: Any) -> None:
    with httpx2.Client(base_url=open_node.url, trust_env=False) as http:
        schemas = http.get("/openapi.json").json()["components"]["schemas"]
        answer = http.post("/v1/embeddings", json={"model": "bag", "input": "x"}).json()
        quote = http.post(f"/v1/lazai/quote?user={USER}", json={"model": "bag", "input": "x"}).json()

    assert set(answer) == set(schemas["Embeddings"]["properties"])
    assert set(answer["lazai"]) == set(schemas["Lazai"]["properties"])
    assert set(quote) == set(schemas["Quote"]["properties"])


def test_health(node: Any, http: httpx2.Client) -> None:
    assert http.get("/livez").json()["status"] == http.get("/healthz").json()["status"] == "ok"
    assert http.get("/readyz").json() == {"ready": True, "failing": [], "height": 10}
    assert http.head("/readyz").status_code == 200
    node.gateway.ready = False
    response = http.get("/readyz")
    assert (response.status_code, response.json()["failing"]) == (503, ["sync"])
    assert response.json()["error"]["code"] == "node_syncing"
    assert http.get("/livez").status_code == 200


def test_status_and_version(node: Any, http: httpx2.Client) -> None:
    status = http.get("/status").json()

    assert status["models"] == ["classifier", "bag"]
    assert status["node"] == "0x" + node.gateway.node_address.hex()
    assert (status["chain_id"], status["requests_in_work"]) == (1612, 0)
    assert http.get("/version").json()["hook_api"] == list(HOOK_API)


def test_meters_have_the_prefix_and_bounded_labels(open_node: Any) -> None:
    with httpx2.Client(base_url=open_node.url, trust_env=False) as http:
        for number in range(3):
            http.get(f"/nowhere/{number}")
            http.request(f"M{number}", "/livez")
        http.post("/v1/embeddings", json={"model": "bag", "input": ["one", "two"]})
        response = http.get("/metrics")
    lines = [line for line in response.text.splitlines() if line and not line.startswith("#")]

    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert all(line.startswith("lazai_") for line in lines)
    assert "nowhere" not in response.text
    assert 'method="M' not in response.text
    assert any(line.startswith('lazai_api_inputs_total{model="bag"}') for line in lines)
    assert "lazai_api_ready 1.0" in lines


def test_cors_is_for_listed_origins_only(open_node: Any) -> None:
    ask = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-lazai-authorization,x-stainless-os",
    }
    with httpx2.Client(base_url=open_node.url, trust_env=False) as http:
        listed = http.options("/v1/embeddings", headers=ask | {"Origin": "https://app.example"})
        other = http.options("/v1/embeddings", headers=ask | {"Origin": "https://evil.example"})
        plain = http.get("/v1/models", headers={"Origin": "https://app.example"})
        foreign = http.get("/v1/models", headers={"Origin": "https://evil.example"})

    assert listed.status_code == 204
    assert listed.headers["access-control-allow-origin"] == "https://app.example"
    allowed = {name.strip() for name in listed.headers["access-control-allow-headers"].split(",")}
    stainless = {"lang", "package-version", "os", "arch", "runtime", "runtime-version", "async", "retry-count"}
    assert {f"x-stainless-{name}" for name in stainless} | {"authorization", "content-type"} <= allowed
    assert "x-lazai-authorization" in allowed
    assert other.status_code == 405
    assert "payment-required" in plain.headers["access-control-expose-headers"]
    assert not any(name.startswith("access-control") for name in [*other.headers, *foreign.headers])


@pytest.mark.parametrize("headers", [{"content-type": "text/plain"}, {"origin": "https://evil.example"}])
def test_a_foreign_page_cannot_spend_the_operators_money(open_node: Any, headers: dict[str, str]) -> None:
    before = len(open_node.gateway.submitted)
    body = b'{"model":"bag","input":"x"}'
    response = httpx2.post(f"{open_node.url}/v1/embeddings", content=body, headers=headers, trust_env=False)

    assert response.status_code == 415
    assert len(open_node.gateway.submitted) == before


def test_quote_of_a_body_is_what_is_charged(open_node: Any) -> None:
    body = {"model": "bag", "input": ["one", "two words"]}
    with httpx2.Client(base_url=open_node.url, trust_env=False) as http:
        quote = http.post("/v1/lazai/quote", json=body).json()
        answer = http.post("/v1/embeddings", json=body).json()

    assert quote["inputs"] == 2
    assert quote["cost_max"] == answer["lazai"]["cost"]
    assert quote["gas"]["ai"] + quote["gas"]["inference"] == quote["gas"]["compute_gas"]
    assert "next_counter" not in quote


def test_quote_of_tensors_names_the_model_in_the_query(http: httpx2.Client) -> None:
    body = {"inputs": [{"name": "pixels", "shape": [2, 4], "datatype": "INT8", "data": [0] * 8}]}
    quote = http.post(f"/v1/lazai/quote?model=classifier&dats=1,2&user={USER}&lane=3", json=body).json()

    assert (quote["inputs"], quote["model"]) == (2, "classifier")
    assert int(quote["cost_max"]) == 7 * quote["gas"]["compute_gas"] + 2_000
    assert (quote["lane"], quote["next_counter"]) == ("3", "0")
    assert http.post("/v1/lazai/quote", json=body).json()["error"]["param"] == "model"


def test_quote_of_a_size(http: httpx2.Client) -> None:
    small = http.get("/v1/lazai/quote?model=bag&dimension=2").json()
    large = http.get("/v1/lazai/quote?model=bag").json()

    assert int(small["cost_max"]) < int(large["cost_max"])
    assert http.get("/v1/lazai/quote?model=classifier").json()["inputs"] == 1


def test_quotes_and_charges_are_of_the_wanted_proof_system(open_node: Any) -> None:
    size, body = "/v1/lazai/quote?model=bag&dimension=1", {"model": "bag", "input": "one"}
    wish = {"lazai": {"proof_system": "stark"}}
    with httpx2.Client(base_url=open_node.url, trust_env=False) as http:
        plain, dear = (http.get(size + more).json()["cost_max"] for more in ("", "&proof_system=stark"))
        usual, quote = (http.post("/v1/lazai/quote", json=body | more).json()["cost_max"] for more in ({}, wish))
        answer = http.post("/v1/embeddings", json=body | wish).json()
        bad = http.get(size + "&proof_system=%20").json()["error"]

    assert int(dear) == int(plain) + 500
    assert int(quote) == int(usual) + 500
    assert answer["lazai"]["cost"] == quote
    assert (bad["code"], bad["param"]) == ("invalid_parameter", "proof_system")


def test_the_price_in_a_402_is_of_the_wanted_proof_system(http: httpx2.Client) -> None:
    body = {"model": "bag", "input": "one"}
    prices = [
        int(http.post("/v1/embeddings", json=body | more).json()["error"]["quote"]["cost_max"])
        for more in ({}, {"lazai": {"proof_system": "stark"}})
    ]

    assert prices[1] == prices[0] + 500


def test_nonce_and_account(node: Any, http: httpx2.Client) -> None:
    body = b'{"model":"bag","input":"hello"}'
    headers = JSON | {"X-LazAI-Authorization": node.authorization("bag", body, lane=2**64 - 1)}
    assert http.post("/v1/embeddings", content=body, headers=headers).status_code == 200

    nonce = http.get(f"/v1/lazai/nonce?user={USER[2:].upper()}&lane={2**64 - 1}").json()
    account = http.get(f"/v1/lazai/account/{USER}").json()

    assert (nonce["user"], nonce["lane"], nonce["next_counter"]) == (USER, str(2**64 - 1), "1")
    assert int(account["escrow"]) == node.gateway.escrow[bytes.fromhex(USER[2:])] < 10**18


def test_slashes_too_many_do_no_harm(http: httpx2.Client) -> None:
    assert http.get("/v1//models/").json() == http.get("/v1/models").json()


def test_request_identifiers_differ(http: httpx2.Client) -> None:
    assert len({http.get("/livez").headers["x-request-id"] for _ in range(5)}) == 5
