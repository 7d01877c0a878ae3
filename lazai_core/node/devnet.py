"""Networks of processes on one machine: what their folder says, starting them, watching them, stopping them all."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from attrs import define, field, frozen

from lazai_core.api.errors import LazAIError
from lazai_core.config.peer_address import split_host_port

from .run import STDIN_VARIABLE

DESCRIPTION = "devnet.json"
FORMAT = "lazai/devnet/v1"
LOG = "log.jsonl"
READY_PATIENCE_S = 120.0
STOP_PATIENCE_S = 20.0
ANSWER_BYTES_MAX = 64 * 2**20
API_PORTS_ABOVE = 1000
"""A node's port for users is so far above its port for nodes."""
PORTS_FROM, PORTS_TO = 12_000, 31_000
"""Below those that the system gives to connections: a node that starts again must find its port free."""
_COMMAND = (sys.executable, "-c", "from lazai_core.cli.main import main; main()", "run")


@frozen(kw_only=True)
class NodePlace:
    """One node of a network: its folder, its account, and where it listens for nodes and for users (host:port)."""

    name: str
    folder: Path
    address: str
    network: str
    api: str
    is_local: bool = True

    @property
    def config(self) -> Path:
        """Its configuration."""
        return self.folder / "node.toml"

    @property
    def log(self) -> Path:
        """Where its log lines go when it is started from here."""
        return self.folder / LOG


@frozen(kw_only=True)
class Devnet:
    """What a network's folder says."""

    folder: Path
    chain_id: int
    genesis_hash: str
    account: str
    nodes: tuple[NodePlace, ...]


def read_devnet(folder: Path) -> Devnet:
    """The network in a folder. Raises LazAIError."""
    path = folder / DESCRIPTION
    try:
        document = json.loads(path.read_bytes())
        if document["format"] != FORMAT:
            raise ValueError(f"its format is {document['format']!r}, not {FORMAT!r}")
        nodes = tuple(
            NodePlace(
                name=node["name"],
                folder=folder / node["name"],
                address=node["address"],
                network=node["network"],
                api=node["api"],
                is_local=node["is_local"],
            )
            for node in document["nodes"]
        )
        return Devnet(
            folder=folder,
            chain_id=document["chain_id"],
            genesis_hash=document["genesis_hash"],
            account=document["account"],
            nodes=nodes,
        )
    except OSError as error:
        raise LazAIError(f"cannot read {path}: {error.strerror}", hint="make a network with `lazai devnet`") from error
    except (ValueError, KeyError, TypeError) as error:
        raise LazAIError(f"{path} is no description of a network: {error}") from error


def free_base_port(nodes: int) -> int:
    """First of the ports for so many nodes that are free, as far as can be told now. Raises LazAIError."""
    bases = list(range(PORTS_FROM, PORTS_TO, 2 * nodes + 10))
    # Another network on this machine may be looking for ports at this moment.
    random.shuffle(bases)
    for base in bases:
        if all(_is_free(base + number + above) for number in range(nodes) for above in (0, API_PORTS_ABOVE)):
            return base
    raise LazAIError("no free ports for a network on this machine")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


