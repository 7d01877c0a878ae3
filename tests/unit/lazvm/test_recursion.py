"""Calls as deep as the EVM allows, and a process that survives nested documents afterwards."""

from __future__ import annotations

import json
import sys

import pytest

from lazai_core.api.types import Gas
from lazai_core.lazvm.engine import RECURSION_LIMIT
from lazai_core.lazvm.fork import contract_address
from lazai_core.lazvm.vm import CallRequest
from tests.unit.lazvm.world import ACCOUNTS, advance, genesis, machine, transaction

CALLS_ITSELF = bytes.fromhex("5f5f5f5f5f305af15f5260205ff3")
"""PUSH0 five times, ADDRESS, GAS, CALL; return what it gave."""
CREATES_ITSELF = bytes.fromhex("385f5f39385f5ff05f5260205ff3")
"""Init code: CODESIZE, PUSH0, PUSH0, CODECOPY; CREATE from its own code; return the address."""


def test_a_call_goes_1024_deep() -> None:
    # All but a 64th of the gas goes down each time, so that reaching the bottom takes more than a usual block has.
    vm = machine(start=genesis(block_gas_limit=Gas(10**15)))
    deploy = bytes.fromhex("6d") + CALLS_ITSELF + bytes.fromhex("5f52600e6012f3")
    advance(vm, transaction(0, 0, data=deploy, gas=200_000))
    target = contract_address(ACCOUNTS[0], 0)
    assert vm.state().code(target) == CALLS_ITSELF

    outcome = vm.call(CallRequest(to=target))

    assert outcome.succeeded
    assert outcome.gas_used > 1024 * 100


def test_creations_inside_each_other_do_not_end_the_process() -> None:
    vm = machine(start=genesis(block_gas_limit=Gas(10**15)))

    outcome = vm.call(CallRequest(to=b"", data=CREATES_ITSELF))

    assert outcome.output is not None


def test_a_nested_document_is_an_error_and_not_the_end() -> None:
    assert sys.getrecursionlimit() <= RECURSION_LIMIT
    with pytest.raises(RecursionError):
        json.loads("[" * 1_000_000)
