"""Median of unsigned 256-bit integers, as price feeds take it of their reporters' answers.

Calldata is n words of 32 bytes, n from 1 to 1024. The output is one word: the element with (n - 1) // 2 elements below
it in sorted order. Gas is `200 + 6 n + 3 n * bit_length(n)`: parsing, copying and the comparisons of a sort.
"""

from __future__ import annotations

from lazai_core.api.errors import PrecompileRevert
from lazai_core.api.hashing import keccak256
from lazai_core.api.precompile import PrecompileCall
from lazai_core.api.types import Gas

WORD_BYTES = 32
WORDS_MAX = 1024
GAS_FIXED, GAS_WORD, GAS_COMPARISON = 200, 6, 3


class MedianPrecompile:
    """`Precompile`. Pure: it looks at nothing but the calldata."""

    def required_gas(self, call: PrecompileCall) -> Gas:
        """Known from the length alone. Raises PrecompileRevert."""
        count = _word_count(call)
        return Gas(GAS_FIXED + GAS_WORD * count + GAS_COMPARISON * count * count.bit_length())

    def run(self, call: PrecompileCall) -> bytes:
        """The lower median."""
        count = _word_count(call)
        # Words of one length sort as bytes in the order of the integers they stand for.
        words = sorted(call.data[start : start + WORD_BYTES] for start in range(0, len(call.data), WORD_BYTES))
        return words[(count - 1) // 2]


def _word_count(call: PrecompileCall) -> int:
    if call.value:
        _refuse("ValueNotAccepted()", "the median takes no coins")
    count, rest = divmod(len(call.data), WORD_BYTES)
    if rest or not 1 <= count <= WORDS_MAX:
        _refuse("NotWords()", f"the calldata must be 1 to {WORDS_MAX} words of {WORD_BYTES} bytes")
    return count


def _refuse(error: str, message: str) -> None:
    # The first four bytes are a Solidity custom error, so that a calling contract can tell why.
    raise PrecompileRevert(message, data=keccak256(error.encode())[:4])
