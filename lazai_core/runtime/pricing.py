"""What a request costs: static cost of its runs, gas of the transaction around them, owners' prices.

A quote bounds from above what the contract will charge, however calldata, fees and storage come out, for as long as
base fees rise no faster than they can in `FEE_BLOCKS` blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from lazai_core.api.errors import InvalidInput, OverLimit, UnknownDat, UnknownModel
from lazai_core.api.gas import GasPolicy, GasQuote
from lazai_core.api.gas_parameters import read_gas_parameters
from lazai_core.api.job import ComputeJob, ComputeRecord, JobKind, ResourceUsage
from lazai_core.api.precompile import BlockContext, NeedsCompute, Precompile, PrecompileCall, StatePort
from lazai_core.api.program import Program
from lazai_core.api.types import SETTLEMENT_ADDRESS, Address, DatId, Gas, Height, ModelId, Wei, to_hex
from lazai_core.chain.system_calls import InferCall
from lazai_core.chain.system_state import read_dat, read_model
from lazai_core.exact.cost import planned_usage
from lazai_core.lazvm.vm import LazVM

FEE_BLOCKS = 8
"""Blocks for whose largest possible rise of the base fee a quote has room."""

# Upper bounds of what `Settlement.execute` uses besides calldata and precompile, from the cost of its storage writes
# (EIP-2929, EIP-2200); a test compares with real transactions.
_EXECUTE_GAS = 150_000
_INPUT_GAS = 40_000
_DAT_GAS = 45_000
_TRANSACTION_GAS = 21_000
_CALLDATA_BYTES = 1_000
_BYTE_FLOOR_GAS = 40
_SCAN_GAS_PER_BYTE = 4


@frozen(kw_only=True)
class Price:
    """A priced request. `fixed_gas` is all EVM gas but the part that pays compute gas; `runs` compute gas by input."""

    quote: GasQuote
    usages: tuple[ResourceUsage, ...]
    runs: tuple[Gas, ...]
    fixed_gas: Gas


class _NoWitness:
    """Pricing asks for no record."""

    def record(self, job: ComputeJob) -> ComputeRecord:
        raise NeedsCompute(job)


class _NoMeter:
    def add(self, gas: Gas) -> None:
        """Nothing is counted while a price is made."""


class Pricing:
    """Prices requests on the head's state. Cheap enough for the event loop: graph arithmetic and a few reads."""

    def __init__(self, *, vm: LazVM, gas_policy: GasPolicy, ai_call: Precompile) -> None:
        self._vm = vm
        self._gas_policy = gas_policy
        self._ai_call = ai_call

    def price(
        self,
        *,
        model: ModelId,
        program: Program,
        inputs: Sequence[bytes],
        dats: Sequence[DatId],
        proof_system: str,
        caller: Address = SETTLEMENT_ADDRESS,
    ) -> Price:
        """Raises UnknownModel, UnknownDat, InvalidInput, or OverLimit for more compute gas than a block holds."""
        state = self._vm.state()
        usages = tuple(planned_usage(program.bind_input(data)) for data in inputs)
        runs = tuple(self._gas_policy.compute_gas(JobKind.INFERENCE, usage, state) for usage in usages)
        self._check_block(runs, state)
        fixed_gas = self._fixed_gas(model, program, inputs, dats, proof_system, caller, state)
        owners = self._owners_wei(model, len(inputs), dats, state) if caller == SETTLEMENT_ADDRESS else 0
        return Price(quote=self._quote(usages, fixed_gas, owners, state), usages=usages, runs=runs, fixed_gas=fixed_gas)

    def gas_limit(self, fixed_gas: Gas, runs: Sequence[Gas]) -> Gas:
        """Gas limit of the transaction in the next block."""
        base_fee, compute_base_fee = self._vm.next_base_fees()
        compute = sum(self._gas_policy.evm_gas(gas, base_fee, compute_base_fee) for gas in runs)
        # A call passes on at most 63/64 of its gas (EIP-150), and the limit must leave the rest.
        return Gas((fixed_gas + compute) * 64 // 63 + 1)

    def _check_block(self, runs: Sequence[Gas], state: StatePort) -> None:
        most = 2 * self._gas_policy.compute_gas_target(state)
        if sum(runs) > most:
            raise OverLimit(
                f"the request needs {sum(runs)} compute gas, a block holds at most {most}",
                hint="split the inputs into several requests",
            )

    def _quote(self, usages: Sequence[ResourceUsage], fixed_gas: Gas, owners: int, state: StatePort) -> GasQuote:
        tip = read_gas_parameters(state).tip
        fees = self._vm.fees()
        parts = [self._gas_policy.quote(JobKind.INFERENCE, usage, fees, state, tip) for usage in usages]
        evm_price = _risen(self._vm.next_base_fees()[0])
        # Each run's compute gas is turned into EVM gas and rounded up once.
        overhead = (fixed_gas + len(parts)) * evm_price
        return GasQuote(
            gas_ai=Gas(sum(part.gas_ai for part in parts)),
            gas_inference=Gas(sum(part.gas_inference for part in parts)),
            compute_gas=Gas(sum(part.compute_gas for part in parts)),
            price_per_gas=max(part.price_per_gas for part in parts),
            cost_max=Wei(sum(part.cost_max for part in parts) + overhead + owners),
        )

    def _owners_wei(self, model: ModelId, count: int, dats: Sequence[DatId], state: StatePort) -> int:
        registered = read_model(state, model)
        if registered is None:
            raise UnknownModel(
                f"model {to_hex(model)} is not in the chain's model registry",
                hint="register it with a transaction to the registry first",
            )
        total = registered.price * count
        for dat in dats:
            entry = read_dat(state, dat)
            if entry is None:
                raise UnknownDat(f"there is no DAT {dat}")
            total += entry.price
        return total

    def _fixed_gas(
        self,
        model: ModelId,
        program: Program,
        inputs: Sequence[bytes],
        dats: Sequence[DatId],
        proof_system: str,
        caller: Address,
        state: StatePort,
    ) -> Gas:
        input_bytes = sum(_padded(len(data)) for data in inputs)
        output_bytes = sum(_padded(program.bind_input(data).output_bytes) for data in inputs)
        calldata = _CALLDATA_BYTES + input_bytes + 128 * len(inputs) + 32 * len(dats)
        gas = _TRANSACTION_GAS + calldata * (_BYTE_FLOOR_GAS + _SCAN_GAS_PER_BYTE)
        gas += sum(self._precompile_gas(model, data, dats, proof_system, caller, state) for data in inputs)
        if caller == SETTLEMENT_ADDRESS:
            gas += _EXECUTE_GAS + _INPUT_GAS * len(inputs) + _DAT_GAS * len(dats) * (1 + len(inputs))
            gas += _memory_gas(2 * calldata + 3 * output_bytes + 1024 * len(inputs))
        return Gas(gas)

    def _precompile_gas(
        self,
        model: ModelId,
        data: bytes,
        dats: Sequence[DatId],
        proof_system: str,
        caller: Address,
        state: StatePort,
    ) -> int:
        """The precompile's own gas for a call, without what pays the compute gas: at a compute fee of nothing."""
        head = self._vm.head.header
        genesis = self._vm.genesis
        block = BlockContext(
            chain_id=genesis.chain_id,
            height=Height(head.height + 1),
            timestamp=head.timestamp + 1,
            coinbase=head.proposer,
            base_fee_per_gas=self._vm.next_base_fees()[0],
            compute_base_fee_per_gas=Wei(0),
            gas_limit=genesis.block_gas_limit,
            inline_flops_max=genesis.inline_flops_max,
            inline_memory_bytes_max=genesis.inline_memory_bytes_max,
        )
        call = InferCall(model=model, input=data, dats=tuple(dats), proof_system=proof_system)
        return self._ai_call.required_gas(
            PrecompileCall(
                caller=caller,
                origin=caller,
                value=Wei(0),
                data=call.encode(),
                is_static=False,
                block=block,
                witness=_NoWitness(),
                state=state,
                compute_meter=_NoMeter(),
            )
        )


def _padded(size: int) -> int:
    return -(-size // 32) * 32


def _memory_gas(size: int) -> int:
    """Yellow paper, equation 328: linear, and quadratic for much."""
    words = size // 32 + 1
    return 3 * words + words * words // 512


def _risen(base_fee: int) -> int:
    """The base fee after `FEE_BLOCKS` full blocks (EIP-1559: at most an eighth each)."""
    for _ in range(FEE_BLOCKS):
        base_fee += max(base_fee // 8, 1)
    return base_fee


def bound_inputs(program: Program, inputs: Sequence[bytes]) -> None:
    """Raises InvalidInput, naming the first input that does not fit the program."""
    for index, data in enumerate(inputs):
        try:
            program.bind_input(data)
        except InvalidInput as error:
            raise InvalidInput(f"input {index}: {error.message}", hint=error.hint) from error
