"""What every key-value store must do: batches whole or not at all, keys in order, nothing lost once acknowledged."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from lazai_core.api.entries import StorageEntry
from lazai_core.api.errors import StorageError
from lazai_core.api.storage import KeyValueStore
from lazai_core.testing.cases import cases
from lazai_core.testing.parts import build_entry

KEY_BYTES_MAX = 480
VALUE_BYTES_MAX = 64 * 1024 * 1024
START_TIMEOUT_S = 60

Opener: TypeAlias = Callable[[], KeyValueStore]


def write_until_killed(entry: StorageEntry, options: Any, folder: Path, acknowledged: Connection) -> None:
    """Commit numbered batches for ever, telling the number of each after its commit. Runs in a process of its own."""
    store: KeyValueStore = build_entry(entry, options=options, path=folder)
    last = store.get(b"last")
    number = 0 if last is None else int(last)
    while True:
        number += 1
        value = str(number).encode()
        batch = store.batch()
        batch.put(b"left/%08d" % number, value * 50)
        batch.put(b"right/%08d" % number, value)
        batch.delete(b"right/%08d" % (number - 1))
        batch.put(b"last", value)
        batch.commit()
        acknowledged.send(number)


class StorageConformance:
    """Subclass it and give the fixture `entry`."""

    @pytest.fixture
    def entry(self) -> StorageEntry:
        """The entry under test."""
        raise NotImplementedError("give a fixture `entry` that returns your StorageEntry")

    @pytest.fixture
    def options(self, entry: StorageEntry) -> Any:
        """Options the store is built with."""
        return entry.options()

    @pytest.fixture
    def open_store(self, entry: StorageEntry, options: Any, tmp_path: Path) -> Iterator[Opener]:
        """Opens the store in one folder, as often as asked; closes what was left open."""
        folder = tmp_path / "store"
        folder.mkdir()
        opened: list[KeyValueStore] = []

        def open_again() -> KeyValueStore:
            opened.append(build_entry(entry, options=options, path=folder))
            return opened[-1]

        yield open_again
        for store in opened:
            store.close()

    @pytest.fixture
    def store(self, open_store: Opener) -> KeyValueStore:
        """An empty store."""
        return open_store()

    def put(self, store: KeyValueStore, **entries: bytes) -> None:
        """Commit some entries in one batch."""
        batch = store.batch()
        for key, value in entries.items():
            batch.put(key.encode(), value)
        batch.commit()

    # Reading and writing.

    def test_what_was_put_is_read(self, store: KeyValueStore) -> None:
        assert store.get(b"a") is None

        self.put(store, a=b"1", b=b"")

        assert store.get(b"a") == b"1"
        assert type(store.get(b"a")) is bytes
        assert store.get(b"b") == b""
        assert store.get(b"c") is None

    def test_values_are_replaced_and_removed(self, store: KeyValueStore) -> None:
        self.put(store, a=b"1", b=b"2")
        self.put(store, a=b"3")
        batch = store.batch()
        batch.delete(b"b")
        batch.delete(b"was never there")
        batch.commit()

        assert store.get(b"a") == b"3"
        assert store.get(b"b") is None

    def test_the_last_write_of_a_batch_counts(self, store: KeyValueStore) -> None:
        batch = store.batch()
        batch.put(b"a", b"1")
        batch.put(b"a", b"2")
        batch.put(b"b", b"1")
        batch.delete(b"b")
        batch.delete(b"c")
        batch.put(b"c", b"3")
        batch.commit()

        assert list(store.scan(b"")) == [(b"a", b"2"), (b"c", b"3")]

    def test_a_batch_is_invisible_until_its_commit(self, store: KeyValueStore) -> None:
        self.put(store, a=b"1")
        batch = store.batch()
        batch.put(b"a", b"2")
        batch.put(b"b", b"2")

        assert list(store.scan(b"")) == [(b"a", b"1")]
        batch.commit()
        assert list(store.scan(b"")) == [(b"a", b"2"), (b"b", b"2")]

    def test_a_batch_that_is_dropped_leaves_nothing(self, store: KeyValueStore) -> None:
        batch = store.batch()
        batch.put(b"a", b"1")
        del batch

        self.put(store, b=b"2")

        assert list(store.scan(b"")) == [(b"b", b"2")]

    def test_an_empty_batch_may_be_committed(self, store: KeyValueStore) -> None:
        store.batch().commit()

        assert list(store.scan(b"")) == []

    def test_a_committed_batch_is_used_up(self, store: KeyValueStore) -> None:
        batch = store.batch()
        batch.put(b"a", b"1")
        batch.commit()

        with pytest.raises(StorageError):
            batch.commit()
        with pytest.raises(StorageError):
            batch.put(b"a", b"2")
        with pytest.raises(StorageError):
            batch.delete(b"a")
        assert store.get(b"a") == b"1"

    # Scans.

    def test_a_scan_is_in_order_of_bytes(self, store: KeyValueStore) -> None:
        low = [b"\x00", b"\x00\x00", b"\x00\xff", b"a", b"a\x00", b"aa", b"ab", b"b"]
        keys = [*low, b"\x7f", b"\x80", b"\xff", b"\xff\xff"]
        batch = store.batch()
        for key in reversed(keys):
            batch.put(key, key[::-1])
        batch.commit()

        assert list(store.scan(b"")) == [(key, key[::-1]) for key in sorted(keys)]
        for prefix in (b"\x00", b"a", b"aa", b"b", b"\xff", b"\xff\xff", b"\xff\xff\xff", b"c"):
            expected = [key for key in sorted(keys) if key.startswith(prefix)]
            assert [key for key, _ in store.scan(prefix)] == expected, prefix

    def test_a_scan_survives_writes_beside_it(self, store: KeyValueStore) -> None:
        self.put(store, **{f"k{index:03d}": b"old" for index in range(100)})

        seen = []
        for key, _ in store.scan(b"k"):
            seen.append(key)
            if len(seen) == 10:
                self.put(store, k000=b"new", k050a=b"new", k099=b"new")

        assert seen == sorted(set(seen))
        assert {f"k{index:03d}".encode() for index in range(100)} <= set(seen)

    def test_random_writes_agree_with_a_dictionary(self, open_store: Opener, entry: StorageEntry) -> None:
        store = open_store()
        expected: dict[bytes, bytes] = {}
        for case in cases(25):
            with case:
                batch = store.batch()
                for _ in range(case.integer(0, 30)):
                    key = bytes([case.integer(97, 99)]) * case.integer(1, 3) + case.some_bytes(0, 1)
                    if case.random.random() < 0.3:
                        batch.delete(key)
                        expected.pop(key, None)
                    else:
                        expected[key] = case.some_bytes(0, 300)
                        batch.put(key, expected[key])
                batch.commit()
                if entry.durable and case.random.random() < 0.3:
                    store.close()
                    store = open_store()

                assert list(store.scan(b"")) == sorted(expected.items())
                for prefix in (b"a", b"bb", b"ccc"):
                    assert list(store.scan(prefix)) == [
                        (key, value) for key, value in sorted(expected.items()) if key.startswith(prefix)
                    ]

    # Limits.

    def test_the_largest_key_fits_and_others_are_refused(self, store: KeyValueStore) -> None:
        largest = b"k" * KEY_BYTES_MAX
        batch = store.batch()
        batch.put(largest, b"1")
        batch.commit()

        assert store.get(largest) == b"1"
        for key in (b"", b"k" * (KEY_BYTES_MAX + 1)):
            with pytest.raises(StorageError):
                self._commit_one(store, key, b"1")
        assert list(store.scan(b"")) == [(largest, b"1")]

    def test_large_values_fit_and_larger_ones_are_refused(self, store: KeyValueStore) -> None:
        large = bytes(range(256)) * (4 * 1024 * 4)
        self.put(store, large=large)

        assert store.get(b"large") == large
        with pytest.raises(StorageError):
            self._commit_one(store, b"too large", bytes(VALUE_BYTES_MAX + 1))
        assert store.get(b"too large") is None

    def _commit_one(self, store: KeyValueStore, key: bytes, value: bytes) -> None:
        batch = store.batch()
        batch.put(key, value)
        batch.commit()

    # Threads.

    def test_readers_in_other_threads_see_whole_batches(self, store: KeyValueStore) -> None:
        self.put(store, left=b"0", right=b"0")

        def read(_: int) -> tuple[bytes, ...]:
            return tuple(value for _, value in store.scan(b""))

        with ThreadPoolExecutor(max_workers=3) as pool:
            reads = pool.map(read, range(200))
            for number in range(1, 30):
                value = str(number).encode()
                self.put(store, left=value, right=value)
            assert all(len(found) == 2 and found[0] == found[1] for found in reads)

    # Closing, reopening, crashing.

    def test_close_may_be_repeated_and_ends_the_use(self, store: KeyValueStore) -> None:
        self.put(store, a=b"1")
        store.close()
        store.close()

        with pytest.raises(StorageError):
            store.get(b"a")
        with pytest.raises(StorageError):
            self.put(store, a=b"2")

    def test_a_store_opened_again_holds_what_was_committed(self, open_store: Opener, entry: StorageEntry) -> None:
        if not entry.durable:
            pytest.skip("this store forgets and says so")
        store = open_store()
        self.put(store, a=b"1", b=b"2")
        unfinished = store.batch()
        unfinished.put(b"c", b"3")
        store.close()

        assert list(open_store().scan(b"")) == [(b"a", b"1"), (b"b", b"2")]

    def test_a_killed_writer_leaves_whole_batches_and_loses_none(
        self, entry: StorageEntry, options: Any, open_store: Opener, tmp_path: Path
    ) -> None:
        if not entry.durable:
            pytest.skip("this store forgets and says so")
        for rounds, case in enumerate(cases(3)):
            with case:
                acknowledged = _kill_a_writer(entry, options, tmp_path / "store", after=case.integer(1, 25))
                store = open_store()
                last = int(store.get(b"last") or b"0")

                # The batch under way may be there or not; those acknowledged before must be.
                assert acknowledged <= last <= acknowledged + 1, rounds
                numbers = [b"%d" % number for number in range(1, last + 1)]
                assert [value for _, value in store.scan(b"left/")] == [number * 50 for number in numbers]
                assert [value for _, value in store.scan(b"right/")] == numbers[-1:]
                store.close()


def _kill_a_writer(entry: StorageEntry, options: Any, folder: Path, *, after: int) -> int:
    """Let another process write, kill it (SIGKILL) after some acknowledged batches; the last number it told."""
    # A fresh interpreter: a forked one would share this process's open files and locks.
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    writer = context.Process(target=write_until_killed, args=(entry, options, folder, sender), daemon=True)
    writer.start()
    sender.close()
    last = 0
    try:
        for _ in range(after):
            assert receiver.poll(START_TIMEOUT_S), "the writer says nothing"
            last = receiver.recv()
    finally:
        if writer.pid is not None:
            os.kill(writer.pid, signal.SIGKILL)
        writer.join()
    # What it managed to acknowledge before the signal arrived counts as acknowledged.
    while receiver.poll(0):
        try:
            last = receiver.recv()
        except (EOFError, OSError):
            break
    receiver.close()
    return last
