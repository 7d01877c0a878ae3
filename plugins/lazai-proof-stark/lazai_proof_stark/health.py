"""The plugin's line in `lazai doctor`: a small proof, made long ago, still verifies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lazai_core.api.service import HealthFinding, Severity


def check_golden_proof(config: Mapping[str, object]) -> Sequence[HealthFinding]:
    """Make a small proof, hold its bytes against the recorded digest, and verify it."""
    from lazai_core.api.errors import LazAIError

    try:
        from .golden import GOLDEN_SHA256, golden_run

        found = golden_run()
    except (ImportError, LazAIError) as cause:
        return (HealthFinding(severity=Severity.FAILURE, summary=f"stark: {cause}", fix="reinstall lazai-proof-stark"),)
    if found != GOLDEN_SHA256:
        return (
            HealthFinding(
                severity=Severity.FAILURE,
                summary=f"stark: the small proof's bytes have SHA-256 {found[:16]}…, {GOLDEN_SHA256[:16]}… is expected",
                fix="run the tests of lazai-proof-stark: this processor's compiled kernels give other results",
            ),
        )
    return (HealthFinding(severity=Severity.OK, summary="stark: the small proof is made and verifies"),)
