"""Gossip: what travels between nodes, and who answers for it.

| module | what it is for |
|---|---|
| `reactor.py` | `Gossip`: the service, `Peers` for the host, one reader for each topic |
| `peers.py` | who is connected, where each stands, the one way out |
| `messages.py` | consensus messages: checked once, relayed, exchanged when a height lasts |
| `blocks.py` `assembly.py` `part_set.py` | blocks in signed parts |
| `wire.py` | topics and the bytes of small messages |
| `bounds.py` `options.py` | what bounds memory and work |
"""

from __future__ import annotations

from .options import GossipOptions
from .reactor import Gossip
from .topics import TOPICS

__all__ = ["TOPICS", "Gossip", "GossipOptions"]
