"""The header `X-LazAI-Authorization`: the README's vector, every malformed field, and noise."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazai_api_openai.authorization_header import decode_authorization, encode_authorization
from lazai_api_openai.failures import ApiFailure
from lazai_core.api.authorization import REQUEST_TYPE, Authorization, domain_separator
from lazai_core.api.hashing import keccak256
from lazai_core.api.types import Hash32, address_from_hex, hash_from_hex, to_hex

README = Path(__file__).resolve().parents[1].joinpath("README.md").read_text(encoding="utf-8")
BODY_HASH = Hash32(bytes(32))
VALID: dict[str, Any] = {
    "user": "0x" + "11" * 20,
    "node": "22" * 20,
    "model": "0x" + "33" * 32,
    "dats": ["1", 2],
    "maxCost": str(2**256 - 1),
    "expiry": 1_800_000_000,
    "lane": "0",
    "counter": str(2**64 - 1),
    "signature": "0x" + "44" * 65,
}


def pack(fields: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()


@pytest.fixture(scope="module")
def vector() -> dict[str, str]:
    block = README.split("Test vector:")[1].split("```")[1]
    return dict(re.findall(r"^(\w+) +(\S.*)$", block, re.MULTILINE))


def test_the_readme_states_the_type() -> None:
    assert REQUEST_TYPE.decode() in README


def test_the_readmes_vector(vector: dict[str, str]) -> None:
    settlement = address_from_hex(vector["settlement"])
    body_hash = keccak256(vector["body"].encode())
    decoded = decode_authorization(vector["header"], body_hash)

    assert to_hex(body_hash) == vector["bodyHash"]
    assert to_hex(keccak256(REQUEST_TYPE)) == vector["typeHash"]
    assert to_hex(domain_separator(1612, settlement)) == vector["domain"]
    assert to_hex(decoded.struct_hash()) == vector["structHash"]
    assert to_hex(decoded.digest(1612, settlement)) == vector["digest"]
    assert to_hex(decoded.signature) == vector["signature"]
    assert (to_hex(decoded.user), to_hex(decoded.node)) == (vector["user"], vector["node"])
    assert decoded.model == hash_from_hex(vector["model"])
    assert (decoded.max_cost, decoded.expiry) == (int(vector["maxCost"]), int(vector["expiry"]))
    assert (decoded.lane, decoded.counter, decoded.dats) == (0, 3, (7,))
    assert decoded.signed(bytes([0x46]) * 32, 1612, settlement) == decoded
    assert encode_authorization(decoded) == vector["header"]
    decoded.verify(1612, settlement)


def test_a_valid_header_is_read_in_both_number_forms() -> None:
    decoded = decode_authorization(pack(VALID), BODY_HASH)

    assert decoded.dats == (1, 2)
    assert (decoded.max_cost, decoded.counter) == (2**256 - 1, 2**64 - 1)
    assert decode_authorization(pack(VALID).rstrip("="), BODY_HASH) == decoded
    without = {name: value for name, value in VALID.items() if name != "dats"}
    assert decode_authorization(pack(without), BODY_HASH).dats == ()


@pytest.mark.parametrize("name", [name for name in VALID if name != "dats"])
def test_a_missing_field_is_named(name: str) -> None:
    with pytest.raises(ApiFailure) as caught:
        decode_authorization(pack({key: value for key, value in VALID.items() if key != name}), BODY_HASH)

    assert caught.value.status == 401
    assert caught.value.param == f"X-LazAI-Authorization.{name}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("user", "0x1234"),
        ("user", " " * 2 + "11" * 19),
        ("user", 5),
        ("node", "0x" + "gg" * 20),
        ("node", None),
        ("model", "33" * 31),
        ("model", "33" * 33),
        ("dats", "1"),
        ("dats", [1] * 129),
        ("dats", [-1]),
        ("dats", [2**256]),
        ("dats", [True]),
        ("maxCost", "-1"),
        ("maxCost", "1e18"),
        ("maxCost", "01"),
        ("maxCost", "9" * 78),
        ("maxCost", 1.5),
        ("expiry", 2**64),
        ("expiry", ""),
        ("lane", "٣"),
        ("lane", True),
        ("counter", "0x1"),
        ("counter", [1]),
        ("signature", "44" * 64),
        ("signature", {}),
    ],
)
def test_a_malformed_field_is_named(name: str, value: object) -> None:
    with pytest.raises(ApiFailure) as caught:
        decode_authorization(pack(VALID | {name: value}), BODY_HASH)

    assert caught.value.status == 401
    assert caught.value.param == f"X-LazAI-Authorization.{name}"
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    "header",
    ["", "!", "e30", "W10", "bnVsbA", "e30=e30", "e" * 20_000, "eyJhIjoxLCJhIjoyfQ", pack(VALID | {"x": 1}), "é"],
)
def test_a_malformed_header_is_refused(header: str) -> None:
    with pytest.raises(ApiFailure) as caught:
        decode_authorization(header, BODY_HASH)

    assert caught.value.status == 401


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(list(VALID)), JSON, max_size=3))
def test_noise_in_fields_gives_an_authorisation_or_401(changes: dict[str, Any]) -> None:
    try:
        outcome: object = decode_authorization(pack(VALID | changes), BODY_HASH)
    except ApiFailure as failure:
        outcome = failure.status

    assert outcome == 401 or isinstance(outcome, Authorization)


@given(st.text(max_size=200) | st.binary(max_size=100).map(lambda data: base64.urlsafe_b64encode(data).decode()))
def test_noise_as_header_gives_401(header: str) -> None:
    with pytest.raises(ApiFailure) as caught:
        decode_authorization(header, BODY_HASH)

    assert caught.value.status == 401


@given(
    st.builds(
        Authorization,
        user=st.binary(min_size=20, max_size=20),
        node=st.binary(min_size=20, max_size=20),
        model=st.binary(min_size=32, max_size=32),
        body_hash=st.just(BODY_HASH),
        dats=st.lists(st.integers(0, 2**256 - 1), max_size=5).map(tuple),
        max_cost=st.integers(0, 2**256 - 1),
        expiry=st.integers(0, 2**64 - 1),
        lane=st.integers(0, 2**64 - 1),
        counter=st.integers(0, 2**64 - 1),
        signature=st.binary(min_size=65, max_size=65),
    )
)
def test_encoding_and_decoding_are_inverse(authorization: Authorization) -> None:
    assert decode_authorization(encode_authorization(authorization), BODY_HASH) == authorization
