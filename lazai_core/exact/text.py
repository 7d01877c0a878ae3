"""Text in, vector out, around an exact program: tokenizer and embedder facets shared by all backends.

Tokenising and normalising happen outside consensus: what a block settles are token numbers in and integers out.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING

from lazai_core.api.errors import BackendUnavailable, EncodingError, InvalidInput, ModelError, OverLimit
from lazai_core.api.program import Program

if TYPE_CHECKING:
    from tokenizers import Tokenizer as NativeTokenizer


class FileTokenizer:
    """A `tokenizer.json` of the Hugging Face format. Truncation and padding of the file are switched off."""

    def __init__(self, path: Path) -> None:
        try:
            from tokenizers import Tokenizer as NativeTokenizer
        except ImportError as cause:
            raise BackendUnavailable(
                f"{path} needs the package tokenizers", hint="install it: python -m pip install tokenizers"
            ) from cause
        try:
            self._native: NativeTokenizer = NativeTokenizer.from_file(str(path))
        except Exception as cause:  # the native library raises bare Exception
            raise ModelError(f"{path} is not a tokenizer file: {cause}") from cause
        self._native.no_truncation()
        self._native.no_padding()

    def encode(self, text: str) -> Sequence[int]:
        """Token numbers of the text, special tokens included."""
        return list(self._native.encode(text).ids)

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of the tokens, special tokens left out."""
        return str(self._native.decode(list(tokens)))


class ExactEmbedder:
    """Embeds texts with a program that takes one row of int32 token numbers and gives one row of integers."""

    def __init__(self, program: Program, tokenizer: FileTokenizer, *, normalize: bool = True) -> None:
        if len(program.inputs) != 1 or program.dim is None or len(program.outputs) != 1:
            raise ModelError("an embedding program has one symbolic input and one output")
        shape = program.values[program.outputs[0].value].shape
        self.dimensions = shape[-1]
        self.tokens_max = program.dim.maximum
        self._program = program
        self._tokenizer = tokenizer
        self._normalize = normalize
        self._scale = program.outputs[0].scale.to_float() or 1.0

    def tokens(self, text: str) -> int:
        """Number of tokens of the text, special tokens included."""
        return len(self._tokenizer.encode(text))

    def job_input(self, text: str) -> bytes:
        """Job input bytes for one text. Raises OverLimit with both numbers."""
        return self.job_input_of_tokens(self._tokenizer.encode(text))

    def job_input_of_tokens(self, tokens: Sequence[int]) -> bytes:
        """Job input bytes for token numbers as they are. Raises OverLimit, InvalidInput."""
        if len(tokens) > self.tokens_max:
            raise OverLimit(
                f"the input has {len(tokens)} tokens, the model takes at most {self.tokens_max}",
                hint="shorten the text or split it",
            )
        declared = self._program.inputs[0]
        for token in tokens:
            if not declared.low <= token <= declared.high:
                raise InvalidInput(f"token {token} lies outside [{declared.low}, {declared.high}]")
        if not tokens:
            raise InvalidInput("the input has no tokens")
        body = b"".join(token.to_bytes(declared.dtype.size, "little", signed=True) for token in tokens)
        return len(tokens).to_bytes(4, "big") + body

    def vector(self, output: bytes) -> Sequence[float]:
        """The vector that job output bytes stand for, of length 1 when the model normalises."""
        info = self._program.values[self._program.outputs[0].value]
        size = info.dtype.size
        if len(output) != size * self.dimensions:
            raise EncodingError(f"the output must have {size * self.dimensions} bytes, {len(output)} were given")
        values = [
            int.from_bytes(output[start : start + size], "little", signed=True) * self._scale
            for start in range(0, len(output), size)
        ]
        if not self._normalize:
            return values
        length = sqrt(sum(value * value for value in values))
        return [value / length for value in values] if length else values
