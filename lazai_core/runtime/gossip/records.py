"""Compute records: who holds one offers it; whose transactions need it fetches, verifies and keeps it."""

from __future__ import annotations

import asyncio
from functools import partial

import structlog
from attrs import define, field

from lazai_core.api.errors import EncodingError, InvalidBlock, LazAIError
from lazai_core.api.job import ComputeJob, ComputeRecord
from lazai_core.api.network import PeerFault, PeerId
from lazai_core.api.types import Hash32, JobId

from .bounds import Recent, Seen
from .peers import PeerState, PeerTable
from .ports import RecordPort
from .record_wire import CHUNK_BYTES, GetRecord, Offer, RecordChunk, decode_offers, encode_offers, record_digest
from .transaction_wire import decode_hashes, encode_hashes
from .wire import Topic

log = structlog.get_logger(__name__)

OFFERED_JOBS_MAX = 1024
OFFERS_A_JOB_MAX = 4
ENCODED_MAX = 2
LATE_REMEMBERED_MAX = 256


@define(kw_only=True, eq=False)
class _Fetch:
    """A record that comes in chunks from one peer."""

    peer: PeerId
    offer: Offer
    data: bytearray = field(factory=bytearray)


@define(kw_only=True, eq=False)
class _Need:
    """A job whose record somebody waits for; `tried` are digests and peers that gave nothing good."""

    job: ComputeJob
    kept: asyncio.Future[bool]
    fetch: _Fetch | None = None
    tried: set[tuple[PeerId, Hash32]] = field(factory=set)
    verifying: bool = False


