"""The AI-call precompile, 0x…0a01: a model's answer inside a transaction (docs/CHAIN.md, section 3).

`infer` takes the answer from a compute record of the block, or stops the transaction with `NeedsCompute`;
`inferInline` runs a small model on the spot, on every node; `computeGas` tells the price. Gas is a function of
graph and shapes alone and charged before any work.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from attrs import frozen

from lazai_core.api.errors import EncodingError, InvalidBlock, InvalidInput, InvalidProgram, PrecompileRevert
from lazai_core.api.gas import GasPolicy
from lazai_core.api.job import ComputeJob, ComputeRecord, JobKind, ResourceUsage
from lazai_core.api.needs import ChainParameters
from lazai_core.api.precompile import Precompile, PrecompileCall
from lazai_core.api.program import BoundProgram, Program
from lazai_core.api.types import SETTLEMENT_ADDRESS, Gas, ModelId
from lazai_core.chain.abi import SELECTOR_BYTES, encode_arguments, encode_call, selector
from lazai_core.chain.registry_view import RegistryView
from lazai_core.chain.system_calls import (
    COMPUTE_GAS,
    INFER,
    INFER_INLINE,
    ComputeGasCall,
    InferCall,
    InferInlineCall,
    InferResult,
)
from lazai_core.chain.system_state import dat_permits

if TYPE_CHECKING:
    from lazai_core.exact.model import ExactModel

GAS_QUERY = 3_000
"""Looking a program up: four cold storage slots' worth of reading, as `SLOAD` prices it, less what is shared."""
GAS_CALL = 10_000
"""A call with an answer: the look-up, a signature check (3,000, as ECRECOVER), hashing and bookkeeping."""
GAS_BYTE = 8
"""Each byte of input and output: copied and hashed, and carried by the block."""
GAS_DAT = 6_300
"""Each data token: three cold storage slots."""
INLINE_MODELS_CACHED_MAX = 32


@frozen(kw_only=True)
class _Prepared:
    """What a call asks for, with its price."""

    request: InferCall | InferInlineCall | ComputeGasCall
    bound: BoundProgram
    usage: ResourceUsage
    compute_gas: Gas
    evm_gas: Gas


class AICallPrecompile:
    """`Precompile` over the model registry, the gas policy and the records of the block."""

    def __init__(self, *, gas_policy: GasPolicy, proof_systems: frozenset[str]) -> None:
        self._gas_policy = gas_policy
        self._proof_systems = proof_systems
        self._registry = RegistryView()
        self._inline_models: OrderedDict[ModelId, ExactModel] = OrderedDict()
        self._last: tuple[PrecompileCall, _Prepared] | None = None

    def required_gas(self, call: PrecompileCall) -> Gas:
        """Fixed part, bytes and compute gas at the ratio of the two base fees. Raises PrecompileRevert."""
        return self._prepare(call).evm_gas

    def run(self, call: PrecompileCall) -> bytes:
        """The answer. Raises PrecompileRevert, NeedsCompute, and InvalidBlock with the worker of a wrong record."""
        prepared = self._prepare(call)
        # The call holds the whole state of its block, which must not outlive it.
        self._last = None
        request = prepared.request
        if isinstance(request, ComputeGasCall):
            numbers = [prepared.compute_gas, prepared.usage.flops, prepared.usage.memory_bytes_peak]
            return encode_arguments(["uint256", "uint256", "uint256"], numbers)
        call.compute_meter.add(prepared.compute_gas)
        if isinstance(request, InferInlineCall):
            return encode_arguments(["bytes"], [self._run_inline(call, request, prepared)])
        return self._from_record(call, request, prepared).encode()

    def _prepare(self, call: PrecompileCall) -> _Prepared:
        # `required_gas` and `run` see the same call one after the other; a large graph is planned once.
        if self._last is not None and self._last[0] is call:
            return self._last[1]
        if call.value:
            _refuse("ValueNotAccepted()")
        request = _parse(call.data)
        program = self._registry.program(call.state, request.model)
        if program is None:
            _refuse("UnknownModel(bytes32)", request.model)
        prepared = self._price(call, request, program)
        self._last = (call, prepared)
        return prepared

    def _price(
        self, call: PrecompileCall, request: InferCall | InferInlineCall | ComputeGasCall, program: Program
    ) -> _Prepared:
        from lazai_core.exact.cost import planned_usage

        try:
            if isinstance(request, ComputeGasCall):
                bound = program.bind(request.dimension)
            else:
                bound = program.bind_input(request.input)
        except InvalidInput as error:
            _refuse("InvalidInput(string)", error.message[:200])
        usage = planned_usage(bound)
        compute_gas = self._gas_policy.compute_gas(JobKind.INFERENCE, usage, call.state)
        if isinstance(request, ComputeGasCall):
            gas = GAS_QUERY
        else:
            gas = GAS_CALL + GAS_BYTE * (bound.input_bytes + bound.output_bytes)
            gas += GAS_DAT * (len(request.dats) if isinstance(request, InferCall) else 0)
            block = call.block
            gas += self._gas_policy.evm_gas(compute_gas, block.base_fee_per_gas, block.compute_base_fee_per_gas)
        return _Prepared(request=request, bound=bound, usage=usage, compute_gas=compute_gas, evm_gas=Gas(gas))

    def _from_record(self, call: PrecompileCall, request: InferCall, prepared: _Prepared) -> InferResult:
        if call.is_static:
            _refuse("StaticCall()")
        if request.proof_system not in self._proof_systems:
            _refuse("UnknownProofSystem(string)", request.proof_system)
        for dat in request.dats:
            # The settlement contract has checked the user who signed; asking for itself would refuse everyone.
            allowed = call.caller == SETTLEMENT_ADDRESS
            if not allowed and not dat_permits(call.state, dat, call.caller, call.block.timestamp):
                _refuse("DatNotPermitted(uint256,address)", dat, call.caller)
        job = ComputeJob(
            chain_id=call.block.chain_id,
            model=request.model,
            input=request.input,
            dats=request.dats,
            proof_system=request.proof_system,
            salt=request.salt,
        )
        record = call.witness.record(job)
        _require_planned(record, prepared)
        return InferResult(output=record.output, compute_gas=prepared.compute_gas, worker=record.worker)

    def _run_inline(self, call: PrecompileCall, request: InferInlineCall, prepared: _Prepared) -> bytes:
        from lazai_core.exact.reference import run_job

        usage, block = prepared.usage, call.block
        if usage.flops > block.inline_flops_max or usage.memory_bytes_peak > block.inline_memory_bytes_max:
            _refuse("InlineLimitExceeded(uint256,uint256)", usage.flops, usage.memory_bytes_peak)
        model = self._inline_model(call, request.model, prepared.bound.program)
        try:
            return run_job(model, request.input).output_bytes()
        except InvalidInput as error:
            _refuse("InvalidInput(string)", error.message[:200])

    def _inline_model(self, call: PrecompileCall, digest: ModelId, program: Program) -> ExactModel:
        if not self._registry.has_constants(call.state, program):
            _refuse("ConstantsMissing(bytes32)", digest)
        known = self._inline_models.get(digest)
        if known is None:
            blobs = self._registry.constants(call.state, program)
            assert blobs is not None
            known = _exact_model(program, blobs)
            if known is None:
                _refuse("ConstantsMissing(bytes32)", digest)
            self._inline_models[digest] = known
            if len(self._inline_models) > INLINE_MODELS_CACHED_MAX:
                self._inline_models.popitem(last=False)
        self._inline_models.move_to_end(digest)
        return known


