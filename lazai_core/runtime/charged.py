"""Calls into a plugin after assembly: its own mistakes are charged to it, errors of the tree pass as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from lazai_core.api.errors import LazAIError
from lazai_core.registry.discover import Candidate
from lazai_core.registry.guard import guarded

T = TypeVar("T")


def charged(candidate: Candidate, moment: str, call: Callable[[], T]) -> T:
    """The call's result. Raises LazAIError as the plugin raised it, PluginBroken for anything else that it raised."""

    def attempt() -> tuple[list[T], LazAIError | None]:
        try:
            return [call()], None
        except LazAIError as error:
            return [], error

    result, error = guarded(candidate, moment, attempt)
    if error is not None:
        raise error
    return result[0]
