"""Checks of the core for `lazai doctor`: that this machine computes and signs as the chain expects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lazai_core.api.service import HealthCheck, HealthFinding, Severity

# keccak256 of nothing: the yellow paper's KEC(()).
_KECCAK_OF_NOTHING = "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
# EIP-712's own example: the key keccak256("cow"), and the address that belongs to it.
_EXAMPLE_ADDRESS = "cd2a3d9f938e13cd947ec05abc7fe734df8dd826"


def check_signatures(_config: Mapping[str, object]) -> Sequence[HealthFinding]:
    """Keccak and secp256k1 give published values."""
    from lazai_core.api.hashing import address_of_private_key, keccak256, recover_address, sign_digest

    key = keccak256(b"cow")
    right = (
        keccak256(b"").hex() == _KECCAK_OF_NOTHING
        and address_of_private_key(key).hex() == _EXAMPLE_ADDRESS
        and recover_address(key, sign_digest(key, key)).hex() == _EXAMPLE_ADDRESS
    )
    if right:
        return (HealthFinding(severity=Severity.OK, summary="Keccak-256 and secp256k1 give the published values"),)
    return (
        HealthFinding(
            severity=Severity.FAILURE,
            summary="Keccak-256 or secp256k1 gives wrong values here",
            fix="reinstall safe-pysha3 and coincurve for this machine",
        ),
    )


def check_exact_arithmetic(_config: Mapping[str, object]) -> Sequence[HealthFinding]:
    """A small program gives on this machine's numpy what Python's own integers give."""
    import numpy as np

    from lazai_core.api.program import DType
    from lazai_core.exact.builder import ProgramBuilder
    from lazai_core.exact.codec import encode_inputs
    from lazai_core.exact.reference import run_job

    weight = [[(7 * row + 13 * column) % 255 - 127 for column in range(64)] for row in range(8)]
    given = [(11 * column) % 255 - 127 for column in range(64)]
    builder = ProgramBuilder()
    x = builder.input("x", DType.INT8, (1, 64))
    y = builder.dense(x, np.array(weight), np.zeros(8, dtype=np.int64))
    builder.output("y", builder.requantize(y, dtype=DType.INT16, shift=5))
    model = builder.build()
    job_input = encode_inputs(model.program, [np.array([given], dtype=np.int8)])
    sums = [sum(a * b for a, b in zip(row, given, strict=True)) for row in weight]
    expected = np.array([(value + 16) >> 5 for value in sums], dtype="<i2").tobytes()
    if run_job(model, job_input).output_bytes() == expected:
        return (HealthFinding(severity=Severity.OK, summary="exact programs give the integers they should"),)
    return (
        HealthFinding(
            severity=Severity.FAILURE,
            summary="numpy gives wrong integers on this machine",
            fix="reinstall numpy, or replace the machine",
        ),
    )


def health_checks() -> Iterable[HealthCheck]:
    """The checks of the core."""
    yield HealthCheck(name="signatures", run=check_signatures)
    yield HealthCheck(name="exact-arithmetic", run=check_exact_arithmetic)
