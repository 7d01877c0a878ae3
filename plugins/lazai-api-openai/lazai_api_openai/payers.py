"""Who pays for a request: a wallet that signed it, or the operator, where the operator allows it."""

from __future__ import annotations

from attrs import frozen
from starlette.requests import Request

from lazai_core.api.authorization import Authorization
from lazai_core.api.errors import BadSignature
from lazai_core.api.hashing import keccak256
from lazai_core.api.service import ServedModel
from lazai_core.api.types import DatId, to_hex

from .authorization_header import HEADER, decode_authorization
from .context import Api
from .extension import Extension
from .failures import ApiFailure

_UNBOUND_SIGNATURE = "x-lazai-signature"
OPERATOR_KEY_ID = "operator"


@frozen(kw_only=True)
class Payer:
    """`authorization` for a wallet, else `api_key_id` for the operator; neither means that nobody pays."""

    authorization: Authorization | None = None
    api_key_id: str = ""

    @property
    def pays(self) -> bool:
        """Whether there is anyone to pay."""
        return self.authorization is not None or bool(self.api_key_id)

    @property
    def label(self) -> str:
        """For the log: the wallet's address or the key's identifier."""
        return to_hex(self.authorization.user) if self.authorization else self.api_key_id or "nobody"


def identify_payer(api: Api, request: Request, body: bytes) -> Payer:
    """Find the payer and check a wallet's signature. Raises ApiFailure (401) and BadSignature.

    This comes before any parsing of the body, so that a forged request costs the node one hash.
    """
    headers = request.headers.getlist(HEADER)
    if len(headers) > 1:
        raise ApiFailure(401, "invalid_authorization", f"{HEADER} is there {len(headers)} times", param=HEADER)
    if headers:
        return Payer(authorization=_check_wallet(api, headers[0], body))
    if request.headers.get(_UNBOUND_SIGNATURE):
        raise ApiFailure(
            401,
            "unsupported_authorization",
            f"X-LazAI-Signature binds neither body nor price and is not taken; send {HEADER}",
            param="X-LazAI-Signature",
        )
    scheme, _, presented = request.headers.get("authorization", "").partition(" ")
    key = api.keys.find(presented.strip()) if scheme.lower() == "bearer" else None
    if key is not None:
        return Payer(api_key_id=key.key_id)
    return Payer(api_key_id=OPERATOR_KEY_ID if api.options.unsigned == "operator-pays" else "")


def _check_wallet(api: Api, header: str, body: bytes) -> Authorization:
    gateway = api.gateway
    authorization = decode_authorization(header, keccak256(body))
    if authorization.node != gateway.node_address:
        raise BadSignature(
            f"the authorisation is for node {to_hex(authorization.node)}, this is {to_hex(gateway.node_address)}",
            hint="sign with this node's address; GET /status shows it",
        )
    authorization.verify(gateway.chain_id, gateway.settlement_address)
    return authorization


def match_request(payer: Payer, model: ServedModel, extension: Extension) -> tuple[DatId, ...]:
    """The DATs of the request. Raises ApiFailure (401) where body and authorisation name different things."""
    authorization = payer.authorization
    if authorization is None:
        return extension.dats
    if authorization.model != model.model:
        raise ApiFailure(
            401,
            "authorization_mismatch",
            f"the authorisation is for model {to_hex(authorization.model)}, "
            f"the request names {model.name} ({to_hex(model.model)})",
            param=f"{HEADER}.model",
        )
    if extension.dats and extension.dats != authorization.dats:
        raise ApiFailure(
            401,
            "authorization_mismatch",
            "the body's lazai.dats are not the ones that the wallet authorised",
            param=f"{HEADER}.dats",
        )
    return authorization.dats
