"""What a request must satisfy before any work is done for it, in a fixed order, and the call that it becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lazai_core.api.authorization import Authorization
from lazai_core.api.errors import (
    AccessDenied,
    BadSignature,
    FeeTooLow,
    InsufficientFunds,
    InvalidInput,
    OverLimit,
    RequestExpired,
    UnknownDat,
    UnknownModel,
)
from lazai_core.api.hashing import keccak256
from lazai_core.api.needs import Clock, ProgramStore
from lazai_core.api.precompile import StatePort
from lazai_core.api.program import Program
from lazai_core.api.proof import ProofSystem
from lazai_core.api.service import InferenceRequest
from lazai_core.api.types import AI_CALL_ADDRESS, SETTLEMENT_ADDRESS, Address, DatId, ModelId, to_hex
from lazai_core.chain.system_calls import InferCall, encode_execute
from lazai_core.chain.system_state import (
    dat_permits,
    escrow_of,
    lacks_verifying_key,
    next_counter,
    read_dat,
    read_model,
    unlocks_at,
)
from lazai_core.lazvm.vm import LazVM

from .calls import direct_job, explain_revert, settlement_jobs
from .lanes import Lanes, RequestKey
from .options import RuntimeOptions
from .pricing import Price, PriceRequest, bound_inputs
from .work import NodeCall


class Admission:
    """Checks requests against the head's state. Reads only; who admits also opens the lane."""

    def __init__(
        self,
        *,
        options: RuntimeOptions,
        vm: LazVM,
        programs: ProgramStore,
        proofs: Mapping[str, ProofSystem],
        default_proof: str,
        lanes: Lanes,
        node: Address,
        clock: Clock,
    ) -> None:
        self._options = options
        self._vm = vm
        self._programs = programs
        self._proofs = proofs
        self._default_proof = default_proof
        self._lanes = lanes
        self._node = node
        self._clock = clock

    def program(self, model: ModelId) -> Program:
        """The program of a model that this node holds and the chain knows. Raises UnknownModel."""
        program = self._programs.program(model)
        if program is None:
            raise UnknownModel(
                f"this node does not serve model {to_hex(model)}", hint="ask for one of the models it lists"
            )
        if read_model(self._vm.state(), model) is None:
            raise UnknownModel(
                f"model {to_hex(model)} is not in the chain's model registry",
                hint="register it with a transaction to the registry first",
            )
        return program

    def check_signature(self, request: InferenceRequest, authorization: Authorization) -> None:
        """Signature, and that what is signed is this very request. Raises BadSignature or AccessDenied."""
        authorization.verify(self._vm.genesis.chain_id, SETTLEMENT_ADDRESS)
        for what, signed, given in (
            ("model", authorization.model, request.model),
            ("body", authorization.body_hash, request.body_hash),
            ("list of DATs", authorization.dats, request.dats or authorization.dats),
        ):
            if signed != given:
                raise BadSignature(
                    f"the authorisation is signed for another {what}", hint="sign the request that is sent"
                )
        if authorization.node != self._node:
            raise AccessDenied(
                f"the authorisation names node {to_hex(authorization.node)}, this is {to_hex(self._node)}",
                hint="sign it for the node that it is sent to",
            )

    def admit(self, request: InferenceRequest, authorization: Authorization) -> PriceRequest:
        """Every check after the signature that needs no price, in order; nothing is reserved yet.

        Returns what is to be priced. Raises the RequestRejected subclass that says what is wrong.
        """
        program = self.program(request.model)
        self._check_expiry(authorization)
        self._check_nonce(authorization)
        system = self._proof_system(request.proof_system, request.model, program)
        self._check_inputs(request, program)
        state = self._vm.state()
        self._check_dats(authorization.dats, authorization.user, state)
        self._check_funds(authorization, state)
        self._lanes.check_room(authorization.user)
        return PriceRequest(
            model=request.model,
            program=program,
            inputs=request.inputs,
            dats=authorization.dats,
            proof_system=system,
        )

    def admit_unsigned(self, request: InferenceRequest) -> PriceRequest:
        """The same for a request that the operator pays for by direct calls."""
        program = self.program(request.model)
        system = self._proof_system(request.proof_system, request.model, program)
        self._check_inputs(request, program)
        self._check_dats(request.dats, self._node, self._vm.state())
        return PriceRequest(
            model=request.model,
            program=program,
            inputs=request.inputs,
            dats=request.dats,
            proof_system=system,
            caller=self._node,
        )

    def price_request(
        self, model: ModelId, inputs: Sequence[bytes], dats: Sequence[DatId], proof_system: str
    ) -> PriceRequest:
        """What is to be priced for somebody who only asks. Raises UnknownModel or InvalidInput."""
        program = self.program(model)
        bound_inputs(program, inputs)
        return PriceRequest(
            model=model,
            program=program,
            inputs=tuple(inputs),
            dats=tuple(dats),
            proof_system=self._proof_system(proof_system, model, program),
        )

    def _check_expiry(self, authorization: Authorization) -> None:
        now = max(self._clock.now_seconds(), self._vm.head.header.timestamp)
        if authorization.expiry < now + self._options.expiry_margin_s:
            raise RequestExpired(
                f"the authorisation expires at {authorization.expiry}, now is {now}",
                hint=f"sign it to last at least {self._options.expiry_margin_s} seconds longer",
            )

    def _check_nonce(self, authorization: Authorization) -> None:
        key = RequestKey.of(authorization)
        self._lanes.check_turn(key, next_counter(self._vm.state(), key.user, key.lane))

    def _proof_system(self, wanted: str, model: ModelId, program: Program) -> str:
        name = wanted or self._default_proof
        system = self._proofs.get(name)
        if system is None:
            raise InvalidInput(
                f"this chain has no proof system {name!r}", hint=f"choose one of {', '.join(self._proofs)}"
            )
        support = system.supports(program)
        if not support.supported:
            raise InvalidInput(f"proof system {name} cannot prove this model: {support.reason}")
        if lacks_verifying_key(system, self._vm.state(), model):
            raise InvalidInput(
                f"this model has no verifying key for proof system {name} on this chain",
                hint="its owner sets one in the model registry (setVerifyingKey); until then choose another",
            )
        return name

    def _check_inputs(self, request: InferenceRequest, program: Program) -> None:
        count, size = len(request.inputs), sum(len(data) for data in request.inputs)
        if count == 0:
            raise InvalidInput("the request has no input")
        if count > self._options.inputs_per_request_max:
            raise OverLimit(
                f"the request has {count} inputs, this node takes {self._options.inputs_per_request_max}",
                hint="split it into several requests",
            )
        if size > self._options.input_bytes_max:
            raise OverLimit(f"the inputs have {size} bytes, this node takes {self._options.input_bytes_max}")
        bound_inputs(program, request.inputs)

    def _check_dats(self, dats: Sequence[DatId], user: Address, state: StatePort) -> None:
        now = max(self._clock.now_seconds(), self._vm.head.header.timestamp + 1)
        for dat in dats:
            if read_dat(state, dat) is None:
                raise UnknownDat(f"there is no DAT {dat}", hint="register the data first, or name another DAT")
            if not dat_permits(state, dat, user, now):
                raise AccessDenied(f"{to_hex(user)} may not use DAT {dat}", hint="ask its owner for permission")

    def _check_funds(self, authorization: Authorization, state: StatePort) -> None:
        user = authorization.user
        escrow, reserved = escrow_of(state, user), self._lanes.reserved(user)
        if escrow - reserved < authorization.max_cost:
            raise InsufficientFunds(
                f"the escrow holds {escrow} wei, {reserved} of them for open requests; "
                f"the request may take {authorization.max_cost}",
                hint="deposit into the settlement contract",
            )
        unlocks = unlocks_at(state, user)
        if unlocks and unlocks <= authorization.expiry:
            raise InsufficientFunds(
                f"the escrow can be withdrawn from second {unlocks} on, before the authorisation expires",
                hint="lock the escrow again, or sign a request that expires earlier",
            )

    def settlement_call(self, authorization: Authorization, wanted: PriceRequest, price: Price) -> NodeCall:
        """The call that answers and settles a request. Raises FeeTooLow when it may cost more than is authorised."""
        if authorization.max_cost < price.quote.cost_max:
            raise FeeTooLow(
                f"the request may cost {price.quote.cost_max} wei, {authorization.max_cost} are authorised",
                quote=price.quote.cost_max,
                hint="sign it with at least the quoted maximum cost; what is not used stays in escrow",
            )
        data = encode_execute(authorization, wanted.inputs, wanted.proof_system)
        jobs = settlement_jobs(authorization, wanted.inputs, wanted.proof_system, self._vm.genesis.chain_id)
        return NodeCall(
            work_id=keccak256(data),
            sender=self._node,
            size_bytes=len(data),
            fixed_gas=price.fixed_gas,
            runs=price.runs,
            to=SETTLEMENT_ADDRESS,
            data=data,
            jobs=jobs,
            lane=(authorization.user, authorization.lane),
            counter=authorization.counter,
            expiry=authorization.expiry,
            explain=explain_revert,
        )

    def direct_call(self, wanted: PriceRequest, price: Price, salt: bytes) -> NodeCall:
        """The call that answers a request of one input at the operator's cost."""
        (job_input,) = wanted.inputs
        call = InferCall(
            model=wanted.model,
            input=job_input,
            dats=wanted.dats,
            proof_system=wanted.proof_system,
            salt=salt,
        )
        data = call.encode()
        return NodeCall(
            work_id=keccak256(data),
            sender=self._node,
            size_bytes=len(data),
            fixed_gas=price.fixed_gas,
            runs=price.runs,
            to=AI_CALL_ADDRESS,
            data=data,
            jobs=(direct_job(call, self._vm.genesis.chain_id),),
            explain=explain_revert,
        )
