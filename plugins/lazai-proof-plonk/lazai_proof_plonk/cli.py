"""`lazai plonk`: setup, prove, verify, export-vk, export-verifier, info, bench. Heavy imports happen inside."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

EXIT_REFUSED = 4
MODES = ("snarkjs", "native")
IN_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
OUT_FILE = click.Path(path_type=Path, dir_okay=False)
SETUPS = ("hermez", "insecure-test", "unknown")
TRUST = click.option(
    "--trust",
    type=click.Choice(SETUPS),
    default="hermez",
    show_default=True,
    help="The setup to trust: the public ceremony, the test ceremony, or any but the test ceremony.",
)
JSON_FLAG = click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")


@click.group(short_help="PLONK over BN254: keys, proofs, contracts.")
def plonk() -> None:
    """PLONK over BN254, with the files of circom and snarkjs.

    Mode `snarkjs` is for proofs that snarkjs and generated contracts verify; mode `native` is what nodes accept.
    """


def _announce_compilation() -> None:
    """The first run on a processor compiles the kernels, which takes a minute: say so."""
    from .kernels import warm

    if not warm.is_compiled():
        click.echo("compiling the kernels for this processor, once", err=True)
        with _stages("compile") as progress:
            warm.warm_up(lambda name, _seconds: progress(name))


@contextmanager
def _stages(title: str) -> Iterator[Callable[[str], None]]:
    """A bar with the current stage on a terminal, one line elsewhere."""
    if not sys.stderr.isatty():
        click.echo(f"{title} …", err=True)
        yield lambda _stage: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[now]}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(title, total=None, now="")
        yield lambda stage: bars.update(task, now=stage)


def _show(document: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(document, indent=2, sort_keys=True))
        return
    for name, value in document.items():
        if isinstance(value, dict):
            click.echo(f"{name}:")
            for inner, entry in value.items():
                click.echo(f"  {inner:<20} {entry}")
        else:
            click.echo(f"{name + ':':<14} {value}")


@plonk.command()
@click.option("--r1cs", required=True, type=IN_FILE, help="The circuit, as circom writes it.")
@click.option("--ptau", type=IN_FILE, help="Powers of tau of the public ceremony.")
@click.option("--insecure-test-ceremony", is_flag=True, help="Use powers whose secret everybody knows. For tests.")
@click.option("--mode", type=click.Choice(MODES), default="snarkjs", show_default=True)
@click.option("--out", required=True, type=OUT_FILE, help="The proving key to write.")
@TRUST
@JSON_FLAG
def setup(
    r1cs: Path, ptau: Path | None, insecure_test_ceremony: bool, mode: str, out: Path, trust: str, as_json: bool
) -> None:
    """Make a proving key from a circuit and powers of tau."""
    if (ptau is None) != insecure_test_ceremony:
        raise click.UsageError("give either --ptau or --insecure-test-ceremony")
    from .ceremony import Setup
    from .commands import make_key

    _announce_compilation()
    with _stages("setup") as progress:
        document = make_key(r1cs, ptau, mode, out, progress, Setup(trust))
    _show(document, as_json)


@plonk.command()
@click.option("--zkey", required=True, type=IN_FILE, help="The proving key; it decides the mode.")
@click.option("--wtns", required=True, type=IN_FILE, help="The witness.")
@click.option("--proof", required=True, type=OUT_FILE, help="The proof to write.")
@click.option("--public", required=True, type=OUT_FILE, help="The public values to write.")
@click.option("--mode", type=click.Choice(MODES), help="Refuse a key of another mode.")
@JSON_FLAG
def prove(zkey: Path, wtns: Path, proof: Path, public: Path, mode: str | None, as_json: bool) -> None:
    """Prove that a witness satisfies the key's circuit."""
    from .commands import make_proof

    _announce_compilation()
    with _stages("prove") as progress:
        document = make_proof(zkey, wtns, proof, public, mode, progress)
    _show(document, as_json)


@plonk.command()
@click.option("--vk", required=True, type=IN_FILE, help="The verification key; it decides the mode.")
@click.option("--proof", required=True, type=IN_FILE)
@click.option("--public", required=True, type=IN_FILE)
@click.option("--mode", type=click.Choice(MODES), help="Refuse a key of another mode.")
@TRUST
@JSON_FLAG
def verify(vk: Path, proof: Path, public: Path, mode: str | None, trust: str, as_json: bool) -> int:
    """Check a proof. Ends with 0 when it is right and with 4 when it is refused."""
    from .ceremony import Setup
    from .commands import check_proof

    _announce_compilation()
    document = check_proof(vk, proof, public, mode, Setup(trust))
    _show(document, as_json)
    return 0 if document["accepted"] else EXIT_REFUSED


@plonk.command("export-vk")
@click.option("--zkey", required=True, type=IN_FILE)
@click.option("--out", required=True, type=OUT_FILE)
def export_vk(zkey: Path, out: Path) -> None:
    """Write the verification key of a proving key: JSON in snarkjs mode, canonical bytes in native mode."""
    from .commands import write_verification_key_file

    click.echo(f"key {write_verification_key_file(zkey, out)}")


@plonk.command("export-verifier")
@click.option("--vk", required=True, type=IN_FILE, help="A verification key, or a proving key.")
@click.option("--out", required=True, type=OUT_FILE)
@click.option("--name", default="PlonkVerifier", show_default=True, help="Name of the contract.")
def export_verifier(vk: Path, out: Path, name: str) -> None:
    """Write a Solidity contract that verifies the key's proofs."""
    from .commands import write_contract

    click.echo(f"key {write_contract(vk, out, name)}")


@plonk.command()
@click.argument("file", type=IN_FILE)
@JSON_FLAG
def info(file: Path, as_json: bool) -> None:
    """Say what a file is and what it holds: circuits, witnesses, ceremonies, keys, proofs, public values."""
    from .describe import describe

    _show(describe(file), as_json)


@plonk.command()
@click.option(
    "--power",
    "powers",
    type=click.Choice(["14", "16", "18"]),
    multiple=True,
    help="Measure domains of 2^POWER only; may be given again.  [default: all]",
)
@click.option("--portable", is_flag=True, help="Measure the kernels for processors without AVX-512 IFMA.")
@click.option("--no-peer", is_flag=True, help="Leave snarkjs out although it is installed.")
@JSON_FLAG
def bench(powers: tuple[str, ...], portable: bool, no_peer: bool, as_json: bool) -> None:
    """Measure proving and verifying, with snarkjs beside in the same run where it is installed."""
    if portable:
        # Read when the kernels are imported, which is below.
        os.environ["LAZAI_PLONK_PORTABLE"] = "1"
    from attrs import asdict

    from .bench import SIZES, bench_sizes

    _announce_compilation()
    sizes = [size for size in SIZES if not powers or str(size.power) in powers]
    with _stages("bench") as progress:
        results = list(bench_sizes(sizes, lambda _done, _total, text: progress(text), with_peer=not no_peer))
    if as_json:
        click.echo(json.dumps([asdict(result) for result in results], indent=2, sort_keys=True))
        return
    for result in results:
        beside = f", {result.ratio:.1f} x {result.peer}" if result.ratio else ""
        click.echo(f"{result.name:<14} {result.value:>12,.3f} {result.unit:<4} (bar {result.bar}{beside})")
        click.echo(f"{'':<14} {result.notes}")
