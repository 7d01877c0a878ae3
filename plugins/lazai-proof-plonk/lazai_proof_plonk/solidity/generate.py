"""The text of a verifier contract for one key, of either mode.

The contracts refuse, by returning false, what snarkjs' own generated contract lets pass: public values that are not
below r, coordinates that are not below q, points at infinity. Every point goes through a precompile, which checks that
it is on the curve.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from lazai_core.api.errors import LazAIError

from ..keys import G2_GENERATOR, Point2, SnarkjsKey, check_key
from ..native_key import NativeKey, check_native_key
from ..parameters import FIELD, ORDER, domain_root
from .native_parts import native_labels
from .native_template import CONTRACT as NATIVE_CONTRACT
from .native_template import WORDS as NATIVE_WORDS
from .parts import FUNCTIONS, LAGRANGE, PAIRING, PRECOMPILE_GAS, PUBLIC_NOTE
from .template import CONTRACT, WORDS

NAME_PATTERN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}\Z")
PUBLIC_MAX = 256
FIRST_WORD = 0x80


class ContractError(LazAIError):
    """No contract can be generated for these arguments."""


def verifier_contract(key: SnarkjsKey | NativeKey, name: str = "PlonkVerifier") -> str:
    """Solidity source, version 0.8.20 or later. Raises ContractError, ProofRejected for a key that is not sound."""
    if not NAME_PATTERN.match(name):
        raise ContractError(f"{name[:80]!r} is not a name of a contract")
    if key.public > PUBLIC_MAX:
        raise ContractError(f"{key.public} public values are more than {PUBLIC_MAX}")
    if isinstance(key, NativeKey):
        check_native_key(key)
        return _filled(NATIVE_CONTRACT, NATIVE_WORDS, _labels(key, name, NATIVE_WORDS) | native_labels(key))
    check_key(key)
    return _filled(CONTRACT, WORDS, _labels(key, name, WORDS) | _snarkjs_labels(key))


def _filled(text: str, words: Sequence[str], labels: Mapping[str, str]) -> str:
    """The template with its parts, the places of its words, and what depends on the key."""
    for part, body in (
        ("FUNCTIONS", FUNCTIONS),
        ("LAGRANGE", LAGRANGE),
        ("PAIRING", PAIRING),
        ("PUBLIC_NOTE", PUBLIC_NOTE),
    ):
        text = text.replace(f"@{part}@", body)
    constants = [f"    uint256 private constant {word} = {FIRST_WORD + 32 * at:#x};" for at, word in enumerate(words)]
    text = text.replace("@WORDS@", "\n".join(constants))
    for label, value in labels.items():
        text = text.replace(f"@{label}@", value)
    assert "@" not in re.sub(r"///[^\n]*", "", text), "a label of the template was left"
    return text


def _labels(key: SnarkjsKey | NativeKey, name: str, words: Sequence[str]) -> dict[str, str]:
    """What both templates fill in."""
    tables = FIRST_WORD + 32 * len(words)
    opened = max(1, key.public)
    buffer = tables + 96 * opened + 64
    return {
        "NAME": name,
        "DIGEST": "0x" + key.digest.hex(),
        "PUBLIC": str(key.public),
        "OPENED": str(opened),
        "SIGNALS": f", uint256[{key.public}] calldata publicSignals" if key.public else "",
        "Q": str(FIELD),
        "R": str(ORDER),
        "SIZE": str(key.domain_size),
        "POWER": str(key.power),
        "ROOT": str(domain_root(key.power)),
        "ROOTS": hex(tables),
        "GAPS": hex(tables + 32 * opened),
        "PREFIXES": hex(tables + 64 * opened),
        "TAG": hex(buffer - 64),
        "STATE": hex(buffer - 32),
        "BUFFER": hex(buffer),
        "PUBLIC_BYTES": hex(32 * key.public),
        **{label: str(gas) for label, gas in PRECOMPILE_GAS.items()},
        **_point2_labels("X2", key.x_2),
        **_point2_labels("G2", G2_GENERATOR),
    }


def _point2_labels(name: str, point: Point2) -> dict[str, str]:
    assert point is not None
    (x0, x1), (y0, y1) = point
    return {f"{name}_X0": str(x0), f"{name}_X1": str(x1), f"{name}_Y0": str(y0), f"{name}_Y1": str(y1)}


def _snarkjs_labels(key: SnarkjsKey) -> dict[str, str]:
    return {
        "SIGNALS_AT": "publicSignals" if key.public else "add(data, 0x300)",
        "KEY_BYTES": hex(512),
        "TRANSCRIPT_BYTES": hex(512 + 32 * key.public + 192),
        "STORE_KEY": _store_key(key),
        "FIXED_TERMS": _fixed_terms(key),
    }


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
