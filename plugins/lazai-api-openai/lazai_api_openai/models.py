"""`GET /v1/models`: what this node serves, at which price, and how exact it is."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from lazai_core.api.errors import LazAIError
from lazai_core.api.service import ServedModel
from lazai_core.api.types import Height, ModelId, to_hex

from .context import Api
from .inference import DETERMINISM
from .replies import json_response
from .tensors import placeholder_input

_Prices = dict[ModelId, tuple[Height, dict[str, Any] | None]]


class ModelCards:
    """Describes models. Prices hold for one height, so that listing models costs one quote a model and block."""

    def __init__(self) -> None:
        self._prices: _Prices = {}

    async def list_models(self, api: Api, _request: Request) -> Response:
        """Every served model."""
        models = api.gateway.served_models()
        return json_response({"object": "list", "data": [await self._card(api, model) for model in models]})

    async def get_model(self, api: Api, request: Request) -> Response:
        """One model by name or digest. Raises UnknownModel."""
        model = api.gateway.find_model(request.path_params["model"])
        return json_response(await self._card(api, model))

    async def _card(self, api: Api, model: ServedModel) -> dict[str, Any]:
        card = {
            "id": model.name,
            "object": "model",
            "created": model.manifest.created,
            "owned_by": model.manifest.owned_by,
            "kind": model.manifest.kind,
            "max_model_len": _length_max(model),
            "quantization": "int8",
            "weights_root": to_hex(model.model),
            "determinism": DETERMINISM,
            "price": await self._price(api, model),
            "licence": model.manifest.licence or None,
        }
        if model.embedder is not None:
            card["dimensions"] = model.embedder.dimensions
        if model.manifest.labels:
            card["labels"] = list(model.manifest.labels)
        return card

    async def _price(self, api: Api, model: ServedModel) -> dict[str, Any] | None:
        height = api.gateway.readiness().height
        known = self._prices.get(model.model)
        if known is None or known[0] != height:
            known = (height, await _ask_price(api, model))
            self._prices[model.model] = known
        return known[1]


def _length_max(model: ServedModel) -> int | None:
    if model.embedder is not None:
        return model.embedder.tokens_max
    return model.program.dim.maximum if model.program.dim else None


async def _ask_price(api: Api, model: ServedModel) -> dict[str, Any] | None:
    """Price of one input of the largest size, in wei; None while no price can be given."""
    dimension = model.program.dim.maximum if model.program.dim else 0
    try:
        job_input = await api.offload(lambda: placeholder_input(model.program, dimension))
        quote = await api.gateway.quote(model.model, [job_input])
    except LazAIError:
        return None
    return {
        "unit": "wei",
        "cost_max": str(quote.cost_max),
        "compute_gas": quote.compute_gas,
        "inputs": 1,
        "dimension": dimension,
    }
