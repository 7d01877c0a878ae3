"""Which library hashes for py-evm."""

from __future__ import annotations

import subprocess
import sys


def test_py_evm_hashes_with_the_fast_library() -> None:
    code = (
        "import os; os.environ.pop('ETH_HASH_BACKEND', None); import lazai_core.lazvm.vm; "
        "from eth_hash.auto import keccak; keccak(b''); print(keccak.hasher.__module__)"
    )
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert finished.stdout.strip() == "eth_hash.backends.pysha3", finished.stderr
