"""The small tools of the kit: clock, randomness, cases, golden files, fixtures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lazai_core.testing.cases import Case, cases, flip
from lazai_core.testing.clock import ManualClock
from lazai_core.testing.golden import GoldenFolder
from lazai_core.testing.rng import SeededRng


def test_the_clock_stands_still_until_it_is_moved() -> None:
    clock = ManualClock(start_seconds=100)

    assert (clock.now_seconds(), clock.monotonic_ns()) == (100, 0)
    clock.advance_ms(999)
    assert (clock.now_seconds(), clock.monotonic_ns()) == (100, 999_000_000)
    clock.advance_ms(1)
    assert clock.now_seconds() == 101
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance_ms(-1)


def test_seeded_randomness_repeats_and_streams() -> None:
    whole = SeededRng(5).bytes(100)
    parts = SeededRng(5)

    assert parts.bytes(1) + parts.bytes(0) + parts.bytes(70) + parts.bytes(29) == whole
    assert SeededRng(6).bytes(100) != whole
    assert SeededRng(-1).bytes(8) != SeededRng(1).bytes(8)


def test_cases_repeat_and_differ_from_each_other() -> None:
    first = [case.some_bytes(10, 50) for case in cases(20)]

    assert first == [case.some_bytes(10, 50) for case in cases(20)]
    assert len(set(first)) == 20


def test_a_failing_case_names_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail_at_three() -> None:
        for case in cases(10):
            with case:
                assert case.seed != 3

    with pytest.raises(AssertionError) as failure:
        fail_at_three()
    assert "seed 3" in failure.value.__notes__[0]

    monkeypatch.setenv("LAZAI_CASE", "3")
    assert [case.seed for case in cases(10)] == [3]
    monkeypatch.delenv("LAZAI_CASE")
    monkeypatch.setenv("LAZAI_CASES", "12")
    assert [case.seed for case in cases(10)] == list(range(12))


def test_integers_keep_their_range_and_find_the_ends() -> None:
    drawn = {Case(seed).integer(-3, 9) for seed in range(300)}

    assert drawn == set(range(-3, 10))


@pytest.mark.parametrize("data", [b"", b"\x00", b"abc" * 30])
def test_a_mutation_is_always_a_change(data: bytes) -> None:
    assert all(Case(seed).mutate(data) != data for seed in range(200))


def test_flips_change_one_bit() -> None:
    assert flip(b"\x00\x00", 1, 7) == b"\x00\x80"
    assert sum(bin(byte).count("1") for byte in Case(1).flip_bit(bytes(9))) == 1


def test_golden_files_are_compared_and_written_on_purpose(tmp_path: Path) -> None:
    GoldenFolder(tmp_path / "golden", regenerate=True).check_json("a.json", {"b": 1, "a": [2]})
    folder = GoldenFolder(tmp_path / "golden")

    folder.check_json("a.json", {"a": [2], "b": 1})
    assert folder.load_json("a.json") == {"a": [2], "b": 1}
    with pytest.raises(AssertionError, match=r"(?s)-    2.*\+    3.*--regenerate-golden"):
        folder.check_json("a.json", {"a": [3], "b": 1})
    with pytest.raises(AssertionError, match="there is no golden file"):
        folder.check_text("other.txt", "")


def test_golden_bytes_name_the_first_difference(tmp_path: Path) -> None:
    GoldenFolder(tmp_path, regenerate=True).check_bytes("a.bin", b"abcdef")
    folder = GoldenFolder(tmp_path)

    folder.check_bytes("a.bin", b"abcdef")
    with pytest.raises(AssertionError, match="from byte 2"):
        folder.check_bytes("a.bin", b"abXdef")
    with pytest.raises(AssertionError, match="from byte 6"):
        folder.check_bytes("a.bin", b"abcdefg")


def test_pytest_finds_the_fixtures_and_imports_nothing_heavy(manual_clock: ManualClock, golden: GoldenFolder) -> None:
    assert manual_clock.now_seconds() > 0
    assert golden.folder == Path(__file__).parent / "golden"

    code = "import lazai_core.testing.pytest_plugin, sys; sys.stdout.write(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout.split()
    assert not {"numpy", "torch", "eth", "lazai_core.api"} & set(loaded)
