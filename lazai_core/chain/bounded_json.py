"""JSON from outside, with its depth bounded before it is parsed.

py-evm raises Python's recursion limit for deep calls; from then on deep nesting does not raise RecursionError in
`json.loads` but overruns the stack of the C parser, which ends the process.
"""

from __future__ import annotations

import json
import re
from typing import Any

DEPTH_MAX = 64
# Strings are passed over; the closing quote is optional, so that an unterminated one is passed over once.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


def parse_json(text: str, **options: Any) -> Any:
    """As `json.loads` with its hooks. Raises ValueError, also for nesting deeper than DEPTH_MAX."""
    if text.count("[") + text.count("{") > DEPTH_MAX:
        _check_depth(text)
    return json.loads(text, **options)


def _check_depth(text: str) -> None:
    depth = 0
    for match in _TOKEN.finditer(text):
        first = match[0][0]
        if first in "[{":
            depth += 1
            if depth > DEPTH_MAX:
                raise ValueError(f"it is nested more than {DEPTH_MAX} levels deep")
        elif first in "]}":
            depth -= 1
