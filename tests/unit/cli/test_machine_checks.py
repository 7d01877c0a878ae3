from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from lazai_core.cli import machine_checks, requirements
from lazai_core.cli.findings import Finding
from lazai_core.cli.machine_checks import GIB


def severity(finding: Finding) -> str:
    return str(finding.severity)


@pytest.mark.parametrize(
    ("version", "expected"), [((3, 10), "warn"), ((3, 11), "ok"), ((3, 13), "ok"), ((3, 14), "warn")]
)
def test_python_against_the_tested_versions(
    monkeypatch: pytest.MonkeyPatch, version: tuple[int, int], expected: str
) -> None:
    monkeypatch.setattr(sys, "version_info", (*version, 0))

    assert severity(machine_checks.check_python()) == expected


def test_packages_outside_the_range_come_with_the_command_that_mends_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(requirements, "requires", lambda _name: ["attrs>=99,<100"])

    first, *_ = machine_checks.check_packages(["acme"])

    assert severity(first) == "fail"
    assert first.fix == 'python -m pip install "attrs>=99,<100"'


def test_prereleases_nobody_asked_for_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [("py-evm", "0.12.1b1"), ("httpx", "1.0.dev6")]
    monkeypatch.setattr(machine_checks, "prereleases", lambda: found)

    *_, last = machine_checks.check_packages(["lazai-core"])

    assert (severity(last), last.summary) == ("warn", "pre-releases: httpx 1.0.dev6")


@pytest.mark.parametrize(
    ("flags", "machine", "expected"),
    [({"avx2"}, "x86_64", "ok"), ({"sse2"}, "x86_64", "warn"), ({"neon"}, "aarch64", "ok"), (set(), "x86_64", "ok")],
)
def test_processors(monkeypatch: pytest.MonkeyPatch, flags: set[str], machine: str, expected: str) -> None:
    monkeypatch.setattr(machine_checks, "_cpu_flags", lambda: frozenset(flags))
    monkeypatch.setattr(machine_checks.platform, "machine", lambda: machine)

    assert severity(machine_checks.check_processor()) == expected


@pytest.mark.parametrize(("available", "expected"), [(1 * GIB, "warn"), (3 * GIB, "ok")])
def test_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, available: int, expected: str) -> None:
    monkeypatch.setattr(machine_checks, "_CGROUP", tmp_path)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=available))

    assert severity(machine_checks.check_memory()) == expected


@pytest.mark.parametrize(("free", "expected"), [(GIB // 2, "fail"), (5 * GIB, "warn"), (50 * GIB, "ok")])
def test_disk_of_a_folder_that_is_not_there_yet(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, expected: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=free))

    finding = machine_checks.check_disk(tmp_path / "a" / "b")

    assert severity(finding) == expected
    assert finding.summary.endswith(f"free at {tmp_path}")


@pytest.mark.parametrize(("limit", "expected"), [(256, "warn"), (1024, "ok"), (-1, "ok")])
def test_open_files(monkeypatch: pytest.MonkeyPatch, limit: int, expected: str) -> None:
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda _which: (limit, 4096))

    assert severity(machine_checks.check_open_files()) == expected


def test_unknown_processor_information_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_options: object) -> str:
        raise PermissionError

    monkeypatch.setattr(Path, "read_text", refuse)

    assert severity(machine_checks.check_processor()) == "ok"
    assert machine_checks.usable_cores() >= 1
