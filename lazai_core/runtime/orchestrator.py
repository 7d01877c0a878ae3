"""From work that lacks records to work that is ready: speculate, compute, prove, check, and speculate again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog
from attrs import define, field

from lazai_core.api.compute import CancelToken
from lazai_core.api.errors import Busy, InvalidBlock, InvalidTransaction, LazAIError, ProofError, UnknownModel
from lazai_core.api.job import ComputeJob
from lazai_core.api.needs import Clock, ProgramStore
from lazai_core.api.precompile import NeedsCompute
from lazai_core.api.proof import ProofSystem
from lazai_core.api.types import Address, JobId
from lazai_core.chain.system_state import lacks_verifying_key, next_counter
from lazai_core.lazvm.validation import NonceAhead
from lazai_core.lazvm.vm import LazVM, TransactionOutcome

from .askers import Askers
from .execution import BoundedThreads
from .jobs import ContractJobs
from .mempool import Mempool
from .options import RuntimeOptions
from .outcome import verdict_text
from .records import RecordPool
from .signing import CallSigner
from .work import NodeCall, WalletTransaction, Work
from .workers import ComputeWorkers

log = structlog.get_logger(__name__)

RECORD_WAIT_MS = 1_500
"""How long a peer's transaction waits for its record from peers, before this node computes it a second time."""
RECORD_WAIT_ABSENT_MS = 30_000
"""And how long any transaction does whose program this node does not hold."""

Borrow = Callable[[ComputeJob, int], Awaitable[bool]]
"""Whether a peer's record of a job came into the pool within so many milliseconds."""
Route = Callable[[ComputeJob, Sequence[str]], str | None]


@define(kw_only=True, eq=False)
class _Making:
    """A record in the making, and how many wait for it."""

    task: asyncio.Task[None]
    cancel: CancelToken
    waiting: int = 0


@define(kw_only=True, eq=False)
class _Turn:
    """A sender's place in the queue for contract-made jobs."""

    lock: asyncio.Lock = field(factory=asyncio.Lock)
    users: int = 0


