"""Habits that a reader relies on: no prints, no swallowed errors, docstrings, functions that fit a screen."""

from __future__ import annotations

import ast

import pytest

from tests.tidy.tree import REPOSITORY, Module, shipped_modules

FUNCTION_LINES_MAX = 70
_ALLOWED_PATH = REPOSITORY / "tests" / "tidy" / "broad_except.txt"


def broad_handlers(module: Module) -> list[str]:
    """Return the handlers that catch everything and do not raise it again as it was."""
    found = []
    for node in ast.walk(module.syntax):
        if not isinstance(node, ast.ExceptHandler) or _raises_again(node):
            continue
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        if any(kind is None or getattr(kind, "id", "") in ("Exception", "BaseException") for kind in caught):
            found.append(module.place(node))
    return found


def prints(module: Module) -> list[str]:
    """Return the calls of the built-in `print`."""
    return [
        module.place(node)
        for node in ast.walk(module.syntax)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]


def long_functions(module: Module) -> list[str]:
    """Return the functions longer than the limit, not counting their docstrings."""
    found = []
    for node in ast.walk(module.syntax):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = _line_count(node)
            if ast.get_docstring(node) is not None:
                lines -= _line_count(node.body[0])
            if lines > FUNCTION_LINES_MAX:
                found.append(f"{module.place(node)}: {node.name} has {lines} lines")
    return found


def allowed_broad_handlers() -> set[str]:
    """Return the modules on the allow-list; each line gives a reason."""
    lines = [line for line in _ALLOWED_PATH.read_text(encoding="utf-8").splitlines() if line]
    entries = [line.split(": ", 1) for line in lines if not line.startswith("#")]
    assert all(len(entry) == 2 and entry[1] for entry in entries), "each line is `path: reason`"
    return {path for path, _ in entries}


def _line_count(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def test_only_listed_modules_catch_everything() -> None:
    allowed = allowed_broad_handlers()

    found = [
        line for module in shipped_modules() if module.path not in allowed for line in broad_handlers(module)
    ]

    assert found == [], f"catch what is expected, or add the module and a reason to {_ALLOWED_PATH.name}"


def test_listed_modules_still_catch_everything() -> None:
    allowed = allowed_broad_handlers()

    idle = [
        module.path for module in shipped_modules() if module.path in allowed and not broad_handlers(module)
    ]

    assert idle == [], f"take these out of {_ALLOWED_PATH.name}"


def test_only_the_command_line_prints() -> None:
    elsewhere = [module for module in shipped_modules() if not module.path.startswith("lazai_core/cli/")]

    assert [line for module in elsewhere for line in prints(module)] == []


def test_every_module_has_a_docstring() -> None:
    without = [module.path for module in shipped_modules() if not ast.get_docstring(module.syntax)]

    assert without == []


def test_functions_fit_a_screen() -> None:
    assert [line for module in shipped_modules() for line in long_functions(module)] == []


@pytest.mark.parametrize(
    ("caught", "count"),
    [
        ("except:", 1),
        ("except Exception:", 1),
        ("except (KeyError, BaseException) as e:", 1),
        ("except KeyError:", 0),
    ],
)
def test_broad_handlers_are_seen(caught: str, count: int) -> None:
    assert len(broad_handlers(Module.from_text(f"try:\n    f()\n{caught}\n    pass"))) == count


def test_clean_up_that_raises_again_is_left_alone() -> None:
    assert broad_handlers(Module.from_text("try:\n    f()\nexcept BaseException:\n    g()\n    raise")) == []


def test_prints_are_seen() -> None:
    assert prints(Module.from_text("print(1)\nconsole.print(2)")) == ["sample.py:1"]


def test_long_functions_are_seen_and_docstrings_are_free() -> None:
    body = "    x = 1\n" * FUNCTION_LINES_MAX
    docstring = '    """' + "words\n" * 9 + '    """\n'

    assert long_functions(Module.from_text(f"def f():\n{body}")) == ["sample.py:1: f has 71 lines"]
    assert long_functions(Module.from_text(f"def f():\n{docstring}{body[10:]}")) == []
