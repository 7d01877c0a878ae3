"""A small but stateful node behind the gateway, and the real server in front of it, on a loopback port.

The gateway keeps nonces, escrow and stored answers as docs/CHAIN.md says a node does, and runs exact programs on
the reference executor; what it lacks is a chain.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx2
import pytest

from lazai_api_openai.authorization_header import encode_authorization
from lazai_api_openai.options import ApiOptions
from lazai_api_openai.service import ApiService, build_api
from lazai_core.api.authorization import Authorization
from lazai_core.api.compute import ModelManifest
from lazai_core.api.errors import (
    AccessDenied,
    FeeTooLow,
    InsufficientFunds,
    NonceReused,
    RequestExpired,
    StaleNonce,
    UnknownDat,
    UnknownModel,
)
from lazai_core.api.gas import GasQuote
from lazai_core.api.hashing import address_of_private_key, keccak256
from lazai_core.api.job import ComputeJob, ResourceUsage
from lazai_core.api.program import Dim, DType, Program, Scale
from lazai_core.api.service import (
    AccountStatus,
    BlockInfo,
    InferenceOutcome,
    InferenceRequest,
    NodeStatus,
    PeerStatus,
    Readiness,
    ServedModel,
    TransactionStatus,
)
from lazai_core.api.types import (
    SETTLEMENT_ADDRESS,
    Address,
    DatId,
    Gas,
    Hash32,
    Height,
    ModelId,
    Wei,
    to_hex,
)
from lazai_core.exact.builder import ProgramBuilder
from lazai_core.exact.cost import planned_usage
from lazai_core.exact.model import ExactModel
from lazai_core.exact.reference import run_job
from lazai_core.exact.text import ExactEmbedder

NODE_KEY = bytes([0x47]) * 32
USER_KEY = bytes([0x46]) * 32
NOW = 1_800_000_000
TOKENS_MAX = 8
DEARER_PROOFS_WEI = {"stark": 500}
OWNED_DAT, FOREIGN_DAT = DatId(7), DatId(8)


class WordTokenizer:
    """One token a word, between a first and a last one."""

    def encode(self, text: str) -> Sequence[int]:
        return [1, *(3 + sum(word.encode()) % 13 for word in text.split()), 2]

    def decode(self, tokens: Sequence[int]) -> str:
        return " ".join(str(token) for token in tokens)


def classifier() -> ExactModel:
    builder = ProgramBuilder()
    x = builder.input("pixels", DType.INT8, (1, 4), scale=Scale.from_float(0.125))
    weight = [[1, 2, 3, 4], [-1, 0, 1, 0], [5, 5, -5, -5]]
    logits = builder.dense(x, weight, [10, 20, 30])
    builder.output("logits", logits, scale=Scale.from_float(0.0625))
    builder.output("class", builder.argmax(logits, axis=1))
    return builder.build()


def bag_of_words() -> ExactModel:
    builder = ProgramBuilder(Dim(name="sequence", minimum=1, maximum=TOKENS_MAX))
    tokens = builder.input("tokens", DType.INT32, (1, -1), low=0, high=15)
    table = [[(row * 7 + column * 5) % 23 - 11 for column in range(4)] for row in range(16)]
    builder.output("sum", builder.reduce_sum(builder.gather(table, tokens), axes=[1]), scale=Scale.from_float(0.25))
    return builder.build()


def _served(name: str, model: ExactModel, kind: str) -> ServedModel:
    program = model.program
    manifest = ModelManifest(
        name=name, kind=kind, program_digest=program.digest().hex(), labels=("a", "b", "c") * (kind == "tensor")
    )
    embedder: Any = ExactEmbedder(program, WordTokenizer()) if kind == "embedding" else None  # type: ignore[arg-type]
    return ServedModel(name=name, model=program.digest(), manifest=manifest, program=program, embedder=embedder)


class LedgerGateway:
    """Implements `Gateway`. Tests may set `ready`, `hold` requests, or queue `faults` for `submit`."""

    chain_id = 1612
    node_address = address_of_private_key(NODE_KEY)
    settlement_address = SETTLEMENT_ADDRESS

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything that requests have done."""
        models = {"classifier": classifier(), "bag": bag_of_words()}
        kinds = {"classifier": "tensor", "bag": "embedding"}
        self.exact = {model.program.digest(): model for model in models.values()}
        self.models = {name: _served(name, model, kinds[name]) for name, model in models.items()}
        self.escrow: dict[Address, int] = {address_of_private_key(USER_KEY): 10**18}
        self.counters: dict[tuple[Address, int], int] = {}
        self.answers: dict[tuple[Address, int, int], tuple[Hash32, asyncio.Future[InferenceOutcome]]] = {}
        self.receipts: dict[str, bytes] = {}
        self.sent: list[bytes] = []
        self.refusals: dict[bytes, Exception] = {}
        self.ready = True
        self.now = NOW
        self.height = 10
        self.hold: asyncio.Event | None = None
        self.faults: list[Exception] = []
        self.quote_fault: Exception | None = None
        self.submitted: list[InferenceRequest] = []

    def readiness(self) -> Readiness:
        failing = () if self.ready else ("sync",)
        return Readiness(ready=self.ready, failing=failing, height=Height(self.height))

    def served_models(self) -> Sequence[ServedModel]:
        return tuple(self.models.values())

    def find_model(self, name: str) -> ServedModel:
        for model in self.models.values():
            if name in (model.name, to_hex(model.model), model.model.hex()):
                return model
        raise UnknownModel(f"no model {name[:60]!r}; this node serves {', '.join(self.models)}")

    def _usage(self, program: Program, inputs: Sequence[bytes]) -> ResourceUsage:
        usages = [planned_usage(program.bind_input(data)) for data in inputs]
        return ResourceUsage(
            flops=sum(usage.flops for usage in usages),
            memory_bytes_peak=max(usage.memory_bytes_peak for usage in usages),
        )

    async def quote(
        self, model: ModelId, inputs: Sequence[bytes], dats: Sequence[DatId] = (), proof_system: str = ""
    ) -> GasQuote:
        if self.quote_fault is not None:
            raise self.quote_fault
        gas_ai, gas_inference = 50 + 10 * sum(len(data) for data in inputs), 92
        compute_gas = gas_ai + gas_inference
        return GasQuote(
            gas_ai=Gas(gas_ai),
            gas_inference=Gas(gas_inference),
            compute_gas=Gas(compute_gas),
            price_per_gas=Wei(7),
            cost_max=Wei(7 * compute_gas + 1_000 * len(dats) + DEARER_PROOFS_WEI.get(proof_system, 0)),
        )

    async def submit(self, request: InferenceRequest) -> InferenceOutcome:
        if self.faults:
            raise self.faults.pop(0)
        authorization = request.authorization
        if authorization is None:
            return await self._work(request)
        authorization.verify(self.chain_id, self.settlement_address)
        key = (authorization.user, authorization.lane, authorization.counter)
        if key in self.answers:
            return await self._replay(key, request)
        await self._admit(request, authorization)
        self.counters[key[:2]] = authorization.counter + 1
        task = asyncio.ensure_future(self._work(request))
        self.answers[key] = (request.body_hash, task)
        outcome = await asyncio.shield(task)
        self.escrow[authorization.user] -= outcome.cost
        return outcome

    async def _replay(self, key: tuple[Address, int, int], request: InferenceRequest) -> InferenceOutcome:
        from attrs import evolve

        body_hash, answer = self.answers[key]
        if body_hash != request.body_hash:
            raise NonceReused(f"counter {key[2]} of lane {key[1]} was used for another body")
        return evolve(await asyncio.shield(answer), replayed=True)

    async def _admit(self, request: InferenceRequest, authorization: Authorization) -> None:
        expected = self.counters.get((authorization.user, authorization.lane), 0)
        if authorization.expiry <= self.now:
            raise RequestExpired(f"the authorisation expired at {authorization.expiry}")
        if authorization.counter != expected:
            raise StaleNonce(f"lane {authorization.lane} expects counter {expected}, got {authorization.counter}")
        for dat in request.dats:
            if dat not in (OWNED_DAT, FOREIGN_DAT):
                raise UnknownDat(f"there is no DAT {dat}")
            if dat == FOREIGN_DAT:
                raise AccessDenied(f"DAT {dat} does not permit 0x{authorization.user.hex()}")
        quote = await self.quote(request.model, request.inputs, request.dats, request.proof_system)
        if authorization.max_cost < quote.cost_max:
            raise FeeTooLow(f"{authorization.max_cost} wei is below the quote", quote=quote.cost_max)
        if self.escrow.get(authorization.user, 0) < authorization.max_cost:
            raise InsufficientFunds("the escrow is smaller than the maximum cost")

    async def _work(self, request: InferenceRequest) -> InferenceOutcome:
        self.submitted.append(request)
        if self.hold is not None:
            await self.hold.wait()
        model = self.exact[request.model]
        quote = await self.quote(request.model, request.inputs, request.dats, request.proof_system)
        system = request.proof_system or "attestation"
        jobs = [
            ComputeJob(chain_id=self.chain_id, model=request.model, input=data, proof_system=system)
            for data in request.inputs
        ]
        self.height += 1
        for job in jobs:
            self.receipts[job.job_id.hex()] = b'{"format":"lazai/receipt/v1"}'
        return InferenceOutcome(
            request_id=request.request_id,
            outputs=tuple(run_job(model, data).output_bytes() for data in request.inputs),
            job_ids=tuple(job.job_id for job in jobs),
            usage=self._usage(model.program, request.inputs),
            compute_gas=quote.compute_gas,
            cost=quote.cost_max,
            transaction_hash=keccak256(b"transaction" + request.body_hash),
            block_hash=keccak256(b"block" + request.body_hash),
            height=Height(self.height),
            worker=self.node_address,
            proof_system=system,
            receipt_ids=tuple(job.job_id.hex() for job in jobs),
            verified=tuple("signed by its worker; re-executed by the validators" for _ in jobs),
        )

    async def receipt(self, receipt_id: str) -> bytes | None:
        return self.receipts.get(receipt_id)

    async def next_counter(self, user: Address, lane: int) -> int:
        return self.counters.get((user, lane), 0)

    async def balance(self, user: Address) -> Wei:
        return Wei(self.escrow.get(user, 0))

    async def account(self, address: Address) -> AccountStatus:
        return AccountStatus(balance=Wei(17), nonce=len(self.sent))

    async def send_raw_transaction(self, raw: bytes) -> Hash32:
        if raw in self.refusals:
            raise self.refusals[raw]
        self.sent.append(raw)
        return keccak256(raw)

    async def transaction_status(self, transaction_hash: Hash32, *, wait: bool = False) -> TransactionStatus | None:
        for raw, error in self.refusals.items():
            if keccak256(raw) == transaction_hash:
                raise error
        found = [raw for raw in self.sent if keccak256(raw) == transaction_hash]
        return TransactionStatus(transaction_hash=transaction_hash) if found else None

    def node_status(self) -> NodeStatus:
        peer = PeerStatus(
            address=address_of_private_key(USER_KEY),
            remote="192.0.2.7:26700",
            is_dialled=True,
            height=Height(9),
            bytes_in=5,
            bytes_out=6,
            dropped=0,
            round_trip_ms=3,
        )
        return NodeStatus(
            height=Height(self.height),
            block_hash=keccak256(b"block"),
            block_timestamp=self.now,
            deciding=Height(self.height + 1),
            round=2,
            step="prevote",
            validators=4,
            is_validator=True,
            transactions_waiting=len(self.sent),
            peers=(peer,),
            faults={"flood": 3},
        )

    async def block(self, height: Height) -> BlockInfo | None:
        if height > self.height:
            return None
        return BlockInfo(
            height=height,
            block_hash=keccak256(b"block"),
            parent_hash=keccak256(b"parent"),
            state_root=keccak256(b"state"),
            timestamp=self.now,
            proposer=self.node_address,
            round=1,
            transactions=tuple(keccak256(raw) for raw in self.sent),
            records=0,
            gas_used=Gas(21_000),
            size_bytes=600,
        )


