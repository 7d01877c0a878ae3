"""Typed calls to the precompiles and the system contracts, so that nobody writes a signature twice."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import field, frozen

from lazai_core.api.authorization import Authorization
from lazai_core.api.errors import EncodingError
from lazai_core.api.gas_parameters import GasParameters
from lazai_core.api.hashing import SIGNATURE_BYTES, keccak256
from lazai_core.api.job import INPUT_BYTES_MAX, OUTPUT_BYTES_MAX, PROOF_BYTES_MAX, SYSTEM_NAME_BYTES_MAX
from lazai_core.api.types import Address, DatId, Gas, Hash32, ModelId, Wei

from .abi import (
    SELECTOR_BYTES,
    AbiReader,
    address_word,
    encode_arguments,
    encode_call,
    selector,
)

INFER = "infer(bytes32,bytes,uint256[],string,bytes32)"
INFER_INLINE = "inferInline(bytes32,bytes)"
COMPUTE_GAS = "computeGas(bytes32,uint32)"
VERIFY = "verify(string,bytes,bytes,bytes)"
REQUEST = "(address,address,bytes32,bytes32,uint256[],uint256,uint64,uint64,uint64)"
EXECUTE = f"execute({REQUEST},bytes,bytes[],string)"
PARAMETERS = "(uint256,uint256,uint256,uint256,uint256,uint256,uint256)"
SET_PARAMETERS = f"setParameters({PARAMETERS})"
REGISTER_MODEL = "register(bytes,string,string,uint96)"
APPEND = "append(uint256,bytes)"
FINISH_MODEL = "finishModel(uint256,string,string,uint96)"
STORE_CONSTANTS = "storeConstants(bytes)"
FINISH_CONSTANTS = "finishConstants(uint256)"
SET_VERIFYING_KEY = "setVerifyingKey(bytes32,string,bytes)"
FINISH_VERIFYING_KEY = "finishVerifyingKey(uint256,bytes32,string)"
REGISTER_DAT = "register(bytes32,string,uint96)"
GRANT = "grant(uint256,address,uint64)"
REVOKE = "revoke(uint256,address)"
DEPOSIT = "deposit()"
DEPOSIT_FOR = "depositFor(address)"
UNLOCK = "unlock()"
LOCK = "lock()"
WITHDRAW = "withdraw(uint256)"
WITHDRAW_EARNINGS = "withdrawEarnings(uint256)"
ADVANCE_LANE = "advanceLane(uint64,uint64)"
SETTLED_TOPIC = keccak256(b"Settled(bytes32,address,address,uint256,uint256)")
"""First topic of the event that a settled request leaves; the others are request hash, user and node."""

DATS_MAX = 256
"""Most data tokens that one job can name."""
INPUTS_MAX = 65_536
"""More inputs than any block has gas for."""


@frozen(kw_only=True)
class InferCall:
    """Arguments of `infer`."""

    model: ModelId
    input: bytes = field(repr=lambda data: f"<{len(data)} bytes>")
    dats: tuple[DatId, ...] = ()
    proof_system: str
    salt: bytes = bytes(32)

    def encode(self) -> bytes:
        """Calldata."""
        return encode_call(INFER, self.model, self.input, list(self.dats), self.proof_system, self.salt)

    @classmethod
    def decode(cls, data: bytes) -> InferCall:
        """Inverse of `encode`. Raises EncodingError."""
        reader = _arguments(INFER, data, 5)
        return cls(
            model=ModelId(reader.word(0)),
            input=reader.bytes_(1, INPUT_BYTES_MAX),
            dats=tuple(DatId(dat) for dat in reader.numbers(2, DATS_MAX)),
            proof_system=reader.text(3, SYSTEM_NAME_BYTES_MAX),
            salt=reader.word(4),
        )


@frozen(kw_only=True)
class InferResult:
    """What `infer` returns."""

    output: bytes = field(repr=lambda data: f"<{len(data)} bytes>")
    compute_gas: Gas
    worker: Address

    def encode(self) -> bytes:
        """Return data."""
        return encode_arguments(["bytes", "uint256", "address"], [self.output, self.compute_gas, self.worker])

    @classmethod
    def decode(cls, data: bytes) -> InferResult:
        """Inverse of `encode`. Raises EncodingError."""
        reader = AbiReader(data, 3)
        return cls(
            output=reader.bytes_(0, OUTPUT_BYTES_MAX),
            compute_gas=Gas(reader.number(1)),
            worker=reader.address(2),
        )


@frozen(kw_only=True)
class InferInlineCall:
    """Arguments of `inferInline`."""

    model: ModelId
    input: bytes = field(repr=lambda data: f"<{len(data)} bytes>")

    def encode(self) -> bytes:
        """Calldata."""
        return encode_call(INFER_INLINE, self.model, self.input)

    @classmethod
    def decode(cls, data: bytes) -> InferInlineCall:
        """Inverse of `encode`. Raises EncodingError."""
        reader = _arguments(INFER_INLINE, data, 2)
        return cls(model=ModelId(reader.word(0)), input=reader.bytes_(1, INPUT_BYTES_MAX))


@frozen(kw_only=True)
class ComputeGasCall:
    """Arguments of `computeGas`; `dimension` is the value of the symbolic dimension, 0 where there is none."""

    model: ModelId
    dimension: int

    def encode(self) -> bytes:
        """Calldata."""
        return encode_call(COMPUTE_GAS, self.model, self.dimension)

    @classmethod
    def decode(cls, data: bytes) -> ComputeGasCall:
        """Inverse of `encode`. Raises EncodingError."""
        reader = _arguments(COMPUTE_GAS, data, 2)
        return cls(model=ModelId(reader.word(0)), dimension=reader.number(1, 32))


@frozen(kw_only=True)
class VerifyCall:
    """Arguments of `verify`."""

    system: str
    verifying_key: bytes = field(repr=lambda data: f"<{len(data)} bytes>")
    statement: bytes = field(repr=lambda data: f"<{len(data)} bytes>")
    proof: bytes = field(repr=lambda data: f"<{len(data)} bytes>")

    def encode(self) -> bytes:
        """Calldata."""
        return encode_call(VERIFY, self.system, self.verifying_key, self.statement, self.proof)

    @classmethod
    def decode(cls, data: bytes) -> VerifyCall:
        """Inverse of `encode`. Raises EncodingError."""
        reader = _arguments(VERIFY, data, 4)
        return cls(
            system=reader.text(0, SYSTEM_NAME_BYTES_MAX),
            verifying_key=reader.bytes_(1, PROOF_BYTES_MAX),
            statement=reader.bytes_(2, PROOF_BYTES_MAX),
            proof=reader.bytes_(3, PROOF_BYTES_MAX),
        )


@frozen(kw_only=True)
class Settled:
    """The event of a settled request; `cost` in wei is all that the user paid."""

    request_hash: Hash32
    user: Address
    node: Address
    cost: Wei
    compute_gas: Gas

    @classmethod
    def from_log(cls, topics: Sequence[bytes], data: bytes) -> Settled:
        """Event from a log of the settlement contract. Raises EncodingError when it is another event."""
        if len(topics) != 4 or topics[0] != SETTLED_TOPIC or len(data) != 64:
            raise EncodingError("the log is not a Settled event")
        return cls(
            request_hash=Hash32(topics[1]),
            user=Address(topics[2][12:]),
            node=Address(topics[3][12:]),
            cost=Wei(int.from_bytes(data[:32], "big")),
            compute_gas=Gas(int.from_bytes(data[32:], "big")),
        )


def encode_execute(authorization: Authorization, inputs: Sequence[bytes], proof_system: str) -> bytes:
    """Calldata of `Settlement.execute` for a signed request; `inputs` are job input bytes, one a run."""
    request = (
        authorization.user,
        authorization.node,
        authorization.model,
        authorization.body_hash,
        list(authorization.dats),
        authorization.max_cost,
        authorization.expiry,
        authorization.lane,
        authorization.counter,
    )
    return encode_call(EXECUTE, request, authorization.signature, list(inputs), proof_system)


def decode_execute(data: bytes) -> tuple[Authorization, tuple[bytes, ...], str]:
    """Inverse of `encode_execute`. Raises EncodingError."""
    arguments = _arguments(EXECUTE, data, 4)
    request = arguments.nested(0, 9)
    authorization = Authorization(
        user=request.address(0),
        node=request.address(1),
        model=ModelId(request.word(2)),
        body_hash=Hash32(request.word(3)),
        dats=tuple(DatId(dat) for dat in request.numbers(4, DATS_MAX)),
        max_cost=Wei(request.number(5)),
        expiry=request.number(6, 64),
        lane=request.number(7, 64),
        counter=request.number(8, 64),
        signature=arguments.bytes_(1, SIGNATURE_BYTES),
    )
    return authorization, arguments.byte_strings(2, INPUTS_MAX), arguments.text(3, SYSTEM_NAME_BYTES_MAX)


def decode_outputs(data: bytes) -> tuple[bytes, ...]:
    """What `Settlement.execute` returned: job output bytes, one a run. Raises EncodingError."""
    return AbiReader(data, 1).byte_strings(0, INPUTS_MAX)


def job_salt(user: Address, lane: int, counter: int, index: int) -> bytes:
    """Salt of the job that input `index` of a request becomes, as `Settlement.jobSalt` computes it."""
    words = (number.to_bytes(32, "big") for number in (lane, counter, index))
    return keccak256(address_word(user) + b"".join(words))


def encode_set_parameters(parameters: GasParameters) -> bytes:
    """Calldata of the governor's call that changes the gas parameters."""
    values = (
        parameters.alpha.numerator,
        parameters.alpha.denominator,
        parameters.beta.numerator,
        parameters.beta.denominator,
        parameters.gamma,
        parameters.compute_gas_target,
        parameters.tip,
    )
    return encode_call(SET_PARAMETERS, values)


def _arguments(signature: str, data: bytes, head_words: int) -> AbiReader:
    if data[:SELECTOR_BYTES] != selector(signature):
        raise EncodingError(f"the calldata does not call {signature}")
    return AbiReader(data[SELECTOR_BYTES:], head_words)
