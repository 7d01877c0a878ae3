"""Checking receipt files: trust root, acceptance, and what there is to say about each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from attrs import evolve, field, frozen

from lazai_core.api.consensus import validators_hash
from lazai_core.api.errors import ProofError, ProofRejected
from lazai_core.api.proof import AcceptancePolicy
from lazai_core.api.types import Hash32, hash_from_hex, to_hex
from lazai_core.chain.genesis_file import read_genesis
from lazai_core.chain.receipt_check import ReceiptReport, verify_receipt
from lazai_core.chain.receipt_file import RECEIPT_BYTES_MAX, JobReceipt
from lazai_core.registry import discover, load_catalog

from .offline import OfflineConsensus, OfflineSystems
from .progress import progress


@frozen(kw_only=True)
class TrustRoot:
    """On whose word the validators are taken: their hash and, with a genesis, its chain. Empty: the file's own."""

    validators: Hash32 | None = None
    chain_id: int = 0
    origin: str = ""


@frozen(kw_only=True)
class Outcome:
    """What became of one receipt: what was shown, or which check refused it and why."""

    file: str
    accepted: bool
    check: str = ""
    reason: str = ""
    proven: tuple[str, ...] = ()
    assumed: tuple[str, ...] = ()
    trust: str = ""
    facts: Mapping[str, object] = field(factory=dict)


def trust_root(trust: str | None, genesis: Path | None) -> TrustRoot:
    """The trust root of the options. Raises InvalidGenesis, and ProofRejected for a genesis of another hash."""
    given = None if trust is None else _hash(trust)
    if genesis is None:
        return TrustRoot(validators=given)
    found = read_genesis(_bytes_of(genesis), name=str(genesis))
    if given is not None and given != found.hash:
        raise ProofRejected(f"{genesis} has hash {to_hex(found.hash)}, not {to_hex(given)}", check="trust")
    word = "which you trust" if given is None else "whose hash you gave"
    return TrustRoot(
        validators=validators_hash(found.validators),
        chain_id=found.chain_id,
        origin=f"validators of the genesis {to_hex(found.hash)}, {word}",
    )


def check_files(
    paths: Sequence[Path], root: TrustRoot, *, models: Sequence[Path] = (), consensus: str = ""
) -> list[Outcome]:
    """Check files one by one. Raises PluginError where a proof system or an engine is not installed, OSError."""
    catalog = load_catalog(discover())
    systems = OfflineSystems(catalog, models)
    rules = OfflineConsensus(catalog, consensus)
    outcomes = []
    try:
        with progress("checking", announce=False) as report:
            for number, path in enumerate(paths):
                report(number, len(paths), path.name)
                outcomes.append(_check_file(path, root, systems, rules))
    finally:
        systems.close()
    return outcomes


def _check_file(path: Path, root: TrustRoot, systems: OfflineSystems, rules: OfflineConsensus) -> Outcome:
    data = _bytes_of(path)
    try:
        receipt = JobReceipt.decode(data)
        if root.chain_id and receipt.header.chain_id != root.chain_id:
            raise ProofRejected(
                f"the receipt is of chain {receipt.header.chain_id}, the genesis of {root.chain_id}", check="trust"
            )
        report = verify_receipt(
            data,
            systems=systems,
            check_certificate=rules.check_certificate,
            accept=AcceptancePolicy(reexecute=systems.holds(receipt.job.model)),
            trusted_validators=root.validators,
        )
    except ProofError as error:
        check = error.check if isinstance(error, ProofRejected) else "form"
        return Outcome(file=str(path), accepted=False, check=check, reason=_reason(error))
    outcome = _accepted(path, report)
    return evolve(outcome, trust=root.origin) if root.origin else outcome


def _accepted(path: Path, report: ReceiptReport) -> Outcome:
    receipt = report.receipt
    return Outcome(
        file=str(path),
        accepted=True,
        proven=report.proven,
        assumed=report.assumed,
        trust=report.trust,
        facts={
            "chain_id": receipt.header.chain_id,
            "height": receipt.header.height,
            "block": to_hex(receipt.header.hash),
            "transaction": to_hex(receipt.transaction.hash),
            "job": to_hex(receipt.job.job_id),
            "model": to_hex(receipt.job.model),
            "proof_system": receipt.job.proof_system,
            "worker": to_hex(receipt.record.worker),
            "validators_hash": to_hex(receipt.header.validators_hash),
        },
    )


def _reason(error: ProofError) -> str:
    return f"{error.message}\n{error.hint}" if error.hint else error.message


def _hash(text: str) -> Hash32:
    try:
        return hash_from_hex(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--trust") from None


def _bytes_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(RECEIPT_BYTES_MAX + 1)
