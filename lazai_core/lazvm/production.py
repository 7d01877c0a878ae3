"""One block: opened on its parent, transactions added one by one, sealed. Proposer and validator share all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from attrs import field, frozen

from lazai_core.api.consensus import Certificate
from lazai_core.api.errors import InvalidBlock, InvalidTransaction
from lazai_core.api.job import ComputeRecord
from lazai_core.api.precompile import BlockContext, NeedsCompute
from lazai_core.api.types import VALIDATORS_ADDRESS, Address, Gas, Hash32, Height, JobId
from lazai_core.chain.block import Block, BlockHeader, consensus_root, records_root, transactions_root
from lazai_core.chain.genesis import Genesis
from lazai_core.chain.receipts import Receipt, block_bloom
from lazai_core.chain.recent_transactions import recent_transaction
from lazai_core.chain.rules import BLOCK_BYTES_MAX, SLOW_WORK_MAX, ChildRules, require_equal
from lazai_core.chain.staking_calls import encode_begin_block
from lazai_core.chain.transaction import Transaction
from lazai_core.chain.trie import list_root
from lazai_core.chain.witness import BlockFull, BlockMeter, BlockWitness, RecordCheck

from .adapter import OpenStatePort, PrecompileTables
from .context import LazContext
from .database import NodeReader, StateDatabase, require_root
from .engine import HISTORY_SERVE_WINDOW, HISTORY_STORAGE_ADDRESS
from .execute import TransactionOutcome, run_system_call, run_transaction
from .fork import LazState
from .opening import Findings


@frozen(kw_only=True)
class ExecutedBlock:
    """A block with everything that its execution gave; `nodes` are the new entries of the state database."""

    block: Block
    receipts: tuple[Receipt, ...]
    outcomes: tuple[TransactionOutcome, ...] = field(repr=lambda items: f"<{len(items)} outcomes>")
    nodes: Mapping[bytes, bytes] = field(repr=lambda nodes: f"<{len(nodes)} nodes>")


@frozen(kw_only=True)
class Surroundings:
    """What a block runs on besides its parent's rules."""

    genesis: Genesis
    nodes: NodeReader
    precompile_tables: PrecompileTables
    ancestor_hashes: Callable[[int], Iterator[Hash32]]
    check: RecordCheck


class OpenBlock:
    """A block that is being filled. After an exception from `add` it is as before."""

    def __init__(
        self,
        around: Surroundings,
        rules: ChildRules,
        *,
        timestamp: int,
        proposer: Address,
        records: Mapping[JobId, ComputeRecord],
        state_root: Hash32 | None = None,
    ) -> None:
        parent = rules.parent
        root = parent.state_root if state_root is None else state_root
        require_root(around.nodes, root)
        self.rules = rules
        self.timestamp = timestamp
        self.proposer = proposer
        self.database = StateDatabase(around.nodes)
        self.meter = BlockMeter("compute gas", rules.compute_gas_limit)
        self.slow_work = BlockMeter("units of slow curve work", SLOW_WORK_MAX)
        self.size = BlockMeter("bytes", BLOCK_BYTES_MAX)
        self.gas_used = Gas(0)
        self.outcomes: list[TransactionOutcome] = []
        self.receipts: list[Receipt] = []
        self.state = LazState(self.database, None, root)
        self.state.precompile_table = around.precompile_tables.at(Height(parent.height + 1))
        self.witness = BlockWitness(records, around.check, OpenStatePort(self.state), self.size)
        self.state.execution_context = LazContext(
            block=_block_context(around.genesis, rules, timestamp, proposer),
            parent_hash=parent.hash,
            ancestor_hashes=lambda: _ancestors(parent, around.ancestor_hashes),
            witness=self.witness,
            compute_meter=self.meter,
            slow_work=self.slow_work,
        )
        self._store_parent_hash(parent)

    def _store_parent_hash(self, parent: BlockHeader) -> None:
        """EIP-2935: the history contract, where the genesis has it, keeps the parent's hash."""
        if self.state.get_code(HISTORY_STORAGE_ADDRESS):
            slot = parent.height % HISTORY_SERVE_WINDOW
            self.state.set_storage(HISTORY_STORAGE_ADDRESS, slot, int.from_bytes(parent.hash, "big"))

    def open(self, findings: Findings) -> None:
        """Bring what the block says of consensus before the contract, where the chain has it and there is anything."""
        if self.state.get_code(VALIDATORS_ADDRESS) and (findings.absent or findings.offences):
            data = encode_begin_block(findings.absent, findings.offences)
            run_system_call(self.state, VALIDATORS_ADDRESS, data)

    @property
    def gas_left(self) -> Gas:
        """EVM gas that the block can still hold."""
        return Gas(self.rules.gas_limit - self.gas_used)

    def add(self, transaction: Transaction) -> TransactionOutcome:
        """Execute and keep. Raises InvalidTransaction, NeedsCompute, BlockFull, InvalidBlock."""
        if transaction.gas > self.gas_left:
            raise InvalidTransaction(f"the gas limit {transaction.gas} is above the {self.gas_left} left in the block")
        try:
            self.size.add(len(transaction.raw))
            outcome = run_transaction(self.state, transaction)
        except BaseException:
            for part in (self.witness, self.meter, self.slow_work, self.size):
                part.drop()
            raise
        before = len(self.witness.used)
        for part in (self.witness, self.slow_work, self.size):
            part.keep()
        self.gas_used = Gas(self.gas_used + outcome.gas_used)
        self.receipts.append(
            Receipt(
                type_id=transaction.type_id,
                succeeded=outcome.succeeded,
                cumulative_gas_used=self.gas_used,
                logs=outcome.logs,
            )
        )
        outcome = _with_compute(outcome, Gas(self.meter.keep()), self.witness.used[before:])
        self.outcomes.append(outcome)
        return outcome

    def seal(
        self,
        extra_data: bytes = b"",
        last_certificate: Certificate | None = None,
        evidence: tuple[bytes, ...] = (),
    ) -> ExecutedBlock:
        """Close the block: roots, header, and the state's new nodes."""
        rules = self.rules
        self.state.persist()
        raw = tuple(outcome.transaction.raw for outcome in self.outcomes)
        records = self.witness.used
        receipts = tuple(self.receipts)
        header = BlockHeader(
            chain_id=rules.chain_id,
            height=Height(rules.parent.height + 1),
            parent_hash=rules.parent.hash,
            timestamp=self.timestamp,
            proposer=self.proposer,
            state_root=Hash32(self.state.state_root),
            transactions_root=transactions_root(raw),
            receipts_root=list_root([receipt.encode() for receipt in receipts]),
            records_root=records_root(records),
            consensus_root=consensus_root(last_certificate, evidence),
            logs_bloom=block_bloom(receipts),
            gas_limit=rules.gas_limit,
            gas_used=self.gas_used,
            base_fee_per_gas=rules.base_fee_per_gas,
            compute_gas_target=rules.compute_gas_target,
            compute_gas_used=Gas(self.meter.used),
            compute_base_fee_per_gas=rules.compute_base_fee_per_gas,
            validators_hash=rules.validators_hash,
            next_validators_hash=rules.next_validators_hash,
            extra_data=extra_data,
        )
        return ExecutedBlock(
            block=Block(
                header=header,
                transactions=raw,
                records=records,
                last_certificate=last_certificate,
                evidence=evidence,
            ),
            receipts=receipts,
            outcomes=tuple(self.outcomes),
            nodes=self.database.written,
        )


