"""`lazai devnet`: a network of separate processes on this machine, or the files of one across hosts."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .output import columns, heading

if TYPE_CHECKING:
    from lazai_core.api.types import Address
    from lazai_core.node.devnet import Devnet

    from .new_network import NetworkPlan

CHAIN_ID = 31339
BASE_PORT = 26700
VALIDATORS_MAX = 100
_PORTS_A_NODE = 1000


@click.command(short_help="A network of validators on this machine, shown live.")
@click.option("--validators", type=click.IntRange(1, VALIDATORS_MAX), default=4, show_default=True)
@click.option(
    "--idaos", type=click.IntRange(0, VALIDATORS_MAX), default=0, help="Group the validators into so many iDAOs."
)
@click.option(
    "--dir",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("devnet"),
    show_default=True,
    help="The network's files; one that is there already is run as it is.",
)
@click.option(
    "--base-port",
    type=click.IntRange(1024, 65535 - 2 * _PORTS_A_NODE),
    default=BASE_PORT,
    show_default=True,
    help="First of the ports between nodes; those of the API are 1000 above.",
)
@click.option("--chain-id", type=click.IntRange(1, 2**53 - 1), default=CHAIN_ID, show_default=True)
@click.option("--fund", "funded", multiple=True, metavar="ADDRESS", help="Give an account 10000 coins; repeatable.")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="DIR",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A model that every node serves; repeatable.",
)
@click.option("--proof", "proofs", multiple=True, metavar="NAME", help="A further proof system; repeatable.")
@click.option(
    "--hosts", metavar="HOST,HOST,…", default="", help="Write files for these hosts, one a validator; runs nothing."
)
@click.option("--init-only", is_flag=True, help="Write the files and stop.")
def devnet(
    validators: int,
    idaos: int,
    folder: Path,
    base_port: int,
    chain_id: int,
    funded: tuple[str, ...],
    models: tuple[Path, ...],
    proofs: tuple[str, ...],
    hosts: str,
    init_only: bool,
) -> int:
    """Make keys, a genesis and a configuration for each validator, and run them as processes of their own.

    Ctrl-C stops all of them. docs/NETWORK.md tells how the same files make a network across hosts.
    """
    from lazai_core.node.devnet import DESCRIPTION, read_devnet

    from .new_network import NetworkPlan

    if not (folder / DESCRIPTION).exists():
        plan = NetworkPlan(
            folder=folder,
            validators=validators,
            idaos=idaos,
            chain_id=chain_id,
            base_port=base_port,
            hosts=_hosts(hosts, validators),
            funded=_addresses(funded),
            models=models,
            proofs=proofs,
        )
        _write(plan)
    elif init_only or hosts:
        raise click.UsageError(f"there is a network in {folder} already, and nothing is overwritten")
    network = read_devnet(folder)
    if init_only or hosts:
        _tell_next(network)
        return 0
    return _run(network)


def _hosts(text: str, validators: int) -> tuple[str, ...]:
    hosts = tuple(part.strip() for part in text.split(",") if part.strip())
    if hosts and len(hosts) != validators:
        raise click.BadParameter(f"{len(hosts)} hosts for {validators} validators", param_hint="--hosts")
    return hosts


def _addresses(texts: tuple[str, ...]) -> tuple[Address, ...]:
    from lazai_core.api.types import address_from_hex

    try:
        return tuple(address_from_hex(text) for text in texts)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--fund") from None


def _write(plan: NetworkPlan) -> None:
    from lazai_core.registry import discover, load_catalog

    from .new_network import write_network

    if plan.idaos > plan.validators:
        raise click.BadParameter(f"{plan.idaos} iDAOs for {plan.validators} validators", param_hint="--idaos")
    if plan.folder.exists() and any(plan.folder.iterdir()):
        raise click.UsageError(f"{plan.folder} is not empty and holds no network; choose another --dir")
    write_network(plan, load_catalog(discover()))


def _tell_next(network: Devnet) -> None:
    click.echo(heading(f"a network of {len(network.nodes)} in {network.folder}/"))
    rows = [(node.name, node.address, node.network, node.api) for node in network.nodes]
    for line in columns([("node", "account", "for nodes", "for users"), *rows], indent="  "):
        click.echo(line)
    click.echo(f"  funded account {network.account}, key in account.json")
    click.echo(heading("next"))
    first = network.nodes[0]
    if first.is_local:
        click.echo(f"  lazai devnet --dir {network.folder}")
    else:
        click.echo(f"  copy each folder to its host and start it there: lazai run {first.name}/node.toml")


def _run(network: Devnet) -> int:
    from lazai_core.node.devnet import RunningNetwork

    from .network_view import watch

    if not all(node.is_local for node in network.nodes):
        raise click.UsageError("this network runs on several hosts; start each node on its own with `lazai run`")
    _require_ports(network)
    def interrupted(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    with RunningNetwork(network) as running:
        # A closed terminal and a polite kill end the network like an interrupt.
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, interrupted)
        try:
            return watch(running)
        except KeyboardInterrupt:
            click.echo("\nstopping all nodes …", err=True)
    return 0


def _require_ports(network: Devnet) -> None:
    """Raises click.ClickException naming every port that is taken, and by whom."""
    from lazai_core.api.service import Severity
    from lazai_core.config.peer_address import split_host_port

    from .ports import check_address

    findings = [
        check_address(f"{node.name}", place) for node in network.nodes for place in (node.network, node.api)
    ]
    taken = [finding for finding in findings if finding.severity is Severity.FAILURE]
    if taken:
        lines = "\n".join(f"  {finding.check}: {finding.summary}" for finding in taken)
        first = split_host_port(network.nodes[0].network)[1]
        raise click.ClickException(
            f"{len(taken)} ports are in use:\n{lines}\n"
            f"stop what holds them, or make another network: lazai devnet --dir DIR --base-port {first + 100}"
        )
