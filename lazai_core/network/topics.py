"""Which topics travel, as which number, and how large a payload of each may be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import frozen

CONTROL_NUMBERS = 16
"""Numbers below this belong to the transport itself."""
TOPIC_NUMBER_MAX = 255


@frozen(kw_only=True)
class Topic:
    """One kind of envelope. `number` stands in its frames; a longer payload than `bytes_max` is never read."""

    name: str
    number: int
    bytes_max: int


class TopicTable:
    """The topics of a network, by name and by number. Raises ValueError for tables that are ambiguous."""

    def __init__(self, topics: Iterable[Topic]) -> None:
        self._by_name: dict[str, Topic] = {}
        self._by_number: dict[int, Topic] = {}
        for topic in topics:
            if not CONTROL_NUMBERS <= topic.number <= TOPIC_NUMBER_MAX:
                raise ValueError(f"topic {topic.name}: {topic.number} is not in {CONTROL_NUMBERS}..{TOPIC_NUMBER_MAX}")
            if topic.name in self._by_name or topic.number in self._by_number:
                raise ValueError(f"topic {topic.name} ({topic.number}) is there twice")
            self._by_name[topic.name] = self._by_number[topic.number] = topic

    def of_name(self, name: str) -> Topic:
        """Raises KeyError: sending on an unknown topic is our own mistake."""
        return self._by_name[name]

    def of_number(self, number: int) -> Topic:
        """Raises KeyError."""
        return self._by_number[number]

    def limits(self) -> Mapping[int, int]:
        """Bytes a payload may have, by topic number."""
        return {number: topic.bytes_max for number, topic in self._by_number.items()}
