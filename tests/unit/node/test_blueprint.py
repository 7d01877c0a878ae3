"""The plan of a node: every problem at once, nothing opened, and an order that can be built."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from lazai_core.api import CoprocessorEntry, GasPolicyEntry, PluginInfo, ProofKind, ProofSystemEntry, hookimpl
from lazai_core.api.compute import Capability, Coprocessor
from lazai_core.api.errors import AssemblyError, ConfigError, InvalidGenesis
from lazai_core.api.gas import GasPolicy
from lazai_core.api.needs import ProofSystems
from lazai_core.api.proof import ProofSystem
from lazai_core.api.service import Gateway
from lazai_core.node.assemble import assemble
from lazai_core.node.blueprint import Blueprint
from lazai_core.registry import Kind
from tests.e2e.solo import gas_points, plan, write_folder


def build_odd_gas(proofs: ProofSystems) -> GasPolicy:
    raise ValueError("no such luck")


def build_odd_proof(gas: GasPolicy) -> ProofSystem:
    raise NotImplementedError


def build_odd_coprocessor(gateway: Gateway) -> Coprocessor:
    raise NotImplementedError


def build_plain_gas() -> GasPolicy:
    raise ValueError("no such luck")


@hookimpl
def lazai_plugin() -> PluginInfo:
    return PluginInfo(name="odd", hook_api=(1, 0), summary="Parts that do not fit")


@hookimpl
def lazai_gas_policies() -> Iterable[GasPolicyEntry]:
    yield GasPolicyEntry(name="odd", summary="Wants the proof systems", build=build_odd_gas)
    yield GasPolicyEntry(name="failing", summary="Fails", build=build_plain_gas)


@hookimpl
def lazai_proof_systems() -> Iterable[ProofSystemEntry]:
    yield ProofSystemEntry(
        name="odd",
        summary="Wants the gas policy and a trace",
        kind=ProofKind.VALIDITY,
        build=build_odd_proof,
        requires=frozenset({Capability.TRACE}),
    )


@hookimpl
def lazai_coprocessors() -> Iterable[CoprocessorEntry]:
    yield CoprocessorEntry(name="odd", summary="Wants the gateway, has no trace", build=build_odd_coprocessor)


POINTS = [*gas_points(), EntryPoint(name="odd", value="tests.unit.node.test_blueprint", group="lazai")]


def planned(folder: Path, *changes: tuple[str, str], genesis: dict[str, Any] | None = None) -> Blueprint:
    config = write_folder(folder, storage="memory")
    text = config.read_text(encoding="utf-8").replace('use = "torch"', 'use = "reference"')
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    config.write_text(text, encoding="utf-8")
    if genesis is not None:
        path = folder / "genesis.json"
        document = json.loads(path.read_text())
        merged = {**document["plugins"], **genesis}
        document["plugins"] = {name: version for name, version in merged.items() if version}
        path.write_text(json.dumps(document))
    return plan(config, points=POINTS)


def test_a_plan_names_its_parts_in_an_order_that_can_be_built(tmp_path: Path) -> None:
    blueprint = planned(tmp_path)

    seen: set[str] = set()
    for part in blueprint.parts:
        assert blueprint.edges[part.key] <= seen
        seen.add(part.key)
    assert [part.key for part in blueprint.of_kind(Kind.PROOF_SYSTEM)] == ["proof.attestation"]
    text = "\n".join(blueprint.lines())
    assert "proof.attestation       built in; needs coprocessor.reference" in text
    assert "gas.eip1559             lazai-gas-eip1559" in text
    assert not (tmp_path / "data").exists()


def test_every_wrong_choice_is_told_at_once(tmp_path: Path) -> None:
    changes = (('use = "reference"', 'use = "referense"'), ('use = "eip1559"', 'use = "eip1560"'))

    with pytest.raises(ConfigError) as caught:
        planned(tmp_path, *changes)

    assert len(caught.value.problems) == 2
    assert "did you mean" in str(caught.value)
    assert all(problem.line > 0 for problem in caught.value.problems)


def test_a_missing_capability_is_a_problem_of_the_configuration(tmp_path: Path) -> None:
    changes = (('use = "reference"', 'use = "odd"'), ('use = "attestation"', 'use = "odd"'))

    with pytest.raises(ConfigError, match="'odd' requires trace, which coprocessor 'odd' does not offer"):
        planned(tmp_path, *changes)


def test_the_genesis_holds_a_node_to_its_plugins(tmp_path: Path) -> None:
    with pytest.raises(InvalidGenesis) as caught:
        planned(tmp_path, genesis={"proof/stark": 1, "gas/eip1559": 2})

    text = str(caught.value)
    assert "proof/stark: the genesis fixes version 1, this node has none" in text
    assert "gas/eip1559: the genesis fixes version 2, this node has version 1" in text


def test_an_absent_genesis_says_what_to_do(tmp_path: Path) -> None:
    config = write_folder(tmp_path)
    (tmp_path / "genesis.json").unlink()

    with pytest.raises(InvalidGenesis, match="lazai init"):
        plan(config, points=POINTS)


def test_parts_that_wait_for_each_other_are_shown_as_a_cycle(tmp_path: Path) -> None:
    genesis = {"gas/odd": 1, "proof/odd": 1, "gas/eip1559": 0, "proof/attestation": 0}
    changes = (('use = "eip1559"', 'use = "odd"'), ('use = "attestation"', 'use = "odd"'))

    with pytest.raises(AssemblyError, match=r"gas\.odd -> proof\.odd.*waits for the next one"):
        planned(tmp_path, *changes, genesis=genesis)


def test_only_services_may_ask_for_the_gateway(tmp_path: Path) -> None:
    with pytest.raises(AssemblyError, match=r"coprocessor\.odd -> gateway: only services"):
        planned(tmp_path, ('use = "reference"', 'use = "odd"'))


def test_a_build_function_that_fails_is_charged_to_its_plugin(tmp_path: Path) -> None:
    genesis = {"gas/failing": 1, "gas/eip1559": 0}
    blueprint = planned(tmp_path, ('use = "eip1559"', 'use = "failing"'), genesis=genesis)

    with pytest.raises(
        AssemblyError, match=r"(?s)gas\.failing: plugin odd .*its build function raised.*ValueError: no such luck"
    ):
        assemble(blueprint)
