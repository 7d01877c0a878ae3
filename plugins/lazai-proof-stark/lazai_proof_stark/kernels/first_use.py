"""Says that kernels are being compiled. Compiled code is kept by kind of processor (numba's cache names the CPU and its
features), so only the first use on a kind of processor waits, up to a minute or two, and says why: an operator who
sees a first proof take that long should not have to wonder.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from llvmlite import binding
from numba.core import event

COMPILING = "compiling kernels for this kind of processor ({}); they are kept for the next time"
log = logging.getLogger(__name__)


class _Teller(event.Listener):
    """Speaks once. Loading what was kept is no event."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._told = False

    def on_start(self, _event: event.Event) -> None:
        """A kernel is not in the cache."""
        if not self._told:
            self._told = True
            self._tell(COMPILING.format(binding.get_host_cpu_name()))

    def on_end(self, _event: event.Event) -> None:
        """Nothing to say."""


@contextmanager
def telling_compilation(tell: Callable[[str], None] = log.warning) -> Iterator[None]:
    """Inside, the first kernel that has to be compiled is announced through `tell`."""
    teller = _Teller(tell)
    event.register("numba:compile", teller)
    try:
        yield
    finally:
        event.unregister("numba:compile", teller)
