"""The backend as the node sees it: built when it is first used, and never able to raise what nobody expects.

Its libraries may take seconds to load, and a node starts in two. Whatever a backend raises that is not an error of
the tree becomes a ComputeError, charged to its plugin: a job fails then, not the node.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from lazai_core.api.compute import (
    BackendInfo,
    CancelToken,
    ConstantSource,
    Coprocessor,
    ExecutionResult,
    LoadedModel,
    ModelLoader,
    ResourceMonitor,
    TensorKernels,
)
from lazai_core.api.curve_kernels import CurveKernels
from lazai_core.api.errors import AssemblyError, BackendUnavailable, ComputeError, PluginBroken
from lazai_core.api.field_kernels import FieldKernels
from lazai_core.api.job import ResourceLimits, ResourceUsage
from lazai_core.api.program import Program
from lazai_core.registry.discover import Candidate
from lazai_core.runtime.charged import charged

T = TypeVar("T")


class LazyCoprocessor:
    """`Coprocessor` that stands for one that is not built yet. Safe to use from several threads."""

    def __init__(self, build: Callable[[], Coprocessor], candidate: Candidate) -> None:
        self._build = build
        self._candidate = candidate
        self._lock = threading.Lock()
        self._built: Coprocessor | None = None
        self._closed = False
        self._loader = _GuardedLoader(self)

    def open(self) -> Coprocessor:
        """The backend itself; builds it the first time. Raises BackendUnavailable."""
        with self._lock:
            if self._closed:
                raise BackendUnavailable("the coprocessor was closed")
            if self._built is None:
                try:
                    self._built = self._build()
                except AssemblyError as error:
                    raise BackendUnavailable(error.message, hint=error.hint) from error
            return self._built

    def guarded(self, moment: str, call: Callable[[Coprocessor], T]) -> T:
        """Call the backend. Raises what the backend may raise, ComputeError for anything else."""
        backend = self.open()
        try:
            return charged(self._candidate, moment, lambda: call(backend))
        except PluginBroken as error:
            raise ComputeError(error.message, hint=error.hint) from error

    @property
    def info(self) -> BackendInfo:
        """Identity of the backend."""
        return self.open().info

    @property
    def models(self) -> ModelLoader:
        """Its model loader."""
        return self._loader

    @property
    def tensors(self) -> TensorKernels:
        """Its kernels."""
        return self.open().tensors

    @property
    def fields(self) -> FieldKernels | None:
        """Its field kernels, where it has any."""
        return self.open().fields

    @property
    def curves(self) -> CurveKernels | None:
        """Its curve kernels, where it has any."""
        return self.open().curves

    def monitor(self, limits: ResourceLimits) -> ResourceMonitor:
        """A fresh monitor for one run."""
        return self.guarded("monitor", lambda backend: backend.monitor(limits))

    def execute(
        self,
        model: LoadedModel,
        job_input: bytes,
        monitor: ResourceMonitor,
        cancel: CancelToken,
        *,
        keep_trace: bool = False,
    ) -> ExecutionResult:
        """Run the program."""
        return self.guarded(
            "execute", lambda backend: backend.execute(model, job_input, monitor, cancel, keep_trace=keep_trace)
        )

    def close(self) -> None:
        """Free everything. Idempotent."""
        with self._lock:
            self._closed = True
            if self._built is not None:
                self._built.close()


class _GuardedLoader:
    """`ModelLoader` of the backend behind the same guard."""

    def __init__(self, owner: LazyCoprocessor) -> None:
        self._owner = owner

    def plan(self, program: Program, job_input: bytes) -> ResourceUsage:
        return self._owner.guarded("plan", lambda backend: backend.models.plan(program, job_input))

    def load(self, program: Program, constants: ConstantSource) -> LoadedModel:
        return self._owner.guarded("load", lambda backend: backend.models.load(program, constants))

    def unload(self, model: LoadedModel) -> None:
        self._owner.guarded("unload", lambda backend: backend.models.unload(model))