def _with_compute(
    outcome: TransactionOutcome, compute_gas: Gas, records: tuple[ComputeRecord, ...]
) -> TransactionOutcome:
    from attrs import evolve

    return evolve(outcome, compute_gas=compute_gas, records=records) if compute_gas or records else outcome


def _block_context(genesis: Genesis, rules: ChildRules, timestamp: int, proposer: Address) -> BlockContext:
    return BlockContext(
        chain_id=rules.chain_id,
        height=Height(rules.parent.height + 1),
        timestamp=timestamp,
        coinbase=proposer,
        base_fee_per_gas=rules.base_fee_per_gas,
        compute_base_fee_per_gas=rules.compute_base_fee_per_gas,
        gas_limit=rules.gas_limit,
        inline_flops_max=genesis.inline_flops_max,
        inline_memory_bytes_max=genesis.inline_memory_bytes_max,
    )


def _ancestors(parent: BlockHeader, older: Callable[[int], Iterator[Hash32]]) -> Iterator[Hash32]:
    yield parent.hash
    yield from older(parent.height)


def execute_body(block: Block, opened: OpenBlock) -> ExecutedBlock:
    """Run a proposed block's transactions and compare all that comes out. Raises InvalidBlock with who is to blame."""
    header = block.header
    for index, raw in enumerate(block.transactions):
        try:
            opened.add(recent_transaction(raw))
        except InvalidTransaction as cause:
            raise _fault(header, "transaction", f"number {index}: {cause.message}") from cause
        except NeedsCompute as cause:
            job_id = cause.job.job_id.hex()
            raise _fault(header, "records", f"transaction {index} needs job {job_id}, which has none") from cause
        except BlockFull as cause:
            raise _fault(header, "limits", f"transaction {index}: {cause}") from cause
    if opened.witness.used != block.records:
        raise _fault(
            header,
            "records",
            f"the block carries {len(block.records)} records, {len(opened.witness.used)} are needed, in their order",
        )
    executed = opened.seal(header.extra_data, block.last_certificate, block.evidence)
    for name in _COMPARED:
        require_equal(name, getattr(header, name), getattr(executed.block.header, name), header)
    assert executed.block.header == header
    return executed


_COMPARED = (
    "gas_used",
    "compute_gas_used",
    "transactions_root",
    "records_root",
    "receipts_root",
    "logs_bloom",
    "state_root",
)


def _fault(header: BlockHeader, check: str, message: str) -> InvalidBlock:
    return InvalidBlock(message, check=check, blame=header.proposer)
