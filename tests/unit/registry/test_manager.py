from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from lazai_core.api.errors import (
    HookApiMismatch,
    PluginBroken,
    PluginConflict,
    PluginContractError,
    PluginError,
    PluginMissing,
)
from lazai_core.registry import Kind
from tests.unit.registry.plugins import HEADER, Workshop

GAS = """
@hookimpl
def lazai_gas_policies():
    yield GasPolicyEntry(name={name!r}, summary="x", build=build)
"""
PRECOMPILE = """
@hookimpl
def lazai_precompiles():
    return [PrecompileEntry(name={name!r}, summary="x", build=build, address=bytes(19) + b"{last}")]
"""


def only_error(workshop: Workshop) -> PluginError:
    catalog = workshop.catalog()
    assert catalog.plugins == ()
    (broken,) = catalog.broken
    (error,) = broken.errors
    assert (error.plugin, error.distribution) == ("bad", "acme-bad")
    return error


def test_entries_are_found_by_kind_and_name(workshop: Workshop) -> None:
    workshop.add("one", GAS.format(name="moon"))
    workshop.add("two", GAS.format(name="alps"))

    catalog = workshop.catalog()

    assert [offer.name for offer in catalog.offers(Kind.GAS_POLICY)] == ["alps", "moon"]
    assert catalog.find(Kind.GAS_POLICY, "moon").source == "acme-one 0.1.0"
    assert catalog.find(Kind.GAS_POLICY, "moon").genesis_key == "gas/moon"
    assert catalog.plugins[0].hooks == ("lazai_gas_policies", "lazai_plugin")


def test_two_catalogs_live_side_by_side(workshop: Workshop) -> None:
    workshop.add("one", GAS.format(name="moon"))
    workshop.add("two", GAS.format(name="alps"))

    first, second = workshop.catalog(deny=("two",)), workshop.catalog(deny=("one",))

    assert [offer.name for offer in first.offers(Kind.GAS_POLICY)] == ["moon"]
    assert [offer.name for offer in second.offers(Kind.GAS_POLICY)] == ["alps"]


def test_a_broken_import_is_recorded_and_stops_nobody(workshop: Workshop) -> None:
    workshop.add("one", GAS.format(name="moon"))
    workshop.add("gpu-bad", "import module_that_is_not_there")

    catalog = workshop.catalog()

    assert [plugin.info.name for plugin in catalog.plugins] == ["one"]
    assert "ModuleNotFoundError: No module named 'module_that_is_not_there'" in str(catalog.broken[0].errors[0])
    assert "module_that_is_not_there" in catalog.broken[0].traceback
    assert "guard.py" not in catalog.broken[0].traceback
    with pytest.raises(PluginBroken, match=r"acme-gpu-bad 0\.1\.0"):
        catalog.find(Kind.COPROCESSOR, "bad")


@pytest.mark.parametrize(
    "statement",
    ["raise SystemExit(3)", "1 / 0", "raise KeyError", "def broken(:", "from attrs import absent_name"],
)
def test_whatever_an_import_does_is_charged_to_the_plugin(workshop: Workshop, statement: str) -> None:
    workshop.add("bad", statement)

    assert isinstance(only_error(workshop), PluginBroken)


