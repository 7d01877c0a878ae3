"""Texts that people and scripts see: about plugins, about configurations, and the help of every command."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from lazai_core.api.errors import ConfigError, PluginError
from lazai_core.api.types import AI_CALL_ADDRESS
from lazai_core.cli.main import COMMANDS, cli
from lazai_core.config import parse_config
from lazai_core.registry import BrokenPlugin, Candidate, Kind, Offer, messages
from lazai_core.testing.golden import GoldenFolder
from tests.golden.entries import gas_entry, precompile_entry


@pytest.fixture
def texts(request: pytest.FixtureRequest) -> GoldenFolder:
    regenerate = bool(request.config.getoption("--regenerate-golden", default=False))
    return GoldenFolder(request.path.parent / "messages", regenerate=regenerate)


BUILT_IN = Candidate(
    name="builtin", module="lazai_core.builtin.plugin", distribution="lazai-core", version="0.1.0", built_in=True
)
STARK = Candidate(name="acme-stark", module="acme.plugin", distribution="acme-stark", version="2.0")
JAX = Candidate(name="gpu-jax", module="lazai_gpu_jax.plugin", distribution="lazai-gpu-jax", version="0.1.0")
MISSING = ModuleNotFoundError("No module named 'jax'")


def offer(name: str, candidate: Candidate, kind: Kind = Kind.GAS_POLICY) -> Offer:
    return Offer(kind=kind, entry=gas_entry(name), candidate=candidate)


def precompile(name: str, candidate: Candidate) -> Offer:
    return Offer(kind=Kind.PRECOMPILE, entry=precompile_entry(name, AI_CALL_ADDRESS), candidate=candidate)


def every_message() -> Iterator[tuple[str, PluginError]]:
    there = [offer("flat", BUILT_IN), offer("lunar", STARK)]
    broken = BrokenPlugin(candidate=JAX, errors=(messages.failed_import(JAX, MISSING),))
    yield "misspelt", messages.missing(Kind.GAS_POLICY, "flatt", there, [])
    yield "misspelt, known elsewhere", messages.missing(Kind.GAS_POLICY, "eip1159", there, [])
    yield "not installed", messages.missing(Kind.COPROCESSOR, "torch", [], [])
    yield "not installed, with an extra", messages.missing(Kind.COPROCESSOR, "jax", [], [])
    yield "nothing like it", messages.missing(Kind.CONSENSUS, "zzz", [], [])
    yield "perhaps in a broken plugin", messages.missing(Kind.CONSENSUS, "zzz", [], [broken])
    yield "denied", messages.denied("jax", JAX)
    yield "broken and used", messages.unusable("jax", broken)
    yield "failed import", messages.failed_import(JAX, MISSING)
    yield "raised while loading", messages.raised(STARK, "hook lazai_proof_systems", ValueError("a\nb\nc\nd"))
    yield "raised later", messages.raised(STARK, "benchmark speed", ZeroDivisionError())
    yield "name twice", messages.provided_twice(Kind.PROOF_SYSTEM, "stark", [JAX, STARK])
    yield "name twice, one built in", messages.provided_twice(Kind.GAS_POLICY, "flat", [STARK, BUILT_IN])
    yield "name twice in one plugin", messages.provided_twice(Kind.GAS_POLICY, "flat", [STARK, STARK])
    yield (
        "address twice",
        messages.address_taken(AI_CALL_ADDRESS, [precompile("ai-call", BUILT_IN), precompile("other", STARK)]),
    )
    yield "plugin twice", messages.plugin_twice("stark", [JAX, STARK])
    yield "newer hook API", messages.wrong_hook_api(STARK, (2, 0), (1, 3))
    yield "unknown hook", messages.unknown_hook(STARK, "lazai_proof_system", ["lazai_proof_systems"])
    yield "unknown hook, like none", messages.unknown_hook(STARK, "zzz", ["lazai_proof_systems"])
    yield "async hook", messages.async_hook(STARK, "lazai_services")
    yield "wrapper", messages.wrapper_hook(STARK, "lazai_services")
    yield "wrong arguments", messages.wrong_arguments(STARK, "lazai_services", ["ctx"], [])
    yield (
        "wrong arguments, some known",
        messages.wrong_arguments(STARK, "lazai_route_job", ["x"], ["job", "candidates"]),
    )
    yield "wrong return", messages.wrong_return(STARK, "lazai_services", "an iterable of ServiceEntry", None)
    yield "wrong return, long", messages.wrong_return(STARK, "lazai_plugin", "a PluginInfo", "x" * 99)
    yield "too many", messages.too_many(STARK, "lazai_services", 256)
    yield "no identity", messages.no_plugin_info(STARK)
    yield "many identities", messages.many_plugin_infos(STARK, 2)
    yield "bad entry", messages.bad_entry(STARK, Kind.SERVICE, "api", "summary must be a short text")
    yield "bad identity", messages.bad_plugin_info(STARK, "summary must be a short text")
    yield "bad routing", messages.bad_routing(STARK, "x", ["stark", "plonk"])


def test_texts_about_plugins(texts: GoldenFolder) -> None:
    parts = [f"== {title}\n{type(error).__name__}\n{error}\n" for title, error in every_message()]

    texts.check_text("plugins.txt", "\n".join(parts))


def test_every_text_has_its_golden_case() -> None:
    covered = {title for title, _ in every_message()}
    functions = [
        name
        for name, value in vars(messages).items()
        if callable(value) and getattr(value, "__annotations__", {}).get("return", "").startswith("Plugin")
    ]

    assert len(covered) >= len([name for name in functions if not name.startswith("_")]) > 15


BAD_CONFIG = """\
[node]
name = 7
role = "validater"
private_key = "0x1234"
data_dir = ""
[consensus]
use = "Solo"
[coprocessor]
use = "reference"
options = []
[[proof]]
uze = "attestation"
[storage]
use = "lmdb"
[plugins]
deny = "lazai-gpu-jax"
[limits]
compute_threads = 0
requests_open_max = true
requests_max = 5
[gaz]
use = "flat"
"""


def test_texts_about_configurations(texts: GoldenFolder) -> None:
    variables = {"LAZAI_LOG__LEVEL": "loud", "LAZAI_LOG__FORM": "json", "LAZAI_PROOF__3__USE": "x"}
    parts = []
    for title, data in (
        ("every problem at once", BAD_CONFIG.encode()),
        ("not TOML", b"[node\nname = 1\n"),
        ("not UTF-8", b"[node]\nname = '\xff'\n"),
        ("empty", b""),
    ):
        with pytest.raises(ConfigError) as caught:
            parse_config(data, path=Path("node.toml"), environ=variables)
        parts.append(f"== {title}\n{caught.value}\n")

    texts.check_text("config.txt", "\n".join(parts))


def commands() -> Iterator[list[str]]:
    yield []
    context = click.Context(cli)
    for name in COMMANDS:
        yield [name]
        command = cli.get_command(context, name)
        if isinstance(command, click.Group):
            yield from ([name, inner] for inner in command.commands)


@pytest.mark.parametrize("arguments", list(commands()), ids=lambda arguments: " ".join(["lazai", *arguments]))
def test_help(texts: GoldenFolder, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    # What plugins add depends on what is installed; tests/unit/cli/test_plugin_commands.py looks at that.
    monkeypatch.setitem(vars(cli), "from_plugins", {})
    result = CliRunner().invoke(cli, [*arguments, "--help"], prog_name="lazai", terminal_width=100)

    assert result.exit_code == 0
    texts.check_text(f"help/{'-'.join(['lazai', *arguments])}.txt", result.output)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_the_commands_say(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)

    assert command is not None
    assert command.name == name
    assert command.short_help == COMMANDS[name].summary
