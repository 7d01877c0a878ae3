"""What a contract of native mode takes from its key: the transcript's constants and the key's points."""

from __future__ import annotations

import hashlib

from ..keys import Point
from ..native_key import NativeKey
from ..native_proof import evaluation_names, point_names, proof_bytes
from ..native_transcript import DOMAIN
from ..parameters import ORDER
from .native_template import LOOKUPS

DRAWN_BYTES = 64
"""Bytes that `Transcript.challenge_integers` draws at once for one number."""
CONTEXT_LABEL, PUBLIC_LABEL = "context", "public"
FixedTerm = tuple[str, str]

GATE_TERMS: tuple[FixedTerm, ...] = (
    ("qm", "mulmod(mload(EVAL_A), mload(EVAL_B), R)"),
    ("ql", "mload(EVAL_A)"),
    ("qr", "mload(EVAL_B)"),
    ("qo", "mload(EVAL_C)"),
    ("qn", "mload(EVAL_C_NEXT)"),
    ("qc", ""),
    ("s1", "mload(V4)"),
    ("s2", "mload(V5)"),
    ("s3", "sub(R, mulmod(mload(PERMUTED), mload(BETA), R))"),
)
LOOKUP_TERMS: tuple[FixedTerm, ...] = (
    ("qk", "sub(R, mulmod(mload(CUBE), mload(LISTED), R))"),
    ("tag", "mload(V6)"),
    ("t1", "mload(V7)"),
    ("t2", "mulmod(mload(V7), mload(ETA), R)"),
    ("t3", "mulmod(mulmod(mload(V7), mload(ETA), R), mload(ETA), R)"),
)
"""Scalar of each fixed column, empty for one; as `native_relation.linearisation` and the openings say."""


def native_labels(key: NativeKey) -> dict[str, str]:
    """Labels of the native template, without those that both templates have."""
    points, evaluations = point_names(key.lookups), evaluation_names(key.lookups)
    place = {name: hex(64 * index) for index, name in enumerate(points)}
    context, context_size = _header(CONTEXT_LABEL, 0)
    public, public_size = _header(PUBLIC_LABEL, 32 * key.public)
    lookups = LOOKUPS.replace("@S@", place.get("s", "")).replace("@M@", place.get("m", ""))
    labels = {
        "POINTS": ", ".join(points),
        "EVALUATIONS": ", ".join(evaluations),
        "PROOF_WORDS": str(proof_bytes(key.lookups) // 32),
        "PROOF_BYTES": hex(proof_bytes(key.lookups)),
        "POINT_BYTES": hex(64 * len(points)),
        "EVALUATION_BYTES": hex(32 * len(evaluations)),
        "SIGNALS_AT": "publicSignals" if key.public else "proof",
        "CHALLENGE_MASK": hex((1 << ORDER.bit_length()) - 1),
        "STATE_AFTER_KEY": "0x" + _state_after_key(key).hex(),
        "CONTEXT_HEADER": context,
        "CONTEXT_SIZE": str(context_size),
        "CONTEXT_SHIFT": str(256 - 8 * context_size),
        "PUBLIC_HEADER": public,
        "PUBLIC_SIZE": str(public_size),
        "TRANSCRIPT": "\n".join(_transcript_lines(key.lookups)),
        "LAST_V": "V7" if key.lookups else "V5",
        "FIXED_TERMS": _fixed_terms(key, GATE_TERMS),
        "LOOKUP_TERMS": lookups + _fixed_terms(key, LOOKUP_TERMS) if key.lookups else "",
    }
    return labels | {name.upper(): place[name] for name in ("w", "w_next", "z", "t_low")}


def _frame(label: str, length: int) -> bytes:
    """What stands before the data of a message: u16 length of the label, label, u64 length of the data."""
    name = label.encode()
    return len(name).to_bytes(2, "big") + name + length.to_bytes(8, "big")


def _header(label: str, length: int, data: bytes = b"") -> tuple[str, int]:
    """The frame as a word, filled with zeros on the right, and its bytes."""
    frame = _frame(label, length) + data
    assert len(frame) <= 32
    return "0x" + frame.ljust(32, b"\0").hex(), len(frame)


def _state_after_key(key: NativeKey) -> bytes:
    """State of `NativeTranscript` before the context, as `lazai_core.api.transcript` defines it."""
    domain = DOMAIN.encode()
    state = hashlib.sha256(b"lazai/transcript/v1" + _frame("domain", len(domain)) + domain).digest()
    for label, data in (("key", key.digest), ("domain", _short(key.domain_size)), ("public count", _short(key.public))):
        state = hashlib.sha256(b"\0" + state + _frame(label, len(data)) + data).digest()
    return state


def _short(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def _transcript_lines(lookups: bool) -> list[str]:
    """Messages and challenges in the order of the protocol."""
    draws = {"c": ("beta", "gamma"), "z": ("alpha",), "t_high": ("zeta",), "w_next": ("u",)}
    if lookups:
        del draws["c"], draws["z"]
        draws |= {"m": ("beta", "gamma", "eta", "chi"), "s": ("alpha",)}
    lines: list[str] = []
    for index, name in enumerate(point_names(lookups)):
        header, size = _header(name, 64)
        lines.append(f"absorb({header}, {size}, add(proof, {64 * index:#x}), 0x40)")
        lines += [_draw_line(challenge) for challenge in draws.get(name, ())]
        if name == "t_high":
            start = 64 * len(point_names(lookups))
            for place, evaluation in enumerate(evaluation_names(lookups)):
                header, size = _header("evaluation " + evaluation, 32)
                lines.append(f"absorb({header}, {size}, add(proof, {start + 32 * place:#x}), 0x20)")
            lines.append(_draw_line("v"))
    return [" " * 12 + line for line in lines]


def _draw_line(challenge: str) -> str:
    header, size = _header(challenge, 8, DRAWN_BYTES.to_bytes(8, "big"))
    word = {"zeta": "XI", "v": "V1"}.get(challenge, challenge.upper())
    return f"draw({header}, {size}, {word})"


def _fixed_terms(key: NativeKey, terms: tuple[FixedTerm, ...]) -> str:
    """Sums of scalar * commitment; infinity is left out, a scalar of one needs no product."""
    lines = []
    for name, scalar in terms:
        point: Point = key.commitment(name)
        if point is not None:
            x, y = point
            line = f"addScaled({x}, {y}, {scalar})" if scalar else f"addPoint({x}, {y})"
            lines.append(" " * 12 + line)
    return "\n".join(lines)
