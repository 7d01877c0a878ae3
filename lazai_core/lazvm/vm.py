"""The virtual machine of a node: blocks built, checked and committed on one chain (see the package's docstring)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import field, frozen

from lazai_core.api.consensus import Validator, validators_hash
from lazai_core.api.errors import InvalidBlock, InvalidGenesis, InvalidTransaction, LazAIError, StorageError
from lazai_core.api.gas import FeeState, GasPolicy
from lazai_core.api.job import ComputeJob, ComputeRecord
from lazai_core.api.precompile import BlockSummary, NeedsCompute, Precompile
from lazai_core.api.storage import KeyValueStore
from lazai_core.api.types import ZERO_ADDRESS, Address, Gas, Hash32, Height, JobId, Wei, to_hex
from lazai_core.chain.block import Block, BlockHeader
from lazai_core.chain.genesis import Genesis
from lazai_core.chain.history import GENESIS_KEY, STATE_PREFIX, ChainHistory
from lazai_core.chain.rules import ChildRules, check_header, fee_state
from lazai_core.chain.transaction import decode_transaction
from lazai_core.chain.witness import BlockFull, RecordCheck

from .adapter import PrecompileTables
from .context import ANCESTORS_MAX
from .database import NodeReader
from .execute import CallOutcome, CallRequest, TransactionOutcome, run_call
from .genesis_state import genesis_block
from .production import ExecutedBlock, OpenBlock, Surroundings, execute_body
from .validation import NonceAhead
from .views import StateView

__all__ = [
    "BlockPlan",
    "BuiltBlock",
    "CallOutcome",
    "CallRequest",
    "ExecutedBlock",
    "LazVM",
    "StateView",
    "TransactionOutcome",
]


@frozen(kw_only=True)
class BlockPlan:
    """What a proposer wants in a block, in this order. `timestamp` in seconds; validators default to the genesis'."""

    transactions: Sequence[bytes]
    timestamp: int
    proposer: Address
    extra_data: bytes = b""
    validators: tuple[Validator, ...] | None = None
    next_validators: tuple[Validator, ...] | None = None


@frozen(kw_only=True)
class BuiltBlock:
    """A proposer's block, and what became of the transactions that are not in it.

    `waiting` need a record first; `refused` cannot be included (InvalidTransaction) or met a wrong record
    (InvalidBlock with the worker to blame); `left_over` may come in a later block.
    """

    executed: ExecutedBlock
    waiting: tuple[tuple[bytes, ComputeJob], ...] = ()
    refused: tuple[tuple[bytes, LazAIError], ...] = ()
    left_over: tuple[bytes, ...] = field(default=(), repr=lambda items: f"<{len(items)} transactions>")


