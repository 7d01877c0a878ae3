"""Committees, a small chain for them, and accounts that pay each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from random import Random
from typing import Any

from attrs import define, field, frozen

from lazai_core.api.consensus import ConsensusEngine, Validator
from lazai_core.api.entries import ConsensusEntry
from lazai_core.api.errors import InvalidBlock
from lazai_core.api.job import ComputeJob, ComputeRecord
from lazai_core.api.needs import ChainParameters, NodeIdentity
from lazai_core.api.precompile import StatePort
from lazai_core.api.storage import KeyValueStore
from lazai_core.api.types import Address, Gas, Hash32, Wei
from lazai_core.builtin.flat_gas import FlatGasPolicy
from lazai_core.builtin.stores import MemoryStore
from lazai_core.chain.block import Block
from lazai_core.chain.genesis import Genesis
from lazai_core.chain.staking_genesis import with_staking
from lazai_core.chain.system_contracts import DEFAULT_GAS_PARAMETERS, genesis_contracts
from lazai_core.chain.transaction import DYNAMIC_FEE, Transaction
from lazai_core.lazvm.vm import ExecutedBlock, LazVM
from lazai_core.testing.parts import KnownIdentity, account_key, build_entry

CHAIN_ID = 7
START_SECONDS = 1_700_000_000
COIN_WEI = 10**18
BASE_FEE_WEI = 10**9
TRANSFER_GAS = 21_000
WALLETS = 6
FIRST_WALLET = 10_000


@cache
def identity(number: int) -> KnownIdentity:
    """The key of validator, or wallet, `number`."""
    return KnownIdentity(number)


@frozen
class Shape:
    """A committee: `4`, `7`, any number, or `4x4` for four iDAOs of four members each."""

    name: str

    @property
    def size(self) -> int:
        """Validators there are."""
        outer, _, inner = self.name.partition("x")
        return int(outer) * int(inner or 1)

    def validators(self) -> tuple[Validator, ...]:
        """Members of power 1."""
        _, _, inner = self.name.partition("x")
        size = int(inner or 0)
        return tuple(
            Validator(
                address=identity(number).address,
                power=1,
                idao=Address(bytes([0xDA] * 19 + [number // size])) if size else Address(bytes(20)),
            )
            for number in range(self.size)
        )

    def bearable(self, faulty: set[int]) -> bool:
        """Whether agreement and progress are promised while these are faulty."""
        outer, _, inner = self.name.partition("x")
        if not inner:
            return 3 * len(faulty) < int(outer)
        members = int(inner)
        lost = sum(
            3 * sum(number // members == group for number in faulty) >= members for group in range(int(outer))
        )
        return 3 * lost < int(outer)


@cache
def genesis_of(shape: Shape) -> Genesis:
    """All system contracts, wallets with coins, prices that do not move."""
    validators = shape.validators()
    balances = {one.address: Wei(COIN_WEI) for one in validators}
    balances |= {identity(FIRST_WALLET + number).address: Wei(100 * COIN_WEI) for number in range(WALLETS)}
    governor = validators[0].address
    genesis = Genesis(
        chain_id=CHAIN_ID,
        timestamp=START_SECONDS - 10,
        block_gas_limit=Gas(30_000_000),
        base_fee_per_gas=Wei(BASE_FEE_WEI),
        compute_base_fee_per_gas=Wei(BASE_FEE_WEI),
        inline_flops_max=1_000_000,
        inline_memory_bytes_max=1 << 20,
        validators=validators,
        governor=governor,
        gas_parameters=DEFAULT_GAS_PARAMETERS,
        balances=balances,
        plugins={"gas/flat": 1},
        contracts=genesis_contracts(governor=governor, gas_parameters=DEFAULT_GAS_PARAMETERS, precompiles=()),
    )
    return with_staking(genesis)


def no_records(job: ComputeJob, record: ComputeRecord, state: StatePort) -> None:
    """Raises InvalidBlock: nothing computes on this chain."""
    raise InvalidBlock("this chain has no precompile that needs records", check="records")


@define
class Executions:
    """What executing each block gave somewhere in this simulation. `repeat_one_in` nodes execute it for themselves."""

    random: Random
    repeat_one_in: int
    found: dict[tuple[Hash32, Hash32], ExecutedBlock | InvalidBlock] = field(factory=dict)


class SharingMachine(LazVM):
    """A machine that takes over, most of the time, what the same block gave on the same parent elsewhere.

    Execution is a function of both, and the referee of `checks` executes every decided block itself.
    """

    executions: Executions | None = None

    def check_block(self, block: Block) -> ExecutedBlock:
        """See `LazVM`."""
        shared, key = self.executions, (self.head.hash, block.hash)
        if shared is None:
            return super().check_block(block)
        known = shared.found.get(key)
        if known is None or not shared.random.randrange(shared.repeat_one_in):
            try:
                known = super().check_block(block)
            except InvalidBlock as error:
                known = error
            shared.found[key] = known
        if isinstance(known, InvalidBlock):
            raise InvalidBlock(known.message, check=known.check, blame=known.blame)
        return known


def open_machine(shape: Shape, store: KeyValueStore, engine: ConsensusEngine | None) -> SharingMachine:
    """The chain in a store, from its genesis block on where the store is empty."""
    return SharingMachine(
        genesis=genesis_of(shape),
        store=store,
        precompiles={},
        gas_policy=FlatGasPolicy(),
        verify_record=no_records,
        consensus=engine,
    )


@cache
def genesis_entries(shape: Shape) -> Mapping[bytes, bytes]:
    """What a store holds after the genesis block."""
    store = MemoryStore()
    open_machine(shape, store, None)
    return dict(store.scan(b""))


MakeEngine = Callable[[NodeIdentity, Shape], ConsensusEngine]


def chain_parameters_of(shape: Shape) -> ChainParameters:
    """What the genesis fixes, as plugins see it."""
    genesis = genesis_of(shape)
    return ChainParameters(
        chain_id=CHAIN_ID,
        genesis_hash=genesis.hash,
        block_gas_limit=genesis.block_gas_limit,
        inline_flops_max=genesis.inline_flops_max,
        inline_memory_bytes_max=genesis.inline_memory_bytes_max,
        validators=genesis.validators,
    )


def build_engine(entry: ConsensusEntry, options: Mapping[str, Any], who: NodeIdentity, shape: Shape) -> ConsensusEngine:
    """A node's engine of this entry, with the entry's options set so."""
    chosen = entry.options(**options)
    engine: ConsensusEngine = build_entry(entry, options=chosen, identity=who, chain=chain_parameters_of(shape))
    return engine


def transfer(sender: int, nonce: int, receiver: Address, wei: int) -> Transaction:
    """A wallet's signed payment."""
    return Transaction(
        type_id=DYNAMIC_FEE,
        chain_id=CHAIN_ID,
        nonce=nonce,
        max_fee_per_gas=Wei(2 * BASE_FEE_WEI),
        max_priority_fee_per_gas=Wei(BASE_FEE_WEI // 10),
        gas=Gas(TRANSFER_GAS),
        to=receiver,
        value=Wei(wei),
    ).signed(account_key(FIRST_WALLET + sender))


def accounts(shape: Shape) -> tuple[Address, ...]:
    """Everybody who can hold coins on this chain."""
    return tuple(genesis_of(shape).balances)
