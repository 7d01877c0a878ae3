"""From TOML tables to attrs classes, by one walker that never stops at the first problem.

It reads the annotations, defaults, converters and validators of the fields. Supported types: bool, int, float, str,
bytes (hexadecimal), pathlib.Path, enums, Literal, T | None, unions, tuple, list, frozenset, mappings with text
keys, attrs classes, NewTypes and Any.
"""

from __future__ import annotations

import enum
import math
import tomllib
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeVar

import attrs

from lazai_core.api.errors import LazAIError, Problem

from .source import EnvironmentText, Source, key_text
from .toml_lines import KeyPath
from .validators import refusals

SECRET_KEYS = frozenset(
    {
        "api_key",
        "mnemonic",
        "passphrase",
        "password",
        "private_key",
        "privkey",
        "secret",
        "secret_key",
        "seed_phrase",
    }
)
_SECRET_REASON = "a secret must not stand in a configuration"
_SECRET_HINT = "keep it in a file of its own with mode 0600, and name that file where a key asks for one"
_REFUSALS = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError, LazAIError)
"""What validators and converters may raise for a value they refuse."""

Structured = TypeVar("Structured")


class _Refused(Exception):
    """The value cannot be what it should be; the problem is already on the list."""


class Structurer:
    """Walks tables of one source and gathers problems in `problems`."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.problems: list[Problem] = []

    def structure(self, cls: type[Structured], table: object, path: KeyPath) -> Structured | None:
        """An instance of the attrs class `cls`, or None when a problem was found."""
        try:
            return typing.cast(Structured, self._instance(cls, table, path))
        except _Refused:
            return None

    def report(self, path: KeyPath, message: str, hint: str = "") -> None:
        """Add a problem to the list."""
        self.problems.append(self.source.problem(path, message, hint))

    def _refuse(self, path: KeyPath, message: str, hint: str = "") -> _Refused:
        self.report(path, message, hint)
        return _Refused()

    def _instance(self, cls: type[Any], table: object, path: KeyPath) -> Any:
        if not isinstance(table, Mapping):
            raise self._refuse(path, f"expected a table, got {described(table)}")
        fields = {field.alias: field for field in attrs.fields(cls) if field.init}
        count = len(self.problems)
        for key in table:
            self._check_key(key, fields, (*path, key))
        hints = typing.get_type_hints(cls)
        values = {}
        for alias, field in fields.items():
            try:
                value = self._field(field, hints.get(field.name, Any), table, (*path, alias))
            except _Refused:
                continue
            if value is not attrs.NOTHING:
                values[alias] = value
        if len(self.problems) > count:
            raise _Refused
        try:
            return cls(**values)
        except _REFUSALS as error:
            raise self._refuse(path, text_of(error)) from None

    def _check_key(self, key: str, fields: Iterable[str], path: KeyPath) -> None:
        if key in SECRET_KEYS:
            self.report(path, _SECRET_REASON, _SECRET_HINT)
        elif key not in fields:
            match = near_match(key, fields)
            self.report(path, "unknown key", f"did you mean '{match}'?" if match else keys_text(fields))

    def _field(self, field: Any, hint: Any, table: Mapping[str, Any], path: KeyPath) -> Any:
        if field.alias not in table:
            if field.default is attrs.NOTHING:
                raise self._refuse(path, *_missing_text(field, hint, path))
            return attrs.NOTHING
        if field.alias in SECRET_KEYS:
            raise _Refused
        raw = table[field.alias]
        convert = field.converter
        value = self.convert(hint, raw, path) if convert is None else self._call(convert, raw, path)
        for refusal in refusals(field, value):
            self.report(path, refusal.message, refusal.hint)
        return value

    def convert(self, hint: Any, value: Any, path: KeyPath) -> Any:
        """The value as the type `hint` says. Raises _Refused after reporting why it cannot be."""
        hint = _plain(hint)
        if hint in (Any, object):
            # Options of an entry: their class, and with it the type of a variable's text, is known later.
            return value
        if isinstance(value, EnvironmentText):
            value = _from_environment(hint, value)
        origin = typing.get_origin(hint)
        if origin in (typing.Union, types.UnionType):
            return self._union(hint, value, path)
        if origin is Literal:
            return self._one_of(typing.get_args(hint), value, path)
        if origin is not None:
            return self._container(hint, origin, value, path)
        if isinstance(hint, type):
            return self._plain_value(hint, value, path)
        raise self._refuse(path, f"the type {hint} cannot be configured", "report it to the plugin's authors")

    def _plain_value(self, hint: type[Any], value: Any, path: KeyPath) -> Any:
        if attrs.has(hint):
            return self._instance(hint, value, path)
        if issubclass(hint, enum.Enum):
            return hint(self._one_of([member.value for member in hint], value, path))
        if issubclass(hint, Path) and type(value) is str:
            return self._path(value, path)
        if hint is bytes and type(value) is str:
            return self._call(_hexadecimal, value, path)
        if hint is float and type(value) in (int, float):
            if not math.isfinite(value):
                raise self._refuse(path, f"expected a finite number, got {value}")
            return float(value)
        if hint in (list, tuple, frozenset, set) and isinstance(value, list):
            return hint(value)
        if type(value) is hint or (hint in (dict, Mapping) and isinstance(value, dict)):
            return value
        raise self._refuse(path, f"expected {type_text(hint)}, got {described(value)}")

    def _container(self, hint: Any, origin: Any, value: Any, path: KeyPath) -> Any:
        arguments = typing.get_args(hint)
        if issubclass(origin, Mapping):
            if not isinstance(value, Mapping):
                raise self._refuse(path, f"expected a table, got {described(value)}")
            return self._mapping(arguments[1], value, path)
        if not issubclass(origin, Iterable):
            raise self._refuse(path, f"the type {hint} cannot be configured", "report it to the plugin's authors")
        if not isinstance(value, list):
            raise self._refuse(path, f"expected a list, got {described(value)}")
        if origin is tuple and Ellipsis not in arguments:
            if len(value) != len(arguments):
                raise self._refuse(path, f"expected {len(arguments)} values, got {len(value)}")
            return tuple(self._elements(arguments, value, path))
        elements = self._elements([arguments[0]] * len(value), value, path)
        return origin(elements) if origin in (list, frozenset, set) else tuple(elements)

    def _mapping(self, value_hint: Any, value: Mapping[str, Any], path: KeyPath) -> dict[str, Any]:
        for key in value:
            if key in SECRET_KEYS:
                self.report((*path, key), _SECRET_REASON, _SECRET_HINT)
        converted = self._elements([value_hint] * len(value), list(value.values()), path, list(value))
        return dict(zip(value, converted, strict=True))

    def _elements(
        self, hints: Sequence[Any], values: Sequence[Any], path: KeyPath, keys: Sequence[str | int] | None = None
    ) -> list[Any]:
        converted, refused = [], False
        for key, hint, value in zip(keys or range(len(values)), hints, values, strict=True):
            try:
                converted.append(self.convert(hint, value, (*path, key)))
            except _Refused:
                refused = True
        if refused:
            raise _Refused
        return converted

    def _union(self, hint: Any, value: Any, path: KeyPath) -> Any:
        choices = [choice for choice in typing.get_args(hint) if choice is not type(None)]
        if len(choices) == 1:
            return self.convert(choices[0], value, path)
        for choice in choices:
            trial = Structurer(self.source)
            try:
                return trial.convert(choice, value, path)
            except _Refused:
                continue
        raise self._refuse(path, f"expected {type_text(hint)}, got {described(value)}")

    def _one_of(self, choices: Sequence[Any], value: Any, path: KeyPath) -> Any:
        for choice in choices:
            if type(choice) is type(value) and choice == value:
                return choice
        listed = ", ".join(repr(choice) for choice in choices)
        match = near_match(value, [choice for choice in choices if isinstance(choice, str)])
        raise self._refuse(
            path, f"{described(value)} is not one of {listed}", f"did you mean '{match}'?" if match else ""
        )

    def _path(self, value: str, path: KeyPath) -> Path:
        if not value or "\0" in value:
            raise self._refuse(path, "expected a path, got an empty one" if not value else "a path holds no NUL")
        try:
            return self.source.folder / Path(value).expanduser()
        except RuntimeError as error:
            raise self._refuse(path, str(error)) from None

    def _call(self, function: Callable[[Any], Any], value: Any, path: KeyPath) -> Any:
        if isinstance(value, EnvironmentText):
            value = _from_environment(Any, value)
        try:
            return function(value)
        except _REFUSALS as error:
            raise self._refuse(path, text_of(error)) from None


def _missing_text(field: Any, hint: Any, path: KeyPath) -> tuple[str, str]:
    doc = str(field.metadata.get("doc", "")).rstrip(".")
    name = key_text(path)
    if isinstance(hint, type) and attrs.has(hint):
        return "missing table", f"add [{name}]: {doc}"
    if any(isinstance(part, type) and attrs.has(part) for part in typing.get_args(hint)):
        return "missing table", f"add [[{name}]]: {doc}"
    return f"missing; expected {type_text(hint)}", doc


def _plain(hint: Any) -> Any:
    """The type under `NewType` and `Annotated`."""
    while True:
        if isinstance(hint, typing.NewType):
            hint = hint.__supertype__
        elif typing.get_origin(hint) is typing.Annotated:
            hint = typing.get_args(hint)[0]
        else:
            return hint


def _from_environment(hint: Any, text: str) -> Any:
    """A variable's text as the value it would be in TOML; where text is expected, it needs no quotes."""
    plain = str(text)
    accepted = {_plain(choice) for choice in typing.get_args(hint)} if _is_union(hint) else {hint}
    if any(_takes_text(choice) for choice in accepted):
        return plain
    try:
        return tomllib.loads(f"value = {plain}")["value"] if "\n" not in plain else plain
    except (ValueError, RecursionError):
        return plain


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _takes_text(hint: Any) -> bool:
    if typing.get_origin(hint) is Literal:
        return all(isinstance(choice, str) for choice in typing.get_args(hint))
    return isinstance(hint, type) and issubclass(hint, str | Path | bytes | enum.Enum)


