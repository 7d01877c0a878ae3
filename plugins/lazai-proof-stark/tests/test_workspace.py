"""Memory that is used again: arrays never share it while both live, and what waits is bounded."""

from __future__ import annotations

import threading
import time

import numpy as np

from lazai_proof_stark.workspace import SMALLEST_BYTES, Workspace

WORDS = SMALLEST_BYTES // 4


def address(array: np.ndarray) -> int:  # type: ignore[type-arg]
    return int(array.ctypes.data)


def test_memory_is_used_again_when_the_last_view_is_gone() -> None:
    workspace = Workspace()
    first = workspace.room((4, WORDS))
    first[:] = 7
    place, view = address(first), first[1:].reshape(-1)[5:]
    del first
    assert workspace.waiting_bytes == 0
    other = workspace.room((4, WORDS))
    assert address(other) != place
    assert int(view[0]) == 7
    del view
    assert workspace.waiting_bytes == 4 * SMALLEST_BYTES
    again = workspace.room((2, 2 * WORDS - 8))
    assert address(again) == place
    assert again.shape == (2, 2 * WORDS - 8)
    assert again.dtype == np.uint32
    assert workspace.waiting_bytes == 0


def test_much_longer_memory_is_left_for_longer_arrays() -> None:
    workspace = Workspace()
    place = address(workspace.room((8 * WORDS,)))
    assert address(workspace.room((2 * WORDS,))) != place
    assert address(workspace.room((4 * WORDS,), np.uint64)) == place


def test_short_arrays_are_not_kept() -> None:
    workspace = Workspace()
    workspace.room((16,))
    assert workspace.waiting_bytes == 0


def test_what_waits_is_bounded() -> None:
    workspace = Workspace(kept_bytes_max=3 * SMALLEST_BYTES)
    arrays = [workspace.room((WORDS,)) for _ in range(8)]
    arrays.clear()
    workspace.room((WORDS * 16,))
    assert workspace.waiting_bytes <= 3 * SMALLEST_BYTES + 16 * SMALLEST_BYTES
    workspace.room((WORDS * 64,))
    workspace.room((16,), np.uint8)
    held = workspace.room((WORDS * 64,))
    assert workspace.waiting_bytes <= 3 * SMALLEST_BYTES
    del held
    workspace.drop()
    assert workspace.waiting_bytes == 0


def test_what_waits_is_freed_when_nothing_is_asked_for() -> None:
    workspace = Workspace(idle_seconds=0.05)
    workspace.room((WORDS,))
    assert workspace.waiting_bytes
    until = time.monotonic() + 30
    while workspace.waiting_bytes and time.monotonic() < until:
        time.sleep(0.01)
    assert workspace.waiting_bytes == 0
    assert workspace.room((WORDS,)).shape == (WORDS,)


def test_threads_get_memory_of_their_own() -> None:
    workspace, wrong = Workspace(), []

    def work(number: int) -> None:
        for _ in range(200):
            array = workspace.room((WORDS,))
            array[::4096] = number
            time.sleep(0)
            if (array[::4096] != number).any():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
