"""A backend that is built when it is first used: its libraries may take seconds to load, and a node starts in two."""

from __future__ import annotations

import threading
from collections.abc import Callable

from lazai_core.api.compute import (
    BackendInfo,
    CancelToken,
    Coprocessor,
    ExecutionResult,
    LoadedModel,
    ModelLoader,
    ResourceMonitor,
    TensorKernels,
)
from lazai_core.api.errors import BackendUnavailable
from lazai_core.api.job import ResourceLimits


class LazyCoprocessor:
    """`Coprocessor` that stands for one that is not built yet. Safe to use from several threads."""

    def __init__(self, build: Callable[[], Coprocessor]) -> None:
        self._build = build
        self._lock = threading.Lock()
        self._built: Coprocessor | None = None
        self._closed = False

    def open(self) -> Coprocessor:
        """The backend itself; builds it the first time. Raises BackendUnavailable."""
        with self._lock:
            if self._closed:
                raise BackendUnavailable("the coprocessor was closed")
            if self._built is None:
                self._built = self._build()
            return self._built

    @property
    def info(self) -> BackendInfo:
        """Identity of the backend."""
        return self.open().info

    @property
    def models(self) -> ModelLoader:
        """Its model loader."""
        return self.open().models

    @property
    def tensors(self) -> TensorKernels:
        """Its kernels."""
        return self.open().tensors

    def monitor(self, limits: ResourceLimits) -> ResourceMonitor:
        """A fresh monitor for one run."""
        return self.open().monitor(limits)

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
        return self.open().execute(model, job_input, monitor, cancel, keep_trace=keep_trace)

    def close(self) -> None:
        """Free everything. Idempotent."""
        with self._lock:
            self._closed = True
            if self._built is not None:
                self._built.close()
