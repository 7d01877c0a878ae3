"""The topics of gossip as a transport needs them: numbers that never change, and the largest payload of each."""

from __future__ import annotations

from lazai_core.network.topics import CONTROL_NUMBERS
from lazai_core.network.topics import Topic as TransportTopic

from .record_wire import CHUNK_BYTES, OFFERS_MAX
from .snapshot_wire import ENTRIES_MAX
from .transaction_wire import HASHES_MAX
from .wire import ENVELOPE_BYTES_MAX, NEIGHBOURS_MAX, Topic

SMALL_BYTES_MAX = 4096
_LIMITS = {
    Topic.STATUS: SMALL_BYTES_MAX,
    Topic.NEIGHBOURS: 4 + 20 * NEIGHBOURS_MAX,
    Topic.WANT_PARTS: SMALL_BYTES_MAX,
    Topic.PART: 80 << 10,
    Topic.GET_BLOCKS: SMALL_BYTES_MAX,
    Topic.ANNOUNCE: 4 + 32 * HASHES_MAX,
    Topic.GET_TRANSACTIONS: 4 + 32 * HASHES_MAX,
    Topic.RECORD_OFFERS: 4 + 68 * OFFERS_MAX,
    Topic.WANT_RECORDS: 4 + 32 * HASHES_MAX,
    Topic.GET_RECORD: SMALL_BYTES_MAX,
    Topic.RECORD_CHUNK: CHUNK_BYTES + SMALL_BYTES_MAX,
    Topic.GET_HEADERS: SMALL_BYTES_MAX,
    Topic.GET_ENTRIES: 8 + 32 * ENTRIES_MAX,
    Topic.GET_SETS: SMALL_BYTES_MAX,
}
"""Topics whose payloads are smaller than an envelope may be."""

TOPICS = tuple(
    TransportTopic(name=topic.value, number=CONTROL_NUMBERS + place, bytes_max=_LIMITS.get(topic, ENVELOPE_BYTES_MAX))
    for place, topic in enumerate(Topic)
)
"""In the order of `Topic`, to which new ones are added at the end."""
