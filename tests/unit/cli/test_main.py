from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import click
import pytest

import lazai_core.cli.main as main_module
from lazai_core.api.errors import (
    AssemblyError,
    ConfigError,
    InvalidGenesis,
    LazAIError,
    PluginMissing,
    Problem,
    ProofRejected,
    StorageError,
)
from lazai_core.cli.lazy import LazyCommand
from tests.unit.cli.box import run

FAILURES = {
    "config": (ConfigError([Problem(file="a.toml", line=3, key="x", message="wrong", hint="mend it")]), 2),
    "plugin": (PluginMissing("no plugin", hint="install it"), 2),
    "assembly": (AssemblyError("no fit", path=["a", "b"]), 2),
    "genesis": (InvalidGenesis("another chain"), 2),
    "proof": (ProofRejected("no", check="signature"), 4),
    "storage": (StorageError("no room", hint="make room"), 1),
    "ours": (LazAIError("failed"), 1),
    "os": (FileNotFoundError(2, "No such file", "x.bin"), 1),
    "bug": (AssertionError("cannot be"), 70),
    "interrupt": (KeyboardInterrupt(), 130),
    "abort": (click.Abort(), 130),
    "pipe": (BrokenPipeError(), 0),
}


def raising(error: BaseException) -> click.Command:
    @click.command(name="fail")
    def fail() -> None:
        raise error

    return fail


@pytest.fixture
def fails_with(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    def install(error: BaseException) -> None:
        monkeypatch.setattr(main_module, "_failing", raising(error), raising=False)
        lazy = {"fail": LazyCommand("lazai_core.cli.main:_failing", "")}
        monkeypatch.setattr(main_module.cli, "lazy", lazy)

    return install


@pytest.mark.parametrize("name", FAILURES)
def test_every_failure_has_its_exit_code(fails_with: Callable[[BaseException], None], name: str) -> None:
    error, code = FAILURES[name]
    fails_with(error)

    assert run("fail").code == code


@pytest.mark.parametrize("name", ["config", "plugin", "storage", "proof", "os"])
def test_a_failure_is_shown_without_a_traceback(fails_with: Callable[[BaseException], None], name: str) -> None:
    fails_with(FAILURES[name][0])

    assert "Traceback" not in run("fail").err
    assert "Traceback" in run("--debug", "fail").err


def test_an_error_is_one_line_and_a_hint(fails_with: Callable[[BaseException], None]) -> None:
    fails_with(FAILURES["storage"][0])

    assert run("fail").err == "error: no room\nhint:  make room\n"


def test_problems_are_listed_and_counted(fails_with: Callable[[BaseException], None]) -> None:
    fails_with(FAILURES["config"][0])

    assert run("fail").err == "a.toml:3: x: wrong; mend it\n1 problem; nothing was started\n"


def test_our_own_bug_asks_for_a_report(fails_with: Callable[[BaseException], None]) -> None:
    fails_with(FAILURES["bug"][0])

    answer = run("fail")

    assert "Traceback" in answer.err
    assert "this is a bug in LazAI: AssertionError: cannot be\nhint:  please report it" in answer.err


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["verfy"], "No such command 'verfy'. Did you mean 'verify'?"),
        (["xyzzy"], "No such command 'xyzzy'.\n"),
        (["--colour"], "No such option"),
        (["run"], "Missing argument 'CONFIG'"),
        (["config", "chek"], "No such command 'chek'"),
    ],
)
def test_wrong_usage_ends_with_2_and_a_hint(arguments: list[str], hint: str) -> None:
    answer = run(*arguments)

    assert answer.code == 2
    assert hint in answer.err


def test_help_and_no_arguments_need_nothing_heavy() -> None:
    code = (
        "import sys\nfrom lazai_core.cli.main import run_cli\nassert run_cli(['--help']) == 0\n"
        "heavy = {'rich', 'numpy', 'eth', 'torch', 'attr', 'pluggy', 'structlog'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )

    finished = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)

    assert finished.returncode == 0, finished.stderr
    assert "Commands:" in finished.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_call_back(shell: str) -> None:
    answer = run("completion", shell)

    assert answer.code == 0
    assert f"_LAZAI_COMPLETE={shell}_complete" in answer.out


def test_completion_offers_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", "from lazai_core.cli.main import main; main()"],
        env={"_LAZAI_COMPLETE": "bash_complete", "COMP_WORDS": "lazai plu", "COMP_CWORD": "1", "PATH": ""},
        check=False,
        capture_output=True,
        text=True,
    )

    assert finished.stdout == "plain,plugins\n"


def test_version_for_people_and_scripts() -> None:
    import json

    import lazai_core

    document = json.loads(run("version", "--json").out)

    assert sorted(document) == ["hook_api", "lazai_core", "machine", "python"]
    assert run("--version").out == f"lazai-core, version {lazai_core.__version__}\n"
    assert run("version").out.startswith(f"lazai-core {lazai_core.__version__}, hook API ")
