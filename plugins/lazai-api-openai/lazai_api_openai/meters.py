"""Prometheus meters of the API. Labels come from closed sets only: routes, methods, statuses, served models."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from lazai_core.api.service import NodeStatus

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Meters:
    """A registry of its own, so that two services in one process do not collide."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self.requests = Counter(
            "lazai_api_requests", "Requests answered", ("route", "method", "status"), registry=registry
        )
        self.seconds = Histogram(
            "lazai_api_request_seconds", "Time to the answer", ("route",), registry=registry, buckets=_BUCKETS
        )
        self.failures = Counter(
            "lazai_api_failures", "Requests refused or failed, by error code", ("code",), registry=registry
        )
        self.in_work = Gauge("lazai_api_requests_in_work", "Requests in work now", registry=registry)
        self.inputs = Counter("lazai_api_inputs", "Inputs answered", ("model",), registry=registry)
        self.tokens = Counter("lazai_api_tokens", "Tokens of answered inputs", ("model",), registry=registry)
        self.compute_gas = Counter("lazai_api_compute_gas", "Compute gas charged", ("model",), registry=registry)
        self.replays = Counter("lazai_api_replays", "Stored answers given again", registry=registry)
        self.ready = Gauge("lazai_api_ready", "1 while the node can serve", registry=registry)
        self.height = Gauge("lazai_api_height", "Height of the chain", registry=registry)
        self._round = Gauge("lazai_consensus_round", "Round of the height that is being decided", registry=registry)
        self._peers = Gauge("lazai_network_peers", "Connected nodes", registry=registry)
        self._sent = Gauge("lazai_network_sent_bytes", "Bytes sent to the connected nodes", registry=registry)
        self._received = Gauge("lazai_network_received_bytes", "Bytes from the connected nodes", registry=registry)
        self._faults = Gauge("lazai_network_faults", "What peers were blamed for", ("fault",), registry=registry)
        self._waiting = Gauge("lazai_transactions_waiting", "Transactions that wait for a block", registry=registry)

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """Book one answer. `route` is a route's pattern, never a path from outside."""
        self.requests.labels(route, method if method in _METHODS else "other", str(status)).inc()
        self.seconds.labels(route).observe(seconds)

    def observe_node(self, status: NodeStatus) -> None:
        """Book where the node stands among the others."""
        self._round.set(status.round)
        self._peers.set(len(status.peers))
        self._sent.set(sum(peer.bytes_out for peer in status.peers))
        self._received.set(sum(peer.bytes_in for peer in status.peers))
        self._waiting.set(status.transactions_waiting)
        for fault, count in status.faults.items():
            self._faults.labels(fault).set(count)

    def render(self) -> bytes:
        """Text exposition format."""
        return generate_latest(self._registry)
