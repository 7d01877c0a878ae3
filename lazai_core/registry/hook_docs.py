"""The hooks' documentation, read from their docstrings, whose parts are fixed, and written as docs/HOOKS.md."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from textwrap import dedent

from attrs import frozen

from lazai_core.api import hookspecs

from .checks import hook_arguments

PARTS = ("Called", "Slow", "Returns", "Exceptions", "Since")
_PART = re.compile(rf"^({'|'.join(PARTS)}): ", re.MULTILINE)
_EXAMPLE = "Example::"

_INTRODUCTION = """\
# Hooks

A plugin is a module that an entry point in the group `lazai` names. It marks functions of these names with
`hookimpl`, and each tells the node something it offers:

```toml
# pyproject.toml of the plugin
[project.entry-points."lazai"]
acme-gas = "acme_gas.plugin"
```

Hooks register and observe; none is on the path of a request or a block. Rules, each checked when the plugin is
loaded, by a text that names plugin and distribution:

- `lazai_plugin` is implemented exactly once; `hook_api` has this core's major version and no newer minor one.
- Hooks are plain functions: no `async def`, no wrappers. They may leave out arguments, and ask for no others.
- A misspelt hook is refused, with the name it is most like.
- Whatever a plugin raises makes that plugin broken and stops nobody else. A broken plugin stops a node only where
  the configuration uses it; `lazai plugins` always shows it.
- Names are chosen in the configuration, never by order. One name of one kind offered twice is a conflict, which the
  operator settles with `[plugins] deny`.
- The options class of an entry is an attrs class whose every field has `metadata={"doc": "..."}`.
- The module imports nothing heavy; `build` functions do.

This file is made from the docstrings in `lazai_core/api/hookspecs.py`, by
`python -m lazai_core.registry.api_dump --write`.
"""


@frozen(kw_only=True)
class HookDoc:
    """One hook's documentation in its parts."""

    name: str
    signature: str
    first_result: bool
    summary: str
    parts: dict[str, str]
    example: str


def hook_docs() -> Iterator[HookDoc]:
    """Every hook in the order of the specification. Raises ValueError for a docstring without its parts."""
    for name in hook_arguments():
        yield parse_hook(name, getattr(hookspecs, name))


def parse_hook(name: str, function: object) -> HookDoc:
    """The documentation of one hook. Raises ValueError where a part is missing or out of order."""
    text = inspect.getdoc(function) or ""
    head, mark, example = text.partition(_EXAMPLE)
    pieces = _PART.split(head)
    found = tuple(pieces[1::2])
    if found != PARTS or not mark or not example.strip():
        raise ValueError(f"{name}: the docstring must have {', '.join(PARTS)} and {_EXAMPLE} in this order")
    options = getattr(function, f"{hookspecs.PROJECT_NAME}_spec", None) or {}
    return HookDoc(
        name=name,
        signature=str(inspect.signature(function)).replace("'", ""),  # type: ignore[arg-type]
        first_result=bool(options.get("firstresult")),
        summary=_joined(pieces[0]),
        parts={part: _joined(piece) for part, piece in zip(found, pieces[2::2], strict=True)},
        example=dedent(example).strip("\n"),
    )


def hooks_markdown() -> str:
    """The whole of docs/HOOKS.md."""
    sections = [_INTRODUCTION]
    for doc in hook_docs():
        lines = [f"## `{doc.name}{doc.signature}`", "", doc.summary, ""]
        lines += [f"- **{part}:** {text}" for part, text in doc.parts.items()]
        if doc.first_result:
            lines.append("- **Several implementations:** asked one after the other, up to the first answer.")
        lines += ["", "```python", dedent(doc.example), "```", ""]
        sections.append("\n".join(lines))
    return "\n".join(sections)


def _joined(text: str) -> str:
    return " ".join(text.split())
