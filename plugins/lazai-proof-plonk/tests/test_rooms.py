"""What imports what: light hooks, and a verifier that stands alone."""

from __future__ import annotations

import subprocess
import sys


def imported(statement: str) -> set[str]:
    command = f"import sys; {statement}; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_hooks_and_commands_import_nothing_heavy() -> None:
    for module in ("plugin", "cli", "options"):
        found = imported(f"import lazai_proof_plonk.{module}")
        assert not found & {"numpy", "numba", "torch", "py_ecc", "eth", "rich"}, module
    found = imported("from lazai_proof_plonk.plugin import lazai_benchmarks; list(lazai_benchmarks())")
    assert not found & {"numba", "py_ecc"}


def test_verifiers_import_no_prover() -> None:
    for module in ("native_verifier", "snarkjs_verifier", "system_verify"):
        found = imported(f"import lazai_proof_plonk.{module}")
        assert f"lazai_proof_plonk.{module}" in found
        provers = [
            name for name in found if name.startswith("lazai_proof_plonk.") and name.endswith(("prover", "rounds"))
        ]
        assert not provers
        assert not any("py_ecc" in name for name in found)
