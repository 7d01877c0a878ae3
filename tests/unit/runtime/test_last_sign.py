"""The record of what a key has signed: no second thing for one step, whatever crashes, is restored or starts twice."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from lazai_core.api.consensus import SignMessage, signing_digest
from lazai_core.api.encoding import domain_hash
from lazai_core.api.errors import StorageError
from lazai_core.api.hashing import recover_address
from lazai_core.api.types import Hash32, Height
from lazai_core.runtime.disk import Disk, FolderDisk, MemoryDisk
from lazai_core.runtime.last_sign import REMEMBERED_MAX, SLOT_BYTES, LastSigned, MessageSigner, Signed
from lazai_core.testing.cases import cases
from lazai_core.testing.parts import KnownIdentity
from lazai_core.testing.simulation.disk import PowerLoss, SimulatedDisk, full_disk

GENESIS = Hash32(bytes(range(32)))
NAME = "key.json.signed"


def thing(height: int, round_number: int, step: int, text: str = "") -> Signed:
    return Signed(height, round_number, step, domain_hash("test", text.encode()))


def reopened(disk: Disk, genesis: Hash32 = GENESIS) -> LastSigned:
    last = LastSigned(disk, NAME, genesis)
    last.open()
    return last


def test_steps_are_signed_in_order_and_once() -> None:
    last = reopened(MemoryDisk())
    assert last.newest is None
    assert last.allow([thing(1, 0, 0), thing(1, 0, 1, "a"), thing(1, 0, 1, "b")]) == [True, True, False]
    assert last.allow([thing(1, 0, 1, "a")]) == [True], "the same again"
    assert last.allow([thing(1, 0, 0, "other"), thing(0, 9, 2)]) == [False, False], "earlier and not known"
    assert last.allow([thing(1, 1, 0), thing(1, 0, 2)]) == [True, False]
    assert last.newest == thing(1, 1, 0)


def test_the_same_is_signed_again_after_a_restart_and_nothing_else() -> None:
    disk = MemoryDisk()
    said = [thing(5, number // 3, number % 3, str(number)) for number in range(9)]
    assert reopened(disk).allow(said) == [True] * 9
    again = reopened(disk)
    assert again.allow(said) == [True] * 9
    assert again.allow([Signed(*one.place, domain_hash("test", b"else")) for one in said]) == [False] * 9


def test_after_a_start_nothing_new_is_signed_before_the_newest_statement_was_asked_for_again() -> None:
    """Only a whole log asks for it: without one nobody knows what the key has locked."""
    disk = MemoryDisk()
    assert reopened(disk).allow([thing(5, 0, 1), thing(5, 0, 2)]) == [True, True]
    lost = reopened(disk)
    assert lost.allow([thing(5, 1, 1), thing(5, 7, 2), thing(5, 0, 2, "other")]) == [False, False, False]
    assert lost.allow([thing(5, 0, 1)]) == [True], "an older one again proves nothing"
    assert lost.allow([thing(5, 1, 1)]) == [False]
    assert lost.allow([thing(6, 0, 1), thing(6, 0, 2)]) == [True, True], "the next height is free"
    whole = reopened(disk)
    assert whole.allow([thing(6, 0, 2), thing(6, 1, 1)]) == [True, True]


def test_only_so_many_are_remembered_one_by_one() -> None:
    last = reopened(MemoryDisk())
    said = [thing(height, 0, 1) for height in range(1, REMEMBERED_MAX + 3)]
    for one in said:
        assert last.allow([one]) == [True]
    assert last.allow(said) == [False, False] + [True] * REMEMBERED_MAX


def test_what_needs_no_record_costs_no_flush() -> None:
    disk = SimulatedDisk(Random(0))
    last = reopened(disk)
    before = disk.syncs
    last.allow([thing(1, 0, 0), thing(1, 0, 1), thing(1, 0, 2)])
    assert disk.syncs == before + 1, "one flush for all of a list"
    last.allow([thing(1, 0, 2), thing(1, 0, 1, "other")])
    assert disk.syncs == before + 1


def test_no_crash_lets_a_second_thing_be_signed() -> None:
    crashes = 0
    for case in cases(20):
        with case:
            for moment in range(80):
                disk = SimulatedDisk(case.random)
                left: dict[tuple[int, int, int], bytes] = {}
                for life in range(3):
                    last = LastSigned(disk, NAME, GENESIS)
                    disk.fail_after(moment)
                    try:
                        for number in range(10):
                            # Each life wants to say something else.
                            wanted = thing(1, number // 3, number % 3, f"{life} {number}")
                            if last.allow([wanted])[0]:
                                assert left.setdefault(wanted.place, wanted.digest) == wanted.digest
                    except PowerLoss:
                        crashes += 1
                    disk.trouble = lambda operation: None
                    disk.lose_power()
    assert crashes > 1000


def test_after_a_failed_write_nothing_is_signed() -> None:
    disk = SimulatedDisk(Random(0))
    last = reopened(disk)

    def trouble(operation: str) -> None:
        if operation == "sync":
            raise full_disk()

    disk.trouble = trouble
    with pytest.raises(StorageError, match="could not write"):
        last.allow([thing(1, 0, 0)])
    disk.trouble = lambda operation: None
    with pytest.raises(StorageError, match="start the node again"):
        last.allow([thing(1, 0, 1)])


def test_a_torn_slot_leaves_the_one_before() -> None:
    for place in range(SLOT_BYTES):
        disk = MemoryDisk()
        last = reopened(disk)
        last.allow([thing(1, 0, 0)])
        last.allow([thing(1, 0, 1)])
        # The second write went to the first slot.
        disk.write(NAME, place, bytes([(disk.read(NAME) or b"")[place] ^ 0x55]))
        assert reopened(disk).newest == thing(1, 0, 0)


def test_damage_and_foreign_files_are_refused() -> None:
    disk = MemoryDisk()
    reopened(disk).allow([thing(1, 0, 0)])
    with pytest.raises(StorageError, match="another chain"):
        reopened(disk, Hash32(bytes(32)))
    for content in (b"", b"garbage", bytes(2 * SLOT_BYTES)):
        disk.replace(NAME, content)
        with pytest.raises(StorageError, match="damaged"):
            reopened(disk)


def test_a_second_process_with_the_key_is_refused(tmp_path: Path) -> None:
    first, second = FolderDisk(tmp_path), FolderDisk(tmp_path)
    reopened(first).allow([thing(1, 0, 0)])
    with pytest.raises(StorageError, match="another process"):
        reopened(second)
    first.close()
    second.close()
    third = FolderDisk(tmp_path)
    assert reopened(third).newest == thing(1, 0, 0)
    third.close()


def message(round_number: int, step: int, text: bytes) -> SignMessage:
    return SignMessage(payload=text, height=Height(3), round=round_number, step=step)


def test_the_signer_signs_what_is_allowed_and_keeps_silent_otherwise() -> None:
    me = KnownIdentity(5)
    signer = MessageSigner(me, LastSigned(MemoryDisk(), NAME, GENESIS))
    first, second = signer.sign([message(0, 1, b"a"), message(0, 1, b"b")])
    assert second is None
    assert first is not None
    assert recover_address(signing_digest(b"a"), first) == me.address
    assert signer.sign([message(0, 1, b"a")]) == [first]
    assert signer.sign([message(0, 0, b"earlier")]) == [None]
