"""JSON of snarkjs: decimal texts only, each key once, nothing unknown, bounded size.

snarkjs itself reduces what it reads, so that many texts stand for one proof. Here one number has one text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from lazai_core.api.errors import EncodingError

JSON_BYTES_MAX = 1 << 20
BRACKETS_MAX = 64
"""The files hold fewer. Nesting is bounded before the parser runs, whose recursion is bounded by nothing else."""
_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,77})\Z")


def parse_json(kind: str, data: bytes | str) -> Any:
    """The value of a text of at most 1 MiB without doubled keys or floats. Raises EncodingError."""
    if len(data) > JSON_BYTES_MAX:
        raise EncodingError(f"{kind}: {len(data)} bytes are more than {JSON_BYTES_MAX}")

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) != len(items):
            raise EncodingError(f"{kind}: a key occurs twice")
        return found

    def refuse(text: str) -> Any:
        raise EncodingError(f"{kind}: {text[:40]} is not a whole number")

    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        if text.count("[") + text.count("{") > BRACKETS_MAX:
            raise EncodingError(f"{kind}: more than {BRACKETS_MAX} lists and objects")
        return json.loads(text, object_pairs_hook=pairs, parse_float=refuse, parse_constant=refuse)
    except EncodingError:
        raise
    except (ValueError, RecursionError) as error:
        raise EncodingError(f"{kind}: not JSON: {error}") from None


def keys_of(kind: str, value: Any, names: Sequence[str]) -> Mapping[str, Any]:
    """An object with exactly these keys. Raises EncodingError."""
    if not isinstance(value, dict):
        raise EncodingError(f"{kind}: an object is expected")
    missing, unknown = [n for n in names if n not in value], [str(n)[:40] for n in value if n not in names]
    if missing or unknown:
        raise EncodingError(f"{kind}: missing keys {missing}, unknown keys {unknown[:4]}")
    return value


def decimal(kind: str, name: str, value: Any, modulus: int) -> int:
    """A text of decimal digits without leading zeros, below the modulus. Raises EncodingError."""
    if not isinstance(value, str) or not _DECIMAL.match(value):
        raise EncodingError(f"{kind}: {name}: {str(value)[:40]!r} is not a decimal text")
    number = int(value)
    if number >= modulus:
        raise EncodingError(f"{kind}: {name}: the number is not below its prime")
    return number


def count(kind: str, name: str, value: Any, limit: int) -> int:
    """A small number, as JSON number. Raises EncodingError."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= limit:
        raise EncodingError(f"{kind}: {name}: {str(value)[:40]!r} is not a number from 0 to {limit}")
    return value


def listed(kind: str, name: str, value: Any, length: int) -> list[Any]:
    """A list of this length. Raises EncodingError."""
    if not isinstance(value, list) or len(value) != length:
        raise EncodingError(f"{kind}: {name}: a list of {length} is expected")
    return value


def dump_json(value: Any) -> str:
    """The layout of snarkjs' files: one space a level."""
    return json.dumps(value, indent=1)
