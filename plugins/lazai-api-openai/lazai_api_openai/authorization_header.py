"""The request header `X-LazAI-Authorization`: base64url of one JSON object, to and from `Authorization`.

The README states the format for wallet developers. The body's hash is not in the header: each side takes it from
the bytes it sees, so that a header never fits another body.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from lazai_core.api.authorization import Authorization
from lazai_core.api.hashing import SIGNATURE_BYTES
from lazai_core.api.types import Address, DatId, Hash32, ModelId, Wei, to_hex

from .failures import ApiFailure
from .strict_json import BadJson, decode_object

HEADER = "X-LazAI-Authorization"
HEADER_CHARACTERS_MAX = 16_384
DATS_MAX = 128

_FIELDS = ("user", "node", "model", "dats", "maxCost", "expiry", "lane", "counter", "signature")
_OPTIONAL = ("dats",)
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+={0,2}\Z")
_HEX = re.compile(r"(?:0[xX])?([0-9a-fA-F]*)\Z")
_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,77})\Z")

_T = TypeVar("_T")


def _refuse(name: str, why: str) -> ApiFailure:
    param = f"{HEADER}.{name}" if name else HEADER
    code = "invalid_signature" if name == "signature" else "invalid_authorization"
    return ApiFailure(401, code, f"{param}: {why}", param=param, headers={"x-should-retry": "false"})


def _hexadecimal(value: Any, name: str, size: int) -> bytes:
    match = _HEX.match(value) if isinstance(value, str) and len(value) <= 2 * size + 2 else None
    if match is None or len(match[1]) != 2 * size:
        raise _refuse(name, f"expected {2 * size} hexadecimal digits")
    return bytes.fromhex(match[1])


def _number(value: Any, name: str, bits: int) -> int:
    if isinstance(value, str) and _DECIMAL.match(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**bits:
        raise _refuse(name, f"expected a whole number from 0 to 2^{bits} - 1, as a decimal string or a number")
    return int(value)


def _dats(value: Any) -> tuple[DatId, ...]:
    if not isinstance(value, list) or len(value) > DATS_MAX:
        raise _refuse("dats", f"expected a list of at most {DATS_MAX} numbers")
    return tuple(DatId(_number(item, "dats", 256)) for item in value)


def _decode_fields(header: str) -> dict[str, Any]:
    if len(header) > HEADER_CHARACTERS_MAX:
        raise _refuse("", f"longer than {HEADER_CHARACTERS_MAX} characters")
    text = header.strip(" \t")
    if not _BASE64URL.match(text):
        raise _refuse("", "expected base64url (A-Z a-z 0-9 - _) of a JSON object")
    bare = text.rstrip("=")
    try:
        data = base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
        fields = decode_object(data)
    except (binascii.Error, BadJson) as cause:
        raise _refuse("", f"expected base64url of a JSON object: {cause}") from None
    for name in _FIELDS:
        if name not in fields and name not in _OPTIONAL:
            raise _refuse(name, "this field is missing")
    for name in fields:
        if name not in _FIELDS:
            raise _refuse("", f"the field {name[:40]!r} is unknown")
    return fields


def decode_authorization(header: str, body_hash: Hash32) -> Authorization:
    """Read the header of a request whose body has this hash. Raises ApiFailure (401) naming the field."""
    fields = _decode_fields(header)
    return Authorization(
        user=Address(_hexadecimal(fields["user"], "user", 20)),
        node=Address(_hexadecimal(fields["node"], "node", 20)),
        model=ModelId(_hexadecimal(fields["model"], "model", 32)),
        body_hash=body_hash,
        dats=_dats(fields.get("dats", [])),
        max_cost=Wei(_number(fields["maxCost"], "maxCost", 256)),
        expiry=_number(fields["expiry"], "expiry", 64),
        lane=_number(fields["lane"], "lane", 64),
        counter=_number(fields["counter"], "counter", 64),
        signature=_hexadecimal(fields["signature"], "signature", SIGNATURE_BYTES),
    )


def encode_authorization(authorization: Authorization) -> str:
    """The header for a signed authorisation, without padding. Wide numbers travel as decimal strings."""
    fields = {
        "user": to_hex(authorization.user),
        "node": to_hex(authorization.node),
        "model": to_hex(authorization.model),
        "dats": [str(dat) for dat in authorization.dats],
        "maxCost": str(authorization.max_cost),
        "expiry": str(authorization.expiry),
        "lane": str(authorization.lane),
        "counter": str(authorization.counter),
        "signature": to_hex(authorization.signature),
    }
    text = json.dumps(fields, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def read_parameter(
    query: Mapping[str, str], name: str, parse: Callable[[Any, str], _T], default: _T | None = None
) -> _T:
    """A query parameter, parsed as the header's fields are. Raises ApiFailure (400) naming it."""
    if name not in query:
        if default is None:
            raise ApiFailure(400, "missing_parameter", f"the query parameter {name} is missing", param=name)
        return default
    try:
        return parse(query[name], name)
    except ApiFailure as failure:
        why = failure.message.removeprefix(f"{failure.param}: ")
        raise ApiFailure(400, "invalid_parameter", f"{name}: {why}", param=name) from None


def parse_address(value: Any, name: str) -> Address:
    """40 hexadecimal digits. Raises ApiFailure."""
    return Address(_hexadecimal(value, name, 20))


def parse_u64(value: Any, name: str) -> int:
    """A decimal number below 2^64. Raises ApiFailure."""
    return _number(value, name, 64)


def parse_dats(value: Any, name: str) -> tuple[DatId, ...]:
    """DAT numbers, as a list or as text with commas. Raises ApiFailure."""
    items = [item for item in value.split(",") if item] if isinstance(value, str) else value
    if not isinstance(items, list) or len(items) > DATS_MAX:
        raise _refuse(name, f"expected a list of at most {DATS_MAX} numbers")
    return tuple(DatId(_number(item, name, 256)) for item in items)
