"""Quorums of signed votes: commit certificates, and the polka inside a proposal. Verified without an engine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lazai_core.api.consensus import SIGNATURES_MAX, Certificate, CommitSignature, signing_digest
from lazai_core.api.errors import BadSignature, ConsensusFault
from lazai_core.api.hashing import recover_address
from lazai_core.api.types import HASH_BYTES, Address, Hash32, Height

from .committee import Committee
from .messages import HEIGHT_MAX, ROUND_MAX, Kind, Vote, encode_message
from .quorum import Tally


def ordered_signatures(signatures: Iterable[tuple[Address, bytes]]) -> tuple[CommitSignature, ...]:
    """Signatures in the one order a certificate has: by address."""
    return tuple(
        CommitSignature(validator=validator, signature=signature) for validator, signature in sorted(signatures)
    )


def check_signer(signer: Address, payload: bytes, signature: bytes) -> None:
    """Raises ConsensusFault unless `signature` is this signer's over the payload."""
    try:
        recovered = recover_address(signing_digest(payload), signature)
    except BadSignature as error:
        raise ConsensusFault(f"the signature of 0x{signer.hex()}: {error.message}") from error
    if recovered != signer:
        raise ConsensusFault(f"a signature in the name of 0x{signer.hex()} was made by 0x{recovered.hex()}")


def count_signatures(
    vote: Vote, signatures: Sequence[CommitSignature], committee: Committee, chain_id: int, tally: Tally
) -> None:
    """Count every signer of `vote`. One bad signature spoils all: ConsensusFault.

    The signers must be members, each once, in order of address.
    """
    if len(signatures) > SIGNATURES_MAX:
        raise ConsensusFault(f"{len(signatures)} signatures are more than {SIGNATURES_MAX}")
    payload = encode_message(vote, chain_id)
    previous = b""
    for entry in signatures:
        if entry.validator <= previous:
            raise ConsensusFault("the signatures are not in order of address, each validator once")
        previous = entry.validator
        if entry.validator not in committee:
            raise ConsensusFault(f"0x{entry.validator.hex()} signed and is no validator of height {vote.height}")
        check_signer(entry.validator, payload, entry.signature)
        tally.add(entry.validator)


def verify_votes(vote: Vote, signatures: Sequence[CommitSignature], committee: Committee, chain_id: int) -> None:
    """Raises ConsensusFault unless a quorum signed this vote and every signature is right."""
    tally = committee.rule.tally()
    count_signatures(vote, signatures, committee, chain_id, tally)
    if not tally.is_quorum:
        raise ConsensusFault(f"{len(signatures)} signatures of height {vote.height}, round {vote.round} are no quorum")


def commit_vote(certificate: Certificate) -> Vote:
    """The precommit that a certificate's signatures are for. Raises ConsensusFault for what no block has."""
    if not (0 < certificate.height <= HEIGHT_MAX and 0 <= certificate.round <= ROUND_MAX):
        raise ConsensusFault(f"no block has height {certificate.height} and round {certificate.round}")
    if len(certificate.block_id) != HASH_BYTES:
        raise ConsensusFault(f"a block's hash has {HASH_BYTES} bytes, not {len(certificate.block_id)}")
    return Vote(
        kind=Kind.PRECOMMIT,
        height=Height(certificate.height),
        round=certificate.round,
        block_id=Hash32(certificate.block_id),
    )


def verify_commit(certificate: Certificate, committee: Committee, chain_id: int) -> None:
    """Raises ConsensusFault unless the certificate proves this committee's decision."""
    verify_votes(commit_vote(certificate), certificate.signatures, committee, chain_id)
