"""plugins, config, bench and doctor, over the plugin of `box.py`."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from lazai_core.api.consensus import Validator
from lazai_core.api.errors import ConfigError
from lazai_core.api.types import Address
from lazai_core.chain.genesis_file import read_genesis
from lazai_core.chain.staking_genesis import with_staking
from lazai_core.cli import machine_checks, ports, selection
from lazai_core.node.run import plan_node
from tests.unit.cli.box import MODULE, Answer

Lazai = Callable[..., Answer]
CONFIG = Path("alpha/node.toml")


@pytest.fixture
def node(lazai: Lazai) -> Lazai:
    assert lazai("init", "alpha").code == 0
    # The box has a check that raises; the plugins of a healthy node have none.
    path = Path(f"{MODULE}.py")
    lines = [line for line in path.read_text().splitlines() if "raising" not in line]
    path.write_text("\n".join(lines), encoding="utf-8")
    sys.modules.pop(MODULE)
    return lazai


def edit(old: str, new: str) -> None:
    text = CONFIG.read_text(encoding="utf-8")
    assert old in text
    CONFIG.write_text(text.replace(old, new, 1), encoding="utf-8")


def findings(lazai: Lazai, *arguments: str) -> list[tuple[str, str, str]]:
    document = json.loads(lazai("doctor", "--json", *arguments).out)
    return [(item["severity"], item["check"], item["summary"]) for item in document["findings"]]


def unhealthy(lazai: Lazai) -> list[str]:
    return [summary for severity, _, summary in findings(lazai, str(CONFIG)) if severity != "ok"]


def test_plugins_are_listed_with_what_they_offer(lazai: Lazai) -> None:
    out = lazai("plugins").out

    assert "1 plugin; hook API 1.0" in out
    assert "  gas          flat         A constant price (version 2, fixed by the genesis)" in out
    assert "  also benchmarks, health checks" in out


def test_plugins_as_a_document(lazai: Lazai) -> None:
    document = json.loads(lazai("plugins", "--json").out)

    (box,) = document["plugins"]
    assert sorted(document) == ["broken", "conflicts", "denied", "hook_api", "plugins"]
    assert box["offers"][-1]["options"][0] == {
        "name": "listen",
        "type": "str",
        "default": '"127.0.0.1:0"',
        "doc": "address to listen on",
        "example": '"127.0.0.1:0"',
    }


@pytest.mark.parametrize("name", ["openai", "box", "service/openai"])
def test_a_name_shows_its_options(lazai: Lazai, name: str) -> None:
    assert 'listen        str   "127.0.0.1:0"  address to listen on' in lazai("plugins", name).out


def test_a_name_that_nothing_bears_is_refused_with_the_nearest(lazai: Lazai) -> None:
    answer = lazai("plugins", "opnai")

    assert answer.code == 2
    assert "nothing installed is called 'opnai'. Did you mean 'openai'?" in answer.err


def test_a_broken_plugin_is_listed_and_shown_with_its_traceback(lazai: Lazai) -> None:
    with Path(f"{MODULE}.py").open("a", encoding="utf-8") as file:
        file.write("\nimport no_such_module_at_all\n")

    assert "0 plugins, 1 broken; hook API 1.0" in lazai("plugins").out
    assert "import no_such_module_at_all" in lazai("plugins", "box").out
    assert json.loads(lazai("plugins", "--json").out)["broken"][0]["errors"][0]["kind"] == "PluginBroken"


def test_the_graph_shows_every_part(node: Lazai) -> None:
    lines = node("plugins", "--graph", str(CONFIG)).out.splitlines()

    assert lines[0] == "alpha  validator, chain 31338"
    assert len([line for line in lines if line.startswith(("├─", "└─"))]) == 8


def test_a_good_configuration_passes_the_check(node: Lazai) -> None:
    answer = node("config", "check", str(CONFIG))

    assert answer.code == 0
    assert "ok  alpha/node.toml: storage lmdb, coprocessor reference," in answer.out


def test_the_check_finds_names_and_options_together(node: Lazai) -> None:
    edit('use = "reference"', 'use = "refrence"')
    edit('use = "openai"', 'use = "openai"\noptions = { listn = "x", requests_max = 0 }')
    edit("[plugins]", '[plugins]\nallow = ["nobody"]')

    answer = node("config", "check", str(CONFIG))

    assert answer.code == 2
    assert 'coprocessor.use: no coprocessor is called "refrence"\n  available: reference (built in)' in answer.err
    assert "service[0].options.listn: unknown key; did you mean 'listen'?" in answer.err
    assert "service[0].options.requests_max: must be at least 1, got 0" in answer.err
    assert "plugins.allow[0]: no installed plugin or distribution is called 'nobody'" in answer.err
    assert answer.err.endswith("4 problems; nothing was started\n")


def test_values_are_shown_with_their_origin(node: Lazai, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAZAI_LOG__LEVEL", "debug")

    document = json.loads(node("config", "show", str(CONFIG), "--json").out)
    lines = node("config", "show", str(CONFIG), "--origin").out.splitlines()

    assert document["log.level"] == {"value": '"debug"', "origin": "LAZAI_LOG__LEVEL"}
    assert document["node.name"]["origin"].startswith("alpha/node.toml:")
    assert any(line.startswith('log.level = "debug" ') and line.endswith("# LAZAI_LOG__LEVEL") for line in lines)


@pytest.mark.parametrize("command", [["config", "check"], ["doctor"]])
def test_problems_of_the_file_and_of_its_plugins_come_at_once(
    lazai: Lazai, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setattr("lazai_core.node.run.discover", selection.discover)
    lazai("init", "alpha")
    path = Path("alpha/node.toml")
    text = path.read_text(encoding="utf-8").replace("[node]", "[node]\ntypo = 1")
    text = text.replace('use = "flat"', 'use = "flatt"')
    text = text.replace('use = "openai"', 'use = "openai"\noptions = { x = 1 }')
    path.write_text(text, encoding="utf-8")

    answer = lazai(*command, "alpha/node.toml")
    with pytest.raises(ConfigError) as caught:
        plan_node(path)

    assert answer.code in (2, 3)
    for shown in (answer.out + answer.err, caught.value.message):
        assert "node.typo: unknown key" in shown
        assert 'gas.use: no gas policy is called "flatt"' in shown
        assert "service[0].options.x: unknown key" in shown


def test_benchmarks_are_run_and_shown(lazai: Lazai) -> None:
    answer = lazai("bench", "speed", "--seconds", "0.1")

    assert answer.code == 0
    assert "usable core" in answer.out.splitlines()[0]
    assert "speed      1,234  tx/s  >= 450  0.50 x other" in answer.out
    assert answer.err == "speed …\n"


PEERED = """
def beside(seconds, report):
    return [BenchmarkResult(name="speed", value=2.0, unit="s", peer="abacus 9 s", ratio=4.5)]