class NodeClient:
    """The HTTP API of one node, over one connection that is made again when it breaks. Blocks."""

    def __init__(self, place: str, *, timeout_s: float = 10.0) -> None:
        self._host, self._port = split_host_port(place)
        self.timeout_s = timeout_s
        self._connection: http.client.HTTPConnection | None = None

    def get(self, path: str) -> Any:
        """The JSON answer to GET. Raises OSError when the node cannot be reached, LazAIError when it refuses."""
        return self._ask("GET", path, None)

    def post(self, path: str, document: object) -> Any:
        """The JSON answer to POST. Raises as `get`."""
        return self._ask("POST", path, json.dumps(document).encode())

    def fetch(self, path: str) -> bytes:
        """The raw answer to GET. Raises as `get`."""
        return self._exchange("GET", path, None)

    def _ask(self, method: str, path: str, body: bytes | None) -> Any:
        return json.loads(self._exchange(method, path, body))

    def _exchange(self, method: str, path: str, body: bytes | None) -> bytes:
        is_fresh = self._connection is None
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self._host, self._port, timeout=self.timeout_s)
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            data = answer.read(ANSWER_BYTES_MAX)
        except (http.client.HTTPException, OSError) as error:
            self.close()
            if not is_fresh and method == "GET":
                # The node has closed a connection that nobody used for a while.
                return self._exchange(method, path, body)
            raise error if isinstance(error, OSError) else ConnectionError(repr(error)) from None
        if answer.status >= 400:
            text = data[:500].decode("utf-8", errors="replace")
            raise LazAIError(f"{self._host}:{self._port}{path} answered {answer.status}: {text}")
        return data

    def close(self) -> None:
        """End the connection; the next question makes another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@define(eq=False)
class RunningNode:
    """A node as a process of its own. Its log lines go to its folder."""

    place: NodePlace
    environment: Mapping[str, str] = field(factory=dict)
    client: NodeClient = field(init=False)
    process: subprocess.Popen[bytes] | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self.client = NodeClient(self.place.api)

    def start(self) -> None:
        """Start the process; it is not ready yet."""
        with self.place.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*_COMMAND, str(self.place.config)],
                # Never written to: its end tells the node that whoever started it is gone.
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
                env={**os.environ, "LAZAI_LOG__FORMAT": "json", STDIN_VARIABLE: "1", **self.environment},
                # An interrupt on the terminal is ours to pass on, once.
                start_new_session=True,
            )

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self.process is not None and self.process.poll() is None

    def answers(self) -> bool:
        """Whether the API can be reached."""
        try:
            self.client.get("/livez")
        except (OSError, LazAIError):
            return False
        return True

    def require_running(self) -> None:
        """Raises LazAIError with the end of the log."""
        if not self.is_running:
            code = None if self.process is None else self.process.returncode
            raise LazAIError(f"{self.place.name} ended with code {code}:\n{self.log_tail()}")

    def log_tail(self, lines: int = 5) -> str:
        """The last lines of its log."""
        try:
            text = self.place.log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def send(self, number: signal.Signals) -> None:
        """Send a signal to a living process."""
        if self.process is not None and self.is_running:
            self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, as the power would go."""
        self.send(signal.SIGKILL)
        self.wait(STOP_PATIENCE_S)

    def wait(self, patience_s: float) -> int | None:
        """The exit code; a process that does not end in time is killed."""
        self.client.close()
        if self.process is None:
            return None
        try:
            return self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            if self.process.stdin is not None:
                self.process.stdin.close()

    def memory_bytes(self) -> int:
        """Resident memory of the process."""
        import psutil

        if self.process is None:
            return 0
        try:
            return int(psutil.Process(self.process.pid).memory_info().rss)
        except psutil.Error:
            return 0


class RunningNetwork:
    """All processes of a network; leaving the context stops them, whatever has happened.

    The first `skip` nodes are somebody else's to run.
    """

    def __init__(self, devnet: Devnet, environment: Mapping[str, str] | None = None, *, skip: int = 0) -> None:
        self.devnet = devnet
        self.nodes = [RunningNode(place, environment or {}) for place in devnet.nodes[skip:]]

    def __enter__(self) -> RunningNetwork:
        try:
            for node in self.nodes:
                node.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> Sequence[int | None]:
        """Ask all processes to end, and wait; returns their exit codes."""
        for node in self.nodes:
            # One that stands still would not hear the request.
            node.send(signal.SIGCONT)
            node.send(signal.SIGTERM)
        ends = time.monotonic() + STOP_PATIENCE_S
        return [node.wait(max(0.1, ends - time.monotonic())) for node in self.nodes]

    def wait_ready(
        self, progress: Callable[[int, int], None] = lambda _done, _total: None, *, patience_s: float = READY_PATIENCE_S
    ) -> None:
        """Until every API answers. Raises LazAIError when a process ends or it takes too long."""
        ends = time.monotonic() + patience_s
        waiting = list(self.nodes)
        while waiting:
            for node in waiting:
                node.require_running()
            waiting = [node for node in waiting if not node.answers()]
            progress(len(self.nodes) - len(waiting), len(self.nodes))
            if waiting and time.monotonic() > ends:
                names = ", ".join(node.place.name for node in waiting)
                raise LazAIError(f"not ready after {patience_s:g} s: {names}\n{waiting[0].log_tail()}")
            time.sleep(0.1 if waiting else 0)

    def heights(self) -> list[int]:
        """Height of the newest block of each node; -1 where it cannot be asked."""
        return [_height(node) for node in self.nodes]

    def wait_height(self, height: int, *, nodes: Sequence[RunningNode] | None = None, patience_s: float = 60.0) -> None:
        """Until each of the nodes has this block. Raises LazAIError."""
        chosen = self.nodes if nodes is None else nodes
        ends = time.monotonic() + patience_s
        while (lowest := min(_height(node) for node in chosen)) < height:
            if time.monotonic() > ends:
                raise LazAIError(f"after {patience_s:g} s heights are {self.heights()}, not {height}; at {lowest}")
            time.sleep(0.1)


def _height(node: RunningNode) -> int:
    try:
        return int(node.client.get("/status")["height"])
    except (OSError, LazAIError):
        return -1
