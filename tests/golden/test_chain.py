"""Bytes and hashes of the chain: a change here is another chain."""

from __future__ import annotations

import pytest
from attrs import evolve

from lazai_core.api.consensus import validators_hash
from lazai_core.api.types import Address, Hash32
from lazai_core.chain.block import randao_of
from lazai_core.chain.genesis import GenesisContract
from lazai_core.chain.transaction import SET_CODE, SetCodeAuthorization
from lazai_core.lazvm.vm import BlockPlan
from lazai_core.testing.golden import GoldenFolder
from tests.unit.chain.test_block import block, header
from tests.unit.lazvm.world import ACCOUNTS, CHAIN_ID, KEYS, PROPOSER, genesis, machine, transaction

TARGET = Address(b"\x77" * 20)
STORES_AND_LOGS = bytes.fromhex("6001600155602a5f5260205fa0")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> GoldenFolder:
    regenerate = bool(request.config.getoption("--regenerate-golden", default=False))
    return GoldenFolder(request.path.parent, regenerate=regenerate)


def test_encodings(golden: GoldenFolder) -> None:
    permission = SetCodeAuthorization(chain_id=CHAIN_ID, address=TARGET, nonce=0).signed(KEYS[1])
    lending = evolve(transaction(0, 3, TARGET), type_id=SET_CODE, authorizations=(permission,)).signed(KEYS[0])
    raw = [transaction(0, kind, TARGET, value=5, type_id=kind).raw for kind in (0, 1, 2)]
    value = {
        "header": header().encode().hex(),
        "header hash": header().hash.hex(),
        "block": block().encode().hex(),
        "transactions": [item.hex() for item in (*raw, lending.raw)],
        "validators hash": validators_hash(genesis().validators).hex(),
        "randao": randao_of(Hash32(b"\x01" * 32)).hex(),
    }

    golden.check_json("chain/encodings.json", value)


def test_a_small_chain(golden: GoldenFolder) -> None:
    # Without the system contracts, whose code has golden files of its own: their artifacts.
    start = genesis()
    parameters = start.contracts[Address(bytes.fromhex("0000000000000000000000000000000000000a10"))]
    contracts = {
        TARGET: GenesisContract(code=STORES_AND_LOGS),
        Address(bytes.fromhex("0000000000000000000000000000000000000a10")): evolve(parameters, code=b"\x00"),
    }
    start = evolve(start, contracts=contracts)
    vm = machine(start=start)
    items = (transaction(0, 0, TARGET), transaction(1, 0, ACCOUNTS[2], value=7), transaction(2, 0, data=b"\x00"))
    plan = BlockPlan(transactions=[item.raw for item in items], timestamp=1_700_000_009, proposer=PROPOSER)
    executed = vm.build_block(plan).executed

    golden.check_json(
        "chain/small_chain.json",
        {
            "genesis": start.canonical.decode("ascii"),
            "genesis hash": start.hash.hex(),
            "genesis state root": vm.head.header.state_root.hex(),
            "genesis block hash": vm.head.hash.hex(),
            "block": executed.block.encode().hex(),
            "block hash": executed.block.hash.hex(),
            "receipts": [receipt.encode().hex() for receipt in executed.receipts],
        },
    )
