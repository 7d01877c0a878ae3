"""Where this node stands among the others: for status pages, meters, and for whether it can serve."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from attrs import frozen

from lazai_core.api.consensus import ConsensusEngine, Validator
from lazai_core.api.network import PeerId
from lazai_core.api.service import NodeStatus, PeerStatus
from lazai_core.api.types import ZERO_ADDRESS, Address, Height
from lazai_core.lazvm.vm import LazVM
from lazai_core.network.transport import PeerInfo

from .mempool import Mempool

BEHIND_MAX = 2
"""Heights that a node may be behind and still serve: it decides the first of them at this moment."""


class ConnectedPeers(Protocol):
    """What a transport tells of its connections; `TlsTransport` does."""

    def peer_infos(self) -> Sequence[PeerInfo]:
        """Every connected peer."""

    def fault_counts(self) -> Mapping[str, int]:
        """What peers were blamed for since the start, by name."""


@frozen(kw_only=True)
class NodeStanding:
    """Answers from the rooms of one node. Without `connected` it meets nobody.

    `heights` gives the height that each connected peer says it decides.
    """

    vm: LazVM
    engine: ConsensusEngine
    mempool: Mempool
    node: Address
    connected: ConnectedPeers | None = None
    heights: Callable[[], Mapping[PeerId, Height]] = dict

    def status(self) -> NodeStatus:
        """Where the node stands now."""
        head, engine = self.vm.head, self.engine.status()
        validators = self._validators()
        return NodeStatus(
            height=head.height,
            block_hash=head.hash,
            block_timestamp=head.header.timestamp,
            deciding=engine.height,
            round=engine.round,
            step=engine.step,
            validators=len(validators),
            is_validator=any(one.address == self.node for one in validators),
            transactions_waiting=len(self.mempool),
            peers=tuple(self._peers()),
            faults={} if self.connected is None else dict(self.connected.fault_counts()),
        )

    def failing(self) -> Sequence[str]:
        """What of the network keeps this node from serving: too few of the others, or too far behind them."""
        validators = self._validators()
        if self.connected is None or [one.address for one in validators] == [self.node]:
            return ()
        found = []
        there = {info.peer for info in self.connected.peer_infos()}
        if not is_quorum(validators, {*there, self.node}):
            found.append("no-quorum-of-peers")
        heights = self.heights()
        ahead = {peer for peer, height in heights.items() if height > self.vm.head.height + BEHIND_MAX}
        # Liars of less than a third of the power cannot say that this node is behind.
        if ahead and not is_quorum(validators, {one.address for one in validators} - ahead):
            found.append("catching-up")
        return found

    def _validators(self) -> tuple[Validator, ...]:
        return self.vm.validators(Height(self.vm.head.height + 1))

    def _peers(self) -> Sequence[PeerStatus]:
        if self.connected is None:
            return ()
        heights = self.heights()
        return [
            PeerStatus(
                address=Address(info.peer),
                remote=info.remote,
                is_dialled=info.is_dialled,
                height=heights.get(info.peer, Height(0)),
                bytes_in=info.bytes_in,
                bytes_out=info.bytes_out,
                dropped=info.dropped,
                round_trip_ms=round(info.round_trip_ms),
            )
            for info in self.connected.peer_infos()
        ]


def is_quorum(validators: Sequence[Validator], there: Collection[bytes]) -> bool:
    """Whether those who are there have more than two thirds of the power, within iDAOs as among them."""
    groups: dict[bytes, list[Validator]] = defaultdict(list)
    for one in validators:
        groups[one.address if one.idao == ZERO_ADDRESS else one.idao].append(one)
    powers = {name: sum(one.power for one in members) for name, members in groups.items()}
    present = {
        name: sum(one.power for one in members if one.address in there) for name, members in groups.items()
    }
    voted = sum(power for name, power in powers.items() if 3 * present[name] > 2 * power)
    return 3 * voted > 2 * sum(powers.values())