HOOK_FAULTS = {
    "@hookimpl\ndef lazai_proof_system(): ...": "lazai_proof_system is unknown; did you mean lazai_proof_systems?",
    "@hookimpl\ndef zzz(): ...": "hook zzz is unknown; docs/HOOKS.md lists all hooks",
    "@hookimpl\nasync def lazai_services(): ...": "hook lazai_services is async",
    "@hookimpl\nasync def lazai_services(): yield 1": "hook lazai_services is async",
    "@hookimpl(wrapper=True)\ndef lazai_services(): return (yield)": "hook lazai_services is a wrapper",
    "@hookimpl\ndef lazai_services(ctx): ...": "asks for ctx, but it is called with no arguments",
    "@hookimpl\ndef lazai_route_job(job, x): ...": "asks for x, but it is called with (job, candidates)",
    "@hookimpl(specname='lazai_plugin')\ndef again(): ...": "implements lazai_plugin 2 times",
    "@hookimpl\ndef lazai_services(): ...": "must return an iterable of ServiceEntry, got None",
    "@hookimpl\ndef lazai_services(): return 'text'": "got str 'text'",
    "@hookimpl\ndef lazai_services(): return [7]": "must return an iterable of ServiceEntry, got int 7",
    "@hookimpl\ndef lazai_services(): return {'a': 1}": "got dict {'a': 1}",
    "@hookimpl\ndef lazai_services():\n    while True: yield ServiceEntry(name='xx', summary='x', build=build)": (
        "returned more than 256 entries"
    ),
    "@hookimpl\ndef lazai_services(): return [ServiceEntry(name='xx', summary='', build=build)]": (
        'service "xx": summary must be a short text'
    ),
    "@hookimpl\ndef lazai_services(): return [ServiceEntry(name='xx', summary='x', build=7)]": (
        'service "xx": build must be a function, got 7'
    ),
    "@hookimpl\ndef lazai_services(): return [ServiceEntry(name='xx', summary='x', build=build, options=int)]": (
        "options must be an attrs class, got <class 'int'>"
    ),
    "@hookimpl\ndef lazai_gas_policies(): return [GasPolicyEntry(name='xx', summary='x', build=build, version='1')]": (
        "version must be an integer of 0 or more, got '1'"
    ),
}


@pytest.mark.parametrize("body", HOOK_FAULTS, ids=range(len(HOOK_FAULTS)))
def test_a_fault_in_a_hook_is_named(workshop: Workshop, body: str) -> None:
    workshop.add("bad", body)

    error = only_error(workshop)

    assert isinstance(error, PluginContractError)
    assert HOOK_FAULTS[body] in str(error)


@pytest.mark.parametrize(
    "body",
    [
        "@hookimpl\ndef lazai_services(): raise RuntimeError('no luck')",
        "@hookimpl\ndef lazai_services():\n    yield ServiceEntry(name='xx', summary='x', build=build)\n    1 / 0",
        "@hookimpl\ndef lazai_services(): return [ServiceEntry(name='No Name', summary='x', build=build)]",
    ],
)
def test_what_a_hook_raises_is_charged_to_it(workshop: Workshop, body: str) -> None:
    workshop.add("bad", body)

    error = only_error(workshop)

    assert isinstance(error, PluginBroken)
    assert "plugin bad (acme-bad 0.1.0): hook lazai_services raised" in str(error)


OPTIONS = """
@frozen
class Options:
    depth: int = field(metadata={{"doc": "Depth."}})
    {line}

@hookimpl
def lazai_services():
    return [ServiceEntry(name="xx", summary="x", build=build, options=Options)]
"""


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("width: int = 3", 'Options has fields without metadata["doc"]: width'),
        ('width: int = field(default=3, metadata={"doc": ""})', 'without metadata["doc"]: width'),
        ('width: "Absent" = field(default=3, metadata={"doc": "x"})', "types of Options cannot be resolved"),
    ],
)
def test_every_option_is_documented(workshop: Workshop, line: str, reason: str) -> None:
    workshop.add("bad", OPTIONS.format(line=line))

    assert reason in str(only_error(workshop))


def test_all_faults_of_a_plugin_are_reported(workshop: Workshop) -> None:
    workshop.add("bad", "@hookimpl\ndef lazai_a(): ...\n@hookimpl\ndef lazai_b(): ...")

    (broken,) = workshop.catalog().broken

    assert len(broken.errors) == 2


def test_a_module_without_identity_is_refused(workshop: Workshop) -> None:
    workshop.add("bad", header="")

    assert "implements no lazai_plugin" in str(only_error(workshop))


