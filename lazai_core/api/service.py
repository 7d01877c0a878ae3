"""Services, health checks, benchmarks, and the gateway through which services reach the node."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from attrs import field, frozen

from .authorization import Authorization
from .compute import Embedder, ModelManifest
from .gas import FeeState, GasQuote
from .job import Measurement, ResourceUsage
from .program import Program
from .types import Address, DatId, Gas, Hash32, Height, JobId, ModelId, Wei


class Service(Protocol):
    """A part of the node with a life of its own. Returning without having been stopped is a failure."""

    name: str

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until cancelled; call `ready` once, when others may rely on this service."""


class Severity(StrEnum):
    """Result of a health check."""

    OK = "ok"
    WARNING = "warn"
    FAILURE = "fail"


@frozen(kw_only=True)
class HealthFinding:
    """One line of `lazai doctor`. `fix` says what to do, in one imperative sentence."""

    severity: Severity
    summary: str
    fix: str = ""


@frozen(kw_only=True)
class HealthCheck:
    """A named check; `run` gets the node's configuration as a mapping and must not raise."""

    name: str
    run: Callable[[Mapping[str, object]], Sequence[HealthFinding]]


@frozen(kw_only=True)
class BenchmarkResult:
    """One measured figure. `ratio` compares with `peer`, measured in the same run (0 when there is none).

    `pictures` are files by name (letters, digits, dots and dashes), for who wants them.
    """

    name: str
    value: float
    unit: str
    bar: str = ""
    peer: str = ""
    ratio: float = 0.0
    notes: str = ""
    pictures: Mapping[str, bytes] = field(factory=dict, repr=False)


@frozen(kw_only=True)
class Benchmark:
    """A named benchmark; `run` gets a time budget in seconds and a progress callback (done, total, text).

    `peers` are runs of the same kind by the name of another system, which is measured beside in the same run. Each
    raises BackendUnavailable, with what to install, where the peer is not there.
    """

    name: str
    summary: str
    run: Callable[[float, Callable[[int, int, str], None]], Sequence[BenchmarkResult]]
    peers: Mapping[str, Callable[[float, Callable[[int, int, str], None]], Sequence[BenchmarkResult]]] = field(
        factory=dict
    )


@frozen(kw_only=True)
class ServedModel:
    """A model this node answers for. `embedder` is there for embedding models."""

    name: str
    model: ModelId
    manifest: ModelManifest
    program: Program
    embedder: Embedder | None = None


@frozen(kw_only=True)
class InferenceRequest:
    """A request as a service hands it in: one HTTP body, one or more job inputs for one model.

    `body_hash` is Keccak-256 of the raw body. Without an `authorization` the node pays itself, which services do
    only where the operator allows it (`api_key_id` names the key for the log, never the key).
    """

    request_id: str
    model: ModelId
    inputs: tuple[bytes, ...]
    body_hash: Hash32
    authorization: Authorization | None = None
    dats: tuple[DatId, ...] = ()
    proof_system: str = ""
    api_key_id: str = ""


@frozen(kw_only=True)
class InferenceOutcome:
    """What became of a request: one output and job a job input, and the block that settled them.

    `replayed` says that the answer was stored by an earlier request with the same nonce and body. `verified` says in
    words, a job a text, what the proof showed and what is only signed (see `proof.Verdict`).
    """

    request_id: str
    outputs: tuple[bytes, ...]
    job_ids: tuple[JobId, ...]
    usage: ResourceUsage
    compute_gas: Gas
    cost: Wei
    transaction_hash: Hash32
    block_hash: Hash32
    height: Height
    worker: Address
    proof_system: str
    receipt_ids: tuple[str, ...]
    measurements: tuple[Measurement, ...] = ()
    verified: tuple[str, ...] = ()
    replayed: bool = False


@frozen(kw_only=True)
class Readiness:
    """Whether requests can be served now; `failing` names what is not ready."""

    ready: bool
    failing: tuple[str, ...] = ()
    height: Height = Height(0)


