"""What plugins hand in through hooks: names, one-line summaries, options classes and build functions.

`build` is any callable; the annotations of its parameters say what it needs (`needs.py`). It may import heavy
libraries; the module that holds the entry may not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeAlias

from attrs import Attribute, field, frozen

from .compute import Capability, Coprocessor
from .consensus import ConsensusEngine
from .gas import GasPolicy
from .precompile import Precompile
from .proof import ProofKind, ProofSystem
from .service import Service
from .storage import KeyValueStore
from .types import ADDRESS_BYTES, Address, Height

NAME_PATTERN = re.compile(r"^[a-z][a-z0-9-]{1,31}$")


def _check_name(_instance: object, _attribute: Attribute[str], value: object) -> None:
    if not isinstance(value, str) or not NAME_PATTERN.match(value):
        raise ValueError(
            f"the name {value!r} must start with a lower-case letter and hold 2 to 32 letters, digits and dashes"
        )


def _check_address(_instance: object, _attribute: Attribute[Address], value: object) -> None:
    if not isinstance(value, bytes) or len(value) != ADDRESS_BYTES:
        raise ValueError(f"a precompile's address has {ADDRESS_BYTES} bytes, got {value!r}")


@frozen(kw_only=True)
class NoOptions:
    """For entries that have none."""


@frozen(kw_only=True)
class PluginInfo:
    """Who a plugin is and which hook API it was written against."""

    name: str = field(validator=_check_name)
    hook_api: tuple[int, int]
    summary: str


@frozen(kw_only=True)
class PrecompileEntry:
    """A precompiled contract. Consensus critical: name and version are hashed into the genesis."""

    name: str = field(validator=_check_name)
    summary: str
    address: Address = field(validator=_check_address)
    build: Callable[..., Precompile]
    version: int = 1
    options: type[Any] = NoOptions
    active_from: Height = Height(0)


@frozen(kw_only=True)
class CoprocessorEntry:
    """A compute backend."""

    name: str = field(validator=_check_name)
    summary: str
    build: Callable[..., Coprocessor]
    capabilities: frozenset[Capability] = frozenset({Capability.EXACT_TENSORS})
    options: type[Any] = NoOptions


@frozen(kw_only=True)
class ProofSystemEntry:
    """A proof system. Consensus critical: name and version are hashed into the genesis."""

    name: str = field(validator=_check_name)
    summary: str
    kind: ProofKind
    build: Callable[..., ProofSystem]
    version: int = 1
    options: type[Any] = NoOptions
    requires: frozenset[Capability] = frozenset()
    provisional: bool = False


@frozen(kw_only=True)
class ConsensusEntry:
    """A consensus engine."""

    name: str = field(validator=_check_name)
    summary: str
    build: Callable[..., ConsensusEngine]
    version: int = 1
    options: type[Any] = NoOptions


@frozen(kw_only=True)
class GasPolicyEntry:
    """A gas policy. Consensus critical: name and version are hashed into the genesis."""

    name: str = field(validator=_check_name)
    summary: str
    build: Callable[..., GasPolicy]
    version: int = 1
    options: type[Any] = NoOptions


@frozen(kw_only=True)
class StorageEntry:
    """A key-value store. `build` also gets `path: pathlib.Path`, the folder it may use."""

    name: str = field(validator=_check_name)
    summary: str
    build: Callable[..., KeyValueStore]
    durable: bool = True
    options: type[Any] = NoOptions
    provisional: bool = True


@frozen(kw_only=True)
class ServiceEntry:
    """A service; built last, started last, stopped first."""

    name: str = field(validator=_check_name)
    summary: str
    build: Callable[..., Service]
    options: type[Any] = NoOptions
    provisional: bool = True


Entry: TypeAlias = (
    PrecompileEntry
    | CoprocessorEntry
    | ProofSystemEntry
    | ConsensusEntry
    | GasPolicyEntry
    | StorageEntry
    | ServiceEntry
)
