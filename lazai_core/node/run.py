"""`run_node`: from a configuration file to a node that runs until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from lazai_core.api.errors import AssemblyError, ConfigError, InvalidGenesis, LazAIError, PluginError
from lazai_core.api.types import to_hex
from lazai_core.config import IncompleteConfig, load_config
from lazai_core.config.schema import LogFormat, NodeConfig
from lazai_core.registry import Catalog, discover, load_catalog

from .blueprint import Blueprint, make_blueprint, with_choices
from .identity import load_identity
from .logs import configure_logs
from .supervisor import supervise

if TYPE_CHECKING:
    from .assemble import Node

log = structlog.get_logger(__name__)

STDIN_VARIABLE = "LAZAI_STOP_WITH_STDIN"
"""Set by whoever holds the other end of standard input: when that ends, so does the node, however it came about."""
EXIT_STOPPED = 0
EXIT_FAILED = 1
EXIT_CONFIGURATION = 2


def plan_node(config_path: Path) -> Blueprint:
    """The checked plan of a configuration file. Raises ConfigError, InvalidGenesis or AssemblyError."""
    try:
        loaded = load_config(config_path, environ=os.environ)
    except IncompleteConfig as error:
        raise with_choices(error, load_catalog(discover())) from None
    plugins = loaded.config.plugins
    catalog = load_catalog(discover(allow=plugins.allow, deny=plugins.deny))
    return make_blueprint(loaded, catalog)


def run_node(config_path: Path, *, dry_run: bool = False) -> int:
    """Run the node until it is interrupted. Returns the exit code: 0 stopped, 1 failed, 2 wrong configuration."""
    started_ns = time.monotonic_ns()
    try:
        blueprint = plan_node(config_path)
    except (ConfigError, InvalidGenesis, AssemblyError, PluginError) as error:
        _tell(str(error))
        return EXIT_CONFIGURATION
    if dry_run:
        sys.stdout.write("\n".join(blueprint.lines()) + "\n")
        return EXIT_STOPPED
    _configure(blueprint.config)
    _warn_of_broken(blueprint.catalog)
    # Importing makes a million objects and no garbage; looking for some would take a tenth of the start.
    gc.disable()
    try:
        node = _build(blueprint)
    except LazAIError as error:
        _tell(str(error))
        return EXIT_CONFIGURATION if isinstance(error, AssemblyError | InvalidGenesis) else EXIT_FAILED
    if node is None:
        log.info("node.stopped", name=blueprint.config.node.name, height=0)
        return EXIT_STOPPED
    try:
        asyncio.run(serve(node, on_ready=lambda: _ready(node, started_ns)))
    except LazAIError as error:
        log.error("node.failed", error=str(error), kind=type(error).__name__)
        return EXIT_CONFIGURATION if isinstance(error, ConfigError) else EXIT_FAILED
    finally:
        node.close()
    log.info("node.stopped", name=blueprint.config.node.name, height=node.room.vm.head.height)
    return EXIT_STOPPED


def _build(blueprint: Blueprint) -> Node | None:
    """Open the key beside the virtual machine's import: both take half a second.

    None where the node was told to stop before it had a chain.
    """
    # Imported here, so that the other thread computes and does not import; the machine's room chooses the hash library.
    import eth_keyfile.keyfile  # noqa: F401

    import lazai_core.lazvm  # noqa: F401

    with ThreadPoolExecutor(1) as beside:
        identity = beside.submit(load_identity, blueprint.config.node.key_file)
        from .assemble import assemble
        from .snapshot import begin_from_snapshot

        if not begin_from_snapshot(blueprint, identity.result()):
            return None
        return assemble(blueprint, identity=identity.result())


async def serve(node: Node, *, on_ready: Callable[[], None] = lambda: None) -> None:
    """Run a built node's services until SIGINT or SIGTERM; a second signal ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        if stop.is_set():
            # Whatever is durable stays so: blocks are committed in one atomic batch each.
            os._exit(130)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted)
    watches_stdin = STDIN_VARIABLE in os.environ
    if watches_stdin:
        loop.add_reader(0, _stop_at_end, stop)
    limits = node.blueprint.config.limits
    try:
        await supervise(
            node.services,
            stop,
            on_ready=on_ready,
            ready_timeout_ms=limits.ready_timeout_ms,
            stop_timeout_ms=limits.stop_timeout_ms,
        )
    finally:
        if watches_stdin:
            loop.remove_reader(0)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _stop_at_end(stop: asyncio.Event) -> None:
    if not os.read(0, 4096):
        asyncio.get_running_loop().remove_reader(0)
        stop.set()


def _configure(config: NodeConfig) -> None:
    form = {LogFormat.AUTO: None, LogFormat.JSON: True, LogFormat.CONSOLE: False}[config.log.format]
    configure_logs(config.log.level.value, json_lines=form, levels={k: v.value for k, v in config.log.levels.items()})


def _warn_of_broken(catalog: Catalog) -> None:
    for plugin in catalog.broken:
        log.warning("plugin.broken", plugin=plugin.candidate.label, error=str(plugin.errors[0]))


def _ready(node: Node, started_ns: int) -> None:
    gc.freeze()
    gc.enable()
    config = node.blueprint.config
    log.info(
        "node.ready",
        name=config.node.name,
        chain_id=node.blueprint.genesis.chain_id,
        address=to_hex(node.identity.address),
        height=node.room.vm.head.height,
        models=[model.name for model in node.gateway.served_models()],
        services=[service.name for service in node.services],
        start_ms=(time.monotonic_ns() - started_ns) // 1_000_000,
    )


def _tell(text: str) -> None:
    sys.stderr.write(text + "\n")
