"""The node's front door: what services ask for, answered by the rooms behind it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

import structlog
from attrs import evolve, frozen

from lazai_core.api.authorization import Authorization
from lazai_core.api.errors import Busy, InvalidTransaction, LazAIError, PaymentRequired, RequestRejected, UnknownModel
from lazai_core.api.gas import FeeState, GasQuote
from lazai_core.api.needs import Clock
from lazai_core.api.precompile import NeedsCompute
from lazai_core.api.proof import Rng
from lazai_core.api.service import (
    AccountStatus,
    BlockInfo,
    InferenceOutcome,
    InferenceRequest,
    NodeStatus,
    Readiness,
    ServedModel,
    TransactionStatus,
)
from lazai_core.api.types import SETTLEMENT_ADDRESS, Address, DatId, Gas, Hash32, Height, JobId, ModelId, Wei, to_hex
from lazai_core.chain.abi import describe_revert
from lazai_core.chain.recent_transactions import recent_transaction
from lazai_core.chain.system_state import escrow_of, next_counter
from lazai_core.chain.transaction import Transaction
from lazai_core.lazvm.vm import CallRequest, LazVM

from .admission import Admission
from .calls import ordered_jobs
from .execution import BoundedThreads
from .index import RequestPlace, SettlementIndex, inclusion_at
from .lanes import Lanes, OpenRequest, RequestKey, same_or_reused
from .mempool import Mempool
from .orchestrator import Orchestrator
from .outcome import RecordJudge, outcome_of, verified_again
from .pricing import PriceRequest, Pricing
from .receipts import ReceiptFiles
from .status import block_info, included_status, pending_status
from .work import Inclusion, WalletTransaction

log = structlog.get_logger(__name__)

RECENT_TRANSACTIONS_MAX = 4096


@frozen(kw_only=True)
class Rooms:
    """What the gateway stands before."""

    vm: LazVM
    execution: BoundedThreads
    pricing: Pricing
    pricing_thread: BoundedThreads
    admission: Admission
    lanes: Lanes
    mempool: Mempool
    orchestrator: Orchestrator
    index: SettlementIndex
    receipts: ReceiptFiles
    models: Mapping[str, ServedModel]
    node: Address
    clock: Clock
    rng: Rng
    check_signed: RecordJudge
    failing: Callable[[], Sequence[str]]
    standing: Callable[[], NodeStatus]


class NodeGateway:
    """`Gateway` of a running node, and the service that owns the requests under way."""

    name = "gateway"

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self.chain_id: int = rooms.vm.genesis.chain_id
        self.node_address: Address = rooms.node
        self.settlement_address: Address = SETTLEMENT_ADDRESS
        self._group: asyncio.TaskGroup | None = None
        self._unsigned_open = 0
        self._recent: OrderedDict[bytes, asyncio.Future[Inclusion]] = OrderedDict()

    async def run(self, ready: Callable[[], None]) -> None:
        """Own the requests under way; a client that leaves does not stop them."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                ready()
                await asyncio.Event().wait()
        finally:
            self._group = None

    # Models and prices.

    def readiness(self) -> Readiness:
        """Whether requests can be served now."""
        failing = tuple(self._rooms.failing())
        if self._group is None:
            failing = ("node", *failing)
        return Readiness(ready=not failing, failing=failing, height=self._rooms.vm.head.height)

    def node_status(self) -> NodeStatus:
        """Where the node stands among the others."""
        return self._rooms.standing()

    async def block(self, height: Height) -> BlockInfo | None:
        """The block of a height, or None where this node has none."""
        return await asyncio.to_thread(block_info, self._rooms.vm.history, height)

    def served_models(self) -> Sequence[ServedModel]:
        """All models of this node, in order of name."""
        return tuple(self._rooms.models[name] for name in sorted(self._rooms.models))

    def find_model(self, name: str) -> ServedModel:
        """By name or by hexadecimal digest. Raises UnknownModel, listing the names there are."""
        found = self._rooms.models.get(name)
        if found is not None:
            return found
        wanted = name.lower().removeprefix("0x")
        for model in self._rooms.models.values():
            if model.model.hex() == wanted:
                return model
        names = ", ".join(sorted(self._rooms.models)) or "none"
        raise UnknownModel(f"the model {name[:100]!r} is not served here", hint=f"the models are: {names}")

    async def quote(
        self, model: ModelId, inputs: Sequence[bytes], dats: Sequence[DatId] = (), proof_system: str = ""
    ) -> GasQuote:
        """Price of the whole request now, owners' prices and the node's overhead included in `cost_max`."""
        wanted = self._rooms.admission.price_request(model, inputs, dats, proof_system)
        price = await self._rooms.pricing_thread.run(self._rooms.pricing.price, wanted)
        return price.quote

    # Requests.

    async def submit(self, request: InferenceRequest) -> InferenceOutcome:
        """Admit, compute, prove, settle, and wait for the block. Cancelling stops waiting, not the settlement."""
        started_ns = self._rooms.clock.monotonic_ns()
        try:
            if request.authorization is None:
                outcome = await self._submit_unsigned(request)
            else:
                outcome = await self._submit_signed(request, request.authorization)
        except LazAIError as error:
            log.info(
                "request.refused",
                request_id=request.request_id,
                model=request.model,
                reason=getattr(error, "code", type(error).__name__),
                error=str(error),
                time_ms=self._since_ms(started_ns),
            )
            raise
        self._log_settled(request, outcome, started_ns)
        return outcome

    def _since_ms(self, started_ns: int) -> int:
        return (self._rooms.clock.monotonic_ns() - started_ns) // 1_000_000

    def _log_settled(self, request: InferenceRequest, outcome: InferenceOutcome, started_ns: int) -> None:
        """The one canonical line of a request."""
        log.info(
            "request.settled",
            request_id=request.request_id,
            user=request.authorization.user if request.authorization else request.api_key_id,
            model=request.model,
            inputs=len(request.inputs),
            height=outcome.height,
            transaction=outcome.transaction_hash,
            job_ids=[job_id.hex() for job_id in outcome.job_ids],
            compute_gas=outcome.compute_gas,
            cost=str(outcome.cost),
            replayed=outcome.replayed,
            compute_ms=sum(item.time_ns for item in outcome.measurements) // 1_000_000,
            time_ms=self._since_ms(started_ns),
        )

    async def _submit_signed(self, request: InferenceRequest, authorization: Authorization) -> InferenceOutcome:
        rooms = self._rooms
        rooms.admission.program(request.model)
        rooms.admission.check_signature(request, authorization)
        key = RequestKey.of(authorization)
        opened = rooms.lanes.get(key)
        if opened is not None:
            same_or_reused(key, opened.body_hash, request.body_hash)
            outcome = await asyncio.shield(opened.outcome)
            return evolve(outcome, request_id=request.request_id, replayed=True)
        settled = rooms.index.request(key)
        if settled is not None:
            same_or_reused(key, settled.body_hash, request.body_hash)
            return await self._replay(request, settled)
        group = self._require_running()
        wanted = rooms.admission.admit(request, authorization)
        # Nothing waits between the checks and this line, so nobody else can take the nonce or the escrow.
        opened = rooms.lanes.open(key, request.body_hash, authorization.max_cost)
        group.create_task(self._serve(request.request_id, authorization, wanted, opened))
        return await asyncio.shield(opened.outcome)

    async def _serve(
        self, request_id: str, authorization: Authorization, wanted: PriceRequest, opened: OpenRequest
    ) -> None:
        """From an admitted request to its outcome, for everyone who waits for it."""
        rooms = self._rooms
        try:
            # One thread in order of arrival: a lane's calls enter the pool in the lane's order.
            price = await rooms.pricing_thread.run(rooms.pricing.price, wanted)
            call = rooms.admission.settlement_call(authorization, wanted, price)
            rooms.orchestrator.accept(call)
            inclusion = await call.done
            outcome = outcome_of(
                request_id,
                call.jobs,
                (inclusion,),
                compute_gas=Gas(sum(price.runs)),
                measurements=call.measurements,
                verified=call.verified,
            )
        except LazAIError as error:
            opened.outcome.set_exception(error)
        except asyncio.CancelledError:
            opened.outcome.set_exception(Busy("the node is stopping", hint="send the same request again"))
            raise
        else:
            opened.outcome.set_result(outcome)
        finally:
            rooms.lanes.close(opened)

    async def _replay(self, request: InferenceRequest, place: RequestPlace) -> InferenceOutcome:
        """The stored answer, from the block that holds it."""

        def read() -> InferenceOutcome:
            inclusion = inclusion_at(self._rooms.vm.history, place.height, place.transaction_index)
            assert inclusion is not None, "the index names places of the chain"
            ordered = ordered_jobs(inclusion.transaction, self.chain_id)
            assert ordered is not None, "the index names settlements"
            return outcome_of(
                request.request_id,
                ordered.jobs,
                (inclusion,),
                compute_gas=Gas(0),
                verified=verified_again(ordered.jobs, inclusion.block.records, self._rooms.check_signed),
                replayed=True,
            )

        return await asyncio.to_thread(read)

    async def _submit_unsigned(self, request: InferenceRequest) -> InferenceOutcome:
        if not request.api_key_id:
            quote = await self.quote(request.model, request.inputs, request.dats, request.proof_system)
            raise PaymentRequired(
                "the request carries neither a wallet's authorisation nor an accepted API key",
                quote=quote.cost_max,
                hint="sign it (EIP-712) with a wallet that has escrow here",
            )
        rooms = self._rooms
        self._require_running()
        wanted = rooms.admission.admit_unsigned(request)
        rooms.lanes.check_unsigned(self._unsigned_open)
        self._unsigned_open += 1
        try:
            prices = await rooms.pricing_thread.run(rooms.pricing.price_each, wanted)
            calls = [
                rooms.admission.direct_call(evolve(wanted, inputs=(data,)), price, rooms.rng.bytes(32))
                for data, price in zip(wanted.inputs, prices, strict=True)
            ]
            for call in calls:
                rooms.orchestrator.accept(call)
            inclusions = [await asyncio.shield(call.done) for call in calls]
        finally:
            self._unsigned_open -= 1
        return outcome_of(
            request.request_id,
            [job for call in calls for job in call.jobs],
            inclusions,
            compute_gas=Gas(sum(sum(price.runs) for price in prices)),
            measurements=[item for call in calls for item in call.measurements],
            verified=[item for call in calls for item in call.verified],
        )

    def _require_running(self) -> asyncio.TaskGroup:
        if self._group is None:
            raise Busy("the node is starting or stopping", retry_after_ms=2_000)
        return self._group

    # The ledger.

    async def receipt(self, receipt_id: str) -> bytes | None:
        """The canonical receipt file of a settled job."""
        try:
            job_id = JobId(bytes.fromhex(receipt_id.removeprefix("0x")))
        except ValueError:
            return None
        if len(job_id) != 32:
            return None
        return await asyncio.to_thread(self._rooms.receipts.build, job_id)

    async def next_counter(self, user: Address, lane: int) -> int:
        """The counter that the lane's next authorisation must carry, open requests included."""
        settled = next_counter(self._rooms.vm.state(), user, lane)
        return self._rooms.lanes.next_counter(user, lane, settled)

    async def balance(self, user: Address) -> Wei:
        """Escrow of the wallet in wei."""
        return escrow_of(self._rooms.vm.state(), user)

    async def account(self, address: Address) -> AccountStatus:
        """Balance and next nonce of an account, transactions that wait included."""
        state = self._rooms.vm.state()
        nonce = state.nonce(address)
        waiting = {
            work.transaction.nonce
            for work in self._rooms.mempool
            if isinstance(work, WalletTransaction) and work.sender == address
        }
        while nonce in waiting:
            nonce += 1
        return AccountStatus(balance=state.balance(address), nonce=nonce)

    def fees(self) -> FeeState:
        """Fee fields of the newest block."""
        return self._rooms.vm.fees()

    async def send_raw_transaction(self, raw: bytes) -> Hash32:
        """Take a signed Ethereum transaction into the pool. Raises InvalidTransaction or Busy."""
        return self.accept_transaction(recent_transaction(raw))

    def accept_transaction(self, transaction: Transaction, *, foreign: bool = False) -> Hash32:
        """The same for one that is decoded already; `foreign` where a peer brought it.

        Raises InvalidTransaction or Busy.
        """
        if transaction.chain_id not in (None, self.chain_id):
            raise InvalidTransaction(
                f"the transaction is for chain {transaction.chain_id}, this chain is {self.chain_id}",
                hint="sign it for this chain id",
            )
        sender = transaction.sender
        state = self._rooms.vm.state()
        if transaction.nonce < state.nonce(sender):
            raise InvalidTransaction(
                f"the nonce is {transaction.nonce}, the next one of {to_hex(sender)} is {state.nonce(sender)}"
            )
        needed = transaction.gas * transaction.max_fee_per_gas + transaction.value
        if state.balance(sender) < needed:
            raise InvalidTransaction(
                f"{to_hex(sender)} has {state.balance(sender)} wei, the transaction may cost {needed} wei"
            )
        if transaction.gas > self._rooms.vm.genesis.block_gas_limit:
            raise InvalidTransaction(
                f"the gas limit {transaction.gas} is above a block's {self._rooms.vm.genesis.block_gas_limit}"
            )
        known = self._rooms.mempool.get(transaction.hash)
        if known is None:
            work = WalletTransaction(
                work_id=transaction.hash,
                sender=sender,
                size_bytes=len(transaction.raw),
                transaction=transaction,
                foreign=foreign,
            )
            self._rooms.orchestrator.accept(work)
            self._remember(work)
        return Hash32(transaction.hash)

    def _remember(self, work: WalletTransaction) -> None:
        """Until a block holds it; where none will, the reason stays for whoever asks."""

        def ended(done: asyncio.Future[Inclusion]) -> None:
            if not done.cancelled() and done.exception() is None:
                self._recent.pop(work.work_id, None)

        self._recent[work.work_id] = work.done
        work.done.add_done_callback(ended)
        while len(self._recent) > RECENT_TRANSACTIONS_MAX:
            self._recent.popitem(last=False)

    async def transaction_status(self, transaction_hash: Hash32, *, wait: bool = False) -> TransactionStatus | None:
        """Where a transaction stands; None when it is not known."""
        place = self._rooms.vm.history.transaction_place(transaction_hash)
        if place is None:
            done = self._recent.get(transaction_hash)
            if done is None:
                return None
            if not wait and not done.done():
                return pending_status(transaction_hash)
            return included_status(await asyncio.shield(done))
        inclusion = await asyncio.to_thread(inclusion_at, self._rooms.vm.history, place.height, place.index)
        assert inclusion is not None, "the chain's own index names its places"
        return included_status(inclusion)

    async def call(self, to: Address, data: bytes) -> bytes:
        """Return data of a message call on the newest state."""
        try:
            outcome = await self._rooms.execution.run(self._rooms.vm.call, CallRequest(to=to, data=data))
        except NeedsCompute as need:
            raise RequestRejected(
                f"the call needs an inference by a worker (job 0x{need.job.job_id.hex()})",
                hint="send it as a transaction",
            ) from need
        if not outcome.succeeded:
            reason = describe_revert(outcome.output) if outcome.output else outcome.error
            raise RequestRejected(f"the call reverted: {reason}")
        return outcome.output
