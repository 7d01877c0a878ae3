"""What build functions may ask for, and how a node says no to the rest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from attrs import frozen

from lazai_core.api.compute import Coprocessor
from lazai_core.api.errors import AssemblyError
from lazai_core.api.gas import GasPolicy
from lazai_core.api.needs import ChainParameters, Clock, NodeIdentity, ProgramStore, ProofSystems
from lazai_core.api.proof import Rng
from lazai_core.api.service import Gateway
from lazai_core.api.storage import KeyValueStore
from lazai_core.node.injection import Need, call_build, read_needs

if TYPE_CHECKING:
    from decimal import Decimal


@frozen
class Options:
    """Own options."""


def everything(
    options: Options,
    identity: NodeIdentity,
    chain: ChainParameters,
    store: KeyValueStore,
    coprocessor: Coprocessor,
    programs: ProgramStore,
    proofs: ProofSystems,
    gas: GasPolicy,
    gateway: Gateway,
    clock: Clock,
    rng: Rng,
    path: Path,
) -> Decimal:
    """Its return type is known to type checkers only, which is nobody's business."""
    raise NotImplementedError


def test_every_need_is_read_in_order() -> None:
    needs = [parameter.need for parameter in read_needs("x", everything, Options)]

    assert needs == [
        Need.OPTIONS,
        Need.IDENTITY,
        Need.CHAIN,
        Need.STORE,
        Need.COPROCESSOR,
        Need.PROGRAMS,
        Need.PROOFS,
        Need.GAS,
        Need.GATEWAY,
        Need.CLOCK,
        Need.RNG,
        Need.PATH,
    ]


def test_a_class_is_a_build_function_too() -> None:
    class Part:
        def __init__(self, clock: Clock) -> None:
            self.clock = clock

    needs = read_needs("x", Part, Options)

    assert [parameter.need for parameter in needs] == [Need.CLOCK]
    assert call_build("x", Part, needs, lambda need: need).clock is Need.CLOCK


def test_an_optional_need_may_be_absent_and_another_may_not() -> None:
    def build(gas: GasPolicy | None, clock: Clock) -> tuple[Any, Any]:
        return gas, clock

    needs = read_needs("gas.x", build, Options)

    assert call_build("gas.x", build, needs, {Need.CLOCK: 1}.get) == (None, 1)
    with pytest.raises(AssemblyError, match=r"gas\.x -> Clock: there is none"):
        call_build("gas.x", build, needs, {Need.GAS: 1}.get)


def unknown(value: int) -> None: ...
def other_options(options: Problem) -> None: ...
def unannotated(clock) -> None: ...  # type: ignore[no-untyped-def]
def starred(*clocks: Clock) -> None: ...


@frozen
class Problem:
    """Options of somebody else."""


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (unknown, "asks for int"),
        (other_options, "asks for Problem"),
        (unannotated, "'clock' has no annotation"),
        (starred, r"takes \*clocks"),
    ],
)
def test_what_is_not_on_the_list_is_refused_by_name(build: Any, said: str) -> None:
    with pytest.raises(AssemblyError, match=f"^proof.x: .*{said}"):
        read_needs("proof.x", build, Options)


def test_an_annotation_that_cannot_be_resolved_is_named() -> None:
    def build(thing: Decimal) -> None: ...

    with pytest.raises(AssemblyError, match="Decimal"):
        read_needs("proof.x", build, Options)
