"""Options of this node. Validators of one chain may differ in them; the rules of consensus are not among them."""

from __future__ import annotations

from attrs import field, frozen, validators

DAY_MS = 86_400_000


def _milliseconds(default: int, doc: str) -> int:
    limits = validators.and_(validators.ge(1), validators.le(DAY_MS))
    value: int = field(default=default, validator=limits, metadata={"doc": doc})
    return value


def _growth(default: int, doc: str) -> int:
    limits = validators.and_(validators.ge(0), validators.le(DAY_MS))
    value: int = field(default=default, validator=limits, metadata={"doc": doc})
    return value


def _count(default: int, low: int, high: int, doc: str) -> int:
    limits = validators.and_(validators.ge(low), validators.le(high))
    value: int = field(default=default, validator=limits, metadata={"doc": doc})
    return value


@frozen(kw_only=True)
class BftOptions:
    """Timeouts grow with each round of a height, so that they get long enough for any network."""

    propose_ms: int = _milliseconds(3000, "wait for a proposal in round 0")
    propose_growth_ms: int = _growth(500, "added to it with each round")
    prevote_ms: int = _milliseconds(1000, "wait for agreeing prevotes, once enough have come")
    prevote_growth_ms: int = _growth(500, "added to it with each round")
    precommit_ms: int = _milliseconds(1000, "wait for agreeing precommits, once enough have come")
    precommit_growth_ms: int = _growth(500, "added to it with each round")
    timeout_ms_max: int = _milliseconds(60_000, "no timeout grows beyond this")
    rebroadcast_ms: int = _milliseconds(1000, "send our newest messages again, and ask for blocks, this often")
    rounds_ahead_max: int = _count(8, 1, 1024, "rounds after ours whose messages are kept")
    rounds_behind_max: int = _count(64, 2, 65_536, "rounds before ours whose votes are kept")
    future_bytes_max: int = _count(
        65_536, 1024, 16_777_216, "bytes of the next height's messages kept for each validator"
    )
    certificates_max: int = _count(64, 1, 4096, "heights after ours whose certificates are kept")
