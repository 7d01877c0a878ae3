"""`lazai verify`: receipts checked offline, by whoever holds them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import columns, print_json, style

if TYPE_CHECKING:
    from .receipts import Outcome

EXIT_REFUSED = 4
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command(short_help="Check receipts offline.")
@click.argument("paths", metavar="RECEIPT...", nargs=-1, required=True, type=_FILE)
@click.option(
    "--trust",
    metavar="HASH",
    help="Hash of the chain's validators, from a source that you trust; with --genesis, hash of the genesis.",
)
@click.option("--genesis", type=_FILE, help="The chain's genesis file: its validators are trusted.")
@click.option("--header", metavar="HASH", help="Hash of a block that you trust.")
@click.option(
    "--headers",
    type=_FILE,
    help="Headers that lead from the trusted header, or from the genesis, to the receipts' blocks.",
)
@click.option(
    "--trusting-period",
    "trusting_period_s",
    metavar="SECONDS",
    type=click.IntRange(1),
    help="Refuse to go on from a trusted header older than this.  [default: no limit]",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="DIR",
    type=_FOLDER,
    help="Folder of a model: where the proof is only a signature, the program is run again.",
)
@click.option("--consensus", default="", metavar="NAME", help="The chain's consensus.  [default: solo or bft]")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")
def verify(
    paths: tuple[Path, ...],
    trust: str | None,
    genesis: Path | None,
    header: str | None,
    headers: Path | None,
    trusting_period_s: int | None,
    models: tuple[Path, ...],
    consensus: str,
    as_json: bool,
) -> int:
    """Check each RECEIPT offline: its block, certificate, transaction, job, record and proof.

    Says what was proven, what is only signed, and on whose word the validators are taken. Ends with 4 when a
    receipt is refused.
    """
    from .receipts import TrustGiven, check_files, trust_root

    root = trust_root(
        TrustGiven(
            trust=trust, genesis=genesis, header=header, headers=headers, trusting_period_s=trusting_period_s
        )
    )
    outcomes = check_files(paths, root, models=models, consensus=consensus)
    if as_json:
        print_json(outcomes_document(outcomes))
    else:
        for line in outcome_lines(outcomes):
            click.echo(line)
    return 0 if all(outcome.accepted for outcome in outcomes) else EXIT_REFUSED


def outcome_lines(outcomes: list[Outcome]) -> Iterator[str]:
    """The outcomes for people."""
    for outcome in outcomes:
        if outcome.accepted:
            yield f"{style('accepted', 'green')}  {outcome.file}"
            yield from columns(list(_rows(outcome)), indent="  ")
        else:
            yield f"{style('REFUSED', 'red')}   {outcome.file}"
            yield from (f"  {line}" for line in outcome.reason.splitlines())


def _rows(outcome: Outcome) -> Iterator[tuple[str, str]]:
    for label, texts in (("proven", outcome.proven), ("assumed", outcome.assumed), ("trust", (outcome.trust,))):
        for index, text in enumerate(texts):
            yield "" if index else label, text


def outcomes_document(outcomes: list[Outcome]) -> dict[str, Any]:
    """The outcomes for scripts."""
    return {
        "accepted": all(outcome.accepted for outcome in outcomes),
        "receipts": [
            {
                "file": outcome.file,
                "accepted": outcome.accepted,
                "check": outcome.check,
                "reason": outcome.reason,
                "proven": list(outcome.proven),
                "assumed": list(outcome.assumed),
                "trust": outcome.trust,
                "facts": dict(outcome.facts),
            }
            for outcome in outcomes
        ],
    }