@hookimpl
def lazai_benchmarks():
    yield Benchmark(name="plain", summary="Alone", run=measure)
    yield Benchmark(name="speed", summary="How fast", run=measure, peers={"abacus": beside})
"""


def test_a_benchmark_beside_a_peer(lazai: Lazai) -> None:
    path = Path(f"{MODULE}.py")
    path.write_text(path.read_text() + PEERED, encoding="utf-8")

    for names in (("speed",), ()):
        answer = lazai("bench", *names, "--vs", "abacus")
        assert answer.code == 0
        assert "4.50 x abacus 9 s" in answer.out
        assert "1,234" not in answer.out
    assert "How fast; --vs abacus" in lazai("bench", "--list").out


@pytest.mark.parametrize(
    "wrong", [("plain", "--vs", "abacus"), ("--vs", "sundial"), ("speed", "plain", "--vs", "abacus")]
)
def test_a_peer_that_a_benchmark_has_not_is_a_wrong_use(lazai: Lazai, wrong: tuple[str, ...]) -> None:
    path = Path(f"{MODULE}.py")
    path.write_text(path.read_text() + PEERED, encoding="utf-8")

    answer = lazai("bench", *wrong)

    assert answer.code == 2
    assert "There are: speed --vs abacus." in answer.err


def test_pictures_are_written_where_they_are_wanted(lazai: Lazai) -> None:
    path = Path(f"{MODULE}.py")
    more = """
def drawn(seconds, report):
    pictures = {"line.svg": b"<svg/>", "../escape.svg": b"no", "": b"no"}
    return [BenchmarkResult(name="speed", value=2.0, unit="s", pictures=pictures)]

@hookimpl
def lazai_benchmarks():
    yield Benchmark(name="speed", summary="How fast", run=drawn)
