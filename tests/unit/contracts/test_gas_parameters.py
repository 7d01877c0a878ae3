"""The contract that holds the prices of computation."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from lazai_core.api.errors import InvalidGenesis
from lazai_core.api.gas import Ratio
from lazai_core.api.gas_parameters import PARAMETER_MAX, GasParameters, read_gas_parameters
from lazai_core.api.types import GAS_PARAMETERS_ADDRESS, ZERO_ADDRESS
from lazai_core.chain.abi import encode_call
from lazai_core.chain.system_calls import PARAMETERS, encode_set_parameters
from lazai_core.chain.system_contracts import DEFAULT_GAS_PARAMETERS, genesis_contracts
from tests.unit.contracts.harness import GOVERNOR, OTHER, USER, World

DEFAULT = DEFAULT_GAS_PARAMETERS


def ratio(numerator: int, denominator: int) -> Ratio:
    return Ratio(numerator=numerator, denominator=denominator)


def out_of_range(name: str, value: int, least: int) -> str:
    return f"OutOfRange(parameter={name}, value={value}, minimum={least}, maximum={PARAMETER_MAX})"


def set_parameters(world: World, parameters: GasParameters, sender: bytes = GOVERNOR) -> str:
    return world.send(sender, GAS_PARAMETERS_ADDRESS, encode_set_parameters(parameters)).error  # type: ignore[arg-type]


def test_genesis_parameters_are_read_back_from_slots_and_from_the_contract() -> None:
    world = World()

    assert read_gas_parameters(world) == DEFAULT
    (listed,) = world.view(GAS_PARAMETERS_ADDRESS, "parameters()").values(PARAMETERS)
    assert listed == (1, 500, 1, 20, 25_000, 15_000_000, 100_000_000)
    assert world.view(GAS_PARAMETERS_ADDRESS, "governor()").values("address") == (GOVERNOR,)


def test_the_governor_moves_every_parameter_by_up_to_two() -> None:
    world = World()
    wanted = GasParameters(
        alpha=ratio(1, 250), beta=ratio(1, 40), gamma=50_000, compute_gas_target=7_500_000, tip=150_000_000  # type: ignore[arg-type]
    )

    outcome = world.send(GOVERNOR, GAS_PARAMETERS_ADDRESS, encode_set_parameters(wanted))

    assert outcome.error == ""
    assert read_gas_parameters(world) == wanted
    assert len(outcome.logs) == 1
    assert world.view(GAS_PARAMETERS_ADDRESS, "tip()").values("uint256") == (150_000_000,)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"alpha": ratio(3, 500)}, "ChangeTooLarge(parameter=alpha)"),
        ({"alpha": ratio(1, 1001)}, "ChangeTooLarge(parameter=alpha)"),
        ({"beta": ratio(1, 9)}, "ChangeTooLarge(parameter=beta)"),
        ({"beta": ratio(1, 41)}, "ChangeTooLarge(parameter=beta)"),
        ({"gamma": 50_001}, "ChangeTooLarge(parameter=gamma)"),
        ({"gamma": 12_499}, "ChangeTooLarge(parameter=gamma)"),
        ({"gamma": 0}, "ChangeTooLarge(parameter=gamma)"),
        ({"compute_gas_target": 30_000_001}, "ChangeTooLarge(parameter=computeGasTarget)"),
        ({"tip": 200_000_001}, "ChangeTooLarge(parameter=tip)"),
        ({"alpha": ratio(0, 1)}, out_of_range("alphaNumerator", 0, 1)),
        ({"alpha": ratio(1, 0)}, out_of_range("alphaDenominator", 0, 1)),
        ({"beta": ratio(0, 1)}, out_of_range("betaNumerator", 0, 1)),
        ({"beta": ratio(1, 0)}, out_of_range("betaDenominator", 0, 1)),
        ({"compute_gas_target": 0}, out_of_range("computeGasTarget", 0, 1)),
        ({"tip": PARAMETER_MAX + 1}, out_of_range("tip", PARAMETER_MAX + 1, 0)),
        ({"gamma": 2**256 - 1}, out_of_range("gamma", 2**256 - 1, 0)),
    ],
)
def test_a_parameter_out_of_bounds_is_refused_by_name(change: dict[str, object], error: str) -> None:
    world = World()

    assert set_parameters(world, evolve(DEFAULT, **change)) == error  # type: ignore[arg-type]
    assert read_gas_parameters(world) == DEFAULT


def test_only_the_governor_sets_parameters() -> None:
    error = set_parameters(World(), DEFAULT, USER)

    assert error == f"NotGovernor(caller=0x{USER.hex()}, governor=0x{GOVERNOR.hex()})"


def test_two_changes_in_one_block_are_refused() -> None:
    world = World()
    assert set_parameters(world, evolve(DEFAULT, gamma=50_000)) == ""
    world.advance(blocks=-1)

    assert set_parameters(world, evolve(DEFAULT, gamma=100_000)) == "ChangedThisBlock(blockNumber=1)"
    assert set_parameters(world, evolve(DEFAULT, gamma=100_000)) == ""


def test_zero_gamma_and_tip_can_be_left_and_reached_by_steps_of_one() -> None:
    world = World(evolve(DEFAULT, gamma=0, tip=1))

    assert set_parameters(world, evolve(DEFAULT, gamma=2, tip=1)) == "ChangeTooLarge(parameter=gamma)"
    assert set_parameters(world, evolve(DEFAULT, gamma=1, tip=0)) == ""
    assert set_parameters(world, evolve(DEFAULT, gamma=2, tip=0)) == ""


def test_the_office_of_governor_passes_in_two_steps() -> None:
    world = World()

    def send(sender: bytes, signature: str, *values: object) -> str:
        return world.send(sender, GAS_PARAMETERS_ADDRESS, encode_call(signature, *values)).error  # type: ignore[arg-type]

    assert send(USER, "proposeGovernor(address)", USER).startswith("NotGovernor")
    assert send(GOVERNOR, "proposeGovernor(address)", OTHER) == ""
    assert send(USER, "acceptGovernor()").startswith("NotPendingGovernor")
    assert send(OTHER, "acceptGovernor()") == ""
    assert set_parameters(world, evolve(DEFAULT, gamma=30_000), GOVERNOR).startswith("NotGovernor")
    assert set_parameters(world, evolve(DEFAULT, gamma=30_000), OTHER) == ""
    assert send(OTHER, "acceptGovernor()").startswith("NotPendingGovernor")


@given(
    before=st.tuples(st.integers(1, PARAMETER_MAX), st.integers(1, PARAMETER_MAX)),
    after=st.tuples(st.integers(1, PARAMETER_MAX), st.integers(1, PARAMETER_MAX)),
)
def test_ratios_compare_exactly_at_any_size(before: tuple[int, int], after: tuple[int, int]) -> None:
    world = World(evolve(DEFAULT, alpha=ratio(*before)))
    old, new = ratio(*before).fraction(), ratio(*after).fraction()

    allowed = set_parameters(world, evolve(DEFAULT, alpha=ratio(*after))) == ""

    assert allowed == (old <= 2 * new <= 4 * old)


def test_a_genesis_with_impossible_parameters_is_refused() -> None:
    for change in ({"alpha": ratio(0, 1)}, {"beta": ratio(1, 0)}, {"tip": 2**64}, {"compute_gas_target": 0}):
        with pytest.raises(InvalidGenesis, match="outside"):
            genesis_contracts(governor=GOVERNOR, gas_parameters=evolve(DEFAULT, **change))  # type: ignore[arg-type]
    with pytest.raises(InvalidGenesis, match="governor"):
        genesis_contracts(governor=ZERO_ADDRESS, gas_parameters=DEFAULT)


def test_a_state_without_the_contract_is_named() -> None:
    class Nothing:
        def storage(self, _address: bytes, _slot: int) -> int:
            return 0

    with pytest.raises(InvalidGenesis, match="0a10"):
        read_gas_parameters(Nothing())  # type: ignore[arg-type]
