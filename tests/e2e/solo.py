"""A chain of one validator in a folder: run inside the test, or as the process that an operator starts."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from attrs import define, field

from lazai_core.api.authorization import Authorization
from lazai_core.api.compute import ModelManifest
from lazai_core.api.hashing import keccak256
from lazai_core.api.service import InferenceRequest
from lazai_core.api.types import MODEL_REGISTRY_ADDRESS, SETTLEMENT_ADDRESS, DatId, Wei
from lazai_core.chain.abi import encode_call
from lazai_core.chain.system_calls import DEPOSIT, REGISTER_MODEL
from lazai_core.cli.new_node import choose_parts, new_config, new_genesis
from lazai_core.config import load_config
from lazai_core.exact.program_file import write_program
from lazai_core.node import supervisor
from lazai_core.node.assemble import Node, assemble
from lazai_core.node.blueprint import Blueprint, make_blueprint
from lazai_core.node.demo_wallet import DemoWallet
from lazai_core.node.identity import KeyIdentity, Secret, write_key_file
from lazai_core.node.models import write_manifest
from lazai_core.registry import discover, load_catalog
from lazai_core.testing.parts import account_key
from lazai_core.testing.samples import perceptron

CHAIN_ID = 1612
NODE_KEY, WALLET_KEY = Secret(account_key(100)), Secret(account_key(101))
NODE, WALLET = KeyIdentity(NODE_KEY).address, KeyIdentity(WALLET_KEY).address
COIN = 10**18
MODEL_NAME = "perceptron"
SAMPLE = perceptron()
MODEL = SAMPLE.model.program.digest()
PATIENCE_S = 60
TRANSACTION_GAS = 20_000_000
_LAZAI = (sys.executable, "-c", "from lazai_core.cli.main import main; main()")


def write_folder(folder: Path, *, storage: str = "sqlite", extra: str = "", gas: str = "eip1559") -> Path:
    """Write everything a node needs below `folder`, with the wallet funded; returns the configuration's path."""
    model = folder / "models" / MODEL_NAME
    model.mkdir(parents=True)
    write_program(model / "program.laz", SAMPLE.model)
    write_manifest(model / "manifest.json", ModelManifest(name=MODEL_NAME, kind="tensor", program_digest=MODEL.hex()))
    keys = folder / "keys"
    keys.mkdir()
    write_key_file(keys / "node.json", NODE_KEY, b"test", work_factor=1000)
    (keys / "node.json.password").write_bytes(b"test\n")
    catalog = load_catalog(discover(allow=[f"lazai-gas-{gas}"]))
    parts = choose_parts(catalog)
    genesis = new_genesis(parts, chain_id=CHAIN_ID, validator=NODE, funded=[WALLET], timestamp=1_700_000_000)
    (folder / "genesis.json").write_bytes(genesis.canonical)
    text = new_config(parts, name="alpha").replace('use = "sqlite"', f'use = "{storage}"')
    path = folder / "node.toml"
    path.write_text(f'{text}\n[[model]]\npath = "models/{MODEL_NAME}"\n{extra}', encoding="utf-8")
    return path


def gas_points() -> list[EntryPoint]:
    """The gas plugin alone: what most tests need of the installed plugins."""
    return [point for point in entry_points(group="lazai") if point.name == "gas-eip1559"]


def plan(config: Path, *, points: Sequence[EntryPoint] | None = None) -> Blueprint:
    """The plan of a configuration, with the plugins of `points` in place of the installed ones."""
    loaded = load_config(config)
    catalog = load_catalog(discover(points=points) if points is not None else discover())
    return make_blueprint(loaded, catalog)


@asynccontextmanager
async def running(node: Node) -> AsyncIterator[Node]:
    """The node's services, stopped in the end; the node itself stays open."""
    async with supervisor.running(node.services):
        yield node


async def settle_in(node: Node, *, price: int = 7) -> DemoWallet:
    """Deposit escrow for the wallet and register the model."""
    wallet = DemoWallet(WALLET_KEY, node.gateway, "")
    await wallet.transact(SETTLEMENT_ADDRESS, encode_call(DEPOSIT), value=100 * COIN, gas=200_000)
    register = encode_call(REGISTER_MODEL, SAMPLE.model.program.skeleton(), MODEL_NAME, "", price)
    await wallet.transact(MODEL_REGISTRY_ADDRESS, register, gas=TRANSACTION_GAS)
    return wallet


def prepare(config: Path) -> None:
    """Run the node once inside this process, so that its chain holds escrow and model."""

    async def work() -> None:
        node = assemble(plan(config))
        try:
            async with running(node):
                await settle_in(node)
        finally:
            node.close()

    asyncio.run(work())


def authorize(
    *,
    body: bytes,
    max_cost: int,
    lane: int = 0,
    counter: int = 0,
    key: Secret = WALLET_KEY,
    chain_id: int = CHAIN_ID,
    node: bytes = NODE,
    dats: Sequence[int] = (),
    expiry: int | None = None,
) -> Authorization:
    """A signed authorisation for the sample model."""
    from lazai_core.api.types import Address

    return Authorization(
        user=KeyIdentity(key).address,
        node=Address(node),
        model=MODEL,
        body_hash=keccak256(body),
        dats=tuple(DatId(dat) for dat in dats),
        max_cost=Wei(max_cost),
        expiry=int(time.time()) + 600 if expiry is None else expiry,
        lane=lane,
        counter=counter,
    ).signed(key.reveal(), chain_id, SETTLEMENT_ADDRESS)


def request_of(authorization: Authorization | None, *inputs: bytes, **fields: Any) -> InferenceRequest:
    """A request as a service would hand it in."""
    body_hash = keccak256(b"unsigned") if authorization is None else authorization.body_hash
    values = {"request_id": "r", "model": MODEL, "inputs": inputs, "body_hash": body_hash}
    return InferenceRequest(**{**values, "authorization": authorization, **fields})


@define
class NodeProcess:
    """`lazai run` on a folder, with the API on a port of its own."""

    config: Path
    port: int = field(init=False, default=0)
    events: list[dict[str, Any]] = field(factory=list)
    _process: subprocess.Popen[str] | None = None
    _reader: threading.Thread | None = None
    _ready: threading.Event = field(factory=threading.Event)

    @property
    def url(self) -> str:
        """Base address of the API."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, **environment: str) -> None:
        """Start the process and wait until it says that it is ready."""
        self.port = free_port()
        self._ready.clear()
        self._process = subprocess.Popen(
            [*_LAZAI, "run", str(self.config)],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            env={
                **os.environ,
                "LAZAI_LOG__FORMAT": "json",
                "LAZAI_SERVICE__0__OPTIONS__LISTEN": f"127.0.0.1:{self.port}",
                **environment,
            },
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._ready.wait(PATIENCE_S), f"the node was not ready: {self.events[-5:]}"
        assert self._process.poll() is None, f"the node ended: {self.events[-5:]}"

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stderr is not None
        for line in self._process.stderr:
            try:
                event = json.loads(line)
            except ValueError:
                event = {"event": line.rstrip()}
            self.events.append(event)
            if event.get("event") == "node.ready":
                self._ready.set()
        self._ready.set()

    def kill(self) -> None:
        """SIGKILL, as the power would go."""
        assert self._process is not None
        self._process.kill()
        self._finish()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, and return the exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._finish()

    def _finish(self) -> int:
        assert self._process is not None
        assert self._reader is not None
        code = self._process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        assert self._process.stderr is not None
        self._process.stderr.close()
        return code


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
