"""The topics as a transport knows them: documented in order, and large enough for what is sent on them."""

from __future__ import annotations

import re

from lazai_core.api.merkle import DEPTH_MAX
from lazai_core.api.types import Hash32, Height, JobId
from lazai_core.chain.block import BlockHeader
from lazai_core.runtime.gossip import TOPICS
from lazai_core.runtime.gossip.part_set import HEADER_BYTES_MAX, PART_BYTES, PARTS_MAX, Part, WantParts
from lazai_core.runtime.gossip.record_wire import CHUNK_BYTES, OFFERS_MAX, Offer, RecordChunk, encode_offers
from lazai_core.runtime.gossip.snapshot_wire import ENTRIES_MAX, SETS_MAX, GetByHash
from lazai_core.runtime.gossip.transaction_wire import HASHES_MAX, encode_hashes
from lazai_core.runtime.gossip.wire import MESSAGES_MAX, NEIGHBOURS_MAX, Have, Topic, encode_neighbours
from tests.tidy.tree import REPOSITORY
from tests.unit.chain.test_block import header

HASH = Hash32(bytes(32))
LIMITS = {topic.name: topic.bytes_max for topic in TOPICS}


def test_the_document_names_every_topic_in_the_order_of_its_number() -> None:
    text = REPOSITORY.joinpath("docs", "GOSSIP.md").read_text(encoding="utf-8")
    table = text.partition("| topic |")[2].partition("\n\n")[0]
    first_cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = [name for cell in first_cells for name in re.findall(r"`([a-z-]+)`", cell)]

    assert named == [topic.value for topic in Topic] == [topic.name for topic in TOPICS]
    assert [topic.number for topic in TOPICS] == list(range(16, 16 + len(named)))


def test_the_largest_payloads_fit() -> None:
    full_path = tuple(bytes(32) for _ in range((PARTS_MAX - 1).bit_length()))
    part = Part(
        spread=True,
        header=bytes(HEADER_BYTES_MAX),
        root=HASH,
        count=PARTS_MAX,
        index=0,
        path=full_path,
        signature=bytes(65),
        data=bytes(PART_BYTES),
    )
    want = WantParts(height=Height(1), block_id=HASH, root=HASH, missing=(1 << PARTS_MAX) - 1)
    offer = Offer(job_id=JobId(HASH), digest=HASH, size_bytes=1)
    have = Have(height=Height(1), names=frozenset(number.to_bytes(16, "big") for number in range(MESSAGES_MAX)))
    largest = {
        Topic.PART: part.encode(),
        Topic.WANT_PARTS: want.encode(),
        Topic.HAVE: have.encode(),
        Topic.NEIGHBOURS: encode_neighbours([number.to_bytes(20, "big") for number in range(NEIGHBOURS_MAX)]),  # type: ignore[misc]
        Topic.ANNOUNCE: encode_hashes([HASH] * HASHES_MAX),
        Topic.GET_TRANSACTIONS: encode_hashes([HASH] * HASHES_MAX),
        Topic.WANT_RECORDS: encode_hashes([HASH] * HASHES_MAX),
        Topic.RECORD_OFFERS: encode_offers([offer] * OFFERS_MAX),
        Topic.RECORD_CHUNK: RecordChunk(digest=HASH, offset=0, data=bytes(CHUNK_BYTES)).encode(),
        Topic.GET_ENTRIES: GetByHash(request=1, hashes=(HASH,) * ENTRIES_MAX).encode(),
        Topic.GET_SETS: GetByHash(request=1, hashes=(HASH,) * SETS_MAX).encode(),
    }

    assert {topic: len(payload) for topic, payload in largest.items() if len(payload) > LIMITS[topic]} == {}
    assert len(full_path) <= 16 < DEPTH_MAX
    assert Part.decode(part.encode()) == part
    assert WantParts.decode(want.encode()) == want


def test_every_header_fits_a_part() -> None:
    largest: BlockHeader = header(extra_data=bytes(32))

    assert len(largest.encode()) < HEADER_BYTES_MAX