def _hexadecimal(text: str) -> bytes:
    if not text.startswith("0x"):
        raise ValueError("expected hexadecimal digits after 0x")
    try:
        return bytes.fromhex(text[2:])
    except ValueError:
        raise ValueError("expected an even number of hexadecimal digits after 0x") from None


def described(value: object) -> str:
    """Type and value for a message; long values are cut, tables and lists only named."""
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return f"bool {str(value).lower()}"
    text = repr(str(value) if isinstance(value, str) else value)
    if len(text) > 60:
        text = text[:57] + "..."
    return text if isinstance(value, str) else f"{type(value).__name__} {text}"


def type_text(hint: Any) -> str:
    """A type as an operator would call it."""
    hint = _plain(hint)
    if _is_union(hint):
        return " or ".join(type_text(part) for part in typing.get_args(hint) if part is not type(None))
    origin = typing.get_origin(hint)
    if origin is Literal:
        return "one of " + ", ".join(repr(choice) for choice in typing.get_args(hint))
    if isinstance(origin, type):
        if issubclass(origin, Mapping):
            return "a table"
        return f"a list of {type_text(typing.get_args(hint)[0])}" if typing.get_args(hint) else "a list"
    if isinstance(hint, type):
        return _class_text(hint)
    return "a value"


def _class_text(hint: type[Any]) -> str:
    if attrs.has(hint) or issubclass(hint, Mapping):
        return "a table"
    if issubclass(hint, enum.Enum):
        return "one of " + ", ".join(repr(member.value) for member in hint)
    if issubclass(hint, Path):
        return "a path"
    if issubclass(hint, list | tuple | set | frozenset):
        return "a list"
    return "hexadecimal digits" if hint is bytes else str(hint.__name__)


def near_match(word: object, words: Iterable[str]) -> str:
    """The word most like `word`, or nothing."""
    matches = get_close_matches(word, list(words), n=1, cutoff=0.6) if isinstance(word, str) else []
    return matches[0] if matches else ""


def keys_text(keys: Iterable[str]) -> str:
    """The keys there are, as a hint."""
    listed = ", ".join(sorted(keys))
    return f"known keys: {listed}" if listed else "there are no keys here"


def text_of(error: BaseException) -> str:
    """What an exception says; attrs puts more than its text into the arguments."""
    first = error.args[0] if error.args else ""
    return first if isinstance(first, str) and first else f"{type(error).__name__}: {error}"


__all__ = ["SECRET_KEYS", "Structurer", "described", "key_text", "near_match", "type_text"]
