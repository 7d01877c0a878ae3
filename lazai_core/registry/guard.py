"""The one place where a plugin's code is called: whatever it raises is charged to it and stops nobody else."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable
from importlib.metadata import EntryPoint
from types import TracebackType
from typing import TypeVar

from lazai_core.api.hookspecs import ENTRY_POINT_GROUP

from . import messages
from .discover import Candidate

Result = TypeVar("Result")


def guarded(candidate: Candidate, moment: str, call: Callable[[], Result]) -> Result:
    """Call into a plugin. Raises PluginBroken, caused by whatever the plugin raised, naming it and `moment`."""
    try:
        return call()
    except (Exception, SystemExit) as error:
        raise messages.raised(candidate, moment, error) from error


def import_plugin(candidate: Candidate) -> object:
    """Import what the plugin's entry point names. Raises PluginBroken."""
    point = EntryPoint(name=candidate.name, value=candidate.module, group=ENTRY_POINT_GROUP)
    try:
        importlib.invalidate_caches()
        return point.load()
    # A plugin that ends the process while it is imported is as broken as one that raises.
    except (Exception, SystemExit) as error:
        raise messages.failed_import(candidate, error) from error


def traceback_of(error: BaseException) -> str:
    """The traceback of what the plugin raised, as text, without the frames that led to its code."""
    cause = error.__cause__ or error
    return "".join(traceback.format_exception(type(cause), cause, _outside(cause.__traceback__)))


def _outside(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and _is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return trace


def _is_ours(file: str) -> bool:
    return file == __file__ or "importlib" in file
