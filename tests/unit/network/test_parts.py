"""The parts of the transport by themselves: frames, queues, scores, the book, and the decoders under random bytes."""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazai_core.api.errors import EncodingError
from lazai_core.api.network import Envelope, PeerFault, PeerId, PeerJoined, PeerLeft, Priority
from lazai_core.api.types import Hash32
from lazai_core.config.peer_address import PeerAddress, split_host_port
from lazai_core.network.addresses import ADDRESSES_BYTES_MAX, ADDRESSES_MAX, decode_addresses, encode_addresses
from lazai_core.network.connector import Backoff
from lazai_core.network.frames import FrameReader, FrameRefused, frame
from lazai_core.network.hello import Channel, Hello, open_hello, signed_hello
from lazai_core.network.inbox import Inbox
from lazai_core.network.outbox import Outbox
from lazai_core.network.peer_book import ADDRESSES_MAX as BOOK_MAX
from lazai_core.network.peer_book import FAILURES_MAX, PeerBook
from lazai_core.network.standing import BAN_SCORE, BANS_MAX, PERSISTENT_BAN_S_MAX, POINTS, SCORES_MAX, Standing
from lazai_core.network.topics import Topic, TopicTable
from lazai_core.testing.clock import ManualClock
from lazai_core.testing.parts import KnownIdentity


def peer(number: int) -> PeerId:
    return PeerId(number.to_bytes(20, "big"))


def place(number: int, port: int = 26700) -> PeerAddress:
    return PeerAddress(peer=peer(number), host="198.51.100.1", port=port)


# Frames.


@given(st.lists(st.tuples(st.sampled_from([16, 17]), st.binary(max_size=64))), st.randoms(use_true_random=False))
def test_frames_survive_any_cutting(frames: list[tuple[int, bytes]], chance: random.Random) -> None:
    stream = b"".join(frame(number, payload) for number, payload in frames)
    reader, found = FrameReader({16: 64, 17: 64}), []
    while stream:
        size = chance.randint(1, len(stream))
        reader.feed(stream[:size])
        stream = stream[size:]
        while (item := reader.next()) is not None:
            found.append(item)
    assert found == frames
    assert reader.held_bytes == 0


@given(st.binary(max_size=200))
def test_random_streams_are_refused_or_cut_and_never_more(data: bytes) -> None:
    reader = FrameReader({0: 4, 1: 70_000})
    reader.feed(data)
    taken = b""
    with suppress(FrameRefused):
        while (item := reader.next()) is not None:
            taken += frame(*item)
    assert data.startswith(taken)


def test_a_payload_may_have_exactly_the_bytes_of_its_topic() -> None:
    reader = FrameReader({16: 3})
    reader.feed(frame(16, b"abc"))
    assert reader.next() == (16, b"abc")
    reader.feed(frame(16, b"abcd")[:5])
    with pytest.raises(FrameRefused):
        reader.next()


def test_topics_must_be_told_apart() -> None:
    vote = Topic(name="vote", number=16, bytes_max=1)
    for wrong in (
        Topic(name="vote", number=17, bytes_max=1),
        Topic(name="block", number=16, bytes_max=1),
        Topic(name="block", number=15, bytes_max=1),
        Topic(name="block", number=256, bytes_max=1),
    ):
        with pytest.raises(ValueError, match="topic"):
            TopicTable([vote, wrong])


# Queues.


def test_votes_leave_before_blocks_before_transactions() -> None:
    outbox = Outbox(frames_max=10, bytes_max=100)
    for priority in (Priority.TRANSACTION, Priority.BLOCK, Priority.VOTE, Priority.BLOCK, Priority.VOTE):
        assert outbox.put(bytes([priority]), priority)
    assert outbox.take(3) == bytes([0, 0, 1])
    assert outbox.take(100) == bytes([1, 2])
    assert outbox.take(100) == b""
    assert (len(outbox), outbox.bytes, outbox.dropped) == (0, 0, 0)


@given(st.lists(st.tuples(st.sampled_from(list(Priority)), st.integers(1, 40)), max_size=60))
def test_a_full_outbox_never_drops_what_matters_more_for_what_matters_less(items: list[tuple[Priority, int]]) -> None:
    outbox = Outbox(frames_max=5, bytes_max=60)
    kept: list[tuple[Priority, int]] = []
    for number, (priority, size) in enumerate(items):
        taken = outbox.put(bytes([number]) * size, priority)
        # The model: drop the newest of the lowest priority below the new one's until it fits.
        trial = list(kept)
        while len(trial) >= 5 or sum(length for _, length in trial) + size > 60:
            lower = [index for index, (other, _) in enumerate(trial) if other > priority]
            if not lower:
                break
            lowest = max(trial[index][0] for index in lower)
            del trial[max(index for index in lower if trial[index][0] == lowest)]
        else:
            trial.append((priority, size))
            assert taken
            kept = trial
            continue
        assert not taken
        kept = trial
    assert len(outbox) == len(kept) <= 5
    assert outbox.bytes == sum(size for _, size in kept) <= 60


