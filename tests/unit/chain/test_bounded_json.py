"""Deep JSON is refused, also where the recursion limit no longer protects the parser."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazai_core.api.errors import ProofMalformed
from lazai_core.chain.bounded_json import DEPTH_MAX, parse_json
from lazai_core.chain.receipt_file import JobReceipt

AFTER_PY_EVM = """
import sys
sys.setrecursionlimit(100_000)  # What importing py-evm does.
from lazai_core.api.errors import LazAIError
from lazai_core.chain.genesis_file import read_genesis
from lazai_core.chain.receipt_file import JobReceipt
for read in (read_genesis, JobReceipt.decode):
    for data in (b"[" * 1_000_000, b'{"a":' * 200_000):
        try:
            read(data)
        except LazAIError:
            print("refused")
"""


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_the_depth_is_bounded(opening: str) -> None:
    closing = "]" if opening == "[" else "}"
    parse_json(opening * DEPTH_MAX + "1" + closing * DEPTH_MAX)

    with pytest.raises(ValueError, match="levels deep"):
        parse_json(opening * (DEPTH_MAX + 1) + "1" + closing * (DEPTH_MAX + 1))


def test_width_and_brackets_in_strings_do_not_count() -> None:
    wide = '["' + "[" * 1000 + '\\"[[", ' + ", ".join(["[]"] * 1000) + "]"

    assert len(parse_json(wide)) == 1001


def test_deep_files_end_in_an_error_and_not_the_process() -> None:
    finished = subprocess.run([sys.executable, "-c", AFTER_PY_EVM], check=False, capture_output=True, text=True)

    assert (finished.returncode, finished.stdout.split()) == (0, ["refused"] * 4), finished.stderr[-500:]


@given(st.binary(max_size=64))
def test_any_bytes_are_no_receipt(data: bytes) -> None:
    with pytest.raises(ProofMalformed):
        JobReceipt.decode(data)
