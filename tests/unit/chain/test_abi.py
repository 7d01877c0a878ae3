"""The ABI helpers against `eth_abi`, and against bytes that nobody encoded."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from lazai_core.api.errors import EncodingError
from lazai_core.api.job import SYSTEM_NAME_BYTES_MAX
from lazai_core.api.types import Address, DatId, Gas, ModelId
from lazai_core.builtin import precompiles
from lazai_core.chain import abi
from lazai_core.chain.abi import (
    AbiReader,
    decode_arguments,
    decode_call,
    describe_revert,
    encode_arguments,
    encode_call,
    selector,
)
from lazai_core.chain.system_calls import (
    COMPUTE_GAS,
    DATS_MAX,
    EXECUTE,
    INFER,
    INFER_INLINE,
    VERIFY,
    ComputeGasCall,
    InferCall,
    InferInlineCall,
    InferResult,
    Settled,
    VerifyCall,
    decode_execute,
    decode_outputs,
    encode_execute,
)
from lazai_core.chain.system_contracts import artifact
from tests.unit.contracts.requests import signed_request

WORD = st.binary(min_size=32, max_size=32)
NAME = st.text(max_size=8)
DATS = st.lists(st.integers(0, 2**256 - 1), max_size=4)
DECODERS = (
    (InferCall.decode, INFER),
    (InferInlineCall.decode, INFER_INLINE),
    (ComputeGasCall.decode, COMPUTE_GAS),
    (VerifyCall.decode, VERIFY),
    (decode_execute, EXECUTE),
)


def test_selectors_are_the_published_ones() -> None:
    # ERC-20's, as every explorer shows them.
    assert selector("transfer(address,uint256)").hex() == "a9059cbb"
    assert selector("balanceOf(address)").hex() == "70a08231"


@given(model=WORD, data=st.binary(max_size=70), dats=DATS, name=NAME, salt=WORD)
def test_infer_calls_are_what_eth_abi_makes_and_come_back(
    model: bytes, data: bytes, dats: list[int], name: str, salt: bytes
) -> None:
    call = InferCall(model=ModelId(model), input=data, dats=tuple(map(DatId, dats)), proof_system=name, salt=salt)
    types = ["bytes32", "bytes", "uint256[]", "string", "bytes32"]

    assert call.encode() == selector(INFER) + encode(types, [model, data, dats, name, salt])
    assert InferCall.decode(call.encode()) == call


@given(system=NAME, key=st.binary(max_size=70), statement=st.binary(max_size=70), proof=st.binary(max_size=70))
def test_verify_calls_come_back(system: str, key: bytes, statement: bytes, proof: bytes) -> None:
    call = VerifyCall(system=system, verifying_key=key, statement=statement, proof=proof)

    assert call.encode()[4:] == encode(["string", "bytes", "bytes", "bytes"], [system, key, statement, proof])
    assert VerifyCall.decode(call.encode()) == call


@given(model=WORD, data=st.binary(max_size=70), dimension=st.integers(0, 2**32 - 1))
def test_inline_and_cost_calls_come_back(model: bytes, data: bytes, dimension: int) -> None:
    inline = InferInlineCall(model=ModelId(model), input=data)
    cost = ComputeGasCall(model=ModelId(model), dimension=dimension)

    assert InferInlineCall.decode(inline.encode()) == inline
    assert ComputeGasCall.decode(cost.encode()) == cost


@given(output=st.binary(max_size=70), gas=st.integers(0, 2**256 - 1), worker=st.binary(min_size=20, max_size=20))
def test_results_come_back(output: bytes, gas: int, worker: bytes) -> None:
    result = InferResult(output=output, compute_gas=Gas(gas), worker=Address(worker))

    assert InferResult.decode(result.encode()) == result


@given(inputs=st.lists(st.binary(max_size=40), max_size=3), dats=DATS, name=NAME)
def test_execute_calls_come_back(inputs: list[bytes], dats: list[int], name: str) -> None:
    request = signed_request(ModelId(b"\x01" * 32), dats=tuple(dats), lane=2**64 - 1)

    assert decode_outputs(encode(["bytes[]"], [inputs])) == tuple(inputs)
    assert decode_execute(encode_execute(request, inputs, name)) == (request, tuple(inputs), name)


@pytest.mark.parametrize(("decode", "signature"), DECODERS)
@given(data=st.data())
def test_any_bytes_are_decoded_or_refused(decode: Any, signature: str, data: st.DataObject) -> None:
    small = st.integers(0, 600).map(lambda number: number.to_bytes(32, "big"))
    words = st.lists(st.one_of(small, WORD, st.just(b"\xff" * 32), st.just(bytes(32))), max_size=24)
    tail = data.draw(st.binary(max_size=31))
    calldata = selector(signature) + b"".join(data.draw(words)) + tail
    with suppress(EncodingError):
        decode(calldata)


@pytest.mark.parametrize(("decode", "signature"), DECODERS)
@given(data=st.binary(max_size=40))
def test_other_calls_are_refused(decode: Any, signature: str, data: bytes) -> None:
    if data[:4] != selector(signature):
        with pytest.raises(EncodingError):
            decode(data)


@given(data=st.binary(max_size=200))
def test_any_return_data_is_decoded_or_refused(data: bytes) -> None:
    for decode in (InferResult.decode, decode_outputs):
        with suppress(EncodingError):
            decode(data)


VALID = InferCall(model=ModelId(b"\x01" * 32), input=b"abc", dats=(DatId(5),), proof_system="x", salt=bytes(32))


def changed(word: int, value: int) -> bytes:
    """The valid call with one word of its arguments replaced."""
    data = VALID.encode()
    start = 4 + 32 * word
    return data[:start] + value.to_bytes(32, "big") + data[start + 32 :]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (changed(1, 2**255), "outside the arguments"),
        (changed(1, 33), "outside the arguments"),
        (changed(1, 0), "outside the arguments"),
        (changed(1, len(VALID.encode()) - 4), "outside the arguments"),
        (changed(5, 2**255), "length above"),
        (changed(5, 300), "longer than the arguments"),
        (changed(7, DATS_MAX + 1), "length above"),
        (changed(9, SYSTEM_NAME_BYTES_MAX + 1), "length above"),
        (changed(10, 0xFF << 248), "not UTF-8"),
        (VALID.encode()[:100], "need 160 bytes"),
        (VALID.encode()[:4], "need 160 bytes"),
    ],
)
def test_malformed_calls_are_refused_with_the_reason(data: bytes, reason: str) -> None:
    with pytest.raises(EncodingError, match=reason):
        InferCall.decode(data)


def test_numbers_must_fit_their_type() -> None:
    data = selector(COMPUTE_GAS) + bytes(32) + (2**32).to_bytes(32, "big")

    with pytest.raises(EncodingError, match="32 bits"):
        ComputeGasCall.decode(data)


def test_bytes_behind_the_arguments_are_left_alone() -> None:
    assert InferCall.decode(VALID.encode() + b"tail") == VALID


def test_a_list_that_claims_more_than_there_is_costs_nothing() -> None:
    reader = AbiReader((32).to_bytes(32, "big") + (2**40).to_bytes(32, "big"), 1)

    with pytest.raises(EncodingError, match="longer than the arguments"):
        reader.numbers(0, 2**50)


def test_many_offsets_to_one_long_value_are_refused() -> None:
    count, blob = 1000, bytes(32_000)
    head = [32, count, *[32 * count] * count, len(blob)]
    data = b"".join(word.to_bytes(32, "big") for word in head) + blob

    with pytest.raises(EncodingError, match="length above"):
        decode_outputs(data)


def test_a_list_of_bytes_that_claims_more_than_there_is_costs_nothing() -> None:
    words = [32, 2**60, *(0,) * 8]

    with pytest.raises(EncodingError):
        decode_outputs(b"".join(word.to_bytes(32, "big") for word in words))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "no reason"),
        (b"\x01\x02\x03\x04rest", "unknown error 0x0102030472657374"),
        (encode_call("Error(string)", "not today"), "Error(reason=not today)"),
        (encode_call("Panic(uint256)", 17), "Panic(code=17)"),
        (encode_call("UnknownDat(uint256)", 3), "UnknownDat(dat=3)"),
        (encode_call("NotTheNode(address,address)", bytes(20), b"\x01" * 20)[:40], "malformed NotTheNode"),
    ],
)
def test_revert_data_is_described(data: bytes, text: str) -> None:
    assert describe_revert(data) == text


def test_every_refusal_of_a_precompile_is_in_its_interface_and_described() -> None:
    declared = {"ai_call": "IArtificialIntelligence", "proof_check": "IProofCheck"}
    folder = Path(precompiles.__file__).parent
    for module, interface in declared.items():
        source = (folder / f"{module}.py").read_text(encoding="utf-8")
        raised = set(re.findall(r'_refuse\(\s*"(\w+\([\w,]*\))"', source))
        items = [item for item in artifact(interface)["abi"] if item["type"] == "error"]
        known = {f"{item['name']}({','.join(each['type'] for each in item['inputs'])})" for item in items}

        assert len(raised) > 4
        assert raised <= known
        for signature in raised:
            assert describe_revert(selector(signature)).split("(")[0].removeprefix("malformed ") in signature


@given(data=st.binary(max_size=120))
def test_any_revert_data_is_described(data: bytes) -> None:
    known = encode_call("Error(string)", "x")[:4]

    assert describe_revert(data)
    assert len(describe_revert(known + data)) < 400


def test_arguments_that_do_not_fit_are_our_mistake() -> None:
    with pytest.raises(ValueError, match="uint8"):
        encode_arguments(["uint8"], [256])
    with pytest.raises(EncodingError, match="expected f"):
        decode_call("f(uint8)", encode_call("g(uint8)", 1))
    assert decode_arguments(["address[]"], encode(["address[]"], [[b"\x01" * 20]])) == ((b"\x01" * 20,),)


@given(topics=st.lists(WORD, max_size=5), data=st.binary(max_size=70))
def test_other_logs_are_refused(topics: list[bytes], data: bytes) -> None:
    with pytest.raises(EncodingError):
        Settled.from_log(topics, data)


def test_validators_share_errors_with_other_contracts_only_where_arguments_are_named_alike() -> None:
    # A revert is told by its selector alone, whichever contract it comes from.
    def errors(name: str) -> set[tuple[str, tuple[str, ...]]]:
        found = [item for item in artifact(name)["abi"] if item["type"] == "error"]
        return {(_signature(item), tuple(argument["name"] for argument in item["inputs"])) for item in found}

    own = errors("Validators")
    others = set().union(*(errors(name) for name in abi._ERROR_SOURCES if name != "Validators"))

    assert len(own) > 20
    for signature, names in own:
        assert {other for known, other in others if known == signature} <= {names}


def _signature(item: dict[str, Any]) -> str:
    return f"{item['name']}({','.join(argument['type'] for argument in item['inputs'])})"
