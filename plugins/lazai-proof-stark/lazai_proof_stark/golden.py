"""A small model whose proof is known to the byte: what the health check and the tests hold this machine against."""

from __future__ import annotations

import hashlib
import sys

GOLDEN_SHA256 = "44000bdf4f033062548ff3bb01d348040dff01a54e26fffd8d05901f7c8ecb6c"
"""SHA-256 of the proof: print it anew with `python -m lazai_proof_stark.golden` when the protocol changes."""


def golden_run() -> str:
    """SHA-256 of the small proof, made and verified here. Raises ProofError."""
    import numpy as np

    from lazai_core.api.program import DType
    from lazai_core.api.proof import AcceptancePolicy
    from lazai_core.exact.builder import ProgramBuilder
    from lazai_core.exact.codec import encode_inputs

    from .options import StarkOptions
    from .runs import prove_run, run_model
    from .system import StarkProofSystem

    builder = ProgramBuilder()
    x = builder.input("x", DType.INT8, (1, 8))
    weight = np.arange(-32, 32, dtype=np.int64).reshape(8, 8)
    hidden = builder.requantize(builder.dense(x, weight, np.arange(8)), shift=4, dtype=DType.INT8, low=0)
    builder.output("scores", builder.dense(hidden, weight.T, np.arange(8)))
    model = builder.build()
    system = StarkProofSystem(StarkOptions())
    key = system.prepare(model.program, model)
    run = run_model(model, encode_inputs(model.program, [np.arange(-4, 4, dtype=np.int64).reshape(1, 8)]))
    proved = prove_run(system, key, run)
    system.verify(key.verifying_key, run.statement, proved.envelope, AcceptancePolicy())
    return hashlib.sha256(proved.envelope.data).hexdigest()


if __name__ == "__main__":
    sys.stdout.write(golden_run() + "\n")