def test_the_inbox_reads_peers_in_turn_and_says_when_they_must_wait() -> None:
    async def work() -> None:
        room: list[PeerId] = []
        inbox = Inbox(envelopes_max=4, bytes_max=1000, on_room=room.append)
        loud, quiet = peer(1), peer(2)
        inbox.join(loud)
        inbox.join(quiet)
        more = [inbox.put(Envelope(sender=loud, topic="t", payload=bytes([n]))) for n in range(5)]
        assert more == [True, True, False, False, False]
        assert inbox.put(Envelope(sender=quiet, topic="t", payload=b"q"))
        arrivals = inbox.arrivals()
        found = [await anext(arrivals) for _ in range(8)]
        names = [arrival.peer if isinstance(arrival, PeerJoined) else arrival.sender for arrival in found]  # type: ignore[union-attr]
        assert names == [loud, quiet, loud, quiet, loud, loud, loud, loud]
        assert room == [loud]

    asyncio.run(work())


def test_whoever_leaves_is_heard_no_more_and_a_visit_that_nobody_saw_leaves_no_trace() -> None:
    async def work() -> None:
        inbox = Inbox(envelopes_max=4, bytes_max=1000, on_room=lambda _: None)
        arrivals = inbox.arrivals()
        inbox.join(peer(1))
        assert await anext(arrivals) == PeerJoined(peer=peer(1))
        inbox.put(Envelope(sender=peer(1), topic="t", payload=b"unread"))
        inbox.leave(peer(1))
        inbox.join(peer(2))
        inbox.put(Envelope(sender=peer(2), topic="t", payload=b"unread"))
        inbox.leave(peer(2))
        inbox.join(peer(1))
        assert [await anext(arrivals) for _ in range(2)] == [PeerLeft(peer=peer(1)), PeerJoined(peer=peer(1))]
        inbox.close()
        assert [arrival async for arrival in arrivals] == []

    asyncio.run(work())


# Standing.


def test_every_fault_has_its_points() -> None:
    assert set(POINTS) == set(PeerFault)
    assert all(0 < points <= BAN_SCORE for points in POINTS.values())


def test_faults_add_up_and_fade() -> None:
    clock = ManualClock()
    standing = Standing(clock=clock, ban_s=600)
    assert not standing.blame(peer(1), PeerFault.UNDECODABLE)
    clock.advance_ms(60_000)
    assert standing.score(peer(1)) == 250
    assert not standing.blame(peer(1), PeerFault.UNDECODABLE)
    assert standing.blame(peer(1), PeerFault.UNDECODABLE)
    assert standing.banned_until(peer(1)) == clock.now_seconds() + 600
    clock.advance_ms(600_000)
    assert standing.banned_until(peer(1)) == 0
    assert standing.blame(peer(1), PeerFault.OVERSIZE)
    assert standing.banned_until(peer(1)) == clock.now_seconds() + 1200


def test_a_persistent_peer_is_never_banned_for_long() -> None:
    clock = ManualClock()
    standing = Standing(clock=clock, ban_s=86_400, persistent=frozenset({peer(1)}))
    for _ in range(30):
        standing.blame(peer(1), PeerFault.OVERSIZE)
        assert standing.banned_until(peer(1)) <= clock.now_seconds() + PERSISTENT_BAN_S_MAX


def test_scores_and_bans_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "network" / "bans.json"
    standing = Standing(clock=ManualClock(), ban_s=600)
    for number in range(SCORES_MAX + 10):
        standing.blame(peer(number), PeerFault.FLOOD)
    assert standing.score(peer(0)) == 0
    assert standing.score(peer(SCORES_MAX)) > 0
    kept = Standing(clock=ManualClock(), ban_s=600, path=path)
    for number in range(BANS_MAX + 5):
        kept.blame(peer(number), PeerFault.OVERSIZE)
    again = Standing(clock=ManualClock(), ban_s=600, path=path)
    assert len(again.bans()) == BANS_MAX
    assert again.bans() == kept.bans()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"bans": 5}',
        '{"bans": [[1, 2, 3, 4]]}',
        '{"bans": [["00", 1, "flood", 1]]}',
        '{"bans": [["' + "00" * 20 + '", 1, "what", 1]]}',
        '{"bans": [["' + "00" * 20 + '", 1.5, "flood", 1]]}',
        "[" * 100_000,
        " " * 300_000,
    ],
)
def test_a_file_of_bans_that_says_nothing_is_as_good_as_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bans.json"
    path.write_text(text, encoding="utf-8")
    standing = Standing(clock=ManualClock(), ban_s=600, path=path)
    assert standing.bans() == {}
    standing.blame(peer(1), PeerFault.OVERSIZE)
    assert len(json.loads(path.read_text(encoding="utf-8"))["bans"]) == 1


