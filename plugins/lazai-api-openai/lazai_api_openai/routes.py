"""The table of routes. The OpenAPI document and the router are both made from it."""

from __future__ import annotations

from attrs import frozen
from starlette.requests import Request
from starlette.responses import Response

from . import chain, health, ledger
from .context import Api, Endpoint
from .embeddings import parse_embeddings
from .failures import ApiFailure
from .inference import answer_inference
from .models import ModelCards
from .oip import MODEL_VERSION, parse_infer
from .replies import json_response


@frozen
class Operation:
    """One method of one path. `takes` and `gives` name schemas of the OpenAPI document."""

    method: str
    path: str
    endpoint: Endpoint
    summary: str
    takes: str = ""
    gives: str = ""
    query: tuple[str, ...] = ()
    paid: bool = False


async def _embeddings(api: Api, request: Request) -> Response:
    return await answer_inference(api, request, lambda fields: parse_embeddings(fields, api.options.inputs_max))


async def _infer(api: Api, request: Request) -> Response:
    if request.path_params.get("version", MODEL_VERSION) != MODEL_VERSION:
        raise ApiFailure(404, "model_not_found", f"models have only version {MODEL_VERSION}", param="version")
    name = request.path_params["model"]
    return await answer_inference(api, request, lambda fields: parse_infer(name, fields, api.options.inputs_max))


async def _openapi(_api: Api, _request: Request) -> Response:
    from .openapi import openapi_document

    return json_response(openapi_document(operations()))


def operations() -> tuple[Operation, ...]:
    """Every route, the more special before the more general."""
    cards = ModelCards()
    model, versioned = "/v2/models/{model:path}", "/v2/models/{model:path}/versions/{version}"
    return (
        Operation("GET", "/v1/models", cards.list_models, "Served models", gives="ModelList"),
        Operation("GET", "/v1/models/{model:path}", cards.get_model, "One served model", gives="Model"),
        Operation("POST", "/v1/embeddings", _embeddings, "Embed texts", "EmbeddingsRequest", "Embeddings", paid=True),
        Operation(
            "GET",
            "/v1/lazai/quote",
            ledger.get_quote,
            "Price of one input of a given size",
            "",
            "Quote",
            ("model", "dimension", "dats", "proof_system", "user", "lane"),
        ),
        Operation(
            "POST",
            "/v1/lazai/quote",
            ledger.post_quote,
            "Price of exactly this body",
            "AnyRequest",
            "Quote",
            ("model", "dats", "user", "lane"),
        ),
        Operation("GET", "/v1/lazai/receipts/{receipt_id}", ledger.get_receipt, "Receipt file of a job"),
        Operation("GET", "/v1/lazai/nonce", ledger.get_nonce, "Next counter of a lane", "", "Nonce", ("user", "lane")),
        Operation("GET", "/v1/lazai/account/{user}", ledger.get_account, "Escrow of a wallet", gives="Account"),
        Operation(
            "POST",
            "/v1/lazai/transactions",
            chain.post_transactions,
            "Send signed transactions",
            "RawTransactions",
            "TransactionsSent",
        ),
        Operation(
            "GET",
            "/v1/lazai/transactions/{hash}",
            chain.get_transaction,
            "Where a transaction stands",
            gives="TransactionStatus",
        ),
        Operation("GET", "/v1/lazai/blocks/{height}", chain.get_block, "A block of the chain", gives="Block"),
        Operation("GET", "/v1/lazai/peers", chain.get_peers, "Connected nodes", gives="PeerList"),
        Operation("GET", "/v2", health.oip_server, "Metadata of the server"),
        Operation("GET", "/v2/health/live", health.live, "Alive"),
        Operation("GET", "/v2/health/ready", health.ready, "Ready"),
        Operation(
            "POST", f"{versioned}/infer", _infer, "Run a tensor model", "InferRequest", "InferResponse", paid=True
        ),
        Operation("GET", f"{versioned}/ready", health.oip_model_ready, "Whether a model is ready"),
        Operation("GET", versioned, health.oip_model, "Inputs and outputs of a model"),
        Operation("POST", f"{model}/infer", _infer, "Run a tensor model", "InferRequest", "InferResponse", paid=True),
        Operation("GET", f"{model}/ready", health.oip_model_ready, "Whether a model is ready"),
        Operation("GET", model, health.oip_model, "Inputs and outputs of a model"),
        Operation("GET", "/livez", health.live, "Alive"),
        Operation("GET", "/healthz", health.live, "Alive"),
        Operation("GET", "/readyz", health.ready, "Ready"),
        Operation("GET", "/status", health.status, "What this node is and does"),
        Operation("GET", "/version", health.versions, "Versions of the parts"),
        Operation("GET", "/metrics", health.metrics, "Meters for Prometheus"),
        Operation("GET", "/openapi.json", _openapi, "This document"),
    )
