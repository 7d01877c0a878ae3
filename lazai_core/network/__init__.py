"""Connections between nodes: TLS 1.3 channels bound to node keys, frames, bounded queues, peers kept and banned."""
