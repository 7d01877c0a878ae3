"""Slots that Python computes against the compiler's layout, and values against what Solidity stored."""

from __future__ import annotations

import re
from typing import Any

import attrs
import pytest

from lazai_core.api import gas_parameters
from lazai_core.api.errors import StorageError
from lazai_core.api.hashing import keccak256
from lazai_core.api.types import AI_CALL_ADDRESS, PROOF_CHECK_ADDRESS, Address
from lazai_core.chain import staking, system_state
from lazai_core.chain.staking import StakingParameters
from lazai_core.chain.staking_genesis import with_staking
from lazai_core.chain.storage_layout import array_slot, mapping_slot, packed_field, read_bytes
from lazai_core.chain.system_contracts import (
    DEFAULT_GAS_PARAMETERS,
    GOVERNOR_SLOT,
    HISTORY_STORAGE_ADDRESS,
    SYSTEM_CONTRACTS,
    artifact,
    creation_code,
    genesis_contracts,
    runtime_code,
)
from tests.unit.chain.test_genesis import genesis

OWNER = Address(b"\x05" * 20)


def slots_of(name: str) -> dict[str, int]:
    """Slot of each variable, and of each member of a struct as `Struct.member`."""
    layout: dict[str, Any] = artifact(name)["storageLayout"]
    found = {item["label"]: item["slot"] for item in layout["storage"]}
    for kind in layout["types"].values():
        for member in kind.get("members", ()):
            found[f"{kind['label'].split('.')[-1]}.{member['label']}"] = member["slot"]
    return found


def test_the_slots_are_the_compilers() -> None:
    parameters, models = slots_of("GasParameters"), slots_of("ModelRegistry")
    data, settlement = slots_of("DataRegistry"), slots_of("Settlement")
    start = parameters["_parameters"]

    assert parameters["governor"] == GOVERNOR_SLOT
    assert start + parameters["Parameters.alphaNumerator"] == gas_parameters.ALPHA_SLOT
    assert start + parameters["Parameters.betaNumerator"] == gas_parameters.BETA_SLOT
    assert start + parameters["Parameters.gamma"] == gas_parameters.GAMMA_SLOT
    assert start + parameters["Parameters.computeGasTarget"] == gas_parameters.COMPUTE_GAS_TARGET_SLOT
    assert start + parameters["Parameters.tip"] == gas_parameters.TIP_SLOT
    named = {
        "_MODELS": models["_models"],
        "_CONSTANTS": models["_constants"],
        "_VERIFYING_KEYS": models["_verifyingKeys"],
        "_DIGESTS": models["_digests"],
        "_MODEL_NAME": models["Model.name"],
        "_MODEL_URI": models["Model.uri"],
        "_MODEL_PROGRAM": models["Model.program"],
        "_DAT_COUNT": data["count"],
        "_DATS": data["_dats"],
        "_GRANTS": data["_grants"],
        "_DAT_DIGEST": data["Dat.contentDigest"],
        "_DAT_GENERATION": data["Dat.generation"],
        "_DAT_URI": data["Dat.uri"],
        "_ESCROW": settlement["escrow"],
        "_EARNINGS": settlement["earnings"],
        "_COUNTERS": settlement["counters"],
        "_UNLOCKS_AT": settlement["unlocksAt"],
    }
    assert named == {name: getattr(system_state, name) for name in named}


