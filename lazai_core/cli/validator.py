"""`lazai validator`: what a node's key has to sign so that its owner can register it."""

from __future__ import annotations

from pathlib import Path

import click

from lazai_core.api.types import Address

from .output import columns, print_json


@click.group(short_help="Become a validator of a running chain.")
def validator() -> None:
    """Become a validator of a running chain."""


@validator.command(short_help="The call by which an owner registers a node's key.")
@click.argument("path", metavar="CONFIG", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--owner", metavar="ADDRESS", required=True, help="Account that will send the call, and own the stake.")
@click.option("--idao", metavar="ADDRESS", help="iDAO to which the validator shall belong; it has to consent first.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def register(path: Path, owner: str, idao: str | None, as_json: bool) -> None:
    """Sign with the key of the node of CONFIG that OWNER may register it as a validator, and print the call.

    The owner sends it as a transaction with the stake as coins, from any wallet (docs/VALIDATORS.md).
    """
    from lazai_core.api.types import VALIDATORS_ADDRESS, ZERO_ADDRESS, to_hex
    from lazai_core.chain.abi import encode_call
    from lazai_core.chain.staking_calls import REGISTER_VALIDATOR, registration_digest
    from lazai_core.node.identity import load_identity
    from lazai_core.node.run import plan_node

    holder = _address(owner, "--owner")
    group = ZERO_ADDRESS if idao is None else _address(idao, "--idao")
    blueprint = plan_node(path)
    staking = blueprint.genesis.staking
    if staking is None:
        raise click.UsageError("this chain has no contract Validators; its validators never change.")
    identity = load_identity(blueprint.config.node.key_file)
    digest = registration_digest(blueprint.genesis.chain_id, identity.address, holder, group)
    data = encode_call(REGISTER_VALIDATOR, identity.address, group, identity.sign(digest))
    document = {
        "validator": to_hex(identity.address),
        "from": to_hex(holder),
        "to": to_hex(VALIDATORS_ADDRESS),
        "value_min": str(staking.minimum_stake),
        "data": to_hex(data),
    }
    if as_json:
        print_json(document)
        return
    for line in columns(list(document.items())):
        click.echo(line)


def _address(text: str, option: str) -> Address:
    from lazai_core.api.types import address_from_hex

    try:
        return address_from_hex(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None
