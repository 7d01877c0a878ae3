"""The way of a paid request: slot, body, payer, model, work, block, answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from attrs import evolve
from starlette.requests import Request
from starlette.responses import Response

from lazai_core.api.errors import FeeTooLow, InsufficientFunds, PaymentRequired
from lazai_core.api.hashing import keccak256
from lazai_core.api.service import InferenceOutcome, InferenceRequest, ServedModel
from lazai_core.api.types import to_hex

from .bodies import ClientGone, parse_object, read_body
from .context import Api
from .extension import Extension
from .failures import ApiFailure
from .payers import Payer, identify_payer, match_request
from .quotes import payment_failure
from .replies import json_response

DETERMINISM = "exact-int"
_LISTED_IN_HEADER_MAX = 16

_T = TypeVar("_T")


class Work(Protocol):
    """Job inputs of one body, and how their outputs become the answer."""

    @property
    def inputs(self) -> tuple[bytes, ...]: ...
    @property
    def tokens(self) -> int: ...
    def render(self, outcome: InferenceOutcome) -> dict[str, Any]: ...


class ParsedBody(Protocol):
    """A body that was read but not yet fitted to its model."""

    @property
    def model_name(self) -> str: ...
    @property
    def extension(self) -> Extension: ...
    @property
    def ignored(self) -> tuple[str, ...]: ...
    def prepare(self, model: ServedModel) -> Work: ...


Parser = Callable[[dict[str, Any]], ParsedBody]


async def parse_request(api: Api, body: bytes, parse: Parser) -> tuple[ParsedBody, ServedModel, Work]:
    """Read a body and fit it to the model that it names. Raises ApiFailure, RequestRejected."""
    parsed = await api.offload(lambda: parse(parse_object(body)))
    model = api.gateway.find_model(parsed.model_name)
    return parsed, model, await api.offload(lambda: parsed.prepare(model))


async def answer_inference(api: Api, request: Request, parse: Parser) -> Response:
    """Serve one inference request from its first byte to its last. Raises ApiFailure, LazAIError, ClientGone."""
    with api.slot():
        body = await read_body(request, api.options.body_bytes_max, api.options.body_timeout_ms)
        payer = identify_payer(api, request, body)
        request.state.payer = payer.label
        api.require_ready()
        parsed, model, work = await parse_request(api, body, parse)
        extension = evolve(parsed.extension, dats=match_request(payer, model, parsed.extension))
        if not payer.pays:
            raise await payment_failure(api, request.url.path, model, work.inputs, extension)
        order = InferenceRequest(
            request_id=request.state.request_id,
            model=model.model,
            inputs=work.inputs,
            body_hash=keccak256(body),
            authorization=payer.authorization,
            dats=extension.dats,
            proof_system=extension.proof_system,
            api_key_id=payer.api_key_id,
        )
        outcome = await _settle(api, request, payer, model, work, order)
        answer = await api.offload(lambda: work.render(outcome))
    _count(api, model, work, outcome)
    answer["lazai"] = lazai_object(model, outcome)
    return json_response(answer, 200, _headers(outcome, parsed.ignored))


async def _settle(
    api: Api, request: Request, payer: Payer, model: ServedModel, work: Work, order: InferenceRequest
) -> InferenceOutcome:
    # A wallet's repetition carries the same nonce and is answered from the same work; an operator's is paid twice.
    request.state.repeatable = payer.authorization is not None
    try:
        return await _while_connected(request, api.gateway.submit(order), api.options.timeout_ms)
    except TimeoutError:
        retry = "true" if request.state.repeatable else "false"
        raise ApiFailure(
            504,
            "timeout",
            f"no block settled the request within {api.options.timeout_ms} ms; the work goes on",
            headers={"x-should-retry": retry},
        ) from None
    except (FeeTooLow, InsufficientFunds, PaymentRequired) as cause:
        asked = Extension(dats=order.dats, proof_system=order.proof_system)
        raise await payment_failure(api, request.url.path, model, work.inputs, asked, cause) from cause


async def _while_connected(request: Request, work: Coroutine[Any, Any, _T], timeout_ms: int) -> _T:
    """Await `work`, but no longer than the client stays. Raises ClientGone, TimeoutError."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_until_gone(request))
    try:
        await asyncio.wait({task, gone}, timeout=timeout_ms / 1000, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientGone if gone.done() else TimeoutError
    finally:
        task.cancel()
        gone.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _count(api: Api, model: ServedModel, work: Work, outcome: InferenceOutcome) -> None:
    api.meters.inputs.labels(model.name).inc(len(work.inputs))
    api.meters.tokens.labels(model.name).inc(work.tokens)
    if outcome.replayed:
        api.meters.replays.inc()
    else:
        api.meters.compute_gas.labels(model.name).inc(outcome.compute_gas)


def lazai_object(model: ServedModel, outcome: InferenceOutcome) -> dict[str, Any]:
    """What the answer says of work, price and proof. Amounts in wei are decimal strings."""
    return {
        "request_id": outcome.request_id,
        "model_digest": to_hex(model.model),
        "determinism": DETERMINISM,
        "job_ids": [to_hex(job_id) for job_id in outcome.job_ids],
        "gas": {
            "flops": outcome.usage.flops,
            "memory_bytes_peak": outcome.usage.memory_bytes_peak,
            "compute_gas": outcome.compute_gas,
        },
        "cost": str(outcome.cost),
        "transaction": to_hex(outcome.transaction_hash),
        "block": to_hex(outcome.block_hash),
        "height": outcome.height,
        "worker": to_hex(outcome.worker),
        "proof_system": outcome.proof_system,
        "receipts": list(outcome.receipt_ids),
        "verified": list(outcome.verified),
        "replayed": outcome.replayed,
    }


def _headers(outcome: InferenceOutcome, ignored: tuple[str, ...]) -> dict[str, str]:
    headers = {
        "x-lazai-job-id": ",".join(to_hex(job_id) for job_id in outcome.job_ids[:_LISTED_IN_HEADER_MAX]),
        "x-lazai-receipt": ",".join(outcome.receipt_ids[:_LISTED_IN_HEADER_MAX]),
        "x-lazai-transaction": to_hex(outcome.transaction_hash),
        "x-lazai-height": str(outcome.height),
        "x-lazai-compute-gas": str(outcome.compute_gas),
        "x-lazai-cost": str(outcome.cost),
    }
    if ignored:
        headers["x-lazai-ignored"] = ",".join(ignored)
    if outcome.replayed:
        headers["x-lazai-replayed"] = "1"
    return headers