class Orchestrator:
    """Takes work in, and marks it ready once this node holds every record that it needs."""

    name = "orchestrator"

    def __init__(
        self,
        *,
        options: RuntimeOptions,
        vm: LazVM,
        execution: BoundedThreads,
        mempool: Mempool,
        records: RecordPool,
        workers: ComputeWorkers,
        programs: ProgramStore,
        proofs: Mapping[str, ProofSystem],
        route: Route,
        signer: CallSigner,
        contract_jobs: ContractJobs,
        clock: Clock,
    ) -> None:
        self._options = options
        self._vm = vm
        self._execution = execution
        self._mempool = mempool
        self._records = records
        self._workers = workers
        self._programs = programs
        self._proofs = proofs
        self._route = route
        self._signer = signer
        self._contract_jobs = contract_jobs
        self._clock = clock
        self._making: dict[JobId, _Making] = {}
        self._turns: dict[Address, _Turn] = {}
        self._group: asyncio.TaskGroup | None = None
        self._borrow: Borrow | None = None
        self._askers = Askers(vm.state)

    def borrow_from(self, borrow: Borrow) -> None:
        """There are peers that may have records."""
        self._borrow = borrow

    async def run(self, ready: Callable[[], None]) -> None:
        """Own the tasks that prepare work."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                ready()
                await asyncio.Event().wait()
        finally:
            self._group = None

    def accept(self, work: Work) -> None:
        """Take work into the pool and begin to prepare it. Raises Busy or InvalidTransaction."""
        if self._group is None:
            raise Busy("the node is starting or stopping", retry_after_ms=2_000)
        work.received_ns = self._clock.monotonic_ns()
        replaced = self._mempool.add(work)
        if replaced is not None:
            replaced.fail(InvalidTransaction("replaced by a transaction with the same nonce and a higher fee"))
        if isinstance(work, WalletTransaction) and not self._askers.may_ask(work.transaction):
            self._mempool.mark_ready(work)
        else:
            self._group.create_task(self._prepare(work))

    def resume(self, work: Work, job: ComputeJob) -> None:
        """The block builder found that the state has moved and the work needs another record."""
        self._mempool.mark_pending(work)
        if isinstance(work, WalletTransaction):
            self._askers.asked(work.transaction)
        if self._group is not None:
            self._group.create_task(self._prepare(work, job))

    async def _prepare(self, work: Work, job: ComputeJob | None = None) -> None:
        try:
            if job is not None:
                await self._next_round(work, job)
            if isinstance(work, NodeCall):
                await self._prepare_call(work)
            elif isinstance(work, WalletTransaction):
                await self._prepare_transaction(work)
        except LazAIError as error:
            log.debug("work.failed", work_id=work.work_id, error=str(error))
            self._mempool.remove(work)
            work.fail(error)
        else:
            self._mempool.mark_ready(work)

    async def _prepare_call(self, work: NodeCall) -> None:
        await self._speculate_call(work)
        # All jobs of a request run side by side; the first failure is the request's.
        results = await asyncio.gather(*(self.record(job) for job in work.jobs), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        known = [item for job in work.jobs if (item := self._records.get(job.job_id)) is not None]
        work.measurements = tuple(item.measurement for item in known if item.measurement is not None)
        work.verified = tuple(verdict_text(item.verdict) for item in known)

    async def _speculate_call(self, work: NodeCall) -> None:
        """Run the call as the next block would, so that nothing is computed for a call that would revert."""
        if work.lane is not None and next_counter(self._vm.state(), *work.lane) != work.counter:
            # It comes after another open request of its lane; admission has checked it against that one.
            return

        def simulate() -> TransactionOutcome:
            # Signed where it runs: a block that is committed while it waits takes its nonce.
            return self._vm.simulate(self._signer.sign(work).raw, {}, self._clock.now_seconds())

        try:
            outcome = await self._execution.run(simulate)
        except NeedsCompute as need:
            if all(need.job.job_id != job.job_id for job in work.jobs):
                await self._next_round(work, need.job)
            return
        if not outcome.succeeded:
            raise work.explain(outcome.output)

    async def _prepare_transaction(self, work: WalletTransaction) -> None:
        while True:
            records = self._records.snapshot()
            try:
                await self._execution.run(self._vm.simulate, work.transaction.raw, records, self._clock.now_seconds())
                if not work.rounds:
                    self._askers.ran(work.transaction)
                return
            except NonceAhead:
                return
            except NeedsCompute as need:
                self._askers.asked(work.transaction)
                await self._next_round(work, need.job)
            except InvalidBlock as error:
                raise InvalidTransaction(f"a record that the transaction needs is wrong: {error}") from error

    async def _next_round(self, work: Work, job: ComputeJob) -> None:
        """Make the record of a job that turned up during execution. One at a time for each sender."""
        work.rounds += 1
        if work.rounds > self._options.compute_rounds_max:
            raise InvalidTransaction(
                f"the transaction asked for {work.rounds} jobs one after the other, this node makes "
                f"{self._options.compute_rounds_max}",
                hint="ask for fewer inferences in one transaction",
            )
        self._contract_jobs.remember(job)
        turn = self._turns.setdefault(work.sender, _Turn())
        turn.users += 1
        try:
            async with turn.lock:
                if not await self._is_borrowed(work, job):
                    await self.record(job)
        finally:
            turn.users -= 1
            if not turn.users:
                self._turns.pop(work.sender, None)

    async def _is_borrowed(self, work: Work, job: ComputeJob) -> bool:
        """Whether a peer's record is in the pool now: who got the transaction first computes, others wait a little."""
        if self._borrow is None or self._records.get(job.job_id) is not None:
            return False
        if self._programs.program(job.model) is None:
            return await self._borrow(job, RECORD_WAIT_ABSENT_MS)
        foreign = isinstance(work, WalletTransaction) and work.foreign
        return foreign and await self._borrow(job, RECORD_WAIT_MS)

    async def record(self, job: ComputeJob) -> None:
        """Return once the record of `job` is in the pool. Raises what prevented it."""
        job_id = job.job_id
        if self._records.get(job_id) is not None:
            return
        making = self._making.get(job_id)
        if making is None:
            cancel = CancelToken()
            making = _Making(task=asyncio.ensure_future(self._make(job, cancel)), cancel=cancel)
            making.task.add_done_callback(lambda task: self._made(job_id, task))
            self._making[job_id] = making
        making.waiting += 1
        try:
            await asyncio.shield(making.task)
        finally:
            making.waiting -= 1
            if not making.waiting:
                # A kernel cannot be interrupted from outside; it looks at the token between operations.
                making.cancel.cancel()

    def _made(self, job_id: JobId, task: asyncio.Task[None]) -> None:
        self._making.pop(job_id, None)
        if not task.cancelled():
            task.exception()

    async def _make(self, job: ComputeJob, cancel: CancelToken) -> None:
        system = self._choose(job)
        try:
            computed = await self._workers.compute(job, system, cancel)
        except ProofError as error:
            log.error("record.refused", job_id=job.job_id, system=system, error=str(error))
            raise
        self._records.add(computed.record, computed.verdict, self._vm.head.height, computed.measurement)
        log.debug(
            "record.verified",
            job_id=job.job_id,
            system=system,
            flops=computed.measurement.flops,
            time_ms=computed.measurement.time_ns // 1_000_000,
            device=computed.measurement.device,
        )

    def _choose(self, job: ComputeJob) -> str:
        """The proof system for a job: the hook is asked once, among those that this job may be served by."""
        program = self._programs.program(job.model)
        if program is None:
            raise UnknownModel(f"this node does not hold program 0x{job.model.hex()}")
        candidates = tuple(
            name
            for name, system in self._proofs.items()
            if job.proof_system in ("", name) and system.supports(program).supported
        )
        if not candidates:
            raise InvalidTransaction(f"no proof system of this node fits the job's wish for {job.proof_system!r}")
        state = self._vm.state()
        candidates = tuple(name for name in candidates if not lacks_verifying_key(self._proofs[name], state, job.model))
        if not candidates:
            raise InvalidTransaction(
                f"program 0x{job.model.hex()} has no verifying key for proof system {job.proof_system!r} on this chain",
                hint="its owner sets one in the model registry (setVerifyingKey)",
            )
        chosen = self._route(job, candidates)
        return candidates[0] if chosen is None else chosen
