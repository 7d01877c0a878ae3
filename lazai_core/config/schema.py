"""What a configuration can say. Every field carries its meaning in `metadata["doc"]`, from which templates are made.

A new key needs a line here and nothing else: the walker, the template and `lazai config show` read these classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from attrs import field, frozen, validators

from lazai_core.api.entries import NAME_PATTERN

from .peer_address import PeerAddress, split_host_port
from .toml_lines import KeyPath
from .trusted_block import TrustedBlock


def _check_name(_instance: object, _attribute: object, value: str) -> None:
    if not NAME_PATTERN.match(value):
        raise ValueError(f"{value!r} is no name: 2 to 32 lower-case letters, digits and dashes, a letter first")


def _count(default: int, maximum: int, doc: str, minimum: int = 1) -> Any:
    checks = validators.and_(validators.ge(minimum), validators.le(maximum))
    return field(default=default, validator=checks, metadata={"doc": doc})


def _text(default: str, doc: str) -> Any:
    return field(default=default, metadata={"doc": doc})


class Role(StrEnum):
    """What a node does in its network."""

    VALIDATOR = "validator"
    FULL = "full"
    WORKER = "worker"


class LogFormat(StrEnum):
    """How log lines look."""

    AUTO = "auto"
    CONSOLE = "console"
    JSON = "json"


class LogLevel(StrEnum):
    """Least severity that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@frozen(kw_only=True)
class NodeSection:
    """`[node]`: who this node is, and where its files lie."""

    name: str = field(validator=_check_name, metadata={"doc": "Name of this node in logs."})
    role: Role = field(default=Role.VALIDATOR, metadata={"doc": "What the node does: validator, full or worker."})
    data_dir: Path = field(default=Path("data"), metadata={"doc": "Folder of the node's stores."})
    genesis: Path = field(default=Path("genesis.json"), metadata={"doc": "The chain's genesis file."})
    key_file: Path = field(
        default=Path("keys/node.json"),
        metadata={"doc": "Encrypted key; its password: LAZAI_KEY_PASSWORD or <key_file>.password."},
    )


@frozen(kw_only=True)
class PluginsSection:
    """`[plugins]`: which installed plugins are loaded."""

    allow: tuple[str, ...] | None = field(
        default=None,
        metadata={
            "doc": "Load only these distributions or plugins (the built-in one always).",
            "example": ["lazai-gas-eip1559"],
        },
    )
    deny: tuple[str, ...] = field(default=(), metadata={"doc": "Never load these distributions or plugins."})


@frozen(kw_only=True)
class Choice:
    """A provider, chosen by name, and its options as they stand in the file."""

    use: str = field(validator=_check_name, metadata={"doc": "Name of the provider; `lazai plugins` lists them."})
    options: Mapping[str, Any] = field(
        factory=dict, metadata={"doc": "The provider's own options; `lazai plugins NAME` lists them."}
    )


@frozen(kw_only=True)
class PrecompilesSection:
    """`[precompiles]`: which precompiled contracts the chain has; the genesis fixes them."""

    use: tuple[str, ...] | None = field(
        default=None,
        metadata={"doc": "Names of precompiles; without it all built-in ones.", "example": ["ai-call", "proof-check"]},
    )
    options: Mapping[str, Mapping[str, Any]] = field(
        factory=dict, metadata={"doc": "Options by precompile, as [precompiles.options.NAME]."}
    )


@frozen(kw_only=True)
class ModelSection:
    """`[[model]]`: a model this node serves."""

    path: Path = field(
        metadata={
            "doc": "Folder with manifest.json, program.laz and, for text, tokenizer.json.",
            "example": "models/digits",
        }
    )


