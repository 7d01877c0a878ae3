"""Version of the hook API: the promise between core and plugins."""

from __future__ import annotations

HOOK_API: tuple[int, int] = (1, 0)
"""(major, minor). A plugin written against (1, n) runs on every core that speaks (1, m) with m >= n.

Minor grows with a new hook, a new optional entry field or a new input or effect that may be ignored; major
with a removal or a changed meaning.
"""
