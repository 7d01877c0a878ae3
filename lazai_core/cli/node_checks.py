"""What `lazai doctor` looks at for one configuration: plugins, key, genesis, models, ports."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lazai_core.api.errors import LazAIError
from lazai_core.api.types import to_hex
from lazai_core.config import Role
from lazai_core.registry import Kind

from .findings import Finding, failure, fine, warning
from .output import bytes_text
from .ports import port_findings
from .selection import Selection, selection_problems

if TYPE_CHECKING:
    from lazai_core.chain.genesis import Genesis

PUBLIC_ACCOUNTS = frozenset(
    {
        "f39fd6e51aad88f6f4ce6ab8827279cfffb92266",
        "70997970c51812dc3a010c7d01b50e0d17dc79c8",
        "3c44cdddb6a900fa2b585dd299e03d12fa4293bc",
        "90f79bf6eb2c4f870365e785982e1f101e93b906",
        "15d34aaf54267db7d7c367839aaf71a00a2c6a65",
        "9965507d1a55bcc2695c58ba16fb37d819b0a4dc",
        "976ea74026e726554db657fa54763abd0c3a0aa9",
        "14dc79964da2c08b23698b3d3cc7ca32193d9955",
        "23618e81e3f5cdf7f54c3d65f7fbc0abf5b21e8f",
        "a0ee7a142d267c1f36714e4a8f75612f20a79720",
    }
)
"""Accounts whose keys everybody knows, from the mnemonic "test test test … junk" of development chains."""


def node_findings(selection: Selection) -> Iterator[Finding]:
    """Everything about one node; each check stands alone, so that one failure does not hide another."""
    yield from check_selection(selection)
    yield from check_plugins(selection)
    yield from check_key(selection)
    yield from check_genesis(selection)
    for index in range(len(selection.loaded.config.model)):
        yield check_model(selection, index)
    yield from check_assembly(selection)
    yield from port_findings(selection)


def check_selection(selection: Selection) -> Iterator[Finding]:
    """The configuration against the plugins."""
    problems = selection_problems(selection)
    for problem in problems:
        yield failure("config", str(problem))
    if not problems:
        count = len(selection.loaded.config.choices())
        yield fine("config", f"{selection.loaded.source.file}: {count} providers chosen, all of them there")


def check_plugins(selection: Selection) -> Iterator[Finding]:
    """Plugins that are installed and cannot be used."""
    catalog = selection.catalog
    for plugin in catalog.broken:
        for error in plugin.errors:
            yield warning("plugins", error.message, f"repair or remove {plugin.candidate.distribution}")
    for conflict in catalog.conflicts:
        yield warning("plugins", conflict.error.message)
    if not catalog.broken and not catalog.conflicts:
        yield fine("plugins", ", ".join(plugin.info.name for plugin in catalog.plugins))


def check_key(selection: Selection) -> Iterator[Finding]:
    """The key file: there, private, and opened by its password."""
    path = selection.loaded.config.node.key_file
    if not path.is_file():
        yield failure("key", f"there is no key file {path}", "make one with `lazai init` in another folder")
        return
    password = path.with_name(path.name + ".password")
    for file in (path, password):
        if file.exists() and stat.S_IMODE(file.stat().st_mode) & 0o077:
            mode = stat.S_IMODE(file.stat().st_mode)
            yield failure("key", f"others may read {file} (mode {mode:04o})", f"chmod 600 {file}")
    from lazai_core.node.identity import load_identity

    try:
        address = load_identity(path).address
    except LazAIError as error:
        yield failure("key", error.message, error.hint)
        return
    if address.hex() in PUBLIC_ACCOUNTS:
        yield failure("key", f"everybody knows the key of {to_hex(address)}", "make a key with `lazai init`")
        return
    yield fine("key", f"opens, account {to_hex(address)}")
    yield from _check_role(selection, address)


def _check_role(selection: Selection, address: bytes) -> Iterator[Finding]:
    genesis = _genesis(selection)
    if isinstance(genesis, Finding):
        return
    if selection.loaded.config.network is None and len(genesis.validators) > 1:
        yield failure(
            "network",
            f"the chain has {len(genesis.validators)} validators, and this node no network to meet them",
            "add [network] with their addresses in peers",
        )
    if selection.loaded.config.node.role is not Role.VALIDATOR:
        return
    if address not in [validator.address for validator in genesis.validators]:
        yield warning(
            "key",
            f"{to_hex(address)} is no validator of the genesis, yet node.role is validator",
            'set role = "full", or use the validator\'s key',
        )


def check_genesis(selection: Selection) -> Iterator[Finding]:
    """The genesis: readable, and fixed to the plugins that this node chose."""
    from lazai_core.chain.genesis_file import require_plugins

    genesis = _genesis(selection)
    if isinstance(genesis, Finding):
        yield genesis
        return
    yield fine("genesis", f"chain {genesis.chain_id}, hash {to_hex(genesis.hash)}")
    if genesis.timestamp > time.time():
        yield failure("clock", "the chain begins in the future of this machine's clock", "set the clock")
    chosen = chosen_versions(selection)
    if chosen is None:
        return
    try:
        require_plugins(genesis, chosen)
    except LazAIError as error:
        yield failure("genesis", error.message, error.hint)
    else:
        yield fine("genesis", f"fixes {', '.join(sorted(chosen))}: this node has the same versions")


def chosen_versions(selection: Selection) -> dict[str, int] | None:
    """Consensus-critical names and versions that this node chose; None when a choice cannot be met."""
    catalog, config = selection.catalog, selection.loaded.config
    try:
        offers = list(catalog.precompiles(config.precompiles.use))
        offers += [
            catalog.find(Kind(choice.kind), choice.name)
            for choice in config.choices()
            if choice.kind != Kind.PRECOMPILE
        ]
    except LazAIError:
        return None
    return {offer.genesis_key: offer.genesis_version for offer in offers if offer.genesis_version}


def _genesis(selection: Selection) -> Genesis | Finding:
    from lazai_core.chain.genesis_file import read_genesis

    path = selection.loaded.config.node.genesis
    try:
        return read_genesis(path.read_bytes(), name=str(path))
    except OSError as error:
        return failure("genesis", f"{path}: {error.strerror}", "make one with `lazai init`")
    except LazAIError as error:
        return failure("genesis", error.message, error.hint)


def check_model(selection: Selection, index: int) -> Finding:
    """A model's folder: its files are there and belong together."""
    from lazai_core.node.models import read_model_folder

    path = selection.loaded.config.model[index].path
    check = f"model {path.name}"
    try:
        model = read_model_folder(path)
    except LazAIError as error:
        return failure(check, error.message, error.hint)
    size = sum(file.stat().st_size for file in path.iterdir() if file.is_file())
    return fine(check, f"{model.manifest.name}, {bytes_text(size)}, digest {model.digest.hex()[:16]}…")


def check_assembly(selection: Selection) -> Iterator[Finding]:
    """Whether the chosen parts can be joined. What other checks have already said is not said again."""
    from lazai_core.api.errors import AssemblyError
    from lazai_core.node.blueprint import make_blueprint

    try:
        blueprint = make_blueprint(selection.loaded, selection.catalog)
    except AssemblyError as error:
        yield failure("assembly", error.message, error.hint)
    except LazAIError:
        return
    else:
        yield fine("assembly", f"{len(blueprint.parts)} parts fit together")