"""
    path.write_text(path.read_text() + more, encoding="utf-8")

    answer = lazai("bench", "--out", "pictures/here")

    assert answer.code == 0
    assert [entry.name for entry in Path("pictures/here").iterdir()] == ["line.svg"]
    assert not Path("pictures/escape.svg").exists()
    assert "pictures" not in json.loads(lazai("bench", "--json").out)["results"][0]


def test_benchmarks_as_a_document(lazai: Lazai) -> None:
    document = json.loads(lazai("bench", "--json").out)

    assert sorted(document) == ["failures", "machine", "results", "seconds", "skipped"]
    assert document["results"][0] == {
        "name": "speed",
        "value": 1234.5,
        "unit": "tx/s",
        "bar": ">= 450",
        "peer": "other",
        "ratio": 0.5,
        "notes": "",
        "plugin": "box",
    }


def test_a_benchmark_that_raises_fails_and_the_others_go_on(lazai: Lazai) -> None:
    path = Path(f"{MODULE}.py")
    more = '    yield Benchmark(name="bad", summary="x", run=lambda seconds, report: [1 / 0])\n'
    path.write_text(path.read_text() + more, encoding="utf-8")

    answer = lazai("bench")

    assert answer.code == 1
    assert "1,234" in answer.out
    assert "benchmark bad raised\n  ZeroDivisionError" in answer.out
    assert "Traceback" in lazai("--debug", "bench").out


def test_a_benchmark_without_its_means_is_left_out(lazai: Lazai) -> None:
    path = Path(f"{MODULE}.py")
    more = """
from lazai_core.api.errors import BackendUnavailable

def lacking(seconds, report):
    raise BackendUnavailable("the package abacus is not installed", hint="pip install abacus")

@hookimpl
def lazai_benchmarks():
    yield Benchmark(name="speed", summary="How fast", run=lacking)
