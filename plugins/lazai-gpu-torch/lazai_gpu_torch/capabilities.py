"""What the torch backend can do. Light to import: its entry is listed without torch."""

from __future__ import annotations

from lazai_core.api.compute import Capability

CAPABILITIES = frozenset(
    {Capability.EXACT_TENSORS, Capability.TRACE, Capability.FIELD_KERNELS, Capability.CURVE_KERNELS}
)
