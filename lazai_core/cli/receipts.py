"""Checking receipt files: trust root, acceptance, and what there is to say about each."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from attrs import evolve, field, frozen

from lazai_core.api.consensus import validators_hash
from lazai_core.api.errors import EncodingError, ProofError, ProofMalformed, ProofRejected
from lazai_core.api.proof import AcceptancePolicy
from lazai_core.api.types import Hash32, hash_from_hex, to_hex
from lazai_core.chain.genesis_file import read_genesis
from lazai_core.chain.light_file import HeaderFile
from lazai_core.chain.receipt_check import ReceiptReport, verify_receipt
from lazai_core.chain.receipt_file import RECEIPT_BYTES_MAX, JobReceipt
from lazai_core.registry import discover, load_catalog

from .light_trust import LightTrust, follow
from .offline import OfflineConsensus, OfflineSystems
from .progress import progress


@frozen(kw_only=True)
class TrustRoot:
    """On whose word the validators are taken: their hash and, with a genesis, its chain. Empty: the file's own.

    With `light` they are those to which certificates lead from a trusted header.
    """

    validators: Hash32 | None = None
    chain_id: int = 0
    origin: str = ""
    light: LightTrust | None = None


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


@frozen(kw_only=True)
class TrustGiven:
    """What the command line says of trust: hashes in hexadecimal, files, and seconds."""

    trust: str | None = None
    genesis: Path | None = None
    header: str | None = None
    headers: Path | None = None
    trusting_period_s: int | None = None


def trust_root(given: TrustGiven) -> TrustRoot:
    """The trust root of the options. Raises InvalidGenesis, ProofMalformed, and ProofRejected for another genesis."""
    trust = None if given.trust is None else _hash(given.trust, "--trust")
    genesis = None if given.genesis is None else read_genesis(_bytes_of(given.genesis), name=str(given.genesis))
    if genesis is not None and trust is not None and trust != genesis.hash:
        raise ProofRejected(f"{given.genesis} has hash {to_hex(genesis.hash)}, not {to_hex(trust)}", check="trust")
    chain_id = 0 if genesis is None else genesis.chain_id
    if given.header is not None or (given.headers is not None and genesis is not None):
        light = LightTrust(
            header=None if given.header is None else _hash(given.header, "--header"),
            genesis=genesis,
            headers=None if given.headers is None else _headers(given.headers),
            trusting_period_s=given.trusting_period_s,
            now_s=int(time.time()),
        )
        return TrustRoot(validators=trust if genesis is None else None, chain_id=chain_id, light=light)
    if given.headers is not None:
        raise click.UsageError("--headers leads on from a header that you trust: give --header or --genesis, too.")
    if genesis is None:
        return TrustRoot(validators=trust)
    word = "which you trust" if trust is None else "whose hash you gave"
    return TrustRoot(
        validators=validators_hash(genesis.validators),
        chain_id=chain_id,
        origin=f"validators of the genesis {to_hex(genesis.hash)}, {word}",
    )


def _headers(path: Path) -> HeaderFile:
    try:
        return HeaderFile.decode(_bytes_of(path))
    except EncodingError as cause:
        raise ProofMalformed(f"{path}: the headers cannot be read: {cause.message}") from cause


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
        led = None if root.light is None else follow(receipt, root.light, rules)
        report = verify_receipt(
            data,
            systems=systems,
            check_certificate=rules.verify_certificate,
            accept=AcceptancePolicy(reexecute=systems.holds(receipt.job.model)),
            trusted_validators=root.validators,
        )
    except ProofError as error:
        check = error.check if isinstance(error, ProofRejected) else "form"
        return Outcome(file=str(path), accepted=False, check=check, reason=_reason(error))
    outcome = _accepted(path, report)
    if led is not None:
        return evolve(outcome, trust=led.trust, assumed=(*led.assumed, *outcome.assumed))
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


def _hash(text: str, option: str) -> Hash32:
    try:
        return hash_from_hex(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def _bytes_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(RECEIPT_BYTES_MAX + 1)
