"""Every text about plugins, in one place, held by golden tests.

Each function returns the error to raise or to record. The first line says what and where; indented lines
below it say what is there instead and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from attrs import frozen

from lazai_core.api.errors import (
    HookApiMismatch,
    PluginBroken,
    PluginConflict,
    PluginContractError,
    PluginMissing,
)

from .discover import Candidate
from .kinds import KIND_RULES, Kind

if TYPE_CHECKING:
    from .catalog import BrokenPlugin, Offer


@frozen(kw_only=True)
class KnownProvider:
    """Distribution that offers a well-known name, and what to write after `pip install`."""

    distribution: str
    requirement: str


def _known(distribution: str, extra: str = "") -> KnownProvider:
    return KnownProvider(distribution=distribution, requirement=f"{distribution}{extra}")


KNOWN_PROVIDERS: dict[tuple[Kind, str], KnownProvider] = {
    (Kind.COPROCESSOR, "torch"): _known("lazai-gpu-torch"),
    (Kind.COPROCESSOR, "jax"): _known("lazai-gpu-jax", "[cuda12]"),
    (Kind.PROOF_SYSTEM, "stark"): _known("lazai-proof-stark"),
    (Kind.PROOF_SYSTEM, "plonk"): _known("lazai-proof-plonk"),
    (Kind.CONSENSUS, "bft"): _known("lazai-consensus-bft"),
    (Kind.GAS_POLICY, "eip1559"): _known("lazai-gas-eip1559"),
    (Kind.SERVICE, "openai"): _known("lazai-api-openai"),
    (Kind.SERVICE, "ethereum-rpc"): _known("lazai-api-ethereum"),
}
"""Names of the project's own plugins, so that a missing one can be named with its cure."""

_LAST_LINES_MAX = 3
MODULE_MOMENT = "its module"
_AT_LOAD = frozenset({MODULE_MOMENT, "hook lazai_plugin", *(f"hook {rules.hook}" for rules in KIND_RULES.values())})


def missing(kind: Kind, name: str, offers: Iterable[Offer], broken: Sequence[BrokenPlugin]) -> PluginMissing:
    """The configuration asks for a name that no loaded plugin offers."""
    known = KNOWN_PROVIDERS.get((kind, name))
    if known is not None:
        return PluginMissing(
            f'"{name}" comes from {known.distribution}, which is not installed\n'
            f'  install it: python -m pip install "{known.requirement}"',
            distribution=known.distribution,
        )
    there = sorted(offers, key=lambda offer: offer.name)
    listed = ", ".join(f"{offer.name} ({offer.source})" for offer in there) or "none"
    lines = [f'no {KIND_RULES[kind].noun} is called "{name}"', f"  available: {listed}"]
    names = [offer.name for offer in there]
    others = [known_name for known_kind, known_name in KNOWN_PROVIDERS if known_kind is kind]
    match = near_match(name, [*names, *(other for other in others if other not in names)])
    if match:
        lines.append(f'  did you mean "{match}"?')
    if broken:
        labels = ", ".join(plugin.candidate.label for plugin in broken)
        lines.append(f"  it may be offered by what failed to load: {labels}; see `lazai plugins`")
    return PluginMissing("\n".join(lines))


def denied(name: str, candidate: Candidate) -> PluginMissing:
    """The configuration asks for a name whose plugin its own [plugins] table keeps out."""
    return PluginMissing(
        f'"{name}" comes from {candidate.label}, which [plugins] keeps out\n'
        f'  take "{candidate.distribution}" out of deny, or add it to allow',
        plugin=candidate.name,
        distribution=candidate.distribution,
    )


def failed_import(candidate: Candidate, error: BaseException) -> PluginBroken:
    """The plugin's module cannot be imported."""
    return PluginBroken(
        f"{candidate.label} failed to import\n  {summary_of(error)}\n"
        f"  run `lazai plugins {candidate.name}` for the full traceback",
        plugin=candidate.name,
        distribution=candidate.distribution,
    )


def raised(candidate: Candidate, moment: str, error: BaseException) -> PluginBroken:
    """Code of the plugin raised; `moment` is the hook's name or what it was asked for."""
    return PluginBroken(
        f"{candidate.label}: {moment} raised\n  {summary_of(error)}\n  {_advice(candidate, moment)}",
        plugin=candidate.name,
        distribution=candidate.distribution,
    )


def _advice(candidate: Candidate, moment: str) -> str:
    if moment in _AT_LOAD:
        return f"run `lazai plugins {candidate.name}` for the full traceback"
    return "`lazai --debug` shows the full traceback"


def unusable(name: str, broken: BrokenPlugin) -> PluginBroken:
    """The configuration asks for a name whose plugin is broken."""
    reasons = "\n".join(f"  {line}" for error in broken.errors for line in error.message.splitlines())
    return PluginBroken(
        f'"{name}" comes from {broken.candidate.label}, which cannot be used\n{reasons}',
        plugin=broken.candidate.name,
        distribution=broken.candidate.distribution,
    )


def provided_twice(kind: Kind, name: str, candidates: Sequence[Candidate]) -> PluginConflict:
    """Two plugins offer one name of one kind."""
    return _conflict(f'{KIND_RULES[kind].noun} "{name}" is provided twice', candidates)


def address_taken(address: bytes, offers: Sequence[Offer]) -> PluginConflict:
    """Two precompiles want one address."""
    names = " and ".join(f'"{offer.name}"' for offer in offers)
    return _conflict(
        f"precompiles {names} want the same address 0x{address.hex()}", [offer.candidate for offer in offers]
    )


