"""What an import brings along: the core stands without its plugins, and the command line starts light."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.tidy.tree import REPOSITORY

PLUGIN_PACKAGES = {
    "lazai_gas_eip1559",
    "lazai_gpu_torch",
    "lazai_api_openai",
    "lazai_proof_stark",
    "lazai_proof_plonk",
    "lazai_consensus_bft",
}
HEAVY_PACKAGES = {
    "torch",
    "jax",
    "eth",
    "numpy",
    "onnx",
    "numba",
    "sklearn",
    "scipy",
    "tokenizers",
    "transformers",
}

_IMPORT_API = """
import importlib, pkgutil, lazai_core, lazai_core.api
for module in pkgutil.walk_packages(lazai_core.api.__path__, "lazai_core.api."):
    importlib.import_module(module.name)
"""
_SHOW_HELP = """
from lazai_core.cli.main import main
sys.argv = ["lazai", "--help"]
try:
    main()
except SystemExit as ending:
    assert not ending.code, ending.code
"""


def packages_after(code: str) -> set[str]:
    """Return the top-level packages that are imported once `code` has run in a fresh interpreter."""
    report = 'print("\\nPACKAGES", *sorted({name.split(".")[0] for name in sys.modules}))'
    finished = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\n{report}"],
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert finished.returncode == 0, finished.stderr
    return set(finished.stdout.rpartition("PACKAGES")[2].split())


def test_the_contract_room_needs_nothing_heavy() -> None:
    packages = packages_after(_IMPORT_API)

    assert "lazai_core" in packages
    assert packages & (HEAVY_PACKAGES | PLUGIN_PACKAGES) == set()


@pytest.mark.parametrize("plugin", sorted(PLUGIN_PACKAGES))
def test_a_plugin_module_needs_nothing_heavy(plugin: str) -> None:
    if not list(REPOSITORY.glob(f"plugins/*/{plugin}/plugin.py")):
        pytest.skip(f"{plugin} has no plugin module yet")

    packages = packages_after(f"import {plugin}.plugin")

    assert packages & HEAVY_PACKAGES == set()
    assert packages & PLUGIN_PACKAGES == {plugin}


def test_help_starts_light() -> None:
    if not (REPOSITORY / "lazai_core" / "cli" / "main.py").exists():
        pytest.skip("there is no command line yet")

    packages = packages_after(_SHOW_HELP)

    assert "click" in packages
    assert packages & (HEAVY_PACKAGES | PLUGIN_PACKAGES | {"rich", "structlog", "cattrs"}) == set()