def test_the_validators_slots_are_the_compilers() -> None:
    layout = artifact("Validators")["storageLayout"]
    slots = {item["label"]: item["slot"] for item in layout["storage"]}
    (record,) = [kind for kind in layout["types"].values() if kind["label"] == "struct Validators.Record"]
    (listed,) = [kind for kind in layout["types"].values() if kind["label"] == "struct Validators.Parameters"]
    places = {item["label"]: (item["slot"], item["offset"]) for item in record["members"]}
    names = [re.sub("([A-Z])", lambda found: "_" + found[0].lower(), item["label"]) for item in listed["members"]]

    wanted = [slots[name] for name in ("_set", "_records", "consents", "totalPower", "_parameters")]
    assert wanted == [staking._SET, staking._RECORDS, staking._CONSENTS, staking._TOTAL_POWER, staking._PARAMETERS]
    assert places["owner"] == (0, 0)
    assert places["position"] == (0, staking._POSITION_BYTES)
    assert places["convicted"] == (0, staking._CONVICTED_BYTES)
    assert places["idao"] == (staking._SEAT, 0)
    assert places["power"] == (staking._SEAT, staking._POWER_BYTES)
    assert places["stake"] == (staking._BOND, 0)
    assert places["approved"] == (staking._BOND, staking._APPROVED_BYTES)
    assert places["jailedUntil"] == (staking._BOND, staking._JAILED_BYTES)
    assert names == list(staking.RANGES) == [item.name for item in attrs.fields(StakingParameters)]
    assert [item["slot"] for item in listed["members"]] == list(range(len(names)))


def test_slots_of_mappings_and_arrays_follow_the_documentation() -> None:
    inner = keccak256(bytes(12) + OWNER + (3).to_bytes(32, "big"))
    outer = keccak256((7).to_bytes(32, "big") + inner)

    assert mapping_slot(3, OWNER, 7) == int.from_bytes(outer, "big")
    assert array_slot(3, 2, 4) == int.from_bytes(keccak256((3).to_bytes(32, "big")), "big") + 8
    assert packed_field(0x0A0B0C, 1, 1) == 0x0B


class Words:
    """A contract's storage."""

    def __init__(self, words: dict[int, int]) -> None:
        self.words = words

    def storage(self, _address: bytes, slot: int) -> int:
        return self.words.get(slot, 0)


@pytest.mark.parametrize("size", [0, 1, 31])
def test_short_bytes_lie_in_their_slot(size: int) -> None:
    data = bytes(range(1, size + 1))
    word = int.from_bytes(data.ljust(31, b"\x00") + bytes([2 * size]), "big")

    assert read_bytes(Words({4: word}), OWNER, 4, 31) == data  # type: ignore[arg-type]


def test_long_bytes_lie_behind_the_hash_of_their_slot() -> None:
    data = bytes(range(1, 71))
    parts = [data[start : start + 32].ljust(32, b"\x00") for start in (0, 32, 64)]
    words = {array_slot(4, index): int.from_bytes(part, "big") for index, part in enumerate(parts)}

    assert read_bytes(Words({4: 2 * 70 + 1, **words}), OWNER, 4, 70) == data  # type: ignore[arg-type]
    with pytest.raises(StorageError, match="more than 69"):
        read_bytes(Words({4: 2 * 70 + 1, **words}), OWNER, 4, 69)  # type: ignore[arg-type]


def test_genesis_holds_every_system_contract_and_precompile() -> None:
    plain = genesis(contracts=genesis_contracts(governor=OWNER, gas_parameters=DEFAULT_GAS_PARAMETERS))
    found = dict(with_staking(plain).contracts)

    assert list(plain.contracts) == sorted(plain.contracts)
    assert list(found) == sorted(found)
    assert set(found) == {*SYSTEM_CONTRACTS, HISTORY_STORAGE_ADDRESS, AI_CALL_ADDRESS, PROOF_CHECK_ADDRESS}
    assert found[AI_CALL_ADDRESS].code == found[PROOF_CHECK_ADDRESS].code == b"\xfe"
    for address, name in SYSTEM_CONTRACTS.items():
        assert found[address].code == runtime_code(name)
        assert 1000 < len(found[address].code) <= 24_576
        assert runtime_code(name) in creation_code(name)
        assert artifact(name)["immutables"] == []
        assert not any(item["type"] == "constructor" for item in artifact(name)["abi"])


@pytest.mark.parametrize("name", ["Nothing", "../package", ""])
def test_an_unknown_artifact_is_named(name: str) -> None:
    with pytest.raises(KeyError, match="no compiled contract"):
        artifact(name)
