"""Prices: as JSON for `/v1/lazai/quote`, and inside the 402 that asks for payment."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import msgspec

from lazai_core.api.authorization import DOMAIN_NAME, DOMAIN_VERSION
from lazai_core.api.errors import FeeTooLow, LazAIError, PaymentRequired
from lazai_core.api.gas import GasQuote
from lazai_core.api.service import ServedModel
from lazai_core.api.types import to_hex

from .authorization_header import HEADER
from .context import Api
from .extension import Extension
from .failures import ApiFailure, failure_of

PAYMENT_HEADER = "PAYMENT-REQUIRED"
_SCHEME = "lazai-eip712"
_NO_AUTHORISATION = f"this request must be paid: sign it and send it with the header {HEADER}"


def signing_domain(api: Api) -> dict[str, Any]:
    """What a wallet needs to sign for this node, besides the request itself."""
    return {
        "chain_id": api.gateway.chain_id,
        "node": to_hex(api.gateway.node_address),
        "settlement": to_hex(api.gateway.settlement_address),
        "domain": {"name": DOMAIN_NAME, "version": DOMAIN_VERSION},
    }


def quote_fields(api: Api, model: ServedModel, inputs: int, quote: GasQuote) -> dict[str, Any]:
    """A quote as JSON. Amounts in wei are decimal strings."""
    return {
        "object": "lazai.quote",
        "model": model.name,
        "model_digest": to_hex(model.model),
        "inputs": inputs,
        "cost_max": str(quote.cost_max),
        "price_per_gas": str(quote.price_per_gas),
        "gas": {"ai": quote.gas_ai, "inference": quote.gas_inference, "compute_gas": quote.compute_gas},
        **signing_domain(api),
    }


async def payment_failure(
    api: Api,
    path: str,
    model: ServedModel,
    inputs: Sequence[bytes],
    extension: Extension,
    cause: LazAIError | None = None,
) -> ApiFailure:
    """A 402 with a fresh quote in the body and, in the manner of x402, in a header."""
    failure = failure_of(cause) if cause else ApiFailure(402, "payment_required", _NO_AUTHORISATION)
    try:
        quote = await api.gateway.quote(model.model, inputs, extension.dats, extension.proof_system)
        fields = quote_fields(api, model, len(inputs), quote)
    except LazAIError as error:
        if cause is None:
            return failure_of(error)
        known = cause.quote if isinstance(cause, (FeeTooLow, PaymentRequired)) else None
        fields = {"object": "lazai.quote", "model": model.name, **signing_domain(api)}
        fields |= {} if known is None else {"cost_max": str(known)}
    failure.extra["quote"] = fields
    failure.headers[PAYMENT_HEADER] = _payment_header(api, path, fields, failure.code)
    return failure


def _payment_header(api: Api, path: str, fields: dict[str, Any], code: str) -> str:
    accepted = {
        "scheme": _SCHEME,
        "network": f"eip155:{api.gateway.chain_id}",
        "amount": fields.get("cost_max", "0"),
        "asset": "native",
        "payTo": to_hex(api.gateway.settlement_address),
        "maxTimeoutSeconds": max(1, api.options.timeout_ms // 1000),
        "extra": {"header": HEADER, **{key: value for key, value in fields.items() if key != "object"}},
    }
    challenge = {"x402Version": 2, "error": code, "resource": {"url": path}, "accepts": [accepted]}
    return base64.b64encode(msgspec.json.encode(challenge)).decode()
