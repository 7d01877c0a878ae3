"""The text of a verifier contract for one key.

The contract refuses, by returning false, what snarkjs' own generated contract lets pass: public values that are not
below r, coordinates that are not below q, points at infinity. Every point goes through a precompile, which checks that
it is on the curve.
"""

from __future__ import annotations

import re

from lazai_core.api.errors import LazAIError

from ..keys import SnarkjsKey, check_key
from ..parameters import FIELD, ORDER, domain_root
from .template import CONTRACT, WORDS

NAME_PATTERN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}\Z")
PUBLIC_MAX = 256


class ContractError(LazAIError):
    """No contract can be generated for these arguments."""


def verifier_contract(key: SnarkjsKey, name: str = "PlonkVerifier") -> str:
    """Solidity source, version 0.8.20 or later. Raises ContractError, ProofRejected for a key that is not sound."""
    check_key(key)
    if not NAME_PATTERN.match(name):
        raise ContractError(f"{name[:80]!r} is not a name of a contract")
    if key.public > PUBLIC_MAX:
        raise ContractError(f"{key.public} public values are more than {PUBLIC_MAX}")
    slots = {slot: hex(0x80 + 32 * index) for index, slot in enumerate(WORDS)}
    tables = 0x80 + 32 * len(WORDS)
    opened = max(1, key.public)
    values = {
        "NAME": name,
        "DIGEST": "0x" + key.digest.hex(),
        "PUBLIC": str(key.public),
        "OPENED": str(opened),
        "SIGNALS": f", uint256[{key.public}] calldata publicSignals" if key.public else "",
        "SIGNALS_AT": "publicSignals" if key.public else "add(data, 0x300)",
        "Q": str(FIELD),
        "R": str(ORDER),
        "SIZE": str(key.domain_size),
        "POWER": str(key.power),
        "ROOT": str(domain_root(key.power)),
        "ROOTS": hex(tables),
        "GAPS": hex(tables + 32 * opened),
        "PREFIXES": hex(tables + 64 * opened),
        "BUFFER": hex(tables + 96 * opened),
        "KEY_BYTES": hex(512),
        "TRANSCRIPT_BYTES": hex(512 + 32 * key.public + 192),
        "PUBLIC_BYTES": hex(32 * key.public),
        "STORE_KEY": _store_key(key),
        "FIXED_TERMS": _fixed_terms(key),
        **_x_2_words(key),
    }
    text = CONTRACT
    for slot, place in slots.items():
        text = text.replace(f"<{slot}>", place)
    for label, value in values.items():
        text = text.replace(f"@{label}@", value)
    assert "@" not in re.sub(r"///[^\n]*", "", text), "a label of the template was left"
    return text


def _coordinates(key: SnarkjsKey) -> list[int]:
    return [part for point in key.commitments for part in (point or (0, 0))]


def _store_key(key: SnarkjsKey) -> str:
    """The eight commitments at the start of the transcript's buffer."""
    lines = [
        f"            mstore(add(BUFFER, {32 * index}), {value})"
        for index, value in enumerate(_coordinates(key))
        if value
    ]
    return "\n".join(lines)


def _fixed_terms(key: SnarkjsKey) -> str:
    """Sums of scalar * commitment for the key's points; infinity is left out, a scalar of one needs no product."""
    scalars = ("QM_SCALE", "EVAL_A", "EVAL_B", "EVAL_C", "", "V4", "V5", "S3_SCALE")
    lines = []
    for scalar, point in zip(scalars, key.commitments, strict=True):
        if point is None:
            continue
        place = f"mload({scalar})" if scalar else "1"
        verb = f"addScaled({point[0]}, {point[1]}, {place})" if scalar else f"addPoint({point[0]}, {point[1]})"
        lines.append(f"            {verb}")
    return "\n".join(lines)


def _x_2_words(key: SnarkjsKey) -> dict[str, str]:
    assert key.x_2 is not None
    (x0, x1), (y0, y1) = key.x_2
    return {"X2_X0": str(x0), "X2_X1": str(x1), "X2_Y0": str(y0), "X2_Y1": str(y1)}
