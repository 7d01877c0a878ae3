"""Bounds and intervals of gossip. None of them is seen by consensus; nodes of one chain may differ in them."""

from __future__ import annotations

from attrs import field, frozen, validators


def _count(default: int, doc: str, low: int = 1, high: int = 1 << 40) -> int:
    limits = validators.and_(validators.ge(low), validators.le(high))
    value: int = field(default=default, validator=limits, metadata={"doc": doc})
    return value


@frozen(kw_only=True)
class GossipOptions:
    """Times in milliseconds, sizes in bytes. Every cache and every answer has its bound here."""

    status_ms: int = _count(1000, "tell every peer where this node stands, this often")
    status_ms_min: int = _count(20, "but no more often than this, however fast heights pass")
    talk_rate: int = _count(100, "statuses and other small talk taken from one peer in a second, on average")
    neighbours_ms: int = _count(10_000, "tell every peer whom else this node is connected to, this often")
    exchange_ms: int = _count(1000, "a height older than this asks one peer at a time for messages it lacks")
    repeat_ms: int = _count(4000, "while a height lasts, the host is given its messages again after this")
    rounds_max: int = _count(100_000, "rounds of a height; each takes seconds, so that no honest one is later")
    messages_per_signer_max: int = _count(48, "newest messages kept of one validator at one height")
    messages_bytes_max: int = _count(32 << 20, "bytes of all messages kept")
    seen_max: int = _count(65_536, "names of messages remembered, so that none is taken twice")
    message_rate: int = _count(4000, "consensus messages taken from one peer in a second, on average")
    author_rate: int = _count(200, "new messages of one validator in a second, on average, whoever brings them")
    certificate_repeat_ms: int = _count(500, "a peer that lags gets a certificate no more often than this")

    parts_bytes_max: int = _count(192 << 20, "bytes of all block parts kept")
    blocks_per_proposer_max: int = _count(4, "blocks of one proposer and height whose parts are kept")
    parts_direct_max: int = _count(64, "parts times peers up to which a block goes straight to every peer")
    part_rate: int = _count(1024, "block parts taken from one peer in a second, on average")
    pull_ms: int = _count(120, "a block that does not come by itself is asked for after this")
    pull_ms_max: int = _count(2000, "and asked for again at least this often")
    parts_silent_ms: int = _count(1000, "an answer of which nothing comes for so long is given up")
    parts_answer_ms: int = _count(15_000, "and so is one that takes longer in all")
    parts_per_answer_max: int = _count(32, "parts sent for one request")
    transaction_rate: int = _count(4000, "transactions taken from one peer in a second, on average")
    transactions_seen_max: int = _count(65_536, "hashes of transactions remembered, so that none is taken twice")
    transactions_queue_max: int = _count(8192, "transactions that have come and are not admitted yet")
    transactions_queue_bytes_max: int = _count(32 << 20, "bytes of these")
    transactions_announced_max: int = _count(16_384, "transactions that were announced and have not come")
    announcers_max: int = _count(4, "peers remembered for each of them")
    transaction_batch_ms: int = _count(10, "transactions that enter the pool within this time travel together")
    transaction_timeout_ms: int = _count(1000, "an announced transaction that does not come is asked of another peer")
    transactions_repeat_ms: int = _count(5000, "tell one peer of waiting transactions this often")
    transactions_repeated: int = _count(512, "transactions told of then", high=4096)
    evidence_rate: int = _count(2, "pieces of evidence taken from one peer in a second, on average")
    records_needed_max: int = _count(256, "records that are looked for among peers")
    records_bytes_max: int = _count(160 << 20, "bytes of records that are coming")
    record_timeout_ms: int = _count(3000, "a piece of a record that does not come is given up after this")

    state_requests: int = _count(6, "requests for state under way at once, while a node begins from a snapshot")
    state_entries: int = _count(384, "entries of the state in one request", high=512)
    state_timeout_ms: int = _count(5000, "a request for a snapshot goes to another peer after this")
    state_leave_out_ms: int = _count(10_000, "so long a peer is not asked that failed to give what it has")

    sync_grace_ms: int = _count(400, "a peer may be one height ahead for so long before its block is asked for")
    sync_window: int = _count(256, "decided blocks after the head that are fetched at once")
    sync_batch: int = _count(32, "blocks in one request", high=64)
    sync_bytes_max: int = _count(64 << 20, "bytes of fetched blocks that wait for their turn")
    sync_requests_per_peer: int = _count(2, "requests for blocks that one peer has not answered yet")
    sync_timeout_ms: int = _count(4000, "a request for blocks that is not answered goes to another peer after this")
    sync_large_timeout_ms: int = _count(60_000, "so long may a block take that comes in parts")
    sync_failures_max: int = _count(3, "requests in a row that a peer may fail")
    sync_leave_out_ms: int = _count(30_000, "so long no blocks are taken from a peer that failed or lied")
    sync_step_ms: int = _count(250, "how often a syncing node looks around")
    sync_redeliver_ms: int = _count(10_000, "a block that the host got and did not commit comes again after this")
    sync_request_rate: int = _count(50, "requests for blocks and parts taken from one peer in a second, on average")
    parts_served_rate: int = _count(512, "parts sent to one peer on request in a second, on average")
