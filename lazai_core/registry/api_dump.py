"""The contract room as one text: every hook, entry, protocol, value type and error with its fields and signatures.

A test holds it to `tests/golden/hook_api.txt`, so that the contract never changes by accident.
Regenerate on purpose with `python -m lazai_core.registry.api_dump --write`.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import lazai_core
from lazai_core.api.version import HOOK_API

from .hook_docs import hooks_markdown

DUMP_PATH = Path("tests/golden/hook_api.txt")
DOCS_PATH = Path("docs/HOOKS.md")
ADVICE = """\
The contract between core and plugins changed. If that is meant:
  - a new hook, a new optional field or a new input or effect that may be ignored: raise the minor number of HOOK_API;
  - a removal or a changed meaning: raise the major number, after one minor with a warning;
  - run `python -m lazai_core.registry.api_dump --write`, and say in CHANGELOG.md what plugin authors must know.
"""
_UNSEEN_KEYWORDS = frozenset({"repr", "metadata"})


def api_text() -> str:
    """The dump: one section a module, in order of name, without docstrings, bodies and private names."""
    parts = [f"hook API {HOOK_API[0]}.{HOOK_API[1]}\n"]
    for module in sorted(files("lazai_core.api").iterdir(), key=lambda item: item.name):
        if module.name.endswith(".py") and module.name != "__init__.py":
            lines = list(_module_lines(ast.parse(module.read_text(encoding="utf-8"))))
            parts.append("\n".join([f"== lazai_core.api.{module.name.removesuffix('.py')}", *lines, ""]))
    return "\n".join(parts)


def _module_lines(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield from _class_lines(node)
        elif isinstance(node, ast.FunctionDef):
            yield from _function_lines(node, "")
        else:
            yield from _assignment_lines(node, "")


def _class_lines(node: ast.ClassDef) -> Iterator[str]:
    if _is_private(node.name):
        return
    for decorator in node.decorator_list:
        yield f"@{ast.unparse(decorator)}"
    bases = ", ".join(ast.unparse(base) for base in node.bases)
    yield f"class {node.name}({bases})" if bases else f"class {node.name}"
    for item in node.body:
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _function_lines(item, "    ")
        else:
            yield from _assignment_lines(item, "    ")


def _function_lines(node: ast.FunctionDef | ast.AsyncFunctionDef, indent: str) -> Iterator[str]:
    if _is_private(node.name) and node.name != "__init__":
        return
    for decorator in node.decorator_list:
        yield f"{indent}@{ast.unparse(decorator)}"
    word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    returns = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    yield f"{indent}{word} {node.name}({ast.unparse(node.args)}){returns}"


def _assignment_lines(node: ast.stmt, indent: str) -> Iterator[str]:
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and not _is_private(node.target.id):
        text = "" if node.value is None else _value_text(node.value)
        value = f" = {text}" if text and text != "field()" else ""
        yield f"{indent}{node.target.id}: {ast.unparse(node.annotation)}{value}"
    elif isinstance(node, ast.Assign) and all(isinstance(target, ast.Name) for target in node.targets):
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        if not any(_is_private(name) for name in names):
            yield f"{indent}{' = '.join(names)} = {_value_text(node.value)}"


def _value_text(node: ast.expr) -> str:
    """A default or constant; what only changes how a value is shown or documented is left out."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "field":
        keywords = [keyword for keyword in node.keywords if keyword.arg not in _UNSEEN_KEYWORDS]
        node = ast.Call(func=node.func, args=node.args, keywords=keywords)
    return ast.unparse(node)


def _is_private(name: str) -> bool:
    return name.startswith("_")


def main() -> int:
    """Print the dump, or write it and docs/HOOKS.md into a checkout."""
    parser = argparse.ArgumentParser(prog="python -m lazai_core.registry.api_dump", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {DUMP_PATH} and {DOCS_PATH}")
    arguments = parser.parse_args()
    if not arguments.write:
        sys.stdout.write(api_text())
        return 0
    checkout = Path(lazai_core.__file__).resolve().parents[1]
    if not (checkout / DUMP_PATH.parent).is_dir():
        parser.error(f"{checkout} is no checkout: there is no {DUMP_PATH.parent}")
    (checkout / DUMP_PATH).write_text(api_text(), encoding="utf-8")
    (checkout / DOCS_PATH).write_text(hooks_markdown(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
