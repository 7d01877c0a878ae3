"""What a `build` function asks for, read from its annotations: a closed list, so that the graph stays readable."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from attrs import frozen

from lazai_core.api.compute import Coprocessor, TensorKernels
from lazai_core.api.errors import AssemblyError
from lazai_core.api.gas import GasPolicy
from lazai_core.api.needs import ChainParameters, Clock, NodeIdentity, ProgramStore, ProofSystems
from lazai_core.api.proof import Rng
from lazai_core.api.service import Gateway
from lazai_core.api.storage import KeyValueStore


class Need(StrEnum):
    """One thing that can be asked for."""

    OPTIONS = "options"
    IDENTITY = "NodeIdentity"
    CHAIN = "ChainParameters"
    STORE = "KeyValueStore"
    COPROCESSOR = "Coprocessor"
    KERNELS = "TensorKernels"
    PROGRAMS = "ProgramStore"
    PROOFS = "ProofSystems"
    GAS = "GasPolicy"
    GATEWAY = "Gateway"
    CLOCK = "Clock"
    RNG = "Rng"
    PATH = "Path"


_BY_CLASS: Mapping[object, Need] = {
    NodeIdentity: Need.IDENTITY,
    ChainParameters: Need.CHAIN,
    KeyValueStore: Need.STORE,
    Coprocessor: Need.COPROCESSOR,
    TensorKernels: Need.KERNELS,
    ProgramStore: Need.PROGRAMS,
    ProofSystems: Need.PROOFS,
    GasPolicy: Need.GAS,
    Gateway: Need.GATEWAY,
    Clock: Need.CLOCK,
    Rng: Need.RNG,
    Path: Need.PATH,
}


@frozen(kw_only=True)
class Parameter:
    """One parameter of a build function. `optional` parameters (`X | None`) get None where there is no X."""

    name: str
    need: Need
    optional: bool = False


def read_needs(owner: str, build: Callable[..., object], options: type[Any]) -> tuple[Parameter, ...]:
    """The needs of `build` in order. `owner` names it in errors. Raises AssemblyError."""
    try:
        signature = inspect.signature(build)
        hints = _resolved(build)
        parameters = signature.parameters.values()
    except (NameError, TypeError, ValueError, AttributeError) as error:
        raise AssemblyError(
            f"the annotations of its build function cannot be read: {error}",
            path=[owner],
            hint="import the annotated types at module level, not under TYPE_CHECKING",
        ) from error
    found = []
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise AssemblyError(f"its build function takes *{parameter.name}", path=[owner], hint="name each need")
        if parameter.name not in hints:
            raise AssemblyError(f"parameter {parameter.name!r} has no annotation", path=[owner])
        found.append(_parameter(owner, parameter.name, hints[parameter.name], options))
    return tuple(found)


def _resolved(build: Callable[..., object]) -> dict[str, Any]:
    """Annotations of the parameters. What a build function says it returns may be known to type checkers only."""
    function: Any = build.__init__ if inspect.isclass(build) else inspect.unwrap(build)
    # A class without an `__init__` of its own has none.
    found = getattr(function, "__annotations__", {})
    annotations = {name: item for name, item in found.items() if name != "return"}
    holder = types.SimpleNamespace(__annotations__=annotations)
    return typing.get_type_hints(holder, globalns=getattr(function, "__globals__", {}))


def _parameter(owner: str, name: str, annotation: Any, options: type[Any]) -> Parameter:
    wanted, optional = _without_none(annotation)
    if wanted is options:
        return Parameter(name=name, need=Need.OPTIONS, optional=optional)
    # `proof.Rng` and `needs.Rng` are one protocol; so is every alias of a class in the table.
    need = _BY_CLASS.get(wanted)
    if need is None:
        known = ", ".join(sorted(need.value for need in Need if need not in (Need.OPTIONS, Need.PATH)))
        raise AssemblyError(
            f"parameter {name!r} asks for {getattr(wanted, '__name__', wanted)}, which no part of a node provides",
            path=[owner],
            hint=f"ask for its options class or one of {known}",
        )
    return Parameter(name=name, need=need, optional=optional)


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        rest = [item for item in typing.get_args(annotation) if item is not type(None)]
        if len(rest) == 1:
            return rest[0], True
    return annotation, False


def call_build(
    owner: str,
    build: Callable[..., Any],
    needs: tuple[Parameter, ...],
    provide: Callable[[Need], Any],
) -> Any:
    """Call `build` with what it needs. `provide` gives None for what is absent. Raises AssemblyError for that."""
    arguments = {}
    for parameter in needs:
        value = provide(parameter.need)
        if value is None and not parameter.optional:
            raise AssemblyError("there is none in this node", path=[owner, parameter.need.value])
        arguments[parameter.name] = value
    return build(**arguments)