@pytest.mark.parametrize("version", [(2, 0), (0, 9), (1, 1), (1, -1)])
def test_another_hook_api_is_refused_whatever_else_is_wrong(workshop: Workshop, version: tuple[int, int]) -> None:
    header = HEADER.replace("(1, 0)", repr(version))
    workshop.add("bad", "@hookimpl\ndef lazai_of_the_future(): ...", header=header)

    assert isinstance(only_error(workshop), HookApiMismatch)


@pytest.mark.parametrize("version", ["'1.0'", "(1,)", "(1.0, 0)", "None", "(True, 0)"])
def test_a_hook_api_of_another_shape_is_refused(workshop: Workshop, version: str) -> None:
    workshop.add("bad", header=HEADER.replace("(1, 0)", version))

    assert "hook_api must be two integers" in str(only_error(workshop))


def test_an_identity_of_another_type_is_refused(workshop: Workshop) -> None:
    workshop.add("bad", header="from lazai_core.api import hookimpl\n@hookimpl\ndef lazai_plugin(): return 'me'")

    assert "hook lazai_plugin must return a PluginInfo, got str 'me'" in str(only_error(workshop))


def test_two_plugins_with_one_name_are_both_put_aside(workshop: Workshop) -> None:
    workshop.add("same", GAS.format(name="moon"), distribution="acme")
    workshop.add("same", GAS.format(name="sun"), distribution="beta", version="2.0")

    catalog = workshop.catalog()

    assert catalog.plugins == ()
    assert 'two plugins are called "same": acme 0.1.0, beta 2.0' in str(catalog.broken[0].errors[0])
    with pytest.raises(PluginBroken, match='choose with \\[plugins\\] deny = \\["beta"\\]'):
        catalog.find(Kind.GAS_POLICY, "moon")


def test_a_name_offered_twice_is_fatal_only_when_used(workshop: Workshop) -> None:
    workshop.add("one", GAS.format(name="moon") + PRECOMPILE.format(name="reverse", last="x"))
    workshop.add("two", GAS.format(name="moon"), version="2.0")

    catalog = workshop.catalog()

    assert catalog.offers(Kind.GAS_POLICY) == ()
    assert catalog.find(Kind.PRECOMPILE, "reverse").name == "reverse"
    with pytest.raises(PluginConflict) as caught:
        catalog.find(Kind.GAS_POLICY, "moon")
    assert str(caught.value) == (
        'gas policy "moon" is provided twice: acme-one 0.1.0, acme-two 2.0\n  choose with [plugins] deny = ["acme-two"]'
    )


def test_one_name_of_two_kinds_is_no_conflict(workshop: Workshop) -> None:
    workshop.add("one", GAS.format(name="moon") + PRECOMPILE.format(name="moon", last="x"))

    assert workshop.catalog().conflicts == ()


def test_precompiles_at_one_address_cannot_be_used_together(workshop: Workshop) -> None:
    workshop.add("one", PRECOMPILE.format(name="reverse", last="x"))
    workshop.add("two", PRECOMPILE.format(name="forward", last="x"))
    workshop.add("three", PRECOMPILE.format(name="sideways", last="w"))

    catalog = workshop.catalog()

    (conflict,) = catalog.conflicts
    assert "want the same address 0x0000000000000000000000000000000000000078" in str(conflict.error)
    chosen = catalog.precompiles(["reverse", "sideways"])
    assert [offer.name for offer in chosen] == ["sideways", "reverse"]
    with pytest.raises(PluginConflict):
        catalog.precompiles(["reverse", "forward"])


def test_without_names_only_built_in_precompiles_are_taken(workshop: Workshop) -> None:
    workshop.add("one", PRECOMPILE.format(name="reverse", last="x"))

    assert workshop.catalog().precompiles() == ()