class LazVM:
    """One chain in one store. Not for several threads at a time.

    A precompile named in `active_from` is there from that height on, the others from the first block.
    """

    def __init__(
        self,
        *,
        genesis: Genesis,
        store: KeyValueStore,
        precompiles: Mapping[Address, Precompile],
        gas_policy: GasPolicy,
        verify_record: RecordCheck,
        active_from: Mapping[Address, Height] | None = None,
    ) -> None:
        self.genesis = genesis
        self.history = ChainHistory(store)
        self._store = store
        self._nodes = NodeReader(store)
        self._gas_policy = gas_policy
        self._around = Surroundings(
            genesis=genesis,
            nodes=self._nodes,
            precompile_tables=PrecompileTables(precompiles, active_from or {}),
            ancestor_hashes=self._older_hashes,
            check=verify_record,
        )
        self._head = self._open()

    @property
    def head(self) -> Block:
        """The newest committed block."""
        return self._head

    def state(self, root: Hash32 | None = None) -> StateView:
        """State at the head, or at a committed root. Raises StorageError for an unknown root."""
        return StateView(self._nodes, self._head.header.state_root if root is None else root)

    def validators(self, height: Height) -> tuple[Validator, ...]:
        """Who decides a height, from the first to the second after the head."""
        return self.genesis.validators

    def fees(self) -> FeeState:
        """Fee fields of the head."""
        return fee_state(self._head.header)

    def next_base_fees(self) -> tuple[Wei, Wei]:
        """EVM and compute base fee of the next block."""
        return self._gas_policy.next_base_fees(self.fees())

    def simulate(
        self, raw: bytes, records: Mapping[JobId, ComputeRecord] | None = None, timestamp: int | None = None
    ) -> TransactionOutcome:
        """Run a transaction as the first of the next block and keep nothing.

        Raises NeedsCompute, InvalidTransaction, or InvalidBlock with the worker of a wrong record to blame.
        """
        opened = self._open_block(timestamp, ZERO_ADDRESS, records or {}, None, None)
        try:
            return opened.add(decode_transaction(raw))
        except BlockFull as cause:
            raise InvalidTransaction(f"the transaction can never fit a block: {cause}") from cause

    def call(
        self,
        request: CallRequest,
        *,
        root: Hash32 | None = None,
        records: Mapping[JobId, ComputeRecord] | None = None,
    ) -> CallOutcome:
        """Run a message on the head's state, or on another committed one, and keep nothing. Raises NeedsCompute."""
        opened = self._open_block(None, ZERO_ADDRESS, records or {}, None, None, root=root)
        opened.state.lock_changes()
        limit = self.genesis.block_gas_limit
        try:
            return run_call(opened.state, request, limit)
        except BlockFull as cause:
            return CallOutcome(succeeded=False, output=b"", gas_used=limit, error=f"no block can hold it: {cause}")

    def build_block(self, plan: BlockPlan, records: Mapping[JobId, ComputeRecord] | None = None) -> BuiltBlock:
        """Fill a block on the head with what can be executed now."""
        opened = self._open_block(plan.timestamp, plan.proposer, records or {}, plan.validators, plan.next_validators)
        waiting: list[tuple[bytes, ComputeJob]] = []
        refused: list[tuple[bytes, LazAIError]] = []
        left_over: list[bytes] = []
        for raw in plan.transactions:
            try:
                transaction = decode_transaction(raw)
                if transaction.gas > opened.gas_left and transaction.gas <= opened.rules.gas_limit:
                    left_over.append(raw)
                else:
                    opened.add(transaction)
            except NeedsCompute as effect:
                waiting.append((raw, effect.job))
            except (BlockFull, NonceAhead):
                left_over.append(raw)
            except (InvalidTransaction, InvalidBlock) as error:
                refused.append((raw, error))
        return BuiltBlock(
            executed=opened.seal(plan.extra_data),
            waiting=tuple(waiting),
            refused=tuple(refused),
            left_over=tuple(left_over),
        )

    def check_block(
        self,
        block: Block,
        *,
        validators: tuple[Validator, ...] | None = None,
        next_validators: tuple[Validator, ...] | None = None,
    ) -> ExecutedBlock:
        """Execute a proposed block on the head. Raises InvalidBlock naming the check and who is to blame."""
        rules = self._rules(validators, next_validators)
        check_header(block.header, rules)
        records = {record.job_id: record for record in block.records}
        opened = OpenBlock(
            self._around,
            rules,
            timestamp=block.header.timestamp,
            proposer=block.header.proposer,
            records=records,
        )
        return execute_body(block, opened)

    def commit(self, executed: ExecutedBlock, certificate: bytes = b"") -> None:
        """Make the block durable with its state, receipts, certificate and indices in one batch; it is the head then.

        Raises StorageError, after which the store holds the block wholly or not at all.
        """
        block = executed.block
        if block.header.parent_hash != self._head.hash or block.height != self._head.height + 1:
            raise ValueError(f"block {block.height} does not follow the head {self._head.height}")
        batch = self._store.batch()
        for key, value in executed.nodes.items():
            batch.put(STATE_PREFIX + key, value)
        self.history.put_block(batch, block, executed.receipts, certificate)
        batch.commit()
        self._nodes.remember(executed.nodes)
        self._head = block

    def summary(self, executed: ExecutedBlock) -> BlockSummary:
        """What observers learn of the block."""
        return summary_of(executed.block)

    def _open(self) -> Block:
        known = self.history.genesis_hash()
        if known is None:
            executed = genesis_block(self.genesis, self._nodes)
            batch = self._store.batch()
            batch.put(GENESIS_KEY, self.genesis.hash)
            for key, value in executed.nodes.items():
                batch.put(STATE_PREFIX + key, value)
            self.history.put_block(batch, executed.block, (), b"")
            batch.commit()
        elif known != self.genesis.hash:
            raise InvalidGenesis(
                f"the data folder belongs to the chain with genesis {to_hex(known)}, "
                f"the genesis file is {to_hex(self.genesis.hash)}",
                hint="use the genesis file of that chain, or another data folder",
            )
        height = self.history.head_height()
        head = None if height is None else self.history.block(height)
        if head is None:
            raise StorageError(
                "the store knows its genesis but has no head block",
                hint="the data folder is damaged; synchronise from peers into an empty folder",
            )
        return head

    def _rules(
        self, validators: tuple[Validator, ...] | None, next_validators: tuple[Validator, ...] | None
    ) -> ChildRules:
        parent = self._head.header
        base_fee, compute_base_fee = self._gas_policy.next_base_fees(fee_state(parent))
        now = self.genesis.validators if validators is None else validators
        then = now if next_validators is None else next_validators
        return ChildRules(
            chain_id=self.genesis.chain_id,
            parent=parent,
            gas_limit=self.genesis.block_gas_limit,
            base_fee_per_gas=base_fee,
            compute_base_fee_per_gas=compute_base_fee,
            compute_gas_target=self._gas_policy.compute_gas_target(self.state()),
            validators_hash=validators_hash(now),
            next_validators_hash=validators_hash(then),
        )

    def _open_block(
        self,
        timestamp: int | None,
        proposer: Address,
        records: Mapping[JobId, ComputeRecord],
        validators: tuple[Validator, ...] | None,
        next_validators: tuple[Validator, ...] | None,
        *,
        root: Hash32 | None = None,
    ) -> OpenBlock:
        rules = self._rules(validators, next_validators)
        earliest = rules.parent.timestamp + 1
        return OpenBlock(
            self._around,
            rules,
            timestamp=max(earliest, timestamp or 0),
            proposer=proposer,
            records=records,
            state_root=root,
        )

    def _older_hashes(self, height: int) -> Iterator[Hash32]:
        """Hashes of the blocks before `height`, newest first."""
        for older in range(height - 1, max(-1, height - ANCESTORS_MAX), -1):
            found = self.history.block_hash(older)
            if found is None:
                return
            yield found


def summary_of(block: Block) -> BlockSummary:
    """What observers learn of a block."""
    header: BlockHeader = block.header
    return BlockSummary(
        height=Height(header.height),
        block_hash=header.hash,
        parent_hash=header.parent_hash,
        state_root=header.state_root,
        timestamp=header.timestamp,
        proposer=header.proposer,
        transactions=len(block.transactions),
        records=len(block.records),
        gas_used=Gas(header.gas_used),
        compute_gas_used=Gas(header.compute_gas_used),
    )
