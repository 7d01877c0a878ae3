"""A chain on the virtual machine whose validators sign with their keys, block by block, and lie when they are told."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from attrs import evolve

from lazai_consensus_bft.certificate import ordered_signatures
from lazai_consensus_bft.committee import committee_of
from lazai_consensus_bft.engine import BftEngine
from lazai_consensus_bft.evidence import Double, SignedMessage, encode_evidence
from lazai_consensus_bft.messages import Kind, Message, Vote, encode_message
from lazai_core.api.consensus import Certificate, Validator, signing_digest
from lazai_core.api.types import VALIDATORS_ADDRESS, ZERO_ADDRESS, Address, Gas, Hash32, Height, Wei
from lazai_core.builtin.stores import MemoryStore
from lazai_core.chain.abi import encode_call
from lazai_core.chain.block import Block, consensus_root
from lazai_core.chain.staking import StakingParameters, StakingRecord, read_record, read_validators
from lazai_core.chain.staking_calls import REGISTER_VALIDATOR, registration_digest
from lazai_core.chain.staking_genesis import with_staking
from lazai_core.chain.transaction import Transaction
from lazai_core.lazvm.vm import BlockPlan, BuiltBlock, LazVM
from lazai_core.testing.parts import KnownIdentity
from tests.unit.lazvm.world import ACCOUNTS, CHAIN_ID, GWEI, KEYS, FlatPolicy, genesis

COIN = 10**18
OWNER = 0
"""Number of the test account that owns every validator."""
SHORT = StakingParameters(
    unbonding_blocks=30, evidence_blocks=12, window_blocks=8, absences_max=3, jail_blocks=5, entry_share=499_999
)
IDENTITIES = {number: KnownIdentity(number) for number in range(8)}


def who(number: int) -> Address:
    """Address of a validator."""
    return IDENTITIES[number].address


def number_of(validator: Address) -> int:
    """The validator of an address."""
    return next(number for number, identity in IDENTITIES.items() if identity.address == validator)


def signed(number: int, message: Message, chain_id: int = CHAIN_ID) -> SignedMessage:
    """A validator's message."""
    payload = encode_message(message, chain_id)
    return SignedMessage(payload=payload, signature=IDENTITIES[number].sign(signing_digest(payload)))


def double_vote(number: int, height: int, *, chain_id: int = CHAIN_ID, salt: int = 0) -> bytes:
    """Evidence that a validator precommitted two blocks."""
    votes = [
        Vote(kind=Kind.PRECOMMIT, height=Height(height), round=0, block_id=Hash32(bytes([1 + salt + index]) * 32))
        for index in range(2)
    ]
    first, second = (signed(number, vote, chain_id) for vote in votes)
    return encode_evidence(Double(validator=who(number), first=first, second=second))


class StakedChain:
    """One machine; `step` makes the next block and has it certified by everybody who is not absent."""

    def __init__(
        self,
        powers: Sequence[int] = (10, 10, 10, 10),
        parameters: StakingParameters = SHORT,
        idaos: Sequence[Address] = (),
    ) -> None:
        names = [who(number) for number in range(len(powers))]
        groups = idaos or [ZERO_ADDRESS] * len(powers)
        validators = tuple(
            Validator(address=name, power=power, idao=idao)
            for name, power, idao in zip(names, powers, groups, strict=True)
        )
        start = evolve(genesis(), validators=validators)
        self.genesis = with_staking(start, parameters, dict.fromkeys(names, ACCOUNTS[OWNER]))
        self.store = MemoryStore()
        self.vm = self.open(self.store)

    def open(self, store: Any) -> LazVM:
        """A machine of this chain on a store."""
        engine = BftEngine(chain_id=CHAIN_ID, address=who(7), committee=committee_of(self.genesis.validators))
        return LazVM(
            genesis=self.genesis,
            store=store,
            precompiles={},
            gas_policy=FlatPolicy(),
            verify_record=lambda job, record, state: None,
            consensus=engine,
        )

    def certificate(self, block: Block, absent: Collection[int] = (), *, round_number: int = 0) -> Certificate:
        """Precommits of the block's validators."""
        vote = Vote(kind=Kind.PRECOMMIT, height=block.height, round=round_number, block_id=block.hash)
        numbers = [number_of(one.address) for one in self.vm.validators(block.height)]
        signatures = [(who(number), signed(number, vote).signature) for number in numbers if number not in absent]
        return Certificate(
            height=block.height, round=round_number, block_id=block.hash, signatures=ordered_signatures(signatures)
        )

    def build(self, *transactions: Transaction, evidence: Sequence[bytes] = (), **plan: Any) -> BuiltBlock:
        """The next block, not committed."""
        plan = {"proposer": self.vm.validators(Height(self.vm.head.height + 1))[0].address, **plan}
        return self.vm.build_block(
            BlockPlan(
                transactions=[item.raw for item in transactions],
                timestamp=self.vm.head.header.timestamp + 1,
                evidence=evidence,
                **plan,
            )
        )

    def step(
        self, *transactions: Transaction, absent: Collection[int] = (), evidence: Sequence[bytes] = (), **plan: Any
    ) -> Block:
        """Build, have the machine check it as if it were a peer's, certify and commit."""
        built = self.build(*transactions, evidence=evidence, **plan)
        block = Block.decode(built.executed.block.encode())
        assert len(block.transactions) == len(transactions)
        assert all(outcome.succeeded for outcome in built.executed.outcomes), built.executed.outcomes
        executed = self.vm.check_block(block)
        self.vm.commit(executed, self.certificate(block, absent).encode())
        return block

    def run(self, blocks: int, **step: Any) -> None:
        """So many blocks."""
        for _ in range(blocks):
            self.step(**step)

    def resealed(self, block: Block, **body: Any) -> Block:
        """A block with another body, whose header covers it."""
        changed = evolve(block, **body)
        root = consensus_root(changed.last_certificate, changed.evidence)
        return evolve(changed, header=evolve(block.header, consensus_root=root))

    # Transactions of the owner.

    def call(self, signature: str, *values: Any, value: int = 0, account: int = OWNER, ahead: int = 0) -> Transaction:
        """A call of the contract Validators."""
        return Transaction(
            chain_id=CHAIN_ID,
            nonce=self.vm.state().nonce(ACCOUNTS[account]) + ahead,
            max_fee_per_gas=Wei(3 * GWEI),
            max_priority_fee_per_gas=Wei(GWEI),
            gas=Gas(600_000),
            to=VALIDATORS_ADDRESS,
            value=Wei(value),
            data=encode_call(signature, *values),
        ).signed(KEYS[account])

    def register(self, number: int, coins: int) -> Transaction:
        """A validator of no iDAO."""
        digest = registration_digest(CHAIN_ID, who(number), ACCOUNTS[OWNER], ZERO_ADDRESS)
        signature = IDENTITIES[number].sign(digest)
        return self.call(REGISTER_VALIDATOR, who(number), ZERO_ADDRESS, signature, value=coins * COIN)

    # What is.

    def powers(self, height: int) -> dict[int, int]:
        """Powers of a height's validators by number."""
        return {number_of(one.address): one.power for one in self.vm.validators(Height(height))}

    def named(self) -> dict[int, int]:
        """Powers that the contract names now."""
        return {number_of(one.address): one.power for one in read_validators(self.vm.state())}

    def record(self, number: int) -> StakingRecord:
        """A validator's record."""
        found = read_record(self.vm.state(), who(number))
        assert found is not None
        return found


__all__ = ["COIN", "OWNER", "SHORT", "StakedChain", "double_vote", "signed", "who"]