def plugin_twice(name: str, candidates: Sequence[Candidate]) -> PluginConflict:
    """Two plugins bear one name."""
    return _conflict(f'two plugins are called "{name}"', candidates)


def _conflict(what: str, candidates: Sequence[Candidate]) -> PluginConflict:
    providers = ", ".join(candidate.source for candidate in candidates)
    distributions = {candidate.distribution for candidate in candidates}
    if len(distributions) == 1:
        cure = f"this is a fault of {candidates[0].distribution}; report it to its authors"
    else:
        loser = [candidate for candidate in candidates if not candidate.built_in][-1]
        cure = f'choose with [plugins] deny = ["{loser.distribution}"]'
    return PluginConflict(
        f"{what}: {providers}\n  {cure}",
        plugin=candidates[-1].name,
        distribution=candidates[-1].distribution,
    )


def wrong_hook_api(candidate: Candidate, written_for: tuple[int, int], spoken: tuple[int, int]) -> HookApiMismatch:
    """The plugin was written for a hook API that this core does not speak."""
    theirs, ours = f"{written_for[0]}.{written_for[1]}", f"{spoken[0]}.{spoken[1]}"
    name = f"{candidate.distribution} made for {spoken[0]}.x"
    core = f"a lazai-core that speaks {theirs}"
    return HookApiMismatch(
        f"{_who(candidate)} was written for hook API {theirs}; this core speaks {ours}\n"
        f"  install {core}, or {_article(candidate.distribution)} {name}",
        plugin=candidate.name,
        distribution=candidate.distribution,
    )


def unknown_hook(candidate: Candidate, hook: str, hooks: Iterable[str]) -> PluginContractError:
    """A function is marked as a hook that does not exist."""
    match = near_match(hook, list(hooks))
    cure = f"did you mean {match}?" if match else "docs/HOOKS.md lists all hooks"
    return _contract(candidate, f"hook {hook} is unknown; {cure}")


def async_hook(candidate: Candidate, hook: str) -> PluginContractError:
    """A hook is a coroutine function, which nobody would await."""
    return _contract(
        candidate, f"hook {hook} is async; hooks are called without an event loop: write `def`, not `async def`"
    )


def wrapper_hook(candidate: Candidate, hook: str) -> PluginContractError:
    """A hook implementation is a wrapper."""
    return _contract(candidate, f"hook {hook} is a wrapper; wrappers are not part of the hook API")


def wrong_arguments(
    candidate: Candidate, hook: str, unknown: Sequence[str], known: Sequence[str]
) -> PluginContractError:
    """A hook asks for arguments that its specification does not have."""
    takes = f"({', '.join(known)})" if known else "no arguments"
    return _contract(candidate, f"hook {hook} asks for {', '.join(unknown)}, but it is called with {takes}")


def wrong_return(candidate: Candidate, hook: str, expected: str, got: object) -> PluginContractError:
    """A hook returned something of another type."""
    return _contract(candidate, f"hook {hook} must return {expected}, got {_described(got)}")


def too_many(candidate: Candidate, hook: str, maximum: int) -> PluginContractError:
    """A hook returned more entries than anybody reads."""
    return _contract(candidate, f"hook {hook} returned more than {maximum} entries")


def no_plugin_info(candidate: Candidate) -> PluginContractError:
    """The module does not say who it is."""
    return _contract(candidate, f"module {candidate.module} implements no lazai_plugin; every plugin has exactly one")


def many_plugin_infos(candidate: Candidate, count: int) -> PluginContractError:
    """The module says more than once who it is."""
    return _contract(
        candidate,
        f"module {candidate.module} implements lazai_plugin {count} times; every plugin has exactly one",
    )


def bad_entry(candidate: Candidate, kind: Kind, name: str, reason: str) -> PluginContractError:
    """An entry breaks a rule of its class."""
    return _contract(candidate, f'{KIND_RULES[kind].noun} "{name}": {reason}')


def bad_plugin_info(candidate: Candidate, reason: str) -> PluginContractError:
    """`PluginInfo` breaks a rule."""
    return _contract(candidate, f"hook lazai_plugin: {reason}")


def bad_routing(candidate: Candidate, got: object, candidates: Sequence[str]) -> PluginContractError:
    """`lazai_route_job` answered with something that was not offered."""
    return _contract(candidate, f"hook lazai_route_job answered {got!r}, which is none of {', '.join(candidates)}")


def near_match(name: str, names: Sequence[str]) -> str:
    """The name most like `name`, or nothing."""
    matches = get_close_matches(name, names, n=1, cutoff=0.6)
    return matches[0] if matches else ""


def summary_of(error: BaseException) -> str:
    """Type and text of an exception in at most three lines, indented for a message."""
    lines = str(error).splitlines() or [""]
    kept = lines[:_LAST_LINES_MAX] + (["…"] if len(lines) > _LAST_LINES_MAX else [])
    return f"{type(error).__name__}: {kept[0]}".rstrip(": ") + "".join(f"\n    {line}" for line in kept[1:])


def _who(candidate: Candidate) -> str:
    return f"plugin {candidate.source}" if not candidate.built_in else candidate.label


def _contract(candidate: Candidate, text: str) -> PluginContractError:
    return PluginContractError(f"{candidate.label}: {text}", plugin=candidate.name, distribution=candidate.distribution)


def _described(value: object) -> str:
    if value is None:
        return "None"
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def _article(word: str) -> str:
    return "an" if word[:1].lower() in "aeiou" else "a"
