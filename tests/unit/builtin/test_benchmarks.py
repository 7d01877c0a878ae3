"""The core's benchmarks: every figure that the project holds itself to is there, with its bar."""

from __future__ import annotations

import pytest

from lazai_core.builtin import accuracy_bench
from lazai_core.builtin.bench import benchmarks
from lazai_core.exact import accuracy

Reports = list[tuple[int, int, str]]


def test_every_benchmark_of_the_core_is_offered_once() -> None:
    names = [item.name for item in benchmarks()]

    assert len(set(names)) == len(names)
    assert {"node-start", "erc20-block", "digits-accuracy", "minilm-accuracy"} <= set(names)


def test_digits_are_within_their_bar_and_progress_is_told() -> None:
    pytest.importorskip("sklearn")
    reports: Reports = []

    (result,) = accuracy_bench.bench_digits(0.1, lambda *report: reports.append(report))

    assert result.bar == "<= 1"
    assert result.value <= 1
    assert reports[-1][0] == reports[-1][1] > 100


def test_minilm_has_a_figure_for_each_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    found = accuracy.summarize_cosines([0.995, 0.98, 0.999], ["one", "a worse one", "three"])
    monkeypatch.setattr(accuracy, "minilm_accuracy", lambda progress: found)

    median, minimum = accuracy_bench.bench_minilm(0.1, lambda *report: None)

    assert (median.value, median.bar) == (0.995, ">= 0.99")
    assert (minimum.value, minimum.bar) == (0.98, ">= 0.97")
    assert "a worse one" in minimum.notes
