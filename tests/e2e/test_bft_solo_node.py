"""A node of one validator under the BFT engine, restarted between two payments."""

from __future__ import annotations

import asyncio
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from attrs import evolve

from lazai_core.api.consensus import Validator
from lazai_core.api.errors import AssemblyError
from lazai_core.chain.genesis_file import read_genesis
from lazai_core.chain.staking_genesis import with_staking
from lazai_core.exact.reference import run_job
from lazai_core.node.assemble import assemble
from tests.e2e.solo import SAMPLE, WALLET, authorize, plan, request_of, running, settle_in, write_folder

INPUT = SAMPLE.job_input(seed=1)
COST = 10**17
POINTS = [point for point in entry_points(group="lazai") if point.name in ("gas-eip1559", "consensus-bft")]


def bft_folder(folder: Path) -> Path:
    config = write_folder(folder)
    config.write_text(config.read_text("utf-8").replace('use = "solo"', 'use = "bft"'), "utf-8")
    assert 'use = "bft"' in config.read_text("utf-8")
    return config


def test_one_validator_decides_alone_and_after_a_restart(tmp_path: Path) -> None:
    config = bft_folder(tmp_path)

    async def life(counter: int) -> int:
        node = assemble(plan(config, points=POINTS))
        try:
            async with running(node):
                if counter == 0:
                    await settle_in(node)
                signed = authorize(body=b"body", max_cost=COST, counter=counter)
                outcome = await node.gateway.submit(request_of(signed, INPUT))
                assert outcome.outputs == (run_job(SAMPLE.model, INPUT).output_bytes(),)
                assert await node.gateway.next_counter(WALLET, 0) == counter + 1
                return outcome.height
        finally:
            node.close()

    first, second = asyncio.run(life(0)), asyncio.run(life(1))
    assert second > first


def test_a_chain_of_two_validators_is_refused_before_anything_starts(tmp_path: Path) -> None:
    """Without a network between validators such a node would take requests and never answer."""
    config = bft_folder(tmp_path)
    place = tmp_path / "genesis.json"
    genesis = read_genesis(place.read_bytes())
    two = (*genesis.validators, Validator(address=WALLET, power=1))
    place.write_bytes(with_staking(evolve(genesis, validators=two)).canonical)

    with pytest.raises(AssemblyError, match="2 validators"):
        assemble(plan(config, points=POINTS))
