"""Both stores keep what `KeyValueStore` promises; the durable one keeps it across reopening and names every failure."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazai_core.api.errors import StorageError
from lazai_core.api.storage import KeyValueStore
from lazai_core.builtin.sqlite_store import FILE_NAME, SqliteOptions, SqliteStore, build_sqlite
from lazai_core.builtin.stores import VALUE_BYTES_MAX, MemoryStore, build_memory


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KeyValueStore]:
    opened = build_memory() if request.param == "memory" else build_sqlite(tmp_path, SqliteOptions())
    yield opened
    opened.close()


def put(store: KeyValueStore, **entries: bytes) -> None:
    batch = store.batch()
    for key, value in entries.items():
        batch.put(key.encode(), value)
    batch.commit()


def test_a_batch_is_seen_when_it_is_committed(store: KeyValueStore) -> None:
    batch = store.batch()
    batch.put(b"a", b"1")
    assert store.get(b"a") is None

    batch.commit()

    assert store.get(b"a") == b"1"


def test_the_last_write_of_a_key_counts(store: KeyValueStore) -> None:
    put(store, a=b"old", b=b"old")
    batch = store.batch()
    batch.put(b"a", b"new")
    batch.delete(b"a")
    batch.delete(b"b")
    batch.put(b"b", b"new")
    batch.delete(b"never there")
    batch.commit()

    assert (store.get(b"a"), store.get(b"b")) == (None, b"new")


def test_a_batch_is_used_once(store: KeyValueStore) -> None:
    batch = store.batch()
    batch.put(b"a", b"1")
    batch.commit()

    for again in (batch.commit, lambda: batch.put(b"a", b"2"), lambda: batch.delete(b"a")):
        with pytest.raises(StorageError, match="committed already"):
            again()
    assert store.get(b"a") == b"1"


@pytest.mark.parametrize("key", [b"", b"k" * 481])
def test_keys_have_a_length(store: KeyValueStore, key: bytes) -> None:
    batch = store.batch()

    with pytest.raises(StorageError, match="1 to 480"):
        batch.put(key, b"")
    with pytest.raises(StorageError, match="1 to 480"):
        batch.delete(key)


def test_empty_values_and_long_keys_are_values_and_keys(store: KeyValueStore) -> None:
    batch = store.batch()
    batch.put(b"k" * 480, b"")
    batch.commit()

    assert store.get(b"k" * 480) == b""
    assert list(store.scan(b"k")) == [(b"k" * 480, b"")]


def test_scans_go_up_and_stay_under_their_prefix(store: KeyValueStore) -> None:
    batch = store.batch()
    for number in range(1200):
        batch.put(b"p" + number.to_bytes(2, "big"), str(number).encode())
    for other in (b"o\xff", b"p", b"q", b"\xff", b"\xff\xff"):
        batch.put(other, b"x")
    batch.commit()

    found = list(store.scan(b"p"))

    assert [key for key, _ in found] == [b"p", *(b"p" + number.to_bytes(2, "big") for number in range(1200))]
    assert [key for key, _ in store.scan(b"\xff")] == [b"\xff", b"\xff\xff"]
    assert list(store.scan(b"zz")) == []


@given(st.lists(st.dictionaries(st.binary(min_size=1, max_size=3), st.none() | st.binary(max_size=5)), max_size=6))
def test_both_stores_equal_a_dictionary(batches: list[dict[bytes, bytes | None]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        stores: list[KeyValueStore] = [MemoryStore(), SqliteStore(Path(folder), SqliteOptions(cache_mib=1))]
        model: dict[bytes, bytes] = {}
        for writes in batches:
            for one in stores:
                batch = one.batch()
                for key, value in writes.items():
                    batch.delete(key) if value is None else batch.put(key, value)
                batch.commit()
            for key, value in writes.items():
                model.pop(key, None)
                if value is not None:
                    model[key] = value
        for one in stores:
            for prefix in (b"\x00", b"a", b"\xff"):
                assert list(one.scan(prefix)) == sorted(item for item in model.items() if item[0].startswith(prefix))
            one.close()


def test_a_closed_store_says_so(store: KeyValueStore) -> None:
    store.close()
    store.close()

    with pytest.raises(StorageError, match="closed"):
        store.get(b"a")
    with pytest.raises(StorageError, match="closed"):
        list(store.scan(b"a"))


def open_sqlite(folder: Path) -> SqliteStore:
    return SqliteStore(folder, SqliteOptions(cache_mib=1))


def test_what_was_committed_is_there_after_reopening(tmp_path: Path) -> None:
    first = open_sqlite(tmp_path)
    put(first, a=b"1")
    first.batch().put(b"b", b"never committed")
    first.close()

    second = open_sqlite(tmp_path)

    assert (second.get(b"a"), second.get(b"b")) == (b"1", None)
    second.close()


def test_a_second_node_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    first = open_sqlite(tmp_path)

    with pytest.raises(StorageError, match="locked") as refusal:
        open_sqlite(tmp_path)
    other = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, pathlib; from lazai_core.builtin.sqlite_store import *\n"
            "SqliteStore(pathlib.Path(sys.argv[1]), SqliteOptions())",
            str(tmp_path),
        ],
        check=False,
        capture_output=True,
        text=True,
    )

    assert "another process holds the store" in str(refusal.value)
    assert "another process holds the store" in other.stderr
    first.close()
    open_sqlite(tmp_path).close()


def overwrite_start(path: Path) -> None:
    path.write_bytes(b"this is no database, whatever its name says" * 200)


def overwrite_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(bytes(data))


def cut(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2 + 100])


@pytest.mark.parametrize("damage", [overwrite_start, overwrite_middle, cut])
def test_a_damaged_file_is_a_storage_error(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    store = open_sqlite(tmp_path)
    put(store, **{f"key{number}": bytes(2000) for number in range(200)})
    store.close()

    damage(tmp_path / FILE_NAME)

    with pytest.raises(StorageError, match="damaged"):
        read_everything(tmp_path)


def read_everything(folder: Path) -> None:
    store = open_sqlite(folder)
    try:
        for number in range(200):
            assert store.get(f"key{number}".encode()) == bytes(2000)
        list(store.scan(b"key"))
    finally:
        store.close()


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path)
    put(store, a=b"1")
    connection = store._writer
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    # SQLite's own limit stands in for the disk's: the error and the way back are the same.
    connection.execute(f"PRAGMA max_page_count = {pages + 2}")

    with pytest.raises(StorageError, match="the disk is full"):
        put(store, a=b"2", b=bytes(100_000))

    assert (store.get(b"a"), store.get(b"b")) == (b"1", None)
    connection.execute("PRAGMA max_page_count = 1000000")
    put(store, a=b"2", b=bytes(100_000))
    assert store.get(b"a") == b"2"
    store.close()


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    tmp_path.joinpath("file").write_text("in the way")

    with pytest.raises(StorageError, match="cannot be opened"):
        open_sqlite(tmp_path / "file")


def test_the_file_is_flushed_at_every_commit(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path)
    connection = store._writer

    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    store.close()


def test_values_have_a_length(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path)

    with pytest.raises(StorageError, match="more than"):
        store.batch().put(b"a", bytes(VALUE_BYTES_MAX + 1))
    store.close()


def test_readers_in_other_threads_see_whole_batches(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path)
    put(store, a=b"0", b=b"0")
    torn: list[object] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            entries = dict(store.scan(b"pair"))
            if len(set(entries.values())) > 1:
                torn.append(entries)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for number in range(150):
        put(store, **{f"pair{index}": str(number).encode() for index in range(5)})
    stop.set()
    watcher.join()

    assert torn == []
    store.close()


def test_readers_do_not_wait_for_a_commit(tmp_path: Path) -> None:
    store = open_sqlite(tmp_path)
    put(store, a=b"before")
    # A commit that has written everything and waits for the disk.
    with store._write_lock:
        store._writer.execute("BEGIN IMMEDIATE")
        store._writer.execute("UPDATE entries SET value = ?", (b"after",))
        reader = threading.Thread(target=lambda: seen.append(store.get(b"a")))
        seen: list[bytes | None] = []
        reader.start()
        reader.join(30)
        assert seen == [b"before"]
        store._writer.execute("COMMIT")

    assert store.get(b"a") == b"after"
    store.close()


def test_the_library_is_new_enough() -> None:
    # Error codes on exceptions, which the hints rest on, came with Python 3.11.
    assert hasattr(sqlite3.Error(), "sqlite_errorcode") or sys.version_info >= (3, 11)
