"""The consensus log: what was confirmed comes back, what was torn is cut, and damage is never passed over."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazai_core.api.errors import StorageError
from lazai_core.runtime import wal
from lazai_core.runtime.disk import Disk, FolderDisk, MemoryDisk
from lazai_core.runtime.wal import LogRecord, RecordKind, WriteAheadLog, encode_frame, read_log
from lazai_core.testing.cases import cases
from lazai_core.testing.simulation.disk import PowerLoss, SimulatedDisk, full_disk

HEIGHT = 7


def engine_record(payload: bytes) -> LogRecord:
    return LogRecord(kind=RecordKind.ENGINE, payload=payload)


def block_record(payload: bytes) -> LogRecord:
    return LogRecord(kind=RecordKind.BLOCK, payload=payload)


def opened(disk: Disk, head: int = HEIGHT - 1) -> tuple[WriteAheadLog, tuple[LogRecord, ...]]:
    log = WriteAheadLog(disk)
    return log, log.open(head)


@pytest.fixture(params=["folder", "memory", "simulated"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Disk:
    made: dict[str, Disk] = {
        "folder": FolderDisk(tmp_path / "log"),
        "memory": MemoryDisk(),
        "simulated": SimulatedDisk(Random(0)),
    }
    return made[request.param]


def test_records_come_back_in_order(disk: Disk) -> None:
    log, found = opened(disk)
    assert found == ()
    first = [engine_record(b"one"), block_record(b"two" * 1000), engine_record(b"")]
    log.append(HEIGHT, first)
    log.append(HEIGHT, [engine_record(b"four")])

    again, found = opened(disk)
    assert found == (*first, engine_record(b"four"))
    again.append(HEIGHT, [engine_record(b"five")])
    assert opened(disk)[1][-1] == engine_record(b"five")


def test_a_committed_height_leaves_nothing(disk: Disk) -> None:
    log, _ = opened(disk)
    log.append(HEIGHT, [engine_record(b"one")])
    log.append(HEIGHT + 1, [engine_record(b"two")])
    log.committed(HEIGHT)
    assert opened(disk)[1] == (engine_record(b"two"),)
    log.committed(HEIGHT + 1)
    assert log.size_bytes() == 0
    assert disk.names() == []


def test_what_a_crash_left_of_decided_heights_is_deleted_unread(disk: Disk) -> None:
    log, _ = opened(disk)
    log.append(HEIGHT, [engine_record(b"old")])
    log.append(HEIGHT + 1, [engine_record(b"new")])
    disk.write(f"wal-{HEIGHT:020d}", 3, b"damage")
    assert opened(disk, head=HEIGHT)[1] == (engine_record(b"new"),)
    assert disk.names() == [f"wal-{HEIGHT + 1:020d}"]


def test_an_older_chain_still_gets_the_records_of_later_heights(disk: Disk) -> None:
    log, _ = opened(disk)
    log.append(HEIGHT, [engine_record(b"later")])
    assert opened(disk, head=2)[1] == (engine_record(b"later"),)


def frames(payloads: Sequence[bytes]) -> bytes:
    data = b""
    for payload in payloads:
        data += encode_frame(HEIGHT, len(data), [engine_record(payload)])
    return data


@pytest.mark.parametrize("cut", range(1, 60))
def test_a_torn_end_is_cut_and_the_rest_stays(cut: int) -> None:
    whole = frames([b"first", b"second"])
    torn = frames([b"first", b"second", b"third"])[: len(whole) + cut]
    disk = MemoryDisk()
    name = f"wal-{HEIGHT:020d}"
    disk.write(name, 0, torn)

    log, found = opened(disk)
    expected = [b"first", b"second"]
    if torn == frames([*expected, b"third"]):
        expected.append(b"third")
    assert [record.payload for record in found] == expected
    log.append(HEIGHT, [engine_record(b"again")])
    assert [record.payload for record in opened(disk)[1]] == [*expected, b"again"]


def test_a_file_that_grew_without_its_content_is_torn() -> None:
    whole = frames([b"first"])
    assert read_log(whole + bytes(5000), HEIGHT, "log").records == (engine_record(b"first"),)
    assert read_log(bytes(5000), HEIGHT, "log").size_bytes == 0


def test_damage_before_a_whole_frame_is_reported_at_every_byte() -> None:
    data = frames([b"first", b"second", b"third"])
    begin_of_last = len(frames([b"first", b"second"]))
    for place in range(begin_of_last):
        for change in (1, 0x80):
            wrong = bytearray(data)
            wrong[place] ^= change
            with pytest.raises(StorageError, match="damaged at byte"):
                read_log(bytes(wrong), HEIGHT, "log")


def test_damage_stops_the_node_and_touches_nothing() -> None:
    disk = MemoryDisk()
    name = f"wal-{HEIGHT:020d}"
    data = bytearray(frames([b"first", b"second"]))
    data[30] ^= 1
    disk.write(name, 0, bytes(data))
    with pytest.raises(StorageError, match=name):
        opened(disk)
    assert disk.read(name) == bytes(data)


def test_frames_of_another_height_or_place_are_none() -> None:
    inner = frames([b"first"])
    hidden = encode_frame(HEIGHT, 0, [engine_record(inner)])
    # A record may hold what looks like a frame; it is none, since frames know where they stand.
    assert read_log(hidden[:-1], HEIGHT, "log").records == ()
    assert read_log(inner, HEIGHT + 1, "log").records == ()


@given(st.binary(max_size=300))
def test_no_file_can_break_the_reader(data: bytes) -> None:
    try:
        found = read_log(data, HEIGHT, "log")
    except StorageError:
        return
    assert found.size_bytes <= len(data)


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=5), st.data())
def test_a_changed_file_gives_a_prefix_or_an_error(payloads: list[bytes], data: st.DataObject) -> None:
    whole = bytearray(frames(payloads))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    try:
        found = read_log(bytes(whole), HEIGHT, "log").records
    except StorageError:
        return
    assert [record.payload for record in found] == payloads[: len(found)]
    assert len(found) == len(payloads) - 1, "only the last frame can have been under way"


def test_after_a_failed_flush_the_log_takes_nothing_more() -> None:
    disk = SimulatedDisk(Random(0))
    log, _ = opened(disk)
    log.append(HEIGHT, [engine_record(b"first")])

    def trouble(operation: str) -> None:
        if operation == "sync":
            raise full_disk()

    disk.trouble = trouble
    with pytest.raises(StorageError, match="could not write"):
        log.append(HEIGHT, [engine_record(b"second")])
    disk.trouble = lambda operation: None
    with pytest.raises(StorageError, match="failed before"):
        log.append(HEIGHT, [engine_record(b"third")])


def test_whatever_was_confirmed_survives_a_crash_at_every_point() -> None:
    moments = 0
    for case in cases(30):
        with case:
            for moment in range(60):
                disk = SimulatedDisk(case.random)
                log, _ = opened(disk, head=0)
                disk.fail_after(moment)
                confirmed: list[bytes] = []
                height = 1
                try:
                    for number in range(12):
                        payload = bytes([number]) * case.random.choice((1, 700, 3000))
                        log.append(height, [engine_record(payload)])
                        confirmed.append(payload)
                        if number % 4 == 3:
                            # The block is durable before its records go.
                            height, confirmed = height + 1, []
                            log.committed(height - 1)
                except PowerLoss:
                    moments += 1
                disk.trouble = lambda operation: None
                disk.lose_power()
                again, found = opened(disk, head=height - 1)
                payloads = [record.payload for record in found]
                assert payloads[: len(confirmed)] == confirmed
                assert len(payloads) <= len(confirmed) + 1
                again.append(height, [engine_record(b"goes on")])
                assert opened(disk, head=height - 1)[1][-1] == engine_record(b"goes on")
    assert moments > 500


def test_a_height_of_many_proposals_stays_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wal, "FILE_BYTES_MAX", 10_000)
    disk = MemoryDisk()
    log, _ = opened(disk)
    for number in range(100):
        log.append(HEIGHT, [block_record(bytes([number]) * 1000), engine_record(b"intent" + bytes([number]))])
        assert log.size_bytes() < 30_000
    found = opened(disk)[1]
    intents = [record.payload for record in found if record.kind is RecordKind.ENGINE]
    assert intents == [b"intent" + bytes([number]) for number in range(100)]
    blocks = [record.payload[0] for record in found if record.kind is RecordKind.BLOCK]
    assert blocks[-wal.DRAFTS_KEPT_MAX :] == [96, 97, 98, 99]


def test_the_newest_block_that_the_engine_is_bound_to_outlives_any_number_of_own_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wal, "FILE_BYTES_MAX", 10_000)
    disk = MemoryDisk()
    log, _ = opened(disk)
    for name in (b"older", b"newest"):
        log.append(HEIGHT, [LogRecord(kind=RecordKind.BOUND, payload=name.ljust(1000)), engine_record(name)])
    for number in range(40):
        log.append(HEIGHT, [block_record(bytes([number]) * 1000)])
    found = opened(disk)[1]
    assert [record.payload.strip() for record in found if record.kind is RecordKind.BOUND] == [b"newest"]


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a file where the folder should be")
    log = WriteAheadLog(FolderDisk(tmp_path / "log"))
    with pytest.raises(StorageError, match="cannot open"):
        log.append(1, [engine_record(b"")])
