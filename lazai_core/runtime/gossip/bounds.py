"""Memory and work that a peer can cause, bounded: what was seen, and how much may come."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from attrs import define, field

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Seen(Generic[K]):
    """The newest `count_max` names; an older one counts as new again."""

    def __init__(self, count_max: int) -> None:
        self._count_max = count_max
        self._names: dict[K, None] = {}

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: K) -> bool:
        return name in self._names

    def add(self, name: K) -> bool:
        """Whether the name is new."""
        if name in self._names:
            return False
        self._names[name] = None
        if len(self._names) > self._count_max:
            del self._names[next(iter(self._names))]
        return True

    def forget(self, name: K) -> None:
        """The name counts as new again."""
        self._names.pop(name, None)


class Recent(Generic[K, V]):
    """The `count_max` values that were used last."""

    def __init__(self, count_max: int) -> None:
        self._count_max = count_max
        self._values: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K) -> V | None:
        """The value; it counts as used."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        """Keep a value; the one that was not used for longest gives way."""
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._count_max:
            self._values.popitem(last=False)


@define(kw_only=True, eq=False)
class Budget:
    """How much may come: `rate` units a second on average, and `burst` at once. Times in seconds of any clock."""

    rate: float
    burst: float
    _left: float = field(init=False)
    _since: float | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._left = self.burst

    def has(self, now: float, units: float = 1) -> bool:
        """Whether so many units may come now."""
        if self._since is not None:
            self._left = min(self.burst, self._left + (now - self._since) * self.rate)
        self._since = now
        return units <= self._left

    def take(self, now: float, units: float = 1) -> bool:
        """Whether so many units may come now; if so they are taken off."""
        if not self.has(now, units):
            return False
        self._left -= units
        return True

    def spend(self, now: float, units: float) -> None:
        """Take off what was done already, whatever is left; a debt is paid before anything more comes."""
        self.has(now)
        self._left -= units