# The book.


def test_the_book_is_bounded_and_hearsay_changes_nothing() -> None:
    book = PeerBook(own=peer(0), persistent=[place(1)], seeds=[place(2), place(0)], chance=random.Random(1))
    assert list(book.seeds) == [peer(2)]
    for number in (0, 1):
        book.learn(place(number))
    assert len(book) == 0
    book.learn(place(3), from_itself=True)
    book.learn(place(3, port=1))
    assert place(3) in book.candidates(without=[])
    for number in range(10, BOOK_MAX + 20):
        book.learn(place(number))
    assert len(book) == BOOK_MAX
    assert len(book.sample(ADDRESSES_MAX, without=peer(1))) == ADDRESSES_MAX
    assert place(1) not in book.sample(BOOK_MAX + 10, without=peer(1))


def test_a_learnt_address_that_leads_nowhere_is_forgotten_and_a_seed_is_not() -> None:
    book = PeerBook(own=peer(0), seeds=[place(2)], chance=random.Random(1))
    book.learn(place(3))
    for _ in range(FAILURES_MAX):
        assert place(3) in book.candidates(without=[])
        book.missed(peer(3))
        book.missed(peer(2))
    assert book.candidates(without=[]) == [place(2)]


def test_waits_double_up_to_a_bound_and_are_never_in_step() -> None:
    backoff = Backoff(min_s=0.1, max_s=3.0, chance=random.Random(5))
    waits = [backoff.next_s() for _ in range(40)]
    assert all(0.05 * 2**n <= wait <= 0.1 * 2**n for n, wait in enumerate(waits[:5]))
    assert all(1.5 <= wait <= 3.0 for wait in waits[5:])
    assert len(set(waits)) == 40
    backoff.reset()
    assert backoff.next_s() <= 0.1


# Decoders.


@given(st.lists(st.integers(1, 2**64), max_size=ADDRESSES_MAX))
def test_addresses_come_back(numbers: list[int]) -> None:
    listed = tuple(place(number) for number in numbers)
    data = encode_addresses(listed)
    assert len(data) <= ADDRESSES_BYTES_MAX
    assert decode_addresses(data) == listed


@given(st.binary(max_size=300))
def test_random_bytes_are_no_addresses_or_canonical_ones(data: bytes) -> None:
    try:
        found = decode_addresses(data)
    except EncodingError:
        return
    assert encode_addresses(found) == data


@given(st.binary(max_size=300))
def test_random_bytes_are_no_hello(data: bytes) -> None:
    try:
        hello = Hello.decode(data)
    except EncodingError:
        pass
    else:
        assert hello.encode() == data
    with pytest.raises(FrameRefused):
        open_hello(data, Channel(dialler=bytes(32), listener=bytes(32)), by_dialler=True)


def test_a_hello_of_either_end_opens_at_the_other() -> None:
    identity = KnownIdentity(3)
    hello = Hello(
        peer=PeerId(identity.address),
        chain_id=5,
        genesis_hash=Hash32(bytes(32)),
        instance=bytes(16),
        host="host.example",
        port=26700,
    )
    channel = Channel(dialler=b"\x01" * 32, listener=b"\x02" * 32)
    for by_dialler in (True, False):
        signed = signed_hello(hello, channel, identity, by_dialler=by_dialler)
        assert open_hello(signed, channel, by_dialler=by_dialler) == hello
        with pytest.raises(FrameRefused):
            open_hello(signed, channel, by_dialler=not by_dialler)
        with pytest.raises(FrameRefused):
            open_hello(signed, Channel(dialler=channel.listener, listener=channel.dialler), by_dialler=by_dialler)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("127.0.0.1:1", ("127.0.0.1", 1)),
        ("[::1]:65535", ("::1", 65535)),
        ("node.example:26700", ("node.example", 26700)),
    ],
)
def test_places(text: str, found: tuple[str, int]) -> None:
    assert split_host_port(text) == found


@pytest.mark.parametrize(
    "text", ["", "host", "host:", "host:0", "host:65536", "::1:5", "a b:5", ":5", "host:+5", "h:５"]
)
def test_what_is_no_place(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        split_host_port(text)


def test_addresses_of_peers_as_text() -> None:
    text = "0x" + "ab" * 20 + "@[2001:db8::1]:26700"
    assert str(PeerAddress.parse(text)) == text
    reasons = {
        "127.0.0.1:5": "has no '@'",
        "0x12@127.0.0.1:5": "an address has 40 hexadecimal digits",
        "0x" + "ab" * 20 + "@127.0.0.1": "does not end in a port",
    }
    for wrong, reason in reasons.items():
        with pytest.raises(ValueError, match=reason):
            PeerAddress.parse(wrong)
