"""Configuration and catalog to a checked plan of the node. Nothing is built, opened or listened on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from attrs import field, frozen

from lazai_core.api.entries import CoprocessorEntry, ProofSystemEntry
from lazai_core.api.errors import (
    AssemblyError,
    ConfigError,
    InvalidGenesis,
    PluginConflict,
    PluginError,
    Problem,
)
from lazai_core.api.types import to_hex
from lazai_core.chain.genesis import Genesis
from lazai_core.chain.genesis_file import read_genesis, require_plugins
from lazai_core.config import IncompleteConfig, LoadedConfig
from lazai_core.config.load import problem_place, structured_options
from lazai_core.config.schema import Chosen, NodeConfig
from lazai_core.registry import Catalog, Kind, Offer

from .injection import Need, Parameter, read_needs

GATEWAY_NODE = "gateway"
_PROVIDERS: Mapping[Need, Kind] = {
    Need.STORE: Kind.STORAGE,
    Need.COPROCESSOR: Kind.COPROCESSOR,
    Need.KERNELS: Kind.COPROCESSOR,
    Need.PROOFS: Kind.PROOF_SYSTEM,
    Need.GAS: Kind.GAS_POLICY,
}
_IN_THE_MACHINE = (Kind.STORAGE, Kind.COPROCESSOR, Kind.PROOF_SYSTEM, Kind.GAS_POLICY, Kind.PRECOMPILE, Kind.CONSENSUS)


@frozen(kw_only=True)
class Part:
    """One chosen entry with its options, checked, and what its build function asks for."""

    kind: Kind
    offer: Offer
    options: object
    needs: tuple[Parameter, ...]
    index: int = 0

    @property
    def key(self) -> str:
        """Its name in the graph, for example "proof.attestation"."""
        return f"{self.kind}.{self.offer.name}" + (f".{self.index}" if self.index else "")


@frozen(kw_only=True)
class Blueprint:
    """A plan that can be carried out: `parts` are in the order in which they are built."""

    loaded: LoadedConfig
    catalog: Catalog
    genesis: Genesis
    parts: tuple[Part, ...]
    edges: Mapping[str, frozenset[str]] = field(repr=False)

    @property
    def config(self) -> NodeConfig:
        """The configuration itself."""
        return self.loaded.config

    def of_kind(self, kind: Kind) -> tuple[Part, ...]:
        """Parts of a kind; several of one name in the order of the configuration."""
        return tuple(sorted((part for part in self.parts if part.kind is kind), key=lambda part: part.index))

    def lines(self) -> Iterator[str]:
        """The plan for people."""
        node = self.config.node
        yield f"node {node.name} ({node.role})"
        yield f"  chain {self.genesis.chain_id}, genesis {to_hex(self.genesis.hash)}"
        yield f"  data in {node.data_dir}, key in {node.key_file}"
        yield "parts, in the order in which they are built:"
        width = max(len(part.key) for part in self.parts)
        for part in self.parts:
            needs = ", ".join(sorted(self.edges[part.key])) or "nothing"
            yield f"  {part.key.ljust(width)}  {part.offer.source}; needs {needs}"
        yield "models:"
        for model in self.config.model:
            yield f"  {model.path}"
        if not self.config.model:
            yield "  none"


def make_blueprint(loaded: LoadedConfig, catalog: Catalog) -> Blueprint:
    """Check everything that can be checked without opening anything.

    Raises ConfigError with every problem of choices and options, InvalidGenesis naming each plugin that differs, or
    AssemblyError with the chain of needs that cannot be met.
    """
    problems: list[Problem] = []
    parts = [*_chosen_parts(loaded, catalog, problems), *_precompiles(loaded, catalog, problems)]
    problems.extend(_capability_problems(loaded, parts))
    if problems:
        raise ConfigError(sorted(problems, key=problem_place))
    genesis = _genesis(loaded.config.node.genesis)
    chosen = {part.offer.genesis_key: part.offer.genesis_version for part in parts if part.offer.genesis_version}
    require_plugins(genesis, chosen)
    edges = {part.key: _edges(part, parts) for part in parts}
    return Blueprint(
        loaded=loaded,
        catalog=catalog,
        genesis=genesis,
        parts=_ordered(parts, edges),
        edges=edges,
    )


def with_choices(error: IncompleteConfig, catalog: Catalog) -> ConfigError:
    """The problems of a configuration, and those of the providers and options that it names, all at once."""
    problems = list(error.problems)
    for choice in error.choices:
        try:
            offer = catalog.find(Kind(choice.kind), choice.name)
        except PluginError as cause:
            problems.append(error.source.problem(choice.use_path, cause.message, cause.hint))
            continue
        structured_options(error.source, offer.entry.options, choice, problems)
    return ConfigError(sorted(problems, key=problem_place))


def _chosen_parts(loaded: LoadedConfig, catalog: Catalog, problems: list[Problem]) -> Iterator[Part]:
    counts: dict[tuple[str, str], int] = {}
    for choice in loaded.config.choices():
        if choice.kind == Kind.PRECOMPILE:
            continue
        try:
            offer = catalog.find(Kind(choice.kind), choice.name)
        except PluginError as error:
            problems.append(loaded.problem(choice.use_path, error.message, error.hint))
            continue
        number = counts.get((choice.kind, choice.name), 0)
        counts[choice.kind, choice.name] = number + 1
        part = _part(loaded, choice, offer, problems, number)
        if part is not None:
            yield part


def _precompiles(loaded: LoadedConfig, catalog: Catalog, problems: list[Problem]) -> Iterator[Part]:
    section = loaded.config.precompiles
    try:
        offers = catalog.precompiles(section.use)
    except PluginError as error:
        where = ("precompiles", "use") if isinstance(error, PluginConflict) else ("precompiles",)
        problems.append(loaded.problem(where, error.message, error.hint))
        return
    for offer in offers:
        choice = Chosen(
            kind=Kind.PRECOMPILE,
            name=offer.name,
            options=section.options.get(offer.name, {}),
            use_path=("precompiles", "use"),
            options_path=("precompiles", "options", offer.name),
        )
        part = _part(loaded, choice, offer, problems, 0)
        if part is not None:
            yield part


def _part(loaded: LoadedConfig, choice: Chosen, offer: Offer, problems: list[Problem], index: int) -> Part | None:
    options = loaded.structure_options(offer.entry.options, choice, problems)
    if options is None:
        return None
    kind = Kind(choice.kind)
    needs = read_needs(f"{kind}.{offer.name}", offer.entry.build, offer.entry.options)
    return Part(kind=kind, offer=offer, options=options, needs=needs, index=index)


def _capability_problems(loaded: LoadedConfig, parts: list[Part]) -> Iterator[Problem]:
    backends = [part for part in parts if part.kind is Kind.COPROCESSOR]
    for number, part in enumerate(part for part in parts if part.kind is Kind.PROOF_SYSTEM):
        entry = part.offer.entry
        assert isinstance(entry, ProofSystemEntry), "the catalog keeps kinds apart"
        for backend in backends:
            assert isinstance(backend.offer.entry, CoprocessorEntry), "the catalog keeps kinds apart"
            for missing in sorted(entry.requires - backend.offer.entry.capabilities):
                yield loaded.problem(
                    ("proof", number, "use"),
                    f"'{entry.name}' requires {missing}, which coprocessor '{backend.offer.name}' does not offer",
                    "choose another coprocessor",
                )


def _genesis(path: Path) -> Genesis:
    try:
        return read_genesis(path.read_bytes(), name=str(path))
    except OSError as error:
        raise InvalidGenesis(
            f"cannot read the genesis file {path}: {error.strerror}",
            hint="write one with `lazai init`, or take that of the chain you join",
        ) from error


def _edges(part: Part, parts: list[Part]) -> frozenset[str]:
    """Keys of the parts that must be there before this one. Raises AssemblyError for what it may not ask for."""
    found: set[str] = set()
    for parameter in part.needs:
        if parameter.need is Need.GATEWAY:
            if part.kind is not Kind.SERVICE:
                raise AssemblyError("only services may ask for the gateway", path=[part.key, GATEWAY_NODE])
            found |= {other.key for other in parts if other.kind in _IN_THE_MACHINE}
        if parameter.need is Need.PATH and part.kind is not Kind.STORAGE:
            raise AssemblyError("only storage backends may ask for a folder", path=[part.key, Need.PATH])
        kind = _PROVIDERS.get(parameter.need)
        if kind is not None:
            found |= {other.key for other in parts if other.kind is kind}
    return frozenset(found)


def _ordered(parts: list[Part], edges: Mapping[str, frozenset[str]]) -> tuple[Part, ...]:
    """Parts after everything they need, otherwise as they were. Raises AssemblyError for a cycle."""
    by_key = {part.key: part for part in parts}
    sorter = TopologicalSorter(edges)
    try:
        sorter.prepare()
    except CycleError as error:
        # graphlib lists a cycle against the direction of need.
        cycle: list[str] = list(reversed(error.args[1]))
        raise AssemblyError("each of these parts waits for the next one", path=cycle) from error
    ordered: list[Part] = []
    rank = {part.key: number for number, part in enumerate(parts)}
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=lambda key: rank[key])
        ordered.extend(by_key[key] for key in ready)
        sorter.done(*ready)
    return tuple(ordered)
