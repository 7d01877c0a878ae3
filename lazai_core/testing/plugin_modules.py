"""Loading plugin modules without installing them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType

from lazai_core.registry import Candidate, Catalog, Discovery, load_catalog

DISTRIBUTION = "lazai-testing"


def load_plugins(*modules: ModuleType | str) -> Catalog:
    """The catalog of these plugin modules alone, given as modules or by dotted name.

    They pass through the same checks as installed plugins; what fails is in `Catalog.broken`, as in a node.
    """
    with _importable([module for module in modules if isinstance(module, ModuleType)]):
        return load_catalog(Discovery(candidates=tuple(_candidate(module) for module in modules)))


def load_plugin(module: ModuleType | str) -> Catalog:
    """As `load_plugins`, for one module that must be sound. Raises AssertionError with everything wrong with it."""
    catalog = load_plugins(module)
    problems = [str(error) for plugin in catalog.broken for error in plugin.errors]
    problems += [str(conflict.error) for conflict in catalog.conflicts]
    assert not problems, "\n".join(problems)
    return catalog


def _candidate(module: ModuleType | str) -> Candidate:
    name = module.__name__ if isinstance(module, ModuleType) else module
    return Candidate(name=name.rpartition(".")[2], module=name, distribution=DISTRIBUTION, version="0")


@contextmanager
def _importable(modules: Sequence[ModuleType]) -> Iterator[None]:
    """Modules that were made in a test are found by name while they are loaded."""
    missing = [module for module in modules if module.__name__ not in sys.modules]
    sys.modules.update({module.__name__: module for module in missing})
    try:
        yield
    finally:
        for module in missing:
            sys.modules.pop(module.__name__, None)