def _parse(data: bytes) -> InferCall | InferInlineCall | ComputeGasCall:
    kinds: dict[bytes, type[InferCall] | type[InferInlineCall] | type[ComputeGasCall]] = {
        selector(INFER): InferCall,
        selector(INFER_INLINE): InferInlineCall,
        selector(COMPUTE_GAS): ComputeGasCall,
    }
    kind = kinds.get(data[:SELECTOR_BYTES])
    if kind is None:
        _refuse("UnknownFunction(bytes4)", data[:SELECTOR_BYTES].ljust(SELECTOR_BYTES, b"\x00"))
    try:
        return kind.decode(data)
    except EncodingError as error:
        _refuse("MalformedCall(string)", error.message[:200])


def _require_planned(record: ComputeRecord, prepared: _Prepared) -> None:
    """Raises InvalidBlock, blaming the worker, unless cost and output size are as planned."""
    if record.usage != prepared.usage:
        raise InvalidBlock(
            f"the record of job {record.job_id.hex()} states {record.usage}, the plan is {prepared.usage}",
            check="record usage",
            blame=record.worker,
        )
    if len(record.output) != prepared.bound.output_bytes:
        raise InvalidBlock(
            f"the record of job {record.job_id.hex()} has an output of {len(record.output)} bytes, "
            f"the program gives {prepared.bound.output_bytes}",
            check="record output",
            blame=record.worker,
        )


def _exact_model(program: Program, blobs: Sequence[bytes]) -> ExactModel | None:
    """The model over these constants; None where they break what the skeleton declares of them."""
    from lazai_core.api.compute import TensorView
    from lazai_core.exact.bounds import check_constants
    from lazai_core.exact.codec import dtype_name, from_view
    from lazai_core.exact.model import ExactModel

    arrays = tuple(
        from_view(TensorView(dtype=dtype_name(constant.dtype), shape=constant.shape, data=blob))
        for constant, blob in zip(program.constants, blobs, strict=True)
    )
    try:
        check_constants(program, arrays)
    except InvalidProgram:
        return None
    return ExactModel(program=program, constants=arrays)


def _refuse(signature: str, *values: object) -> NoReturn:
    raise PrecompileRevert(signature, data=encode_call(signature, *values))


def build_ai_call(gas_policy: GasPolicy, chain: ChainParameters) -> Precompile:
    """The precompile over the chain's gas policy and proof systems."""
    prefix = "proof/"
    names = frozenset(name.removeprefix(prefix) for name in chain.plugins if name.startswith(prefix))
    return AICallPrecompile(gas_policy=gas_policy, proof_systems=names)