class RecordRoom:
    """Records on their way between pools."""

    def __init__(self, peers: PeerTable, port: RecordPort | None) -> None:
        self._peers = peers
        self._port = port
        self._offers: Recent[JobId, list[tuple[PeerId, Offer]]] = Recent(OFFERED_JOBS_MAX)
        self._needs: dict[JobId, _Need] = {}
        self._encoded: Recent[Hash32, bytes] = Recent(ENCODED_MAX)
        self._own: Recent[JobId, Offer] = Recent(OFFERED_JOBS_MAX)
        self._late: Seen[tuple[PeerId, Hash32]] = Seen(LATE_REMEMBERED_MAX)
        if port is not None:
            port.on_added(self.added)

    @property
    def size_bytes(self) -> int:
        """Bytes of records that are coming."""
        return sum(len(need.fetch.data) for need in self._needs.values() if need.fetch is not None)

    def __len__(self) -> int:
        return len(self._offers)

    # Out.

    def added(self, record: ComputeRecord) -> None:
        """A verified record entered the pool: offer it."""
        need = self._needs.get(record.job_id)
        if need is not None and not need.kept.done():
            need.kept.set_result(True)
        self._offer([record], self._peers.active())

    def _offer(self, records: list[ComputeRecord], states: list[PeerState]) -> None:
        if not states:
            return
        frame = encode_offers([self._offer_of(record) for record in records])
        for state in states:
            self._peers.send(state.peer, Topic.RECORD_OFFERS, frame)

    def _offer_of(self, record: ComputeRecord) -> Offer:
        """Made once for each record: it may be long, and is asked for by many."""
        offer = self._own.get(record.job_id)
        if offer is None:
            encoded = record.encode()
            offer = Offer(job_id=record.job_id, digest=record_digest(encoded), size_bytes=len(encoded))
            self._own.put(record.job_id, offer)
        return offer

    def wanted_arrived(self, state: PeerState, payload: bytes) -> None:
        """A peer looks for records of jobs. Raises EncodingError."""
        job_ids = decode_hashes(payload)
        if not state.requests.take(self._peers.now, len(job_ids)):
            self._peers.blame(state.peer, PeerFault.FLOOD, "questions for records")
            return
        if self._port is not None:
            found = [record for job_id in job_ids if (record := self._port.record(JobId(job_id))) is not None]
            if found:
                self._offer(found, [state])

    def request_arrived(self, state: PeerState, payload: bytes) -> None:
        """A peer fetches a record. Raises EncodingError."""
        wanted = GetRecord.decode(payload)
        if not state.requests.take(self._peers.now):
            self._peers.blame(state.peer, PeerFault.FLOOD, "requests for records")
            return
        data = self._chunk(wanted)
        if data and not state.served.take(self._peers.now, len(data) / (64 << 10)):
            return
        chunk = RecordChunk(digest=wanted.digest, offset=wanted.offset, data=data)
        self._peers.send(state.peer, Topic.RECORD_CHUNK, chunk.encode())

    def _chunk(self, wanted: GetRecord) -> bytes:
        encoded = self._encoded.get(wanted.digest)
        if encoded is None:
            record = None if self._port is None else self._port.record(wanted.job_id)
            encoded = b"" if record is None else record.encode()
            if not encoded or record_digest(encoded) != wanted.digest:
                return b""
            self._encoded.put(wanted.digest, encoded)
        return encoded[wanted.offset : wanted.offset + CHUNK_BYTES]

    # In.

    async def borrow(self, job: ComputeJob, wait_ms: int) -> bool:
        """Whether a peer's record of the job came into the pool in time.

        One that is coming when the time is up may still arrive; `wait_ms` then begins again, as long as it comes.
        """
        if self._port is None or not self._peers.active():
            return False
        need = self._needs.get(job.job_id)
        if need is None:
            if len(self._needs) >= self._peers.options.records_needed_max:
                return False
            need = _Need(job=job, kept=asyncio.get_running_loop().create_future())
            self._needs[job.job_id] = need
        self._look_around(need)
        try:
            while True:
                before = self._progress(need)
                done, _ = await asyncio.wait([need.kept], timeout=wait_ms / 1000)
                if done:
                    return need.kept.result()
                if self._progress(need) == before:
                    return False
        finally:
            if self._needs.get(job.job_id) is need:
                del self._needs[job.job_id]
            if need.fetch is not None:
                self._late.add((need.fetch.peer, need.fetch.offer.digest))

    def _progress(self, need: _Need) -> tuple[int, int, bool]:
        size = 0 if need.fetch is None else len(need.fetch.data)
        # A proof that is being verified counts as progress, however long it takes.
        return size, len(need.tried), need.verifying and not need.kept.done()

    def _look_around(self, need: _Need) -> None:
        if not self._start_fetch(need):
            question = encode_hashes([need.job.job_id])
            for state in self._peers.active():
                self._peers.send(state.peer, Topic.WANT_RECORDS, question)

    def offers_arrived(self, state: PeerState, payload: bytes) -> None:
        """Records that a peer holds. Raises EncodingError."""
        offers = decode_offers(payload)
        if not state.transactions.take(self._peers.now, len(offers)):
            self._peers.blame(state.peer, PeerFault.FLOOD, "offers of records")
            return
        for offer in offers:
            known = self._offers.get(offer.job_id) or []
            known = [one for one in known if one[0] != state.peer][: OFFERS_A_JOB_MAX - 1]
            self._offers.put(offer.job_id, [*known, (state.peer, offer)])
            need = self._needs.get(offer.job_id)
            if need is not None and need.fetch is None and not need.verifying:
                self._start_fetch(need)

    def _start_fetch(self, need: _Need) -> bool:
        """Fetch from a peer that offers the record and was not tried yet."""
        if need.fetch is not None or need.verifying:
            return True
        for peer, offer in self._offers.get(need.job.job_id) or []:
            if (peer, offer.digest) in need.tried or self._peers.get(peer) is None:
                continue
            coming = sum(one.fetch.offer.size_bytes for one in self._needs.values() if one.fetch is not None)
            if coming and coming + offer.size_bytes > self._peers.options.records_bytes_max:
                return False
            need.tried.add((peer, offer.digest))
            need.fetch = _Fetch(peer=peer, offer=offer)
            self._ask(need, need.fetch)
            return True
        return False

    def _ask(self, need: _Need, fetch: _Fetch) -> None:
        offset = len(fetch.data)
        wanted = GetRecord(digest=fetch.offer.digest, job_id=need.job.job_id, offset=offset)
        self._peers.send(fetch.peer, Topic.GET_RECORD, wanted.encode())
        self._peers.later(self._peers.options.record_timeout_ms, partial(self._timed_out, need, fetch, offset))

    def _timed_out(self, need: _Need, fetch: _Fetch, offset: int) -> None:
        if need.fetch is fetch and len(fetch.data) == offset:
            self._late.add((fetch.peer, fetch.offer.digest))
            need.fetch = None
            self._start_fetch(need)

    def chunk_arrived(self, state: PeerState, payload: bytes) -> None:
        """A piece of a record. Raises EncodingError."""
        chunk = RecordChunk.decode(payload)
        need = next((one for one in self._needs.values() if _is_from(one.fetch, state.peer, chunk.digest)), None)
        if need is None or need.fetch is None:
            if (state.peer, chunk.digest) not in self._late:
                self._peers.blame(state.peer, PeerFault.UNASKED_ANSWER, "a piece of a record")
            return
        fetch = need.fetch
        if chunk.offset != len(fetch.data):
            return
        size = fetch.offer.size_bytes
        if len(chunk.data) != min(CHUNK_BYTES, size - chunk.offset):
            if chunk.data:
                self._peers.blame(state.peer, PeerFault.BROKEN_PROMISE, "a piece of a record of another length")
            need.fetch = None
            self._start_fetch(need)
            return
        fetch.data += chunk.data
        if len(fetch.data) < size:
            self._ask(need, fetch)
            return
        need.fetch, need.verifying = None, True
        self._late.add((state.peer, chunk.digest))
        self._peers.spawn(self._verify(need, fetch))

    async def _verify(self, need: _Need, fetch: _Fetch) -> None:
        assert self._port is not None, "nothing is needed without a pool"
        try:
            encoded = bytes(fetch.data)
            record = ComputeRecord.decode(encoded)
            if record_digest(encoded) != fetch.offer.digest or record.job_id != need.job.job_id:
                raise EncodingError("it is another record than was offered")
            await self._port.keep(need.job, record)
        except EncodingError as error:
            self._peers.blame(fetch.peer, PeerFault.INVALID_RECORD, error.message)
        except InvalidBlock as error:
            # Without blame it is this node that cannot judge.
            if error.blame:
                self._peers.blame(fetch.peer, PeerFault.INVALID_RECORD, error.message)
        except LazAIError as error:
            log.warning("record.unverified", job_id=need.job.job_id, error=str(error))
        finally:
            need.verifying = False
        if not need.kept.done() and self._needs.get(need.job.job_id) is need:
            self._start_fetch(need)


def _is_from(fetch: _Fetch | None, peer: PeerId, digest: Hash32) -> bool:
    return fetch is not None and fetch.peer == peer and fetch.offer.digest == digest
