"""What attrs validators say about a value, in the words of an operator instead of a programmer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from attrs import frozen

from lazai_core.api.errors import LazAIError

_COMPARISONS = {">=": "at least", ">": "more than", "<=": "at most", "<": "less than"}


@frozen(kw_only=True)
class Refusal:
    """Why a validator does not take a value."""

    message: str
    hint: str = ""


def refusals(field: Any, value: Any) -> Iterator[Refusal]:
    """Everything that the validators of an attrs field have against a value, which is of the right type."""
    yield from _outside(field.metadata, value)
    for validator in _flat(field.validator):
        refusal = _refusal(validator, field, value)
        if refusal is not None:
            yield refusal


def _outside(metadata: Mapping[str, Any], value: Any) -> Iterator[Refusal]:
    """Bounds that a field states as data, so that documents can show them."""
    if not isinstance(value, int | float):
        return
    minimum, maximum = metadata.get("minimum"), metadata.get("maximum")
    if minimum is not None and value < minimum:
        yield Refusal(message=f"must be at least {minimum}, got {value}")
    if maximum is not None and value > maximum:
        yield Refusal(message=f"must be at most {maximum}, got {value}")


def _flat(validator: Any) -> Iterator[Any]:
    if validator is None:
        return
    parts = getattr(validator, "_validators", None)
    if isinstance(parts, tuple):
        for part in parts:
            yield from _flat(part)
    else:
        yield validator


def _refusal(validator: Any, field: Any, value: Any) -> Refusal | None:
    try:
        validator(None, field, value)
    except AttributeError:
        # A validator that compares fields runs again when the instance is made.
        return None
    except (ValueError, TypeError, ArithmeticError, LookupError, LazAIError) as error:
        return _worded(validator, value, error)
    return None


def _worded(validator: Any, value: Any, error: BaseException) -> Refusal:
    """Words for the validators of attrs, which are told apart by what they hold."""
    shown = repr(value) if len(repr(value)) <= 60 else repr(value)[:57] + "..."
    comparison = _COMPARISONS.get(getattr(validator, "compare_op", ""))
    if comparison is not None:
        return Refusal(message=f"must be {comparison} {validator.bound}, got {shown}")
    options = getattr(validator, "options", None)
    if options is not None:
        return _not_one_of(value, options, shown)
    if hasattr(validator, "max_length"):
        return Refusal(message=f"may have at most {_counted(validator.max_length, value)}, got {len(value)}")
    if hasattr(validator, "min_length"):
        return Refusal(message=f"needs at least {_counted(validator.min_length, value)}, got {len(value)}")
    pattern = getattr(validator, "pattern", None)
    if pattern is not None:
        return Refusal(message=f"{shown} does not have the form {pattern.pattern}")
    first = error.args[0] if error.args else ""
    return Refusal(message=first if isinstance(first, str) and first else f"{type(error).__name__}: {error}")


def _counted(count: int, value: Any) -> str:
    noun = "character" if isinstance(value, str) else "element"
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _not_one_of(value: Any, options: Any, shown: str) -> Refusal:
    choices = list(options)
    listed = ", ".join(repr(choice) for choice in choices)
    words = [choice for choice in choices if isinstance(choice, str)]
    matches = get_close_matches(value, words, n=1, cutoff=0.6) if isinstance(value, str) else []
    return Refusal(message=f"{shown} is not one of {listed}", hint=f"did you mean '{matches[0]}'?" if matches else "")
