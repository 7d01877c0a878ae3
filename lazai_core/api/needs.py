"""What a `build` function may ask for by annotating its parameters, besides its own options.

The list is closed, so that a node's graph of parts stays readable. An unknown annotation is an AssemblyError.

| annotation | gives |
|---|---|
| the entry's options class | the options from TOML, checked |
| `NodeIdentity` | this node's address and signing key |
| `ChainParameters` | what the genesis fixes |
| `KeyValueStore` | a store of the provider's own, under its name |
| `Coprocessor` | the chosen backend |
| `TensorKernels` | the chosen backend's kernels |
| `ProgramStore` | programs and constants this node holds |
| `ProofSystems` | the chosen proof systems by name |
| `GasPolicy` | the chosen gas policy |
| `Gateway` | the node's front door (services only) |
| `Clock` | wall clock |
| `Rng` | randomness |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from attrs import field, frozen

from .compute import ConstantSource, ModelManifest
from .consensus import Validator
from .program import Program
from .proof import ProofSystem
from .types import Address, Gas, Hash32, ModelId


class NodeIdentity(Protocol):
    """The node's key; the secret itself stays inside."""

    address: Address

    def sign(self, digest: bytes) -> bytes:
        """65-byte recoverable signature over 32 bytes (see `hashing.sign_digest`)."""


@frozen(kw_only=True)
class ChainParameters:
    """What the genesis fixes. Gas limits in gas a block; `plugins` maps consensus-critical "kind/name" to version."""

    chain_id: int
    genesis_hash: Hash32
    block_gas_limit: Gas
    inline_flops_max: int
    inline_memory_bytes_max: int
    validators: tuple[Validator, ...]
    plugins: Mapping[str, int] = field(factory=dict)


class Clock(Protocol):
    """Wall clock; simulated in tests."""

    def now_seconds(self) -> int:
        """Seconds since 1970, UTC."""

    def monotonic_ns(self) -> int:
        """Nanoseconds from an arbitrary start, never going back."""


class ProgramStore(Protocol):
    """Programs this node holds, by digest."""

    def program(self, model: ModelId) -> Program | None:
        """The program, or None when this node does not hold it."""

    def constants(self, model: ModelId) -> ConstantSource | None:
        """Its constants, digests checked, or None."""

    def manifest(self, model: ModelId) -> ModelManifest | None:
        """What its author says about it, or None."""

    def models(self) -> Sequence[ModelId]:
        """Digests of all programs held, ascending."""


class ProofSystems(Mapping[str, ProofSystem]):
    """The chosen proof systems by name, immutable."""

    def __init__(self, systems: Mapping[str, ProofSystem]) -> None:
        self._systems = dict(sorted(systems.items()))

    def __getitem__(self, name: str) -> ProofSystem:
        return self._systems[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._systems)

    def __len__(self) -> int:
        return len(self._systems)
