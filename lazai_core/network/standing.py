"""How peers have behaved: faults add up and fade, enough of them ban a peer for a while, and bans outlive a restart."""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter, OrderedDict
from collections.abc import Mapping
from pathlib import Path

import structlog
from attrs import define, evolve, field, frozen

from lazai_core.api.errors import EncodingError
from lazai_core.api.needs import Clock
from lazai_core.api.network import PeerFault, PeerId

log = structlog.get_logger(__name__)

BAN_SCORE = 1000
"""Points at which a peer is banned."""
HALF_LIFE_S = 60
SCORES_MAX = 4096
BANS_MAX = 1024
BANS_FILE_BYTES_MAX = 256 * BANS_MAX
BAN_S_MAX = 86_400
PERSISTENT_BAN_S_MAX = 30
"""A validator that this node is told to keep is needed for the next quorum: it is only kept waiting."""

POINTS: Mapping[PeerFault, int] = {
    # What no correct node ever sends.
    PeerFault.GARBAGE_FRAME: BAN_SCORE,
    PeerFault.OVERSIZE: BAN_SCORE,
    PeerFault.OTHER_CHAIN: BAN_SCORE,
    PeerFault.UNDECODABLE: 500,
    PeerFault.BAD_SIGNATURE: 500,
    PeerFault.FORGED_EVIDENCE: BAN_SCORE,
    PeerFault.FORGED_CERTIFICATE: BAN_SCORE,
    PeerFault.INVALID_BLOCK: 500,
    PeerFault.INVALID_RECORD: 250,
    PeerFault.WRONG_PART: 250,
    PeerFault.UNKNOWN_TOPIC: 250,
    PeerFault.UNASKED_ANSWER: 50,
    PeerFault.INVALID_TRANSACTION: 20,
    # What a correct node sends when it is late, ahead or under load: only a stream of it counts.
    PeerFault.FLOOD: 50,
    PeerFault.BROKEN_PROMISE: 20,
    PeerFault.UNKNOWN_KEY: 10,
    PeerFault.FAR_HEIGHT: 1,
    PeerFault.FAR_ROUND: 1,
}


@frozen(kw_only=True)
class Ban:
    """Until when, in seconds since 1970, why, and how often before and including this time."""

    until_s: int
    fault: str
    times: int


@define(kw_only=True)
class _Score:
    points: float = 0.0
    at_ns: int = 0


@define(kw_only=True)
class Standing:
    """Scores and bans of peers, bounded. `persistent` peers are never kept out for long."""

    clock: Clock
    ban_s: int
    persistent: frozenset[PeerId] = frozenset()
    path: Path | None = None
    faults: Counter[PeerFault] = field(factory=Counter)
    _scores: OrderedDict[PeerId, _Score] = field(factory=OrderedDict)
    _bans: OrderedDict[PeerId, Ban] = field(factory=OrderedDict)

    def __attrs_post_init__(self) -> None:
        """Read the bans of an earlier life."""
        if self.path is not None:
            self._bans = _read_bans(self.path)

    def score(self, peer: PeerId) -> int:
        """Points now; half of them are gone after `HALF_LIFE_S`."""
        found = self._scores.get(peer)
        return 0 if found is None else int(self._faded(found))

    def _faded(self, score: _Score) -> float:
        passed_s = (self.clock.monotonic_ns() - score.at_ns) / 1e9
        return float(score.points * 0.5 ** (passed_s / HALF_LIFE_S))

    def blame(self, peer: PeerId, fault: PeerFault) -> bool:
        """Count a fault; True when the peer is banned from now on."""
        self.faults[fault] += 1
        score = self._scores.setdefault(peer, _Score())
        score.points = self._faded(score) + POINTS[fault]
        score.at_ns = self.clock.monotonic_ns()
        self._scores.move_to_end(peer)
        while len(self._scores) > SCORES_MAX:
            self._scores.popitem(last=False)
        if score.points < BAN_SCORE:
            return False
        del self._scores[peer]
        self._ban(peer, fault)
        return True

    def _ban(self, peer: PeerId, fault: PeerFault) -> None:
        times = self._bans[peer].times + 1 if peer in self._bans else 1
        longest = PERSISTENT_BAN_S_MAX if peer in self.persistent else BAN_S_MAX
        seconds = min(self.ban_s * 2 ** min(times - 1, 20), longest)
        self._bans[peer] = Ban(until_s=self.clock.now_seconds() + seconds, fault=fault.value, times=times)
        self._bans.move_to_end(peer)
        while len(self._bans) > BANS_MAX:
            self._bans.popitem(last=False)
        log.warning("peer.banned", peer=peer, fault=fault.value, seconds=seconds, times=times)
        self._write()

    def banned_until(self, peer: PeerId) -> int:
        """Seconds since 1970 at which the ban ends; 0 where there is none."""
        ban = self._bans.get(peer)
        if ban is None:
            return 0
        until_s = ban.until_s
        if peer in self.persistent:
            # The clock may have been set back, or the file may be another's.
            until_s = min(until_s, self.clock.now_seconds() + PERSISTENT_BAN_S_MAX)
            self._bans[peer] = evolve(ban, until_s=until_s)
        return until_s if until_s > self.clock.now_seconds() else 0

    def bans(self) -> Mapping[PeerId, Ban]:
        """Bans that hold now."""
        return {peer: self._bans[peer] for peer in tuple(self._bans) if self.banned_until(peer)}

    def _write(self) -> None:
        if self.path is None:
            return
        rows = [[peer.hex(), ban.until_s, ban.fault, ban.times] for peer, ban in self._bans.items()]
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fresh = self.path.with_suffix(".new")
            fresh.write_text(json.dumps({"format": "lazai/bans/v1", "bans": rows}), encoding="ascii")
            os.replace(fresh, self.path)
        except OSError as error:
            log.warning("bans.unwritable", path=str(self.path), error=str(error))


def _read_bans(path: Path) -> OrderedDict[PeerId, Ban]:
    """Bans of the file; one that cannot be read is as good as none."""
    try:
        with path.open("rb") as file:
            data = file.read(BANS_FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return OrderedDict()
    except OSError as error:
        log.warning("bans.unreadable", path=str(path), error=str(error))
        return OrderedDict()
    with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError, EncodingError):
        return _parsed_bans(data)
    log.warning("bans.unreadable", path=str(path), error="not what this node writes; it is left out")
    return OrderedDict()


def _parsed_bans(data: bytes) -> OrderedDict[PeerId, Ban]:
    if len(data) > BANS_FILE_BYTES_MAX:
        raise ValueError("the file is too large")
    rows = json.loads(data)["bans"]
    bans: OrderedDict[PeerId, Ban] = OrderedDict()
    for peer, until_s, fault, times in rows[-BANS_MAX:]:
        if type(until_s) is not int or type(times) is not int or times < 1 or len(bytes.fromhex(peer)) != 20:
            raise ValueError("a ban is malformed")
        bans[PeerId(bytes.fromhex(peer))] = Ban(until_s=until_s, fault=str(PeerFault(fault)), times=times)
    return bans
