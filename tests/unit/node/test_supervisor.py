"""Services start in order, stop in reverse, and the first failure is what the node reports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from lazai_core.api.errors import LocalFault, StorageError
from lazai_core.node.supervisor import ServiceEnded, flatten, running, supervise


class Part:
    """A service that writes down what happens to it."""

    def __init__(self, name: str, diary: list[str], *, ending: str = "") -> None:
        self.name = name
        self.diary = diary
        self.ending = ending
        self.go = asyncio.Event()

    async def run(self, ready: Callable[[], None]) -> None:
        if self.ending == "before ready":
            raise StorageError(f"{self.name} cannot start")
        if self.ending == "never ready":
            await asyncio.Event().wait()
        self.diary.append(f"{self.name} up")
        ready()
        try:
            await self.go.wait()
            if self.ending == "fails":
                raise StorageError(f"{self.name} fails")
        finally:
            self.diary.append(f"{self.name} down")


def run_parts(
    endings: list[str], *, then: Callable[[list[Part], asyncio.Event], None] | None = None
) -> tuple[list[str], list[str]]:
    """Run services with these endings. Returns what they wrote, and who was up when all were ready."""
    diary: list[str] = []
    at_ready: list[str] = []

    async def main() -> None:
        parts = [Part("abcdef"[index], diary, ending=ending) for index, ending in enumerate(endings)]
        stop = asyncio.Event()

        def ready() -> None:
            at_ready.extend(diary)
            if then is not None:
                then(parts, stop)

        await supervise(parts, stop, on_ready=ready, ready_timeout_ms=300)

    try:
        asyncio.run(main())
    except Exception as error:
        diary.append(f"{type(error).__name__}: {error}")
    return diary, at_ready


def test_normal_stop_is_the_exact_reverse() -> None:
    diary, at_ready = run_parts(["", "", ""], then=lambda parts, stop: stop.set())

    assert at_ready == ["a up", "b up", "c up"]
    assert diary == ["a up", "b up", "c up", "c down", "b down", "a down"]


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_failure_anywhere_stops_the_others_in_reverse_and_is_reported(failing: int) -> None:
    endings = ["", "", ""]
    endings[failing] = "fails"

    diary, _ = run_parts(endings, then=lambda parts, stop: parts[failing].go.set())

    name = "abc"[failing]
    assert diary[-1] == f"StorageError: {name} fails"
    downs = [entry for entry in diary if entry.endswith("down")]
    others = [entry for entry in ("c down", "b down", "a down") if not entry.startswith(name)]
    assert [entry for entry in downs if not entry.startswith(name)] == others


def test_a_service_that_returns_is_a_failure() -> None:
    diary, _ = run_parts(["", ""], then=lambda parts, stop: parts[1].go.set())

    assert diary[-1].startswith(ServiceEnded.__name__)
    assert diary[-2] == "a down"


def test_a_service_that_cannot_start_stops_those_before_it() -> None:
    diary, at_ready = run_parts(["", "", "before ready", ""])

    assert at_ready == []
    assert diary == ["a up", "b up", "b down", "a down", "StorageError: c cannot start"]


def test_a_service_that_is_never_ready_is_given_up() -> None:
    diary, _ = run_parts(["", "never ready"])

    assert diary[:2] == ["a up", "a down"]
    assert diary[2].startswith(LocalFault.__name__)
    assert "b was not ready within 300 ms" in diary[2]


def test_cancelling_the_node_stops_the_services() -> None:
    diary: list[str] = []

    async def main() -> None:
        task = asyncio.create_task(supervise([Part("a", diary), Part("b", diary)], asyncio.Event()))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert diary == ["a up", "b up", "b down", "a down"]


def test_groups_are_flattened_first_cause_first() -> None:
    first, second = ValueError("1"), TypeError("2")

    assert flatten(ExceptionGroup("", [ExceptionGroup("", [first]), second])) == [first, second]


def test_running_services_are_stopped_at_the_end_and_a_failed_start_is_reported() -> None:
    async def main(*parts: Part) -> None:
        async with running(parts):
            diary.append("inside")

    diary: list[str] = []
    asyncio.run(main(Part("a", diary)))
    assert diary == ["a up", "inside", "a down"]

    with pytest.raises(StorageError):
        asyncio.run(main(Part("b", diary, ending="before ready")))
    assert diary.count("inside") == 1
