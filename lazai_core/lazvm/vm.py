"""The virtual machine of a node: blocks built, checked and committed on one chain (see the package's docstring)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

from lazai_core.api.consensus import Certificate, Offence, Validator, validators_hash
from lazai_core.api.errors import (
    ConsensusFault,
    EncodingError,
    InvalidBlock,
    InvalidGenesis,
    InvalidTransaction,
    LazAIError,
    StorageError,
)
from lazai_core.api.gas import FeeState, GasPolicy
from lazai_core.api.job import ComputeJob, ComputeRecord
from lazai_core.api.precompile import BlockSummary, NeedsCompute, Precompile
from lazai_core.api.storage import KeyValueStore
from lazai_core.api.types import ZERO_ADDRESS, Address, Hash32, Height, JobId, Wei, to_hex
from lazai_core.chain.block import EVIDENCE_MAX, Block
from lazai_core.chain.genesis import Genesis
from lazai_core.chain.history import GENESIS_KEY, STATE_PREFIX, ChainHistory
from lazai_core.chain.recent_transactions import recent_transaction
from lazai_core.chain.rules import (
    EVIDENCE_BLOCK_BYTES_MAX,
    ChildRules,
    check_consensus_root,
    check_header,
    fee_state,
)
from lazai_core.chain.staking import has_staking, is_convicted, read_validators
from lazai_core.chain.witness import BlockFull, RecordCheck

from .adapter import PrecompileTables
from .context import ANCESTORS_MAX
from .database import NodeReader
from .execute import CallOutcome, CallRequest, TransactionOutcome, run_call
from .genesis_state import genesis_block
from .opening import ConsensusJudge, ConsensusRules, Findings, oldest_judged
from .plan import BlockPlan, BuiltBlock, summary_of
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

SETS_CACHED_MAX = 64


@frozen(kw_only=True)
class _Tip:
    """The newest block, and the set that its state names: it decides the second height after."""

    head: Block
    announced: tuple[Validator, ...]


class LazVM:
    """One chain in one store. Not for several threads at a time.

    A precompile named in `active_from` is there from that height on, the others from the first block. `consensus`
    judges certificates and evidence; without it blocks carry neither.
    """

    def __init__(
        self,
        *,
        genesis: Genesis,
        store: KeyValueStore,
        precompiles: Mapping[Address, Precompile],
        gas_policy: GasPolicy,
        verify_record: RecordCheck,
        consensus: ConsensusRules | None = None,
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
        self.judge = ConsensusJudge(rules=consensus, chain_id=genesis.chain_id, validators=self.validators)
        self._sets: dict[Hash32, tuple[Validator, ...]] = {}
        # One value, so that other threads never see a head with the set that another one announced.
        self._tip = self._tip_of(self._open())

    @property
    def head(self) -> Block:
        """The newest committed block."""
        return self._tip.head

    @property
    def _head(self) -> Block:
        return self._tip.head

    def state(self, root: Hash32 | None = None) -> StateView:
        """State at the head, or at a committed root. Raises StorageError for an unknown root."""
        return StateView(self._nodes, self._head.header.state_root if root is None else root)

    def validators(self, height: Height) -> tuple[Validator, ...]:
        """Who decides a height up to the second after the head, in order of address. For any thread.

        Raises StorageError where this node lacks the header of an old height.
        """
        tip = self._tip
        head, announced = tip.head.header, tip.announced
        if height == head.height + 2:
            return announced
        if height == head.height + 1:
            return self._set(head.next_validators_hash)
        header = self.history.header(height) if height <= head.height else None
        if header is None:
            raise StorageError(
                f"the store lacks the header of height {height}; the head is {head.height}",
                hint="a node that began from a snapshot needs the headers of the evidence window, too",
            )
        return self._set(header.validators_hash)

    def _set(self, set_hash: Hash32) -> tuple[Validator, ...]:
        found = self._sets.get(set_hash)
        if found is None:
            found = self.history.validators(set_hash)
            if found is None:
                raise StorageError(f"the store lacks the validator set {to_hex(set_hash)}")
            if len(self._sets) >= SETS_CACHED_MAX:
                self._sets = {}
            self._sets[set_hash] = found
        return found

    def verify_evidence(self, evidence: bytes) -> Offence:
        """What a piece of evidence of a height up to the one being decided proves, whether it was judged or not.

        Raises EvidenceOutOfTime, ConsensusFault, StorageError.
        """
        head = self._head.header
        return self.judge.proven(evidence, self.evidence_from(), Height(head.height + 1))

    def evidence_from(self) -> Height:
        """The oldest height whose offences the next block may judge."""
        return oldest_judged(self._head.header, self.state())

    def is_convicted(self, validator: Address) -> bool:
        """Whether a validator was judged already, as the head's state says."""
        return is_convicted(self.state(), validator)

    def _tip_of(self, head: Block) -> _Tip:
        state = self.state(head.header.state_root)
        announced = read_validators(state) if has_staking(state) else _ordered(self.genesis.validators)
        return _Tip(head=head, announced=announced)

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
        opened = self._open_block(timestamp, ZERO_ADDRESS, records or {})
        try:
            return opened.add(recent_transaction(raw))
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
        opened = self._open_block(None, ZERO_ADDRESS, records or {}, root=root)
        opened.state.lock_changes()
        limit = self.genesis.block_gas_limit
        try:
            return run_call(opened.state, request, limit)
        except BlockFull as cause:
            return CallOutcome(succeeded=False, output=b"", gas_used=limit, error=f"no block can hold it: {cause}")

    def build_block(self, plan: BlockPlan, records: Mapping[JobId, ComputeRecord] | None = None) -> BuiltBlock:
        """Fill a block on the head with what can be executed now.

        Raises ConsensusFault where there is no certificate of the head.
        """
        opened = self._open_block(plan.timestamp, plan.proposer, records or {})
        certificate = plan.last_certificate or self._committed_certificate()
        evidence, offences = self._admissible(plan.evidence)
        opened.open(Findings(absent=self.judge.absent(self._head.header, certificate), offences=offences))
        waiting: list[tuple[bytes, ComputeJob]] = []
        refused: list[tuple[bytes, LazAIError]] = []
        left_over: list[bytes] = []
        for raw in plan.transactions:
            try:
                transaction = recent_transaction(raw)
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
            executed=opened.seal(plan.extra_data, certificate, evidence),
            waiting=tuple(waiting),
            refused=tuple(refused),
            left_over=tuple(left_over),
        )

    def check_block(self, block: Block) -> ExecutedBlock:
        """Execute a proposed block on the head. Raises InvalidBlock naming the check and who is to blame."""
        rules = self._rules()
        check_header(block.header, rules)
        check_consensus_root(block)
        findings = self.judge.findings(
            rules.parent, self.state(), block.last_certificate, block.evidence, block.header.proposer
        )
        records = {record.job_id: record for record in block.records}
        opened = OpenBlock(
            self._around,
            rules,
            timestamp=block.header.timestamp,
            proposer=block.header.proposer,
            records=records,
        )
        opened.open(findings)
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
        self.history.put_validators(batch, self._tip.announced)
        batch.commit()
        self._nodes.remember(executed.nodes)
        self._tip = self._tip_of(block)

    def _committed_certificate(self) -> Certificate | None:
        data = self.history.certificate(self._head.height)
        if not data or not self.judge.certifies:
            return None
        try:
            return Certificate.decode(data)
        except EncodingError as cause:
            raise StorageError(f"the certificate of block {self._head.height}: {cause.message}") from cause

    def _admissible(self, evidence: Sequence[bytes]) -> tuple[tuple[bytes, ...], tuple[Offence, ...]]:
        """The evidence that can stand in a block on the head, and what it proves."""
        state, chosen, offences, size = self.state(), list[bytes](), list[Offence](), 0
        for item in evidence:
            if len(chosen) == EVIDENCE_MAX or size + len(item) > EVIDENCE_BLOCK_BYTES_MAX:
                break
            try:
                offence = self.judge.offence(item, self._head.header, state)
            except ConsensusFault:
                continue
            if offence.validator not in [known.validator for known in offences]:
                chosen.append(item)
                offences.append(offence)
                size += len(item)
        return tuple(chosen), tuple(offences)

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
            self.history.put_validators(batch, self.genesis.validators)
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

    def _rules(self) -> ChildRules:
        parent = self._head.header
        base_fee, compute_base_fee = self._gas_policy.next_base_fees(fee_state(parent))
        return ChildRules(
            chain_id=self.genesis.chain_id,
            parent=parent,
            gas_limit=self.genesis.block_gas_limit,
            base_fee_per_gas=base_fee,
            compute_base_fee_per_gas=compute_base_fee,
            compute_gas_target=self._gas_policy.compute_gas_target(self.state()),
            validators_hash=parent.next_validators_hash,
            next_validators_hash=validators_hash(self._tip.announced),
        )

    def _open_block(
        self,
        timestamp: int | None,
        proposer: Address,
        records: Mapping[JobId, ComputeRecord],
        *,
        root: Hash32 | None = None,
    ) -> OpenBlock:
        rules = self._rules()
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


def _ordered(validators: Sequence[Validator]) -> tuple[Validator, ...]:
    return tuple(sorted(validators, key=lambda validator: validator.address))