class Node:
    """The service on its own thread and loop, as `lazai run` would run it."""

    def __init__(self, options: ApiOptions) -> None:
        self.gateway = LedgerGateway()
        self.service: Any = build_api(options, self.gateway)
        assert isinstance(self.service, ApiService)
        self.loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(20), "the service did not become ready"
        self.url = f"http://127.0.0.1:{self.service.bound_port}"

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(self._main())
        finally:
            self.loop.close()

    async def _main(self) -> None:
        task = asyncio.ensure_future(self.service.run(self._ready.set))
        await self._stop.wait()
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            self.failure = task.exception()

    def call(self, function: Callable[[], Any]) -> None:
        """Run a function on the node's loop."""
        self.loop.call_soon_threadsafe(function)

    def hold(self) -> Callable[[], None]:
        """Let requests wait in the node; the function returned lets them go on."""
        gate = asyncio.Event()
        self.gateway.hold = gate

        def release() -> None:
            self.gateway.hold = None
            self.call(gate.set)

        return release

    def stop(self) -> None:
        if not self.loop.is_closed():
            self.call(self._stop.set)
        self._thread.join(20)
        assert not self._thread.is_alive()

    def authorization(self, model_name: str, body: bytes, **changes: Any) -> str:
        """A header that the user's wallet signed for this body; `changes` replace fields before signing."""
        key = changes.pop("key", USER_KEY)
        chain_id = changes.pop("chain_id", self.gateway.chain_id)
        fields: dict[str, Any] = {
            "user": address_of_private_key(USER_KEY),
            "node": self.gateway.node_address,
            "model": self.gateway.models[model_name].model,
            "body_hash": keccak256(body),
            "max_cost": Wei(10**12),
            "expiry": NOW + 600,
            "lane": 0,
            "counter": 0,
        }
        signed = Authorization(**(fields | changes)).signed(key, chain_id, self.gateway.settlement_address)
        return encode_authorization(signed)


@pytest.fixture
def start_node() -> Iterator[Callable[..., Node]]:
    """Start nodes with options; all are stopped at the end."""
    nodes: list[Node] = []

    def start(**options: Any) -> Node:
        nodes.append(Node(ApiOptions(listen="127.0.0.1:0", **options)))
        return nodes[-1]

    yield start
    for node in nodes:
        node.stop()


@pytest.fixture(scope="session")
def shared_node() -> Iterator[Node]:
    """A node with default options, which asks for payment."""
    node = Node(ApiOptions(listen="127.0.0.1:0"))
    yield node
    node.stop()


@pytest.fixture
def node(shared_node: Node) -> Node:
    """A node with default options and a fresh ledger."""
    shared_node.gateway.reset()
    return shared_node


@pytest.fixture(scope="session")
def open_node() -> Iterator[Node]:
    """A node whose operator pays for everybody."""
    node = Node(ApiOptions(listen="127.0.0.1:0", unsigned="operator-pays", cors_origins=("https://app.example",)))
    yield node
    node.stop()


@pytest.fixture
def http(node: Node) -> Iterator[httpx2.Client]:
    """A plain client of `node`."""
    with httpx2.Client(base_url=node.url, trust_env=False) as client:
        yield client
