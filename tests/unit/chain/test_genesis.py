"""The genesis file: what it holds comes back, and every problem in it is named at once."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from lazai_core.api.consensus import Validator
from lazai_core.api.errors import InvalidGenesis
from lazai_core.api.types import Address, Gas, Wei
from lazai_core.chain.genesis import Genesis, GenesisContract
from lazai_core.chain.genesis_file import read_genesis, require_plugins
from lazai_core.chain.system_contracts import DEFAULT_GAS_PARAMETERS

ONE, TWO = Address(b"\x01" * 20), Address(b"\x02" * 20)
PLUGINS = {"precompile/ai-call": 1, "proof/attestation": 1, "gas/eip1559": 2}


def genesis(**changes: object) -> Genesis:
    value = Genesis(
        chain_id=4242,
        timestamp=1_700_000_000,
        block_gas_limit=Gas(30_000_000),
        base_fee_per_gas=Wei(10**9),
        compute_base_fee_per_gas=Wei(2 * 10**9),
        inline_flops_max=1_000_000,
        inline_memory_bytes_max=2_000_000,
        validators=(Validator(address=ONE, power=3),),
        governor=TWO,
        gas_parameters=DEFAULT_GAS_PARAMETERS,
        balances={ONE: Wei(10**30), TWO: Wei(5)},
        plugins=PLUGINS,
        contracts={TWO: GenesisContract(code=b"\x60\x00", storage={0: 7, 2**255: 2**256 - 1})},
    )
    return evolve(value, **changes)  # type: ignore[arg-type]


def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(genesis().canonical)
    return loaded


def problems_of(value: object) -> list[str]:
    with pytest.raises(InvalidGenesis) as refusal:
        read_genesis(json.dumps(value).encode(), name="g.json")
    return refusal.value.message.splitlines()


def test_what_was_written_is_read() -> None:
    assert read_genesis(genesis().canonical) == genesis()
    assert read_genesis(genesis().canonical).hash == genesis().hash


def test_spaces_and_order_do_not_change_the_hash() -> None:
    pretty = json.dumps(dict(reversed(document().items())), indent=2).encode()

    assert pretty != genesis().canonical
    assert read_genesis(pretty).hash == genesis().hash


def test_the_canonical_form_is_one_line_with_sorted_keys() -> None:
    text = genesis().canonical.decode("ascii")

    assert " " not in text
    assert "\n" not in text
    assert text.startswith('{"balances":{"0x0101')
    assert '"base_fee_per_gas":"1000000000"' in text


@pytest.mark.parametrize(
    "change",
    [
        {"chain_id": 1},
        {"timestamp": 5},
        {"block_gas_limit": Gas(40_000_000)},
        {"governor": ONE},
        {"validators": (Validator(address=TWO, power=3),)},
        {"balances": {ONE: Wei(10**30)}},
        {"plugins": {**PLUGINS, "gas/eip1559": 3}},
        {"contracts": {}},
        {"gas_parameters": evolve(DEFAULT_GAS_PARAMETERS, gamma=Gas(1))},
    ],
)
def test_every_difference_is_another_chain(change: dict[str, object]) -> None:
    assert genesis(**change).hash != genesis().hash


def put(*path: object, value: object) -> Callable[[dict[str, Any]], None]:
    def change(loaded: dict[str, Any]) -> None:
        place: Any = loaded
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


ADDRESS_KEY = "0x" + "02" * 20


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (put("format", value="lazai/genesis/v2"), "format: expected 'lazai/genesis/v1'"),
        (put("chain_id", value=0), "chain_id: 0 is outside 1 to"),
        (put("chain_id", value=True), "chain_id: expected a whole number, got True"),
        (put("chain_id", value="1"), "chain_id: expected a whole number, got '1'"),
        (put("timestamp", value=1.5), "timestamp: expected a whole number, got 1.5"),
        (put("block_gas_limit", value=2**60), "block_gas_limit: "),
        (put("base_fee_per_gas", value=5), "base_fee_per_gas: expected a decimal number in quotes"),
        (put("base_fee_per_gas", value="007"), "base_fee_per_gas: 007 has leading zeros"),
        (put("base_fee_per_gas", value="0"), "base_fee_per_gas: a base fee of 0 could never rise"),
        (put("compute_base_fee_per_gas", value="-1"), "compute_base_fee_per_gas: expected a decimal"),
        (put("base_fee_per_gas", value=str(2**64)), "base_fee_per_gas: "),
        (put("validators", value=[]), "validators: a chain needs at least one validator"),
        (put("validators", value={}), "validators: expected a list"),
        (put("validators", 0, "power", value=0), "validators.0.power: 0 is outside 1 to"),
        (put("validators", 0, "extra", value=0), "validators.0.extra: unknown key"),
        (put("governor", value="0x12"), "governor: an address has 40 hexadecimal digits"),
        (put("governor", value=7), "governor: expected an address"),
        (put("gas_parameters", "alpha", value=[1]), "gas_parameters.alpha: expected [numerator, denominator]"),
        (put("gas_parameters", "alpha", value=[1, 0]), "gas_parameters.alpha.1: 0 is outside 1 to"),
        (put("gas_parameters", value=[]), "gas_parameters: expected an object"),
        (put("balances", "0xzz", value="1"), "balances.0xzz: an address has 40"),
        (put("balances", ADDRESS_KEY, value="x"), f"balances.{ADDRESS_KEY}: expected a decimal"),
        (put("balances", ADDRESS_KEY, value=str(2**256 - 1)), "balances: all balances together exceed"),
        (put("plugins", "attestation", value=1), 'plugins.attestation: expected a key like "proof/attestation"'),
        (put("plugins", "proof/attestation", value="1"), "plugins.proof/attestation: expected a whole number"),
        (put("contracts", ADDRESS_KEY, "code", value="0x"), f"contracts.{ADDRESS_KEY}.code: 0 bytes"),
        (put("contracts", ADDRESS_KEY, "code", value="0xf"), f"contracts.{ADDRESS_KEY}.code: expected bytes"),
        (put("contracts", ADDRESS_KEY, "storage", value={"0xg": "0x1"}), f"contracts.{ADDRESS_KEY}.storage.0xg: "),
        (put("colour", value="blue"), "colour: unknown key"),
        (lambda loaded: loaded.pop("governor"), "governor: missing"),
    ],
)
def test_each_problem_is_named_with_its_place(change: Callable[[dict[str, Any]], None], line: str) -> None:
    loaded = document()
    change(loaded)

    found = problems_of(loaded)

    assert any(text.startswith(f"g.json: {line}") for text in found), found


def test_all_problems_come_at_once() -> None:
    loaded = document()
    put("chain_id", value=0)(loaded)
    put("governor", value="0x12")(loaded)
    put("validators", 0, "power", value=-1)(loaded)

    assert len(problems_of(loaded)) == 3


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a JSON document"),
        (b"\xff", "not a JSON document"),
        (b'{"a": 1, "a": 2}', "stands twice"),
        (b'{"a": NaN}', "NaN is not a number"),
        (b"[" * 100_000, "not a JSON document"),
        (b"[]", "expected an object"),
    ],
)
def test_what_is_no_document_at_all(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidGenesis, match=reason):
        read_genesis(data)


@given(st.binary(max_size=60), st.data())
def test_damaged_files_are_refused_by_name(noise: bytes, data: st.DataObject) -> None:
    whole = genesis().canonical
    start = data.draw(st.integers(0, len(whole) - 1))

    with contextlib.suppress(InvalidGenesis):
        read_genesis(whole[:start] + noise + whole[start + len(noise) :])


def test_the_plugins_must_be_those_of_the_chain() -> None:
    require_plugins(genesis(), PLUGINS)
    chosen = {"proof/attestation": 2, "gas/eip1559": 2, "proof/stark": 1}

    with pytest.raises(InvalidGenesis) as refusal:
        require_plugins(genesis(), chosen)

    lines = refusal.value.message.splitlines()[1:]
    assert lines == [
        "precompile/ai-call: the genesis fixes version 1, this node has none; choose it",
        "proof/attestation: the genesis fixes version 1, this node has version 2; "
        "install the distribution that provides version 1",
        "proof/stark: the genesis does not know it; leave it out of the configuration",
    ]


def test_plugins_learn_what_the_genesis_fixes() -> None:
    parameters = genesis().parameters

    assert parameters.genesis_hash == genesis().hash
    assert parameters.plugins == PLUGINS
    assert parameters.inline_flops_max == 1_000_000


def test_more_validators_than_a_set_can_hold_are_refused() -> None:
    value = document()
    addresses = ["0x" + number.to_bytes(20, "big").hex() for number in range(1, 4098)]
    value["validators"] = [{"address": address, "power": 1} for address in addresses]

    assert problems_of(value) == ["g.json: validators: 4097 validators are more than 4096"]
