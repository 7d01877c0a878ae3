"""What hangs on a trusted header beside its state: earlier headers, validator sets, the block and its certificate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from lazai_core.api.consensus import Certificate, Validator, decode_validators, validators_hash
from lazai_core.api.errors import ConsensusFault, EncodingError, InvalidGenesis
from lazai_core.api.network import PeerFault, PeerId
from lazai_core.api.storage import KeyValueStore
from lazai_core.api.types import Hash32, Height, to_hex
from lazai_core.chain.block import Block, BlockHeader
from lazai_core.chain.genesis import Genesis
from lazai_core.chain.history import ChainHistory
from lazai_core.chain.staking import evidence_blocks, has_staking
from lazai_core.lazvm.context import ANCESTORS_MAX
from lazai_core.lazvm.database import NodeReader
from lazai_core.lazvm.genesis_state import genesis_block
from lazai_core.lazvm.views import StateView
from lazai_core.runtime.peering import ConsensusMessage

from .blocks import BlockRoom
from .body import body_fits
from .peers import PeerState
from .snapshot_wire import HEADERS_MAX, SETS_MAX, GetByHash, GetHeaders
from .sync_wire import Blocks, GetBlocks
from .wants import Waiting
from .wire import Topic

log = structlog.get_logger(__name__)

VerifyCertificate = Callable[[Certificate, Sequence[Validator], int], None]
"""`ConsensusEngine.verify_certificate`."""


class Beginning:
    """The chain of a node that has none: the genesis block, which is nowhere written."""

    def __init__(self, genesis: Genesis, store: KeyValueStore) -> None:
        self.genesis = genesis
        self.history = ChainHistory(store)
        self._head = genesis_block(genesis, NodeReader(store)).block

    @property
    def head(self) -> Block:
        """The genesis block."""
        return self._head

    def validators(self, height: Height) -> tuple[Validator, ...]:
        """Nobody's messages are taken yet."""
        return ()


class NobodysHost:
    """`HostPort` of a node that decides nothing yet."""

    height = Height(1)

    def message_arrived(self, peer: PeerId, message: ConsensusMessage) -> None:
        """It is for later."""

    def block_arrived(self, peer: PeerId, block: Block) -> None:
        """Nobody asked for it."""

    def decided_arrived(self, peer: PeerId, block: Block, certificate: Certificate) -> None:
        """Nobody asked for it."""

    def known_block(self, block_id: Hash32) -> Block | None:
        """There is none."""
        return None


class Asking(Protocol):
    """How peers are asked."""

    async def source(self) -> PeerState:
        """A peer to ask."""

    async def ask(self, state: PeerState, topic: Topic, payload: Callable[[int], bytes]) -> bytes:
        """Its answer; empty where none came in time."""

    async def items(self, state: PeerState, topic: Topic, payload: Callable[[int], bytes]) -> tuple[bytes, ...]:
        """The items of an answer."""

    def failed(self, state: PeerState, fault: PeerFault | None, reason: str) -> None:
        """It did not give what it has, or gave what is wrong."""