@frozen(kw_only=True)
class LimitsSection:
    """`[limits]`: bounds on what the node holds and waits for; none of them is seen by consensus."""

    requests_open_max: int = _count(256, 100_000, "Requests under way at once.")
    requests_open_per_account_max: int = _count(32, 100_000, "Of them, those of one wallet.")
    inputs_per_request_max: int = _count(64, 10_000, "Job inputs in one request.")
    input_bytes_max: int = _count(4 << 20, 1 << 30, "Bytes of all inputs of one request.")
    transactions_max: int = _count(4096, 1_000_000, "Transactions that wait for a block.")
    transactions_bytes_max: int = _count(64 << 20, 1 << 34, "Bytes of these transactions.")
    transactions_per_account_max: int = _count(256, 100_000, "Of them, those of one sender.")
    transaction_wait_ms_max: int = _count(
        3_600_000, 86_400_000, "Milliseconds a transaction may wait for an earlier nonce."
    )
    records_max: int = _count(4096, 1_000_000, "Compute records that wait for a block.")
    records_bytes_max: int = _count(256 << 20, 1 << 34, "Bytes of these records.")
    records_blocks_max: int = _count(64, 100_000, "Blocks after which an unused record is dropped.")
    compute_threads: int = _count(1, 256, "Jobs that compute at once.")
    compute_queue_max: int = _count(256, 100_000, "Jobs that wait for a thread.")
    compute_time_ms_max: int = _count(120_000, 86_400_000, "Milliseconds one job may compute.")
    compute_rounds_max: int = _count(16, 1024, "Records one contract transaction may ask for in turn.")
    models_loaded_max: int = _count(8, 1024, "Models kept on the device.")
    block_interval_ms: int = _count(0, 3_600_000, "Least milliseconds from block to block.", 0)
    empty_block_interval_ms: int = _count(
        0, 86_400_000, "Milliseconds after which a block without work is made; 0: never.", 0
    )
    block_transactions_max: int = _count(2000, 100_000, "Transactions in one block.")
    block_build_ms_max: int = _count(
        600, 3_600_000, "Milliseconds that making a block should take; a slow machine makes smaller ones."
    )
    timestamp_ahead_s_max: int = _count(5, 3600, "Seconds a block's time may run ahead of the clock.", 0)
    expiry_margin_s: int = _count(2, 3600, "Seconds an authorisation must still be good for.", 0)
    ready_timeout_ms: int = _count(60_000, 3_600_000, "Milliseconds a service gets to become ready.")
    stop_timeout_ms: int = _count(10_000, 600_000, "Milliseconds a service gets to stop.")


def _check_place(_instance: object, _attribute: object, value: str) -> None:
    if value:
        split_host_port(value, port_min=0)


def _check_peers(_instance: object, _attribute: object, value: tuple[str, ...]) -> None:
    seen: set[bytes] = set()
    for text in value:
        peer = PeerAddress.parse(text).peer
        if peer in seen:
            raise ValueError(f"{text!r}: the key 0x{peer.hex()} is listed twice")
        seen.add(peer)


def _check_trust(_instance: object, _attribute: object, value: str) -> None:
    if value:
        TrustedBlock.parse(value)


def _peers(doc: str) -> Any:
    example = ["0x00000000000000000000000000000000000000aa@198.51.100.7:26700"]
    return field(default=(), validator=_check_peers, metadata={"doc": doc, "example": example})


@frozen(kw_only=True)
class NetworkSection:
    """`[network]`: how this node meets others. Without the section it meets none."""

    listen: str = field(
        default="0.0.0.0:26700",
        validator=_check_place,
        metadata={"doc": 'Host and port on which others reach this node; "": nobody can.'},
    )
    advertise: str = field(
        default="",
        validator=_check_place,
        metadata={"doc": "Host and port told to others, where they are not those of `listen`."},
    )
    peers: tuple[str, ...] = _peers("Nodes to stay connected with, as 0x<address of the key>@host:port.")
    seeds: tuple[str, ...] = _peers("Nodes to learn further ones from.")
    trust: str = field(
        default="",
        validator=_check_trust,
        metadata={"doc": "Begin from this block, HEIGHT:0x<hash>, where the store is empty; \"\": from the genesis."},
    )
    discover: bool = field(default=True, metadata={"doc": "Learn nodes from peers, and tell them of known ones."})
    peers_in_max: int = _count(64, 1024, "Peers that may connect to this node, beside those of `peers`.", 0)
    peers_out_max: int = _count(16, 1024, "Peers this node connects to, beside those of `peers`.", 0)
    half_open_max: int = _count(64, 4096, "Connections whose other end has not yet proven a key.")
    hello_ms_max: int = _count(5_000, 60_000, "Milliseconds for connecting, for TLS, and for the proof of the key.")
    ping_ms: int = _count(2_000, 60_000, "Milliseconds between pings.")
    silent_ms_max: int = _count(10_000, 600_000, "Milliseconds after which a silent peer is given up.")
    reconnect_ms_min: int = _count(100, 60_000, "Milliseconds before a lost peer is dialled again; doubles each time.")
    reconnect_ms_max: int = _count(3_000, 3_600_000, "At most so many milliseconds.")
    bytes_per_second_max: int = _count(32 << 20, 1 << 32, "Bytes read from one peer in a second.", 1 << 16)
    queue_envelopes_max: int = _count(8192, 1 << 20, "Envelopes that wait for one peer, or from one.", 16)
    queue_bytes_max: int = _count(64 << 20, 1 << 34, "Bytes that wait for one peer, or from one.", 1 << 20)
    ban_s: int = _count(600, 86_400, "Seconds of a first ban; the next one is twice as long.")


