"""`lazai init`: a new chain of one validator, ready to run. Nothing is ever overwritten."""

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

PASSWORD_VARIABLE = "LAZAI_KEY_PASSWORD"
CHAIN_ID = 31338
_CONFIG, _GENESIS, _KEY = Path("node.toml"), Path("genesis.json"), Path("keys/node.json")
_PASSWORD = Path("keys/node.json.password")


@frozen(kw_only=True)
class Password:
    """The key's password, and whether it is to be written beside the key."""

    value: bytes
    is_written: bool
    origin: str


@click.command(short_help="Write a configuration, a genesis and an encrypted key.")
@click.argument("folder", metavar="[DIR]", default="node", type=click.Path(path_type=Path, file_okay=False))
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
    folder: Path,
    preset: str,
    name: str,
    chain_id: int,
    funded: tuple[str, ...],
    password_file: Path | None,
    ask_password: bool,
) -> None:
    """Write a configuration, a genesis and an encrypted key into DIR (default: node).

    The key's password is taken from --password-file, --ask-password or LAZAI_KEY_PASSWORD; without any, a random
    one is written beside the key, which is for development only.
    """
    from lazai_core.api.types import to_hex
    from lazai_core.node.identity import KeyIdentity, new_private_key, write_key_file
    from lazai_core.registry import discover, load_catalog

    from .new_node import choose_parts, new_config, new_genesis

    _refuse_existing(folder)
    accounts = _addresses(funded)
    password = _password(password_file, ask=ask_password)
    parts = choose_parts(load_catalog(discover()))
    key = new_private_key()
    address = KeyIdentity(key).address
    genesis = new_genesis(parts, chain_id=chain_id, validator=address, funded=accounts)
    config_text = new_config(parts, name=name or _name_from(folder))

    (folder / _KEY).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_key_file(folder / _KEY, key, password.value)
    if password.is_written:
        _write_private(folder / _PASSWORD, password.value)
    _write_new(folder / _GENESIS, genesis.canonical)
    _write_new(folder / _CONFIG, config_text.encode("utf-8"))
    rows = [
        (str(_CONFIG), "the configuration, commented"),
        (str(_GENESIS), f"chain {chain_id}, genesis hash {to_hex(genesis.hash)}"),
        (str(_KEY), f"the node's key, encrypted; its account is {to_hex(address)}"),
    ]
    if password.is_written:
        rows.append((str(_PASSWORD), "its password, random, mode 0600: for development only"))
    _print_result(folder, rows, password)


def _refuse_existing(folder: Path) -> None:
    paths = (folder / name for name in (_CONFIG, _GENESIS, _KEY, _PASSWORD))
    existing = [path for path in paths if path.exists() or path.is_symlink()]
    if existing:
        names = ", ".join(str(path) for path in existing)
        raise click.UsageError(f"already there, and never overwritten: {names}. Choose another folder.")


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


def _print_result(folder: Path, rows: list[tuple[str, str]], password: Password) -> None:
    click.echo(heading("wrote"))
    click.echo(f"  {folder}/")
    for line in columns(rows, indent="    "):
        click.echo(line)
    if not password.is_written:
        click.echo(f"  the key opens with {password.origin}; `lazai run` reads it from {PASSWORD_VARIABLE}")
    click.echo(heading("next"))
    commands = [
        (f"lazai doctor {folder / _CONFIG}", "check this machine and the files"),
        (f"lazai run {folder / _CONFIG}", "start the node"),
        (f"lazai config show {folder / _CONFIG} --origin", "every value, and where it comes from"),
    ]
    for line in columns(commands, indent="  "):
        click.echo(line)