class TrustedParts:
    """Each method returns when its part is in the store, or in hand, and checked."""

    def __init__(
        self,
        asking: Asking,
        blocks: BlockRoom,
        store: KeyValueStore,
        beginning: Beginning,
        verify_certificate: VerifyCertificate,
    ) -> None:
        self._asking = asking
        self._blocks = blocks
        self._store = store
        self._history = ChainHistory(store)
        self._genesis = beginning.genesis
        self._first_hash = beginning.head.hash
        self._verify_certificate = verify_certificate
        self._set_hashes: dict[Hash32, None] = {}

    def header_of(self, state: PeerState, encoded: bytes) -> BlockHeader | None:
        """The header that a peer gave; None, and the peer blamed, where it is none."""
        try:
            return BlockHeader.decode(encoded)
        except EncodingError as error:
            self._asking.failed(state, PeerFault.UNDECODABLE, f"a header: {error.message}")
            return None

    async def older_headers(self, header: BlockHeader) -> None:
        """The headers that blocks after the trusted one may look back at, down to the genesis at most."""
        view = StateView(NodeReader(self._store), header.state_root)
        window = evidence_blocks(view) if has_staking(view) else 0
        oldest = max(0, header.height - max(ANCESTORS_MAX, window))
        self._note_sets(header)
        child = header
        while child.height > oldest:
            known = self._history.header(child.height - 1)
            if known is not None and known.hash == child.parent_hash:
                self._note_sets(known)
                child = known
                continue
            child = await self._fetch_headers(child, oldest)
            log.debug("snapshot.headers", height=child.height, oldest=oldest)
        if not oldest and child.hash != self._first_hash:
            raise InvalidGenesis(
                f"the trusted block {header.height} belongs to a chain that begins with {to_hex(child.hash)}, "
                f"the genesis file's begins with {to_hex(self._first_hash)}",
                hint="use that chain's genesis file, or trust a block of this one",
            )

    def _note_sets(self, header: BlockHeader) -> None:
        self._set_hashes[header.validators_hash] = None
        self._set_hashes[header.next_validators_hash] = None

    async def _fetch_headers(self, child: BlockHeader, oldest: int) -> BlockHeader:
        """The lowest header that a peer could add below `child`."""
        newest = Height(child.height - 1)
        count = min(HEADERS_MAX, newest - oldest + 1)
        state = await self._asking.source()
        items = await self._asking.items(
            state, Topic.GET_HEADERS, lambda number: GetHeaders(request=number, newest=newest, count=count).encode()
        )
        batch = self._store.batch()
        for item in items[:count]:
            header = self.header_of(state, item)
            if header is None:
                break
            if header.hash != child.parent_hash:
                self._asking.failed(state, PeerFault.INVALID_BLOCK, f"header {newest} and below: not the parents")
                break
            self._history.put_header(batch, header)
            batch.put(b"i" + header.height.to_bytes(8, "big"), header.hash)
            self._note_sets(header)
            child = header
        batch.commit()
        return child

    async def sets(self, header: BlockHeader) -> tuple[Validator, ...]:
        """All sets that the headers name; returns the one that decided the trusted block."""
        missing = [each for each in self._set_hashes if self._history.validators_bytes(each) is None]
        while missing:
            wanted = tuple(missing[:SETS_MAX])
            state = await self._asking.source()
            items = await self._asking.items(state, Topic.GET_SETS, GetByHash.asking(wanted))
            batch = self._store.batch()
            for set_hash, item in zip(wanted, items, strict=False):
                try:
                    members = decode_validators(item)
                except EncodingError as error:
                    self._asking.failed(state, PeerFault.UNDECODABLE, f"a validator set: {error.message}")
                    break
                if validators_hash(members) != set_hash:
                    self._asking.failed(state, PeerFault.WRONG_PART, "a validator set with another hash")
                    break
                self._history.put_validators(batch, members)
            batch.commit()
            missing = [each for each in missing if self._history.validators_bytes(each) is None]
        found = self._history.validators(header.validators_hash)
        assert found is not None, "every set that the header names was fetched"
        return found

    async def block(self, header: BlockHeader, members: tuple[Validator, ...]) -> tuple[Block, bytes]:
        """The trusted block and a certificate of it. Raises ConsensusFault where peers certify another."""
        while True:
            state = await self._asking.source()
            answer = await self._asking.ask(
                state,
                Topic.GET_BLOCKS,
                lambda number: GetBlocks(request=number, start=Height(header.height), count=1).encode(),
            )
            if not answer:
                continue
            try:
                blocks = Blocks.decode(answer).blocks
            except EncodingError as error:
                self._asking.failed(state, PeerFault.UNDECODABLE, error.message)
                continue
            if not blocks:
                self._asking.failed(state, None, "it does not give the trusted block")
                continue
            certificate = blocks[0].certificate
            try:
                if (certificate.height, certificate.block_id) != (header.height, header.hash):
                    raise ConsensusFault("the certificate is of another block")
                self._verify_certificate(certificate, members, self._genesis.chain_id)
            except ConsensusFault as error:
                self._asking.failed(state, PeerFault.FORGED_CERTIFICATE, error.message)
                continue
            block = blocks[0].block
            if block is None:
                block = await self._large_block(header, state)
            elif not body_fits(block):
                self._asking.failed(state, PeerFault.INVALID_BLOCK, "the trusted block with another body")
                continue
            return block, certificate.encode()

    async def _large_block(self, header: BlockHeader, state: PeerState) -> Block:
        """Block parts are checked by the room that puts them together."""
        future: asyncio.Future[Block] = asyncio.get_running_loop().create_future()

        def arrived(peer: PeerId, block: Block) -> None:
            if not future.done():
                future.set_result(block)

        self._blocks.want(Height(header.height), header.hash, arrived, first=state.peer, waiting=Waiting.SNAPSHOT)
        return await future