"""
    path.write_text(path.read_text() + more, encoding="utf-8")

    answer = lazai("bench")

    assert answer.code == 0
    assert "skip  speed: the package abacus is not installed; pip install abacus" in answer.out
    assert len(json.loads(lazai("bench", "--json").out)["skipped"]) == 1


@pytest.mark.parametrize(("name", "hint"), [("spead", "Did you mean 'speed'?"), ("zzz", "There are: speed.")])
def test_an_unknown_benchmark_is_refused(lazai: Lazai, name: str, hint: str) -> None:
    answer = lazai("bench", name)

    assert answer.code == 2
    assert hint in answer.err


def test_benchmarks_can_be_listed(lazai: Lazai) -> None:
    assert lazai("bench", "--list").out == "speed  How fast  built in\n"


def test_a_new_node_is_healthy(node: Lazai) -> None:
    answer = node("doctor", str(CONFIG))

    assert answer.code == 0, answer.out
    assert "0 failures" in answer.out
    assert "ok    good" in answer.out


def test_without_a_configuration_the_machine_is_checked(lazai: Lazai) -> None:
    checks = {check for _, check, _ in findings(lazai)}

    assert {"python", "packages", "processor", "memory", "disk", "open files", "clock"} <= checks
    assert "key" not in checks


def test_a_check_that_raises_is_a_failed_check(lazai: Lazai) -> None:
    lazai("init", "alpha")

    answer = lazai("doctor", str(CONFIG))

    assert answer.code == 3
    assert "FAIL  raising" in answer.out
    assert "health check raising raised" in answer.out
    assert "Traceback" in lazai("--debug", "doctor", str(CONFIG)).out


def test_every_problem_of_a_configuration_is_a_finding(node: Lazai) -> None:
    edit('name = "alpha"', "name = 7")
    edit("[plugins]", "[plugin]")

    answer = node("doctor", str(CONFIG))

    assert answer.code == 3
    assert "node.name: expected str, got int 7" in answer.out
    assert "plugin: unknown key; did you mean 'plugins'?" in answer.out


def _open_key() -> None:
    Path("alpha/keys/node.json").chmod(0o644)


def _no_key() -> None:
    Path("alpha/keys/node.json").unlink()


def _wrong_password() -> None:
    Path("alpha/keys/node.json.password").write_text("wrong", encoding="utf-8")


def _no_genesis() -> None:
    Path("alpha/genesis.json").unlink()


def _other_genesis() -> None:
    change_genesis(lambda table: table["plugins"].update({"gas/flat": 3}))


def _later_genesis() -> None:
    change_genesis(lambda table: table.update(timestamp=2**40))


def _other_validator() -> None:
    place = Path("alpha/genesis.json")
    genesis = read_genesis(place.read_bytes())
    other = Validator(address=Address(b"\x11" * 20), power=1)
    place.write_bytes(with_staking(evolve(genesis, validators=(other,))).canonical)


def _damaged_genesis() -> None:
    Path("alpha/genesis.json").write_text("{", encoding="utf-8")


def _absent_model() -> None:
    edit("# [[model]]", '[[model]]\npath = "models/none"')


def _wrong_listen() -> None:
    edit("# [service.options]", '[service.options]\nlisten = "nowhere"')


def change_genesis(change: Callable[[dict[str, Any]], object]) -> None:
    path = Path("alpha/genesis.json")
    table = json.loads(path.read_text())
    change(table)
    path.write_text(json.dumps(table), encoding="utf-8")


@pytest.mark.parametrize(
    ("harm", "expected"),
    [
        (_open_key, "others may read alpha/keys/node.json (mode 0644)"),
        (_no_key, "there is no key file alpha/keys/node.json"),
        (_wrong_password, "cannot be opened"),
        (_no_genesis, "alpha/genesis.json: No such file or directory"),
        (_other_genesis, "gas/flat: the genesis fixes version 3, this node has version 2"),
        (_later_genesis, "the chain begins in the future of this machine's clock"),
        (_other_validator, "is no validator of the genesis"),
        (_damaged_genesis, "not a JSON document"),
        (_absent_model, "cannot read alpha/models/none/manifest.json"),
        (_wrong_listen, "'nowhere' is no address"),
    ],
)
def test_what_is_harmed_is_found(node: Lazai, harm: Callable[[], None], expected: str) -> None:
    harm()

    assert expected in " ".join(unhealthy(node))


def test_the_key_that_everybody_knows_is_refused(node: Lazai) -> None:
    from lazai_core.node.identity import Secret, write_key_file

    known = Secret(bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"))
    password = Path("alpha/keys/node.json.password").read_bytes().strip()
    Path("alpha/keys/node.json").unlink()
    write_key_file(Path("alpha/keys/node.json"), known, password, work_factor=1)

    assert any("everybody knows the key of 0xf39fd6e51aad" in summary for summary in unhealthy(node))


def test_a_port_in_use_is_found_with_its_holder() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        address = f"127.0.0.1:{holder.getsockname()[1]}"

        finding = ports.check_address("openai", address)

    assert str(finding.severity) == "fail"
    assert f"pid {os.getpid()} (" in finding.summary


@pytest.mark.parametrize(
    ("address", "severity"),
    [("127.0.0.1:0", "ok"), ("127.0.0.1:99999", "fail"), ("x", "fail"), ("a..b:80", "fail"), ("192.0.2.1:0", "ok")],
)
def test_addresses(address: str, severity: str) -> None:
    assert str(ports.check_address("api", address).severity) == severity


def test_threads_beyond_the_cores_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4096")

    summaries = [finding.summary for finding in machine_checks.check_threads()]

    assert any("OMP_NUM_THREADS asks for 4096 threads" in summary for summary in summaries)


def test_a_control_group_bounds_the_cores(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine_checks, "_CGROUP", tmp_path)
    (tmp_path / "cpu.max").write_text("50000 100000\n", encoding="ascii")
    assert machine_checks.usable_cores() == 1
    (tmp_path / "memory.max").write_text("1000\n", encoding="ascii")
    assert str(machine_checks.check_memory().severity) == "warn"


def test_an_old_clock_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_checks.time, "time", lambda: 0.0)

    assert str(machine_checks.check_clock().severity) == "fail"


def test_precompiles_that_are_not_there_are_found_with_the_rest(node: Lazai) -> None:
    edit("[plugins]", '[precompiles]\nuse = ["ai-call", "ai-cal"]\n[plugins]')

    answer = node("config", "check", str(CONFIG))

    assert answer.code == 2
    assert 'precompiles.use[1]: no precompile is called "ai-cal"' in answer.err
    assert 'did you mean "ai-call"?' in answer.err


def test_conflicts_are_listed(lazai: Lazai) -> None:
    path = Path(f"{MODULE}.py")
    twice = '    yield CoprocessorEntry(name="reference", summary="Again", build=build)\n'
    text = path.read_text().replace(
        "@hookimpl\ndef lazai_proof_systems", f"{twice}\n@hookimpl\ndef lazai_proof_systems"
    )
    path.write_text(text, encoding="utf-8")

    assert 'conflict  coprocessor "reference" is provided twice: built in, built in' in lazai("plugins").out
    answer = lazai("init", "alpha")
    assert answer.code == 2
    assert "this is a fault of lazai-core; report it to its authors" in answer.err


def test_every_key_is_listed(lazai: Lazai) -> None:
    assert "log.level" in lazai("config", "keys").out
    assert "log.level" not in lazai("config", "keys", "node").out
    assert "There are: node, consensus," in lazai("config", "keys", "nod").err
