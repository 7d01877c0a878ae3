"""Proof systems and consensus rules for checking alone: no chain, no configuration, a key that signs nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from lazai_core.api.compute import Coprocessor
from lazai_core.api.consensus import Certificate, ConsensusEngine, Validator
from lazai_core.api.needs import ChainParameters
from lazai_core.api.proof import ProofSystem
from lazai_core.api.types import ZERO_HASH, Gas, ModelId
from lazai_core.node.identity import KeyIdentity, new_private_key
from lazai_core.node.injection import Need, call_build, read_needs
from lazai_core.node.lazy_coprocessor import LazyCoprocessor
from lazai_core.node.models import FolderPrograms, read_model_folder
from lazai_core.node.system import SystemClock, SystemRng
from lazai_core.registry import Catalog, Kind, Offer

COPROCESSORS = ("torch", "reference")
SOLO, BFT = "solo", "bft"


class OfflineSystems(Mapping[str, ProofSystem]):
    """The installed proof systems by name; each is built when it is asked for.

    `models` are folders of models that the checker holds: with them a program can be run again.
    """

    def __init__(self, catalog: Catalog, models: Sequence[Path] = ()) -> None:
        self._catalog = catalog
        self._programs = FolderPrograms([read_model_folder(path) for path in models])
        self._built: dict[str, ProofSystem] = {}
        self._coprocessor: Coprocessor | None = None

    def __getitem__(self, name: str) -> ProofSystem:
        """Raises PluginMissing, PluginBroken or PluginConflict where the system cannot be had."""
        if name not in self._built:
            self._built[name] = self._build(self._catalog.find(Kind.PROOF_SYSTEM, name))
        return self._built[name]

    def __iter__(self) -> Iterator[str]:
        return (offer.name for offer in self._catalog.offers(Kind.PROOF_SYSTEM))

    def __len__(self) -> int:
        return len(self._catalog.offers(Kind.PROOF_SYSTEM))

    def holds(self, model: ModelId) -> bool:
        """Whether the checker holds this model's program."""
        return self._programs.program(model) is not None

    def close(self) -> None:
        """Give the device back."""
        if self._coprocessor is not None:
            self._coprocessor.close()

    def _build(self, offer: Offer) -> Any:
        return _build(offer, self._provide)

    def _provide(self, need: Need) -> object:
        match need:
            case Need.COPROCESSOR:
                return self._open_coprocessor()
            case Need.KERNELS:
                return self._open_coprocessor().tensors
            case Need.PROGRAMS:
                return self._programs
            case _:
                return None

    def _open_coprocessor(self) -> Coprocessor:
        if self._coprocessor is None:
            there = {offer.name: offer for offer in self._catalog.offers(Kind.COPROCESSOR)}
            name = next((name for name in COPROCESSORS if name in there), COPROCESSORS[-1])
            offer = self._catalog.find(Kind.COPROCESSOR, name)
            # Most systems only keep it for proving; its libraries take seconds to load.
            self._coprocessor = LazyCoprocessor(lambda: cast(Coprocessor, self._build(offer)), offer.candidate)
        return self._coprocessor


class OfflineConsensus:
    """The rules by which certificates are checked: those of the engine named, or of "solo" for one validator."""

    def __init__(self, catalog: Catalog, name: str = "") -> None:
        self._catalog = catalog
        self._name = name

    def verify_certificate(self, certificate: Certificate, validators: Sequence[Validator], chain_id: int) -> None:
        """Raises ConsensusFault, or PluginMissing where the engine is not installed."""
        self._engine(validators, chain_id).verify_certificate(certificate, validators, chain_id)

    def vouches(self, certificate: Certificate, validators: Sequence[Validator]) -> bool:
        """Whether the signers hit every quorum. Raises ConsensusFault, PluginMissing."""
        return self._engine(validators, 0).vouches(certificate, validators)

    def _engine(self, validators: Sequence[Validator], chain_id: int) -> ConsensusEngine:
        name = self._name or (SOLO if len(validators) == 1 else BFT)
        chain = ChainParameters(
            chain_id=chain_id,
            genesis_hash=ZERO_HASH,
            block_gas_limit=Gas(0),
            inline_flops_max=0,
            inline_memory_bytes_max=0,
            validators=tuple(validators),
        )
        offer = self._catalog.find(Kind.CONSENSUS, name)
        engine: ConsensusEngine = _build(offer, lambda need: chain if need is Need.CHAIN else None)
        return engine


def _build(offer: Offer, provide: Callable[[Need], object]) -> Any:
    """Build an entry with its default options. Raises AssemblyError where it needs more than checking has."""
    owner, entry = f"{offer.kind}.{offer.name}", offer.entry

    def provide_all(need: Need) -> object:
        match need:
            case Need.OPTIONS:
                return entry.options()
            case Need.IDENTITY:
                return KeyIdentity(new_private_key())
            case Need.CLOCK:
                return SystemClock()
            case Need.RNG:
                return SystemRng()
            case _:
                return provide(need)

    return call_build(owner, entry.build, read_needs(owner, entry.build, entry.options), provide_all)
