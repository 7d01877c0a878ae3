"""Gossip: what travels between nodes, and who answers for it.

| module | what it is for |
|---|---|
| `reactor.py` | `Gossip`: the service, `Peers` for the host, one reader for each topic |
| `peers.py` | who is connected, where each stands, the one way out |
| `messages.py` | consensus messages: checked once, relayed, exchanged when a height lasts |
| `blocks.py` `assembly.py` `part_set.py` `stored_blocks.py` `body.py` | blocks in signed parts |
| `sync.py` `sync_wire.py` | decided blocks for whoever is behind |
| `transactions.py` `evidence.py` `transaction_wire.py` | transactions and proofs of misbehaviour |
| `records.py` `record_wire.py` | compute records, for whoever needs them |
| `ports.py` `pools.py` | what gossip needs of the pools, and the pools as gossip sees them |
| `state_sync.py` `trusted_chain.py` | a chain that begins from a snapshot |
| `snapshots.py` `snapshot_wire.py` | what is given to such a node |
| `wire.py` `topics.py` | topics and the bytes of small messages |
| `bounds.py` `options.py` | what bounds memory and work |
"""

from __future__ import annotations

from .options import GossipOptions
from .reactor import Gossip
from .topics import TOPICS

__all__ = ["TOPICS", "Gossip", "GossipOptions"]
