"""What a request costs: static cost of its runs, gas of the transaction around them, owners' prices.

A quote bounds from above what the contract will charge, however calldata, fees and storage come out, for as long as
base fees rise no faster than they can in `FEE_BLOCKS` blocks.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from attrs import evolve, field, frozen

from lazai_core.api.errors import InvalidInput, OverLimit, PrecompileRevert, UnknownDat, UnknownModel
from lazai_core.api.gas import GasPolicy, GasQuote
from lazai_core.api.gas_parameters import read_gas_parameters
from lazai_core.api.job import ComputeJob, ComputeRecord, JobKind, ResourceUsage
from lazai_core.api.precompile import BlockContext, NeedsCompute, Precompile, PrecompileCall, StatePort
from lazai_core.api.program import Program
from lazai_core.api.types import SETTLEMENT_ADDRESS, Address, DatId, Gas, Height, ModelId, Wei, to_hex
from lazai_core.chain.abi import describe_revert
from lazai_core.chain.system_calls import InferCall
from lazai_core.chain.system_state import read_dat, read_model
from lazai_core.exact.cost import planned_usage
from lazai_core.lazvm.vm import LazVM

RUNS_REMEMBERED_MAX = 4096
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


@frozen(kw_only=True)
class PriceRequest:
    """What is to be priced: runs of one model for one caller, the settlement contract or an account itself."""

    model: ModelId
    program: Program = field(repr=False)
    inputs: tuple[bytes, ...] = field(repr=lambda items: f"<{len(items)} inputs>")
    dats: tuple[DatId, ...]
    proof_system: str
    caller: Address = SETTLEMENT_ADDRESS


@frozen(kw_only=True)
class _Run:
    """What one run takes, whatever the chain's state: the same for every input of the same size."""

    usage: ResourceUsage
    precompile_gas: int
    output_bytes: int


class _NoWitness:
    """Pricing asks for no record."""

    def record(self, job: ComputeJob) -> ComputeRecord:
        raise NeedsCompute(job)


class _NoMeter:
    def add(self, gas: Gas) -> None:
        """Nothing is counted while a price is made."""


class Pricing:
    """Prices requests on the head's state. Planning a large graph takes milliseconds, so it has a thread of its own.

    `gas_limit` may be called from any thread; everything else belongs to one thread at a time.
    """

    def __init__(self, *, vm: LazVM, gas_policy: GasPolicy, ai_call: Precompile) -> None:
        self._vm = vm
        self._gas_policy = gas_policy
        self._ai_call = ai_call
        self._runs: OrderedDict[tuple[object, ...], _Run] = OrderedDict()

    def price(self, wanted: PriceRequest) -> Price:
        """Raises UnknownModel, UnknownDat, InvalidInput, or OverLimit for more compute gas than a block holds."""
        state = self._vm.state()
        runs = [self._run(wanted, data, state) for data in wanted.inputs]
        compute = tuple(self._gas_policy.compute_gas(JobKind.INFERENCE, run.usage, state) for run in runs)
        self._check_block(compute, state)
        fixed_gas = _fixed_gas(wanted, runs)
        owners = _owners_wei(wanted, state) if wanted.caller == SETTLEMENT_ADDRESS else 0
        usages = tuple(run.usage for run in runs)
        return Price(
            quote=self._quote(usages, fixed_gas, owners, state), usages=usages, runs=compute, fixed_gas=fixed_gas
        )

    def price_each(self, wanted: PriceRequest) -> tuple[Price, ...]:
        """Each input as a transaction of its own."""
        return tuple(self.price(evolve(wanted, inputs=(data,))) for data in wanted.inputs)

    def gas_limit(self, fixed_gas: Gas, runs: Sequence[Gas]) -> Gas:
        """Gas limit of the transaction in the next block."""
        base_fee, compute_base_fee = self._vm.next_base_fees()
        compute = sum(self._gas_policy.evm_gas(gas, base_fee, compute_base_fee) for gas in runs)
        # A call passes on at most 63/64 of its gas (EIP-150), and the limit must leave the rest.
        return Gas((fixed_gas + compute) * 64 // 63 + 1)

    def _run(self, wanted: PriceRequest, data: bytes, state: StatePort) -> _Run:
        # Shapes follow from the digest and the dimension the input begins with; its length was checked.
        is_settled = wanted.caller == SETTLEMENT_ADDRESS
        key = (wanted.model, data[:4], len(data), len(wanted.dats), wanted.proof_system, is_settled)
        known = self._runs.get(key)
        if known is None:
            bound = wanted.program.bind_input(data)
            known = _Run(
                usage=planned_usage(bound),
                precompile_gas=self._precompile_gas(wanted, data, state),
                output_bytes=bound.output_bytes,
            )
            self._runs[key] = known
            while len(self._runs) > RUNS_REMEMBERED_MAX:
                self._runs.popitem(last=False)
        return known

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

    def _precompile_gas(self, wanted: PriceRequest, data: bytes, state: StatePort) -> int:
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
        call = InferCall(model=wanted.model, input=data, dats=wanted.dats, proof_system=wanted.proof_system)
        try:
            return self._ai_call.required_gas(
                PrecompileCall(
                    caller=wanted.caller,
                    origin=wanted.caller,
                    value=Wei(0),
                    data=call.encode(),
                    is_static=False,
                    block=block,
                    witness=_NoWitness(),
                    state=state,
                    compute_meter=_NoMeter(),
                )
            )
        except PrecompileRevert as error:
            raise InvalidInput(f"the chain would refuse this call: {describe_revert(error.data)}") from error


def _owners_wei(wanted: PriceRequest, state: StatePort) -> int:
    """Prices of the model and the data, for all inputs."""
    registered = read_model(state, wanted.model)
    if registered is None:
        raise UnknownModel(
            f"model {to_hex(wanted.model)} is not in the chain's model registry",
            hint="register it with a transaction to the registry first",
        )
    total = registered.price * len(wanted.inputs)
    for dat in wanted.dats:
        entry = read_dat(state, dat)
        if entry is None:
            raise UnknownDat(f"there is no DAT {dat}")
        total += entry.price
    return total


def _fixed_gas(wanted: PriceRequest, runs: Sequence[_Run]) -> Gas:
    """EVM gas of the whole transaction but the part that pays compute gas, from above."""
    count, dats = len(wanted.inputs), len(wanted.dats)
    input_bytes = sum(_padded(len(data)) for data in wanted.inputs)
    output_bytes = sum(_padded(run.output_bytes) for run in runs)
    calldata = _CALLDATA_BYTES + input_bytes + 128 * count + 32 * dats
    gas = _TRANSACTION_GAS + calldata * (_BYTE_FLOOR_GAS + _SCAN_GAS_PER_BYTE)
    gas += sum(run.precompile_gas for run in runs)
    if wanted.caller == SETTLEMENT_ADDRESS:
        gas += _EXECUTE_GAS + _INPUT_GAS * count + _DAT_GAS * dats * (1 + count)
        gas += _memory_gas(2 * calldata + 3 * output_bytes + 1024 * count)
    return Gas(gas)


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
