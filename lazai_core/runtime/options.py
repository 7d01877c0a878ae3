"""Limits and intervals of the running node: the configuration's `[limits]`, under the runtime's own name."""

from __future__ import annotations

from lazai_core.config.schema import LimitsSection

RuntimeOptions = LimitsSection
"""Every queue is bounded; what does not fit is refused as busy and may be sent again."""
