"""JSON that means one thing only: no duplicate keys, no NaN, no lone surrogates, bounded depth.

A body is what the wallet signed, so two readers must never understand it differently.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

DEPTH_MAX = 32

# The closing quote is optional, so that an unterminated string is passed over once and not once a quote.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class BadJson(ValueError):
    """Why the bytes are refused, in one sentence."""


def _refuse_constant(name: str) -> NoReturn:
    raise BadJson(f"{name} is not a JSON number")


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise BadJson(f"the key {twice[:80]!r} is there twice")
    return result


def _check_depth(data: bytes) -> None:
    # Most bodies are flat; only those with many brackets are walked through.
    if data.count(b"[") + data.count(b"{") <= DEPTH_MAX:
        return
    depth = 0
    for match in _TOKEN.finditer(data):
        first = match[0][0]
        if first in b"[{":
            depth += 1
            if depth > DEPTH_MAX:
                raise BadJson(f"it is nested more than {DEPTH_MAX} levels deep")
        elif first in b"]}":
            depth -= 1


def decode_json(data: bytes) -> Any:
    """The value of one JSON text in UTF-8. Raises BadJson and nothing else."""
    _check_depth(data)
    try:
        text = data.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_object_of, parse_constant=_refuse_constant)
        if _SURROGATE.search(data):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value
    except BadJson:
        raise
    except UnicodeError:
        raise BadJson("it is not UTF-8 text") from None
    except json.JSONDecodeError as cause:
        raise BadJson(f"{cause.msg} at line {cause.lineno}, column {cause.colno}") from None
    except ValueError:
        raise BadJson("a number has too many digits") from None
    except RecursionError:
        raise BadJson("it is nested too deeply") from None


def decode_object(data: bytes) -> dict[str, Any]:
    """As `decode_json`, for a text that must be an object."""
    value = decode_json(data)
    if not isinstance(value, dict):
        raise BadJson("it must be an object")
    return value
