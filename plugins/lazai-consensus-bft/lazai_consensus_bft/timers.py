"""How long the timers of a round run, and which of them are running."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, field

from lazai_core.api.consensus import CancelTimeout, ScheduleTimeout
from lazai_core.api.types import Height

from .options import BftOptions
from .round import RoundState, Step, TimeoutKind

REBROADCAST = "rebroadcast"
NAMES = {TimeoutKind.PROPOSE: "propose", TimeoutKind.PREVOTE: "prevote", TimeoutKind.PRECOMMIT: "precommit"}
KINDS = {name: kind for kind, name in NAMES.items()}
LAST_STEP = {TimeoutKind.PROPOSE: Step.PROPOSE, TimeoutKind.PREVOTE: Step.PREVOTE}


def delay_ms(options: BftOptions, kind: TimeoutKind, round_number: int) -> int:
    """Milliseconds a timer of this round runs: base plus growth times the round, up to the limit."""
    base, growth = {
        TimeoutKind.PROPOSE: (options.propose_ms, options.propose_growth_ms),
        TimeoutKind.PREVOTE: (options.prevote_ms, options.prevote_growth_ms),
        TimeoutKind.PRECOMMIT: (options.precommit_ms, options.precommit_growth_ms),
    }[kind]
    return min(base + growth * round_number, options.timeout_ms_max)


@define
class Timers:
    """The timers of one height."""

    options: BftOptions
    height: Height
    _running: set[tuple[str, int]] = field(factory=set, init=False)

    def start(self, kind: TimeoutKind, round_number: int) -> tuple[ScheduleTimeout, ...]:
        """Start a timer, unless it runs."""
        return self._start(NAMES[kind], round_number, delay_ms(self.options, kind, round_number))

    def start_rebroadcast(self) -> tuple[ScheduleTimeout, ...]:
        """Start the timer that sends our messages again."""
        return self._start(REBROADCAST, 0, self.options.rebroadcast_ms)

    def _start(self, name: str, round_number: int, delay: int) -> tuple[ScheduleTimeout, ...]:
        if (name, round_number) in self._running:
            return ()
        self._running.add((name, round_number))
        return (ScheduleTimeout(timeout_id=name, height=self.height, round=round_number, delay_ms=delay),)

    def elapsed(self, name: str, round_number: int) -> bool:
        """Whether the timer was running; it no longer is."""
        if (name, round_number) not in self._running:
            return False
        self._running.remove((name, round_number))
        return True

    def cancel_stale(self, state: RoundState) -> tuple[CancelTimeout, ...]:
        """Stop the timers whose step or round is over."""
        return self._cancel(
            key for key in self._running if key[0] in KINDS and not self._wanted(KINDS[key[0]], key[1], state)
        )

    def _wanted(self, kind: TimeoutKind, round_number: int, state: RoundState) -> bool:
        return round_number == state.round and state.step <= LAST_STEP.get(kind, Step.PRECOMMIT)

    def cancel_all(self) -> tuple[CancelTimeout, ...]:
        """Stop every timer."""
        return self._cancel(self._running)

    def _cancel(self, keys: Iterable[tuple[str, int]]) -> tuple[CancelTimeout, ...]:
        stopped = sorted(keys)
        self._running.difference_update(stopped)
        return tuple(
            CancelTimeout(timeout_id=name, height=self.height, round=round_number) for name, round_number in stopped
        )
