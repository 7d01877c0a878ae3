"""Bodies and answers of `POST /v1/embeddings`."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from attrs import frozen

from lazai_core.api.compute import Embedder
from lazai_core.api.service import InferenceOutcome, ServedModel

from .extension import Extension, ignored_fields, read_extension, read_text, refuse_parameters
from .failures import ApiFailure, bad_request

_USED = ("model", "input", "encoding_format", "lazai")
_REFUSED = {
    "dimensions": "vectors have the length that the model gives them",
    "stream": "embeddings come in one answer",
    "truncate": "inputs are never cut; shorten them",
    "truncate_prompt_tokens": "inputs are never cut; shorten them",
    "input_type": "the model has one kind of input",
    "task": "the model has one task",
}


@runtime_checkable
class TokenEmbedder(Protocol):
    """An embedder that also takes token numbers as they are, special tokens included."""

    def job_input_of_tokens(self, tokens: Sequence[int]) -> bytes:
        """Job input bytes. Raises OverLimit, InvalidInput."""


@frozen(kw_only=True)
class EmbeddingsBody:
    """A parsed body. `items` are texts or lists of token numbers, at least one."""

    model_name: str
    items: tuple[str, ...] | tuple[tuple[int, ...], ...]
    as_base64: bool
    extension: Extension
    ignored: tuple[str, ...]

    def prepare(self, model: ServedModel) -> EmbeddingsWork:
        """Tokenise for this model. Raises ApiFailure, OverLimit, InvalidInput."""
        embedder = model.embedder
        if embedder is None:
            raise bad_request(
                f"{model.name} takes tensors, not texts; use /v2/models/{model.name}/infer",
                "model",
                code="unsupported_model",
            )
        prepared = [_job_input(embedder, model.name, item) for item in self.items]
        return EmbeddingsWork(
            model_name=model.name,
            embedder=embedder,
            inputs=tuple(job_input for job_input, _ in prepared),
            tokens=sum(tokens for _, tokens in prepared),
            as_base64=self.as_base64,
        )


@frozen(kw_only=True)
class EmbeddingsWork:
    """Job inputs of one body, and how their outputs become the answer."""

    model_name: str
    embedder: Embedder
    inputs: tuple[bytes, ...]
    tokens: int
    as_base64: bool

    def render(self, outcome: InferenceOutcome) -> dict[str, Any]:
        """The answer in OpenAI's shape."""
        return {
            "object": "list",
            "data": [self._entry(index, output) for index, output in enumerate(outcome.outputs)],
            "model": self.model_name,
            "usage": {"prompt_tokens": self.tokens, "total_tokens": self.tokens},
        }

    def _entry(self, index: int, output: bytes) -> dict[str, Any]:
        vector = self.embedder.vector(output)
        embedding: str | list[float] = list(vector)
        if self.as_base64:
            embedding = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
        return {"object": "embedding", "index": index, "embedding": embedding}


def parse_embeddings(fields: dict[str, Any], inputs_max: int) -> EmbeddingsBody:
    """Read a body. Raises ApiFailure (400) naming the parameter."""
    model_name = read_text(fields, "model")
    refuse_parameters(fields, _REFUSED)
    encoding = fields.get("encoding_format")
    if encoding not in (None, "float", "base64"):
        raise bad_request("encoding_format must be float or base64", "encoding_format")
    if "input" not in fields:
        raise bad_request("you must provide input", "input", code="missing_parameter")
    return EmbeddingsBody(
        model_name=model_name,
        items=_read_items(fields["input"], inputs_max),
        as_base64=encoding == "base64",
        extension=read_extension(fields.get("lazai")),
        ignored=ignored_fields(fields, _USED),
    )


def _read_items(value: Any, inputs_max: int) -> tuple[str, ...] | tuple[tuple[int, ...], ...]:
    if isinstance(value, str):
        return _check_texts([value])
    if not isinstance(value, list) or not value:
        raise bad_request("input must be a text, a list of texts, or lists of token numbers, not empty", "input")
    if type(value[0]) is int:
        return (_check_tokens(value),)
    if len(value) > inputs_max:
        raise bad_request(
            f"input has {len(value)} entries, this node takes at most {inputs_max} a request",
            "input",
            code="too_many_inputs",
        )
    if isinstance(value[0], str):
        return _check_texts(value)
    return tuple(_check_tokens(item) for item in value)


def _check_texts(values: list[Any]) -> tuple[str, ...]:
    for index, value in enumerate(values):
        if not isinstance(value, str) or not value:
            raise bad_request(f"input[{index}] must be a text that is not empty", "input")
    return tuple(values)


def _check_tokens(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or not value:
        raise bad_request("a list of token numbers must not be empty", "input")
    if not all(type(token) is int and 0 <= token < 2**31 for token in value):
        raise bad_request("token numbers must be whole numbers from 0 to 2^31 - 1", "input")
    return tuple(value)


def _job_input(embedder: Embedder, model_name: str, item: str | tuple[int, ...]) -> tuple[bytes, int]:
    """Job input and number of tokens. Inputs are never cut short."""
    if not isinstance(item, str) and not isinstance(embedder, TokenEmbedder):
        raise bad_request(f"{model_name} takes texts, not token numbers", "input", code="unsupported_parameter")
    tokens = embedder.tokens(item) if isinstance(item, str) else len(item)
    if tokens > embedder.tokens_max:
        raise ApiFailure(
            400,
            "context_length_exceeded",
            f"{model_name} takes at most {embedder.tokens_max} tokens, but the input has {tokens}; shorten it",
            param="input",
            extra={"tokens": tokens, "tokens_max": embedder.tokens_max},
        )
    if isinstance(item, str):
        return embedder.job_input(item), tokens
    assert isinstance(embedder, TokenEmbedder)
    return embedder.job_input_of_tokens(item), tokens