@frozen(kw_only=True)
class LogSection:
    """`[log]`: what is logged and how."""

    level: LogLevel = field(default=LogLevel.INFO, metadata={"doc": "debug, info, warning or error."})
    format: LogFormat = field(
        default=LogFormat.AUTO, metadata={"doc": "console, json, or auto: console on a terminal."}
    )
    levels: Mapping[str, LogLevel] = field(
        factory=dict, metadata={"doc": "Level by logger name, as [log.levels]; the longest prefix wins."}
    )


@frozen(kw_only=True)
class Chosen:
    """A choice with its kind (the word of `registry.Kind`) and its place in the file."""

    kind: str
    name: str
    options: Mapping[str, Any]
    use_path: KeyPath
    options_path: KeyPath


@frozen(kw_only=True)
class NodeConfig:
    """A whole configuration. Paths are absolute, or relative to the working folder, never to the file."""

    node: NodeSection = field(metadata={"doc": "Who this node is, and where its files lie."})
    consensus: Choice = field(metadata={"doc": "The consensus engine."})
    coprocessor: Choice = field(metadata={"doc": "The compute backend."})
    proof: tuple[Choice, ...] = field(
        validator=validators.min_len(1),
        metadata={"doc": "Proof systems that this chain accepts; the genesis fixes them."},
    )
    gas: Choice = field(metadata={"doc": "The gas policy; the genesis fixes it."})
    storage: Choice = field(metadata={"doc": "The store for state and blocks."})
    plugins: PluginsSection = field(factory=PluginsSection, metadata={"doc": "Which installed plugins are loaded."})
    precompiles: PrecompilesSection = field(
        factory=PrecompilesSection, metadata={"doc": "Which precompiled contracts the chain has."}
    )
    model: tuple[ModelSection, ...] = field(default=(), metadata={"doc": "Models this node serves."})
    service: tuple[Choice, ...] = field(default=(), metadata={"doc": "Services this node runs, such as APIs."})
    network: NetworkSection | None = field(default=None, metadata={"doc": "How this node meets others."})
    limits: LimitsSection = field(factory=LimitsSection, metadata={"doc": "Bounds on what the node holds."})
    log: LogSection = field(factory=LogSection, metadata={"doc": "What is logged and how."})

    def choices(self) -> tuple[Chosen, ...]:
        """Every provider that is chosen by name, in the order of assembly."""
        single = [
            _chosen("storage", self.storage, ("storage",)),
            _chosen("coprocessor", self.coprocessor, ("coprocessor",)),
            *(_chosen("proof", choice, ("proof", index)) for index, choice in enumerate(self.proof)),
            _chosen("gas", self.gas, ("gas",)),
            *self._chosen_precompiles(),
            _chosen("consensus", self.consensus, ("consensus",)),
        ]
        services = (_chosen("service", choice, ("service", index)) for index, choice in enumerate(self.service))
        return (*single, *services)

    def _chosen_precompiles(self) -> tuple[Chosen, ...]:
        """Precompiles named in the file; without names the built-in ones are meant, which config does not know."""
        return tuple(
            Chosen(
                kind="precompile",
                name=name,
                options=self.precompiles.options.get(name, {}),
                use_path=("precompiles", "use", index),
                options_path=("precompiles", "options", name),
            )
            for index, name in enumerate(self.precompiles.use or ())
        )


def _chosen(kind: str, choice: Choice, path: KeyPath) -> Chosen:
    return Chosen(
        kind=kind,
        name=choice.use,
        options=choice.options,
        use_path=(*path, "use"),
        options_path=(*path, "options"),
    )


_CHOSEN_SECTIONS = ("storage", "coprocessor", "proof", "gas", "consensus", "service")


def named_choices(table: Mapping[str, Any]) -> tuple[Chosen, ...]:
    """The providers that a table names, as far as it can be understood: for reports about a table that is wrong."""
    found: list[Chosen] = []
    for section in _CHOSEN_SECTIONS:
        value = table.get(section)
        items = enumerate(value) if isinstance(value, list) else [(None, value)]
        for index, item in items:
            path: KeyPath = (section,) if index is None else (section, index)
            name = item.get("use") if isinstance(item, Mapping) else None
            options = item.get("options", {}) if isinstance(item, Mapping) else None
            if isinstance(name, str) and NAME_PATTERN.match(name) and isinstance(options, Mapping):
                found.append(_chosen(section, Choice(use=name, options=options), path))
    return tuple(found)
