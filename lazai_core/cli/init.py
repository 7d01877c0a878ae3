"""`lazai init`: a new chain of one validator, ready to run. Nothing is ever overwritten.

Without a configuration one is written for what is installed; with one, the chain is made for what it chooses.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import click
from attrs import frozen

from .output import columns, heading

if TYPE_CHECKING:
    from lazai_core.api.types import Address

    from .new_node import Parts

PASSWORD_VARIABLE = "LAZAI_KEY_PASSWORD"
CHAIN_ID = 31338
_CONFIG, _GENESIS, _KEY = Path("node.toml"), Path("genesis.json"), Path("keys/node.json")


@frozen(kw_only=True)
class Password:
    """The key's password, and whether it is to be written beside the key."""

    value: bytes
    is_written: bool
    origin: str


@frozen(kw_only=True)
class NewFiles:
    """What is to be written, and where; `config_text` is empty where the configuration is there already."""

    config: Path
    config_text: str
    genesis: Path
    key: Path
    parts: Parts

    @property
    def password(self) -> Path:
        """Where the key's password may lie."""
        return self.key.with_name(self.key.name + ".password")

    def refuse_existing(self) -> None:
        """Raises click.UsageError naming every file that is there already."""
        paths = [*([self.config] if self.config_text else []), self.genesis, self.key, self.password]
        existing = [path for path in paths if path.exists() or path.is_symlink()]
        if existing:
            names = ", ".join(str(path) for path in existing)
            advice = "Choose another folder." if self.config_text else "Move them away, or name others in [node]."
            raise click.UsageError(f"already there, and never overwritten: {names}. {advice}")


@click.command(short_help="Write a configuration, a genesis and an encrypted key.")
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--config",
    "config",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Make the chain of this configuration: its plugins go into the genesis.",
)
@click.option(
    "--preset",
    type=click.Choice(["solo"]),
    default="solo",
    show_default=True,
    help="solo: a chain of one validator, for development.",
)
@click.option("--name", default="", help="Name of the node in logs.  [default: the folder's]")
@click.option("--chain-id", type=click.IntRange(1, 2**53 - 1), default=CHAIN_ID, show_default=True)
@click.option(
    "--fund", "funded", multiple=True, metavar="ADDRESS", help="Give an account 10000 coins; may be repeated."
)
@click.option(
    "--password-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Encrypt the key with the password in this file.",
)
@click.option("--ask-password", is_flag=True, help="Ask for the key's password.")
def init(
    folder: Path | None,
    config: Path | None,
    preset: str,
    name: str,
    chain_id: int,
    funded: tuple[str, ...],
    password_file: Path | None,
    ask_password: bool,
) -> None:
    """Write a configuration, a genesis and an encrypted key into DIR (default: node).

    With --config, write genesis and key where that configuration says that they lie, and leave it as it is.

    The key's password is taken from --password-file, --ask-password or LAZAI_KEY_PASSWORD; without any, a random
    one is written beside the key, which is for development only.
    """
    from lazai_core.api.types import to_hex
    from lazai_core.node.identity import KeyIdentity, new_private_key, write_key_file

    from .new_node import new_genesis

    if config is not None and (folder is not None or name):
        raise click.UsageError("--config names the configuration; DIR and --name are for a new one")
    files = _new_files(folder or Path("node"), name) if config is None else _files_of(config)
    files.refuse_existing()
    accounts = _addresses(funded)
    password = _password(password_file, ask=ask_password)
    key = new_private_key()
    address = KeyIdentity(key).address
    genesis = new_genesis(files.parts, chain_id=chain_id, validator=address, funded=accounts)

    files.key.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    files.genesis.parent.mkdir(parents=True, exist_ok=True)
    write_key_file(files.key, key, password.value)
    if password.is_written:
        _write_private(files.password, password.value)
    _write_new(files.genesis, genesis.canonical)
    rows = []
    if files.config_text:
        _write_new(files.config, files.config_text.encode("utf-8"))
        rows.append((files.config, "the configuration, commented"))
    rows.append((files.genesis, f"chain {chain_id}, genesis hash {to_hex(genesis.hash)}"))
    rows.append((files.key, f"the node's key, encrypted; its account is {to_hex(address)}"))
    if password.is_written:
        rows.append((files.password, "its password, random, mode 0600: for development only"))
    _print_result(files.config, rows, password)


def _new_files(folder: Path, name: str) -> NewFiles:
    """A configuration of the preferred plugins that are installed, and what belongs to it, in a folder."""
    from lazai_core.registry import discover, load_catalog

    from .new_node import choose_parts, new_config

    config, genesis, key = (folder / part for part in (_CONFIG, _GENESIS, _KEY))
    parts = choose_parts(load_catalog(discover()))
    text = new_config(parts, name=name or _name_from(folder))
    return NewFiles(config=config, config_text=text, genesis=genesis, key=key, parts=parts)


def _files_of(config: Path) -> NewFiles:
    """What belongs to a configuration that is there. Raises ConfigError with every problem of it."""
    from .new_node import selected_parts
    from .selection import check_selection, load_selection

    selection = load_selection(config)
    check_selection(selection)
    node = selection.loaded.config.node
    return NewFiles(
        config=config, config_text="", genesis=node.genesis, key=node.key_file, parts=selected_parts(selection)
    )


def _addresses(texts: tuple[str, ...]) -> list[Address]:
    from lazai_core.api.types import address_from_hex

    try:
        return [address_from_hex(text) for text in texts]
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--fund") from None


def _password(file: Path | None, *, ask: bool) -> Password:
    if file is not None:
        value = file.read_bytes().rstrip(b"\r\n")
        return Password(value=_not_empty(value, str(file)), is_written=False, origin=str(file))
    if ask:
        text = click.prompt("Password of the node's key", hide_input=True, confirmation_prompt=True, err=True)
        return Password(value=str(text).encode(), is_written=False, origin="what you typed")
    given = os.environ.get(PASSWORD_VARIABLE)
    if given is not None:
        value = _not_empty(given.encode(), PASSWORD_VARIABLE)
        return Password(value=value, is_written=False, origin=PASSWORD_VARIABLE)
    return Password(value=secrets.token_hex(16).encode(), is_written=True, origin="")


def _not_empty(value: bytes, origin: str) -> bytes:
    if not value:
        raise click.UsageError(f"the password in {origin} is empty")
    return value


def _name_from(folder: Path) -> str:
    """The folder's name as far as it can be a node's."""
    from lazai_core.api.entries import NAME_PATTERN

    name = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in folder.resolve().name.lower())
    name = name.strip("-")[:32]
    return name if NAME_PATTERN.match(name) else "node"


def _write_new(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)


def _write_private(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data + b"\n")


def _print_result(config: Path, rows: list[tuple[Path, str]], password: Password) -> None:
    folder = config.parent
    click.echo(heading("wrote"))
    click.echo(f"  {folder}/")
    for line in columns([(str(_below(path, folder)), text) for path, text in rows], indent="    "):
        click.echo(line)
    if not password.is_written:
        click.echo(f"  the key opens with {password.origin}; `lazai run` reads it from {PASSWORD_VARIABLE}")
    click.echo(heading("next"))
    commands = [
        (f"lazai doctor {config}", "check this machine and the files"),
        (f"lazai run {config}", "start the node"),
        (f"lazai config show {config} --origin", "every value, and where it comes from"),
    ]
    for line in columns(commands, indent="  "):
        click.echo(line)


def _below(path: Path, folder: Path) -> Path:
    return path.relative_to(folder) if path.is_relative_to(folder) else path