def test_a_denied_provider_is_named(workshop: Workshop) -> None:
    workshop.add("gas-moon", GAS.format(name="moon"))

    with pytest.raises(PluginMissing, match='take "acme-gas-moon" out of deny'):
        workshop.catalog(deny=("gas-moon",)).find(Kind.GAS_POLICY, "moon")


HOOKS = """
@hookimpl{marks}
def lazai_route_job(job, candidates):
    {route}

@hookimpl
def lazai_block_committed(summary):
    {observe}

@hookimpl
def lazai_benchmarks():
    {bench}
"""


def add_hooks(workshop: Workshop, name: str, *, route: str = "return None", marks: str = "") -> None:
    body = HOOKS.format(marks=marks, route=route, observe="summary.append(NAME)", bench="return []")
    workshop.add(name, body)


@pytest.mark.parametrize(
    ("routes", "answer", "failures"),
    [
        ({}, None, 0),
        ({"a": "return 'stark'"}, "stark", 0),
        ({"a": "return 'stark'", "b": "1 / 0"}, "stark", 1),
        ({"a": "return 'stark'", "b": "return 'other'"}, "stark", 1),
        ({"a": "return 'stark'", "b": "return 7"}, "stark", 1),
        ({"a": "return 'stark'", "b": "return 'plonk'"}, "plonk", 0),
    ],
)
def test_a_job_goes_where_the_first_good_answer_says(
    workshop: Workshop, routes: dict[str, str], answer: str | None, failures: int
) -> None:
    for name, route in routes.items():
        add_hooks(workshop, f"plugin-{name}", route=route)

    routed, failed = workshop.catalog().calls.route_job(None, ("stark", "plonk"))  # type: ignore[arg-type]

    assert (routed, len(failed)) == (answer, failures)


def test_trylast_is_asked_last(workshop: Workshop) -> None:
    add_hooks(workshop, "plugin-a", route="return 'stark'")
    add_hooks(workshop, "plugin-z", route="return 'plonk'", marks="(trylast=True)")

    routed, _ = workshop.catalog().calls.route_job(None, ("stark", "plonk"))  # type: ignore[arg-type]

    assert routed == "stark"


def test_observers_all_learn_of_a_block_and_failures_come_back(workshop: Workshop) -> None:
    add_hooks(workshop, "plugin-a")
    workshop.add("bad", "@hookimpl\ndef lazai_block_committed(summary): raise SystemExit")
    add_hooks(workshop, "plugin-z")
    seen: list[str] = []

    failures = workshop.catalog().calls.block_committed(seen)  # type: ignore[arg-type]

    assert sorted(seen) == ["plugin-a", "plugin-z"]
    assert [error.plugin for error in failures] == ["bad"]


def test_benchmarks_come_with_their_plugin_and_failures(workshop: Workshop) -> None:
    bench = "return [Benchmark(name='speed', summary='x', run=build)]"
    workshop.add("good", f"@hookimpl\ndef lazai_benchmarks(): {bench}")
    workshop.add("bad", "@hookimpl\ndef lazai_benchmarks(): return [HealthCheck(name='x', run=build)]")

    collected = workshop.catalog().calls.benchmarks()

    assert [(plugin.name, item.name) for plugin, item in collected.items] == [("good", "speed")]
    assert [error.plugin for error in collected.failures] == ["bad"]
    assert workshop.catalog().calls.health_checks().items == ()


def test_loading_imports_each_plugin_once(workshop: Workshop) -> None:
    module = workshop.add("one", GAS.format(name="moon"))
    first = workshop.catalog()
    loaded = sys.modules[module]

    workshop.catalog()

    assert sys.modules[module] is loaded
    assert first.plugins[0].load_ms > 0


@pytest.mark.parametrize("look_up", [lambda catalog: catalog.find(Kind.STORAGE, "lmdb")])
def test_an_empty_catalog_says_so(workshop: Workshop, look_up: Callable[[object], object]) -> None:
    with pytest.raises(PluginMissing, match="available: none"):
        look_up(workshop.catalog())
