"""What `lazai devnet` writes: one genesis, and for each node a configuration, a key and its place among the others."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve, field, frozen

from lazai_core.api.consensus import Validator
from lazai_core.api.network import PeerId
from lazai_core.api.types import Address, to_hex
from lazai_core.config.peer_address import PeerAddress
from lazai_core.config.render import render_template, toml_value
from lazai_core.node.devnet import API_PORTS_ABOVE, DESCRIPTION, FORMAT
from lazai_core.registry import Catalog, Kind

from .new_node import Parts, new_genesis, preferred_parts, template_choice

if TYPE_CHECKING:
    from lazai_core.chain.genesis import GenesisContract
    from lazai_core.node.identity import Secret

BLOCK_INTERVAL_MS = 1000
"""A block a second is as many as the chain's clock of whole seconds allows."""
KEY_WORK_FACTOR = 1000
"""The password lies beside the key and is random: guessing it is hopeless, and stretching it would only cost time."""
IDAO_BYTES = b"\x1d" * 19


@frozen(kw_only=True)
class NetworkPlan:
    """A network to be. `hosts` has one entry a node; ports count up from `base_port` on each host."""

    folder: Path
    validators: int
    idaos: int
    chain_id: int
    base_port: int
    hosts: tuple[str, ...] = ()
    funded: tuple[Address, ...] = ()
    models: tuple[Path, ...] = ()
    proofs: tuple[str, ...] = ()
    contracts: Mapping[Address, GenesisContract] = field(factory=dict)
    """Further contracts that are there from the beginning."""

    @property
    def is_local(self) -> bool:
        """Whether all nodes run on this machine."""
        return not self.hosts

    def host(self, number: int) -> str:
        """Where a node runs."""
        return self.hosts[number] if self.hosts else "127.0.0.1"

    def network_port(self, number: int) -> int:
        """The port for the other nodes; each host has its own count."""
        return self.base_port + (number if self.is_local else self.hosts[:number].count(self.hosts[number]))

    def api_port(self, number: int) -> int:
        """The port for users."""
        return self.network_port(number) + API_PORTS_ABOVE


@frozen(kw_only=True)
class NodeFiles:
    """One node's key, address, and where it is."""

    number: int
    key: Secret
    address: Address

    @property
    def name(self) -> str:
        """Name in logs, and of its folder."""
        return f"node-{self.number}"


def idao_address(number: int) -> Address:
    """The address under which the development network's iDAO votes."""
    return Address(IDAO_BYTES + bytes([number + 1]))


def write_network(plan: NetworkPlan, catalog: Catalog) -> Path:
    """Write everything below `plan.folder` and return the description's path. Raises PluginError, StorageError."""
    from lazai_core.node.identity import KeyIdentity, new_private_key

    parts = network_parts(plan, catalog)
    keys = [new_private_key() for _ in range(plan.validators)]
    nodes = [
        NodeFiles(number=number, key=key, address=KeyIdentity(key).address) for number, key in enumerate(keys)
    ]
    account_key = new_private_key()
    account = KeyIdentity(account_key).address
    validators = tuple(
        Validator(
            address=node.address,
            power=1,
            **({"idao": idao_address(node.number % plan.idaos)} if plan.idaos else {}),
        )
        for node in nodes
    )
    genesis = new_genesis(
        parts,
        chain_id=plan.chain_id,
        validator=nodes[0].address,
        validators=validators,
        funded=[account, *plan.funded],
    )
    genesis = evolve(genesis, contracts={**genesis.contracts, **plan.contracts})
    plan.folder.mkdir(parents=True, exist_ok=True)
    for node in nodes:
        _write_node(plan, parts, nodes, node, genesis.canonical)
    _write_key(plan.folder / "account.json", account_key)
    (plan.folder / "genesis.json").write_bytes(genesis.canonical)
    described = {
        "format": FORMAT,
        "chain_id": plan.chain_id,
        "genesis_hash": to_hex(genesis.hash),
        "account": to_hex(account),
        "nodes": [
            {
                "name": node.name,
                "address": to_hex(node.address),
                "idao": to_hex(validator.idao) if plan.idaos else "",
                "network": f"{plan.host(node.number)}:{plan.network_port(node.number)}",
                "api": f"{plan.host(node.number)}:{plan.api_port(node.number)}",
                "is_local": plan.is_local,
            }
            for node, validator in zip(nodes, validators, strict=True)
        ],
    }
    path = plan.folder / DESCRIPTION
    path.write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    return path


def network_parts(plan: NetworkPlan, catalog: Catalog) -> Parts:
    """Providers for every node: quorum consensus, and the light backend where no model is to be served."""
    changes: dict[Kind, tuple[str, ...]] = {Kind.CONSENSUS: ("bft",), Kind.SERVICE: ("openai",)}
    if not plan.models:
        changes[Kind.COPROCESSOR] = ("reference",)
    parts = preferred_parts(catalog, changes)
    proofs = tuple(catalog.find(Kind.PROOF_SYSTEM, name) for name in plan.proofs)
    there = {offer.name for offer in parts.chosen if offer.kind is Kind.PROOF_SYSTEM}
    return evolve(parts, chosen=(*parts.chosen, *(offer for offer in proofs if offer.name not in there)))


def _write_node(
    plan: NetworkPlan, parts: Parts, nodes: Sequence[NodeFiles], node: NodeFiles, genesis: bytes
) -> None:
    folder = plan.folder / node.name
    (folder / "keys").mkdir(parents=True, mode=0o700)
    _write_key(folder / "keys" / "node.json", node.key)
    (folder / "genesis.json").write_bytes(genesis)
    (folder / "node.toml").write_text(_config(plan, parts, nodes, node), encoding="utf-8")


def _config(plan: NetworkPlan, parts: Parts, nodes: Sequence[NodeFiles], node: NodeFiles) -> str:
    listen = "127.0.0.1" if plan.is_local else "0.0.0.0"
    peers = [
        str(PeerAddress(peer=PeerId(other.address), host=plan.host(other.number), port=plan.network_port(other.number)))
        for other in nodes
        if other.number != node.number
    ]
    network: Mapping[str, object] = {"listen": f"{listen}:{plan.network_port(node.number)}", "peers": peers}
    options = {Kind.SERVICE: {"listen": f"127.0.0.1:{plan.api_port(node.number)}"}}
    text = render_template(
        {"name": node.name},
        [template_choice(offer, options.get(offer.kind, {})) for offer in parts.chosen],
        network=network,
        limits={"block_interval_ms": BLOCK_INTERVAL_MS, "empty_block_interval_ms": BLOCK_INTERVAL_MS},
    )
    return text + "".join(f"\n[[model]]\npath = {toml_value(path.resolve())}\n" for path in plan.models)


def _write_key(path: Path, key: Secret) -> None:
    """A key and its random password beside it: for development only."""
    from lazai_core.node.identity import write_key_file

    password = secrets.token_hex(16).encode()
    write_key_file(path, key, password, work_factor=KEY_WORK_FACTOR)
    beside = path.with_name(path.name + ".password")
    beside.touch(mode=0o600)
    beside.write_bytes(password + b"\n")
