"""Circuits in Python: build them, check a witness gate by gate, hand them to either mode's setup."""

from __future__ import annotations

from .builder import Builder, CircuitError, Mode, Wire
from .checker import Violation, violations

__all__ = ["Builder", "CircuitError", "Mode", "Violation", "Wire", "violations"]
