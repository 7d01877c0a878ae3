"""Open requests by (user, lane, counter): who may come next, what is reserved, and who only asks again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from attrs import define, frozen

from lazai_core.api.authorization import Authorization
from lazai_core.api.errors import Busy, NonceReused, StaleNonce
from lazai_core.api.service import InferenceOutcome
from lazai_core.api.types import Address, Hash32, Wei


@frozen(kw_only=True)
class RequestKey:
    """The idempotency key of a signed request."""

    user: Address
    lane: int
    counter: int

    @classmethod
    def of(cls, authorization: Authorization) -> RequestKey:
        """The key that an authorisation carries."""
        return cls(user=authorization.user, lane=authorization.lane, counter=authorization.counter)

    def __str__(self) -> str:
        return f"counter {self.counter} of lane {self.lane}"


@define(kw_only=True, eq=False)
class OpenRequest:
    """A request under way. `outcome` resolves for everyone who sent it."""

    key: RequestKey
    body_hash: Hash32
    max_cost: Wei
    outcome: asyncio.Future[InferenceOutcome]


def same_or_reused(key: RequestKey, known: Hash32, given: Hash32) -> None:
    """Raises NonceReused where a nonce comes back with another body."""
    if known != given:
        raise NonceReused(
            f"{key} was used for a request with another body (0x{known.hex()}, now 0x{given.hex()})",
            hint="sign every new body with the lane's next counter",
        )


class Lanes:
    """All open signed requests. Each is counted and its maximum cost reserved until it ends, however it ends."""

    def __init__(self, *, open_max: int, open_per_account_max: int) -> None:
        self._open_max = open_max
        self._open_per_account_max = open_per_account_max
        self._open: dict[RequestKey, OpenRequest] = {}
        self._by_user: dict[Address, dict[RequestKey, OpenRequest]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def get(self, key: RequestKey) -> OpenRequest | None:
        """The open request with this nonce."""
        return self._open.get(key)

    def of_lane(self, user: Address, lane: int) -> Iterator[OpenRequest]:
        """Open requests of a lane in no order."""
        return (request for key, request in self._by_user.get(user, {}).items() if key.lane == lane)

    def reserved(self, user: Address) -> Wei:
        """Sum of the maximum costs of a wallet's open requests."""
        return Wei(sum(request.max_cost for request in self._by_user.get(user, {}).values()))

    def next_counter(self, user: Address, lane: int, settled: int) -> int:
        """The counter the next request must carry; `settled` is the chain's."""
        return max([settled, *(request.key.counter + 1 for request in self.of_lane(user, lane))])

    def check_turn(self, key: RequestKey, settled: int) -> None:
        """Raises StaleNonce unless `key` is the next of its lane."""
        expected = self.next_counter(key.user, key.lane, settled)
        if key.counter != expected:
            where = "behind" if key.counter < expected else "ahead of"
            raise StaleNonce(
                f"counter {key.counter} lies {where} lane {key.lane}, whose next counter is {expected}",
                hint=f"sign the request again with counter {expected}, or use another lane",
            )

    def check_room(self, user: Address) -> None:
        """Raises Busy where the node, or this wallet, has as many open requests as may be."""
        if len(self._open) >= self._open_max:
            raise Busy(f"{len(self._open)} requests are open, as many as this node takes")
        mine = len(self._by_user.get(user, {}))
        if mine >= self._open_per_account_max:
            raise Busy(f"this wallet has {mine} open requests, as many as one wallet may have")

    def check_unsigned(self, unsigned: int) -> None:
        """Raises Busy where signed and unsigned requests together are as many as may be."""
        if len(self._open) + unsigned >= self._open_max:
            raise Busy(f"{len(self._open) + unsigned} requests are open, as many as this node takes")

    def open(self, key: RequestKey, body_hash: Hash32, max_cost: Wei) -> OpenRequest:
        """Count a request that passed every check, and reserve its maximum cost."""
        assert key not in self._open, "a nonce is opened once"
        outcome: asyncio.Future[InferenceOutcome] = asyncio.get_running_loop().create_future()
        outcome.add_done_callback(lambda done: None if done.cancelled() else done.exception())
        request = OpenRequest(key=key, body_hash=body_hash, max_cost=max_cost, outcome=outcome)
        self._open[key] = request
        self._by_user.setdefault(key.user, {})[key] = request
        return request

    def close(self, request: OpenRequest) -> None:
        """Release what the request held. Idempotent."""
        if self._open.pop(request.key, None) is None:
            return
        mine = self._by_user[request.key.user]
        del mine[request.key]
        if not mine:
            del self._by_user[request.key.user]
