"""A plugin in the box for tests of the command line: one provider of every kind, and checks that misbehave."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from attrs import frozen
from click.testing import CliRunner

import lazai_core.cli.selection
import lazai_core.node.run
import lazai_core.registry
from lazai_core.cli.main import run_cli
from lazai_core.node import identity
from lazai_core.registry import Candidate, discover

MODULE = "lazai_box_for_tests"
TEXT = """
from attrs import field, frozen
from lazai_core.api import *
from lazai_core.api.service import Benchmark, BenchmarkResult, HealthCheck, HealthFinding, Severity
from lazai_core.api.types import AI_CALL_ADDRESS, PROOF_CHECK_ADDRESS

def build(): ...

@frozen(kw_only=True)
class ServerOptions:
    listen: str = field(default="127.0.0.1:0", metadata={"doc": "address to listen on"})
    requests_max: int = field(default=64, metadata={"doc": "requests at a time", "minimum": 1})

@hookimpl
def lazai_plugin():
    return PluginInfo(name="box", hook_api=(1, 0), summary="The plugin in the box")

@hookimpl
def lazai_precompiles():
    yield PrecompileEntry(name="ai-call", summary="Answers calls", address=AI_CALL_ADDRESS, build=build)
    yield PrecompileEntry(name="proof-check", summary="Checks proofs", address=PROOF_CHECK_ADDRESS, build=build)

@hookimpl
def lazai_coprocessors():
    yield CoprocessorEntry(name="reference", summary="Plain numpy", build=build)

@hookimpl
def lazai_proof_systems():
    yield ProofSystemEntry(name="attestation", summary="Signatures", kind=ProofKind.ATTESTATION, build=build)

@hookimpl
def lazai_consensus_engines():
    yield ConsensusEntry(name="solo", summary="One validator", build=build)

@hookimpl
def lazai_gas_policies():
    yield GasPolicyEntry(name="flat", summary="A constant price", build=build, version=2)

@hookimpl
def lazai_storage_backends():
    yield StorageEntry(name="lmdb", summary="One file", build=build)

@hookimpl
def lazai_services():
    yield ServiceEntry(name="openai", summary="An API", build=build, options=ServerOptions)

@hookimpl
def lazai_health_checks():
    yield HealthCheck(name="good", run=lambda config: [HealthFinding(severity=Severity.OK, summary="well")])
    yield HealthCheck(name="raising", run=lambda config: 1 / 0)

def measure(seconds, report):
    report(1, 1, "measuring")
    return [BenchmarkResult(name="speed", value=1234.5, unit="tx/s", bar=">= 450", peer="other", ratio=0.5)]

@hookimpl
def lazai_benchmarks():
    yield Benchmark(name="speed", summary="How fast", run=measure)
"""


@frozen(kw_only=True)
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


def install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Answer]]:
    """Put the box in the place of everything that is installed; gives a function that runs `lazai`."""
    (folder / f"{MODULE}.py").write_text(TEXT, encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.chdir(folder)
    importlib.invalidate_caches()
    box = Candidate(name="box", module=MODULE, distribution="lazai-core", version="9.9", built_in=True)
    only_box = partial(discover, points=(), built_in=box)
    monkeypatch.setattr(lazai_core.registry, "discover", only_box)
    for module in (lazai_core.cli.selection, lazai_core.node.run):
        monkeypatch.setattr(module, "discover", only_box)
    # The real work factor takes a quarter of a second, on purpose.
    monkeypatch.setattr(identity, "write_key_file", partial(identity.write_key_file, work_factor=1))
    monkeypatch.delenv("LAZAI_KEY_PASSWORD", raising=False)
    yield run
    sys.modules.pop(MODULE, None)


def run(*arguments: str, input: str | None = None) -> Answer:
    """Run `lazai` in this process, as its script does."""
    codes: list[int] = []
    runner = CliRunner()

    with runner.isolation(input=input) as streams:
        codes.append(run_cli(arguments))
        return Answer(code=codes[0], out=streams[0].getvalue().decode(), err=streams[1].getvalue().decode())
