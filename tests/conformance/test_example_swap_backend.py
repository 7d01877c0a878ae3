"""examples/swap_backend: one line differs, one genesis serves both, and both give the same bytes."""

from __future__ import annotations

from difflib import unified_diff
from pathlib import Path

import pytest

from lazai_core.api.compute import CancelToken
from lazai_core.api.job import ResourceLimits
from lazai_core.node.blueprint import make_blueprint
from lazai_core.registry import Kind
from lazai_core.testing.parts import build_entry
from lazai_core.testing.sample import Sample
from lazai_core.testing.samples import exact_programs
from tests.conformance.example_nodes import copied_config, matching_genesis
from tests.conformance.examples import EXAMPLES
from tests.conformance.installed import catalog

FOLDER = "swap_backend"
FILES = ("node-reference.toml", "node-torch.toml")


def test_the_files_differ_in_one_line() -> None:
    first, second = ((EXAMPLES / FOLDER / file).read_text(encoding="utf-8").splitlines() for file in FILES)
    changed = [line for line in unified_diff(first, second, n=0, lineterm="") if line[0] in "+-"][2:]

    assert changed == ['-use = "reference"', '+use = "torch"']
    readme = (EXAMPLES / FOLDER / "README.md").read_text(encoding="utf-8")
    assert "\n".join(changed) in readme


def test_one_genesis_serves_both(tmp_path: Path) -> None:
    configs = [copied_config(FOLDER, tmp_path, file) for file in FILES]
    genesis = matching_genesis(configs[0], catalog())
    assert matching_genesis(configs[1], catalog()) == genesis
    (tmp_path / "genesis.json").write_bytes(genesis.canonical)

    plans = [make_blueprint(loaded, catalog()) for loaded in configs]

    backends = [plan.of_kind(Kind.COPROCESSOR)[0].offer.name for plan in plans]
    assert backends == ["reference", "torch"]


@pytest.mark.parametrize("sample", exact_programs(), ids=lambda sample: sample.name)
def test_both_give_the_same_bytes(sample: Sample) -> None:
    outputs = []
    for name in ("reference", "torch"):
        backend = build_entry(catalog().find(Kind.COPROCESSOR, name).entry)
        model = backend.models.load(sample.model.program, sample.model)
        result = backend.execute(model, sample.job_input(seed=5), backend.monitor(ResourceLimits()), CancelToken())
        outputs.append((result.output, result.usage))
        backend.close()

    assert outputs[0] == outputs[1]
