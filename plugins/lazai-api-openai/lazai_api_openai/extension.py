"""What bodies have in common: the optional `lazai` object, ignored fields and refused parameters."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from attrs import frozen

from lazai_core.api.entries import NAME_PATTERN
from lazai_core.api.types import DatId

from .authorization_header import parse_dats
from .failures import ApiFailure, bad_request, unsupported

IGNORED_MAX = 32
_HEADER_SAFE = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
_FIELDS = ("dats", "proof_system")


@frozen(kw_only=True)
class Extension:
    """The `lazai` object of a body: DATs used and the wanted proof system ("" for the node's choice)."""

    dats: tuple[DatId, ...] = ()
    proof_system: str = ""


def read_extension(value: Any) -> Extension:
    """Read the `lazai` object. Raises ApiFailure (400)."""
    if value is None:
        return Extension()
    if not isinstance(value, dict):
        raise bad_request("lazai must be an object", "lazai")
    unknown = [name for name in value if name not in _FIELDS]
    if unknown:
        # Whoever writes this object addresses this node, so a misspelt field is an error.
        raise bad_request(f"lazai.{unknown[0][:64]} is unknown; there are {', '.join(_FIELDS)}", "lazai")
    try:
        dats = parse_dats(value.get("dats") or [], "dats")
    except ApiFailure:
        raise bad_request("lazai.dats must be a list of DAT numbers", "lazai.dats") from None
    return Extension(dats=dats, proof_system=read_proof_system(value.get("proof_system"), "lazai.proof_system"))


def read_proof_system(value: Any, name: str) -> str:
    """The wanted proof system; "" where nothing is given. Raises ApiFailure (400)."""
    system = value or ""
    if not isinstance(system, str) or (system and not NAME_PATTERN.match(system)):
        raise bad_request(f"{name} must be the name of a proof system", name)
    return system


def ignored_fields(fields: Mapping[str, Any], used: Collection[str]) -> tuple[str, ...]:
    """Names of fields that have no effect, fit to stand in a header."""
    names = [name if _HEADER_SAFE.match(name) else "?" for name in fields if name not in used]
    return tuple(dict.fromkeys(names))[:IGNORED_MAX]


def refuse_parameters(fields: Mapping[str, Any], reasons: Mapping[str, str]) -> None:
    """Raises ApiFailure (400 unsupported_parameter) for the first field present that would change the answer."""
    for name, why in reasons.items():
        if fields.get(name) not in (None, False):
            raise unsupported(name, why)


def read_text(fields: Mapping[str, Any], name: str, *, characters_max: int = 256) -> str:
    """A field that must be a short, non-empty text. Raises ApiFailure (400)."""
    value = fields.get(name)
    if value is None:
        raise bad_request(f"you must provide {name}", name, code="missing_parameter")
    if not isinstance(value, str) or not 0 < len(value) <= characters_max:
        raise bad_request(f"{name} must be a text of 1 to {characters_max} characters", name)
    return value
