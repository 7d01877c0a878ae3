"""`/v1/lazai/...`: prices, nonces, escrow and receipts."""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lazai_core.api.errors import InvalidInput
from lazai_core.api.service import ServedModel
from lazai_core.api.types import DatId, to_hex

from .authorization_header import parse_address, parse_dats, parse_u64, read_parameter
from .bodies import read_body
from .context import Api
from .embeddings import parse_embeddings
from .extension import Extension, read_proof_system
from .failures import ApiFailure, bad_request
from .inference import ParsedBody, parse_request
from .oip import parse_infer
from .quotes import quote_fields, signing_domain
from .replies import json_response
from .tensors import placeholder_input

_RECEIPT_ID = re.compile(r"[A-Za-z0-9_.-]{1,128}\Z")


async def get_quote(api: Api, request: Request) -> Response:
    """Price of one input of a given size: `?model=NAME&dimension=N`, without sending the input."""
    name = request.query_params.get("model")
    if not name:
        raise bad_request("the query parameter model is missing", "model", code="missing_parameter")
    with api.slot():
        return json_response(await _quote_size(api, request, name))


async def _quote_size(api: Api, request: Request, name: str) -> dict[str, Any]:
    model = api.gateway.find_model(name)
    largest = model.program.dim.maximum if model.program.dim else 0
    dimension = read_parameter(request.query_params, "dimension", parse_u64, largest)
    try:
        job_input = await api.offload(lambda: placeholder_input(model.program, dimension))
    except InvalidInput as cause:
        raise bad_request(str(cause), "dimension", code="invalid_parameter") from None
    system = read_parameter(request.query_params, "proof_system", read_proof_system, "")
    extension = Extension(dats=_query_dats(request), proof_system=system)
    return await _quote(api, request, model, (job_input,), extension)


async def post_quote(api: Api, request: Request) -> Response:
    """Price of exactly the request whose body this is; `?model=NAME` where the body does not name the model."""
    with api.slot():
        body = await read_body(request, api.options.body_bytes_max, api.options.body_timeout_ms)
        model_name = request.query_params.get("model", "")

        def parse(fields: dict[str, Any]) -> ParsedBody:
            if "inputs" not in fields:
                return parse_embeddings(fields, api.options.inputs_max)
            name = model_name or fields.get("model")
            if not isinstance(name, str) or not name:
                raise bad_request("name the model: ?model=NAME", "model", code="missing_parameter")
            return parse_infer(name, fields, api.options.inputs_max)

        parsed, model, work = await parse_request(api, body, parse)
        extension = Extension(
            dats=parsed.extension.dats or _query_dats(request), proof_system=parsed.extension.proof_system
        )
        return json_response(await _quote(api, request, model, work.inputs, extension))


def _query_dats(request: Request) -> tuple[DatId, ...]:
    none: tuple[DatId, ...] = ()
    return read_parameter(request.query_params, "dats", parse_dats, none)


async def _quote(
    api: Api, request: Request, model: ServedModel, inputs: tuple[bytes, ...], extension: Extension
) -> dict[str, Any]:
    quote = await api.gateway.quote(model.model, inputs, extension.dats, extension.proof_system)
    fields = quote_fields(api, model, len(inputs), quote)
    if "user" in request.query_params:
        fields |= await _next_nonce(api, request)
    return fields


async def _next_nonce(api: Api, request: Request) -> dict[str, Any]:
    user = read_parameter(request.query_params, "user", parse_address)
    lane = read_parameter(request.query_params, "lane", parse_u64, 0)
    counter = await api.gateway.next_counter(user, lane)
    # Both may pass 2^53, where readers that know only doubles go wrong.
    return {"user": to_hex(user), "lane": str(lane), "next_counter": str(counter)}


async def get_nonce(api: Api, request: Request) -> Response:
    """The counter that a wallet's next authorisation in a lane must carry."""
    return json_response({"object": "lazai.nonce", **await _next_nonce(api, request)})


async def get_account(api: Api, request: Request) -> Response:
    """Escrow, coins and next nonce of an account."""
    user = read_parameter(request.path_params, "user", parse_address)
    escrow, account = await api.gateway.balance(user), await api.gateway.account(user)
    fields = {
        "object": "lazai.account",
        "user": to_hex(user),
        "escrow": str(escrow),
        "balance": str(account.balance),
        "nonce": account.nonce,
    }
    return json_response(fields | signing_domain(api))


async def get_receipt(api: Api, request: Request) -> Response:
    """The canonical receipt file of a settled job, byte for byte."""
    receipt_id = request.path_params["receipt_id"]
    receipt = await api.gateway.receipt(receipt_id) if _RECEIPT_ID.match(receipt_id) else None
    if receipt is None:
        raise ApiFailure(404, "receipt_not_found", f"there is no receipt {receipt_id[:80]!r}", param="receipt_id")
    headers = {"cache-control": "public, max-age=31536000, immutable"}
    return Response(receipt, 200, headers, media_type="application/json")
