"""Rooms that every node must compute alike: no clock, no randomness, no I/O, no floats."""

from __future__ import annotations

import ast

import pytest

from tests.tidy.tree import Module, modules_under

PURE_ROOMS = (
    "lazai_core/api/",
    "lazai_core/chain/",
    "lazai_core/builtin/solo_consensus",
    "plugins/lazai-consensus-bft/lazai_consensus_bft/",
)
INTEGER_ROOMS = (
    "lazai_core/chain/",
    "lazai_core/api/gas.py",
    "plugins/lazai-gas-eip1559/lazai_gas_eip1559/",
    "plugins/lazai-consensus-bft/lazai_consensus_bft/",
)
IMPURE_MODULES = {"asyncio", "datetime", "os", "random", "secrets", "socket", "time"}


def impure_imports(module: Module) -> list[str]:
    """Return the imports of modules that read a clock, a random source, a network or a disk."""
    found = []
    for node in ast.walk(module.syntax):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        found += [f"{module.place(node)}: {name}" for name in names if name.split(".")[0] in IMPURE_MODULES]
    return found


def floats(module: Module) -> list[str]:
    """Return the float literals, the uses of `float` and the true divisions."""
    found = []
    for node in ast.walk(module.syntax):
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            found.append(f"{module.place(node)}: literal {node.value}")
        elif isinstance(node, ast.Name) and node.id == "float":
            found.append(f"{module.place(node)}: float")
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div):
            found.append(f"{module.place(node)}: true division")
    return found


def test_pure_rooms_import_nothing_impure() -> None:
    found = [line for module in modules_under(*PURE_ROOMS) for line in impure_imports(module)]

    assert found == []


def test_integer_rooms_hold_no_float() -> None:
    found = [line for module in modules_under(*INTEGER_ROOMS) for line in floats(module)]

    assert found == []


@pytest.mark.parametrize(
    "text", ["import time", "from os import path", "def f():\n    import random", "import asyncio.tasks"]
)
def test_impure_imports_are_seen(text: str) -> None:
    assert len(impure_imports(Module.from_text(text))) == 1


@pytest.mark.parametrize("text", ["from . import time", "from lazai_core.api import types", "import ostrich"])
def test_pure_imports_are_left_alone(text: str) -> None:
    assert impure_imports(Module.from_text(text)) == []


@pytest.mark.parametrize("text", ["x = 0.5", "x = float(y)", "x = a / b", "x /= b", "def f(a: float): ..."])
def test_floats_are_seen(text: str) -> None:
    assert len(floats(Module.from_text(text))) == 1


def test_integer_arithmetic_is_left_alone() -> None:
    assert floats(Module.from_text("x = a // b * 2 ** 3 - 1")) == []
