"""Reading a configuration: file, environment, structure, and the rules between keys."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from attrs import evolve, field, fields_dict, frozen

from lazai_core.api.errors import ConfigError, Problem

from .environment import apply_environment
from .schema import Chosen, NodeConfig, NodeSection, named_choices
from .source import Source, display_name
from .structure import Structurer
from .toml_lines import KeyPath, index_lines

CONFIG_BYTES_MAX = 1 << 20
_TOML_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")

Options = TypeVar("Options")


@frozen(kw_only=True)
class LoadedConfig:
    """A configuration, where its values came from, and the table it was made of."""

    path: Path
    config: NodeConfig
    source: Source
    table: Mapping[str, Any] = field(repr=False)

    def problem(self, path: KeyPath, message: str, hint: str = "") -> Problem:
        """A problem with the value at `path`, for what only the caller can know."""
        return self.source.problem(path, message, hint)

    def structure_options(
        self, options_class: type[Options], choice: Chosen, problems: list[Problem]
    ) -> Options | None:
        """The options of a chosen entry. Adds what is wrong to `problems` and is None then."""
        return structured_options(self.source, options_class, choice, problems)


class IncompleteConfig(ConfigError):
    """A configuration that can be read and is wrong; `choices` are the providers that it names all the same.

    They let whoever knows the plugins report every problem at once.
    """

    def __init__(self, problems: Sequence[Problem], source: Source, choices: tuple[Chosen, ...]) -> None:
        super().__init__(problems)
        self.source = source
        self.choices = choices


def structured_options(
    source: Source, options_class: type[Options], choice: Chosen, problems: list[Problem]
) -> Options | None:
    """The options of a chosen entry. Adds what is wrong to `problems` and is None then."""
    structurer = Structurer(source)
    options = structurer.structure(options_class, choice.options, choice.options_path)
    problems.extend(structurer.problems)
    return options


def load_config(path: Path, *, environ: Mapping[str, str] | None = None) -> LoadedConfig:
    """Read a file and the `LAZAI_SECTION__KEY` variables of `environ`. Raises ConfigError with every problem."""
    name = display_name(path)
    try:
        with path.open("rb") as file:
            data = file.read(CONFIG_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        hint = "write one with `lazai init`" if isinstance(error, FileNotFoundError) else ""
        raise ConfigError([Problem(file=name, line=0, key="", message=reason, hint=hint)]) from None
    if len(data) > CONFIG_BYTES_MAX:
        message = f"larger than {CONFIG_BYTES_MAX} bytes; this is no configuration"
        raise ConfigError([Problem(file=name, line=0, key="", message=message)])
    return parse_config(data, path=path, environ=environ)


def parse_config(data: bytes, *, path: Path, environ: Mapping[str, str] | None = None) -> LoadedConfig:
    """As `load_config`, from bytes; `path` names them and is the anchor of relative paths.

    Raises IncompleteConfig where the bytes are TOML.
    """
    text, table = _parsed(data, display_name(path))
    source = Source(file=display_name(path), folder=path.parent, lines=index_lines(text))
    source, problems = apply_environment(table, source, environ or {})
    structurer = Structurer(source)
    config = structurer.structure(NodeConfig, table, ())
    problems.extend(structurer.problems)
    if config is not None:
        problems.extend(_crossed(config, source))
    if problems or config is None:
        raise IncompleteConfig(sorted(problems, key=problem_place), source, named_choices(table))
    return LoadedConfig(path=path, config=_anchored(config, path.parent), source=source, table=table)


def _parsed(data: bytes, name: str) -> tuple[str, dict[str, Any]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _unreadable(name, line, f"not UTF-8: {error.reason}") from None
    try:
        return text, tomllib.loads(text)
    except RecursionError:
        raise _unreadable(name, 0, "not TOML: nested too deeply") from None
    # tomllib lets Python's own ValueError through for numbers of thousands of digits.
    except ValueError as error:
        place = _TOML_PLACE.search(str(error))
        reason = str(error)[: place.start()] if place else str(error)
        line = int(place[1]) if place and place[1] else text.rstrip("\n").count("\n") + 1
        column = f" (column {place[2]})" if place and place[2] else ""
        raise _unreadable(name, line, f"not TOML: {reason}{column}") from None


def _unreadable(name: str, line: int, message: str) -> ConfigError:
    return ConfigError([Problem(file=name, line=line, key="", message=message)])


def _crossed(config: NodeConfig, source: Source) -> Iterator[Problem]:
    """Rules between keys."""
    seen: dict[str, int] = {}
    for index, choice in enumerate(config.proof):
        if choice.use in seen:
            yield source.problem(("proof", index, "use"), f"'{choice.use}' is listed twice", "take one out")
        seen.setdefault(choice.use, index)
    paths = [model.path for model in config.model]
    for index, path in enumerate(paths):
        if path in paths[:index]:
            yield source.problem(("model", index, "path"), f"'{path}' is listed twice", "take one out")
    for index, name in enumerate(config.plugins.deny):
        if name in (config.plugins.allow or ()):
            yield source.problem(("plugins", "deny", index), f"'{name}' is both allowed and denied")
    unused = set(config.precompiles.options) - set(config.precompiles.use or config.precompiles.options)
    for name in sorted(unused):
        yield source.problem(("precompiles", "options", name), f"'{name}' is not in precompiles.use")


def _anchored(config: NodeConfig, folder: Path) -> NodeConfig:
    """The configuration with default paths under the file's folder, as written ones already are."""
    node = config.node
    names = ("data_dir", "genesis", "key_file")
    moved = {name: folder / getattr(node, name) for name in names if _is_default(node, name)}
    return evolve(config, node=evolve(node, **moved)) if moved else config


def _is_default(section: NodeSection, name: str) -> bool:
    return bool(getattr(section, name) == fields_dict(NodeSection)[name].default)


def problem_place(problem: Problem) -> tuple[int, str, str]:
    """Problems in the order of the file."""
    return problem.line, problem.file, problem.key