@frozen(kw_only=True)
class TransactionStatus:
    """Where a transaction stands. `height` and `block_hash` are None while it waits for a block."""

    transaction_hash: Hash32
    height: Height | None = None
    block_hash: Hash32 | None = None
    index: int = 0
    succeeded: bool = False
    gas_used: Gas = Gas(0)
    contract: Address | None = None


@frozen(kw_only=True)
class AccountStatus:
    """An account at the head: balance in wei, and the nonce of its next transaction, waiting ones included."""

    balance: Wei
    nonce: int


@frozen(kw_only=True)
class BlockInfo:
    """A block of the chain as services show it. `round` is that in which it was decided, `transactions` are hashes."""

    height: Height
    block_hash: Hash32
    parent_hash: Hash32
    state_root: Hash32
    timestamp: int
    proposer: Address
    round: int
    transactions: tuple[Hash32, ...]
    records: int
    gas_used: Gas
    size_bytes: int


@frozen(kw_only=True)
class PeerStatus:
    """A connected node. Bytes and envelopes are those since it connected; `height` is 0 until it has told its own."""

    address: Address
    remote: str
    is_dialled: bool
    height: Height
    bytes_in: int
    bytes_out: int
    dropped: int
    round_trip_ms: int


@frozen(kw_only=True)
class NodeStatus:
    """Where a node stands: the newest block, what the engine decides now, and who is connected.

    `height` is the newest block's, `deciding` the height of the engine; `validators` is their number at that height.
    """

    height: Height
    block_hash: Hash32
    block_timestamp: int
    deciding: Height
    round: int
    step: str
    validators: int
    is_validator: bool
    transactions_waiting: int
    peers: tuple[PeerStatus, ...]
    faults: Mapping[str, int]


class Gateway(Protocol):
    """The node's front door for services. Raises RequestRejected and ComputeError subclasses."""

    chain_id: int
    node_address: Address
    settlement_address: Address

    def readiness(self) -> Readiness:
        """Whether requests can be served now, and why not."""

    def node_status(self) -> NodeStatus:
        """Where the node stands among the others."""

    async def block(self, height: Height) -> BlockInfo | None:
        """The block of a height, or None where this node has none."""

    def served_models(self) -> Sequence[ServedModel]:
        """All models of this node, in order of name."""

    def find_model(self, name: str) -> ServedModel:
        """By name or by hexadecimal digest. Raises UnknownModel, listing the names there are."""

    async def quote(
        self, model: ModelId, inputs: Sequence[bytes], dats: Sequence[DatId] = (), proof_system: str = ""
    ) -> GasQuote:
        """Price of the whole request now, owners' prices and the node's overhead included in `cost_max`.

        `proof_system` as in the request: "" for the node's choice. Raises as `submit` would for model and inputs.
        """

    async def submit(self, request: InferenceRequest) -> InferenceOutcome:
        """Admit, compute, prove, settle, and wait for the block. Cancelling stops waiting, not the settlement."""

    async def receipt(self, receipt_id: str) -> bytes | None:
        """The canonical receipt file of a settled job, checkable offline."""

    async def next_counter(self, user: Address, lane: int) -> int:
        """The counter that the lane's next authorisation must carry, open requests included."""

    async def balance(self, user: Address) -> Wei:
        """Escrow of the wallet in wei."""

    async def account(self, address: Address) -> AccountStatus:
        """Balance and next nonce of an account."""

    def fees(self) -> FeeState:
        """Fee fields of the newest block."""

    async def send_raw_transaction(self, raw: bytes) -> Hash32:
        """Take a signed Ethereum transaction into the pool. Raises InvalidTransaction or Busy."""

    async def transaction_status(self, transaction_hash: Hash32, *, wait: bool = False) -> TransactionStatus | None:
        """Where a transaction stands; None when it is not known. With `wait`, once a block holds it.

        Raises what removed it from the pool.
        """

    async def call(self, to: Address, data: bytes) -> bytes:
        """Return data of a message call on the newest state. Raises RequestRejected with the reason of a revert."""


@frozen(kw_only=True)
class ApiKey:
    """An API key as stored: the SHA-256 of the key, and what people call it."""

    key_id: str
    key_sha256: str
    note: str = field(default="")
