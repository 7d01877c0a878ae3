"""What waits to be sent to one peer: votes before blocks before everything else, and never more than the bounds."""

from __future__ import annotations

from collections import deque

from lazai_core.api.network import Priority


class Outbox:
    """Frames by priority. When there is no room, the newest of the lowest priority gives way, or the new one itself."""

    def __init__(self, *, frames_max: int, bytes_max: int) -> None:
        self._frames_max = frames_max
        self._bytes_max = bytes_max
        self._queues: dict[Priority, deque[bytes]] = {priority: deque() for priority in Priority}
        self._count = 0
        self.bytes = 0
        self.dropped = 0

    def __len__(self) -> int:
        return self._count

    def put(self, data: bytes, priority: Priority) -> bool:
        """Queue one frame; False when it was dropped."""
        while self._count >= self._frames_max or self.bytes + len(data) > self._bytes_max:
            if not self._drop_below(priority):
                self.dropped += 1
                return False
        self._queues[priority].append(data)
        self._count += 1
        self.bytes += len(data)
        return True

    def _drop_below(self, priority: Priority) -> bool:
        for lower in reversed(Priority):
            if lower <= priority:
                return False
            if self._queues[lower]:
                self._forget(self._queues[lower].pop())
                self.dropped += 1
                return True
        return False

    def _forget(self, data: bytes) -> None:
        self._count -= 1
        self.bytes -= len(data)

    def take(self, bytes_max: int) -> bytes:
        """The next frames in one piece: at least one, if there is any, and then as many as fit."""
        taken: list[bytes] = []
        size = 0
        for queue in self._queues.values():
            while queue and (not taken or size + len(queue[0]) <= bytes_max):
                data = queue.popleft()
                self._forget(data)
                taken.append(data)
                size += len(data)
            if queue:
                break
        return b"".join(taken)

    def clear(self) -> None:
        """Forget everything."""
        for queue in self._queues.values():
            queue.clear()
        self._count = self.bytes = 0
