"""LazAI core: an open node for AI that can be checked. Plugins import `lazai_core.api`."""

from __future__ import annotations

__version__ = "0.1.0"
