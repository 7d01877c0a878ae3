"""Compiling ahead, and threads."""

from __future__ import annotations

import pytest

from lazai_proof_plonk.kernels import warm, workers


def test_every_step_is_reported() -> None:
    reports: list[tuple[str, float]] = []
    seconds = warm.warm_up(lambda name, spent: reports.append((name, spent)))
    assert [name for name, _ in reports][-1] == "pairing"
    assert len(reports) == 9
    assert seconds >= sum(spent for _, spent in reports) > 0
    assert warm.is_compiled()


@pytest.mark.parametrize("length", [0, 1, 8, 1023, 1024, 2048, 5000, 100001])
@pytest.mark.parametrize("threads", [None, 1, 2, 5])
def test_ranges_cover_everything_once(length: int, threads: int | None) -> None:
    found = workers.ranges(length, threads)
    assert [i for begin, end in found for i in range(begin, end)] == list(range(length))
    assert all(begin % 8 == 0 for begin, _ in found)


def test_errors_of_a_thread_come_through() -> None:
    def failing(number: int) -> int:
        if number == 2:
            raise ArithmeticError("two")
        return number

    assert workers.each(failing, [(1,), (3,)], 2) == [1, 3]
    with pytest.raises(ArithmeticError, match="two"):
        workers.each(failing, [(1,), (2,), (3,)], 2)
