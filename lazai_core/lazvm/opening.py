"""What a block says of consensus, checked, and brought before the contract Validators as the block's first act."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from attrs import frozen

from lazai_core.api.consensus import Certificate, Offence, Validator, ValidatorsAt
from lazai_core.api.errors import ConsensusFault, InvalidBlock
from lazai_core.api.precompile import StatePort
from lazai_core.api.types import Address, Height, to_hex
from lazai_core.chain.block import BlockHeader
from lazai_core.chain.rules import EVIDENCE_BLOCK_BYTES_MAX
from lazai_core.chain.staking import evidence_blocks, has_staking, is_convicted


class EvidenceOutOfTime(ConsensusFault):
    """The evidence is too old to be judged, or of a height that is not decided here; that makes nobody a forger."""


class ConsensusRules(Protocol):
    """What the machine asks of the consensus engine; every `ConsensusEngine` answers it."""

    def verify_certificate(self, certificate: Certificate, validators: Sequence[Validator], chain_id: int) -> None:
        """Raises ConsensusFault unless the certificate proves the decision of this validator set."""

    def verify_evidence(self, evidence: bytes, validators: ValidatorsAt, chain_id: int) -> Offence:
        """What the evidence proves. Raises ConsensusFault where it proves nothing."""


@frozen(kw_only=True)
class Findings:
    """What a block tells the contract: who did not sign the parent, and who broke the rules."""

    absent: tuple[Address, ...] = ()
    offences: tuple[Offence, ...] = ()


class ConsensusJudge:
    """Judges what blocks bring. Without `rules` nobody certifies blocks, and nothing may be brought."""

    def __init__(
        self,
        *,
        rules: ConsensusRules | None,
        chain_id: int,
        validators: Callable[[Height], tuple[Validator, ...]],
    ) -> None:
        self._rules = rules
        self._chain_id = chain_id
        self._validators = validators

    @property
    def certifies(self) -> bool:
        """Whether the chain's blocks have certificates."""
        return self._rules is not None

    def absent(self, parent: BlockHeader, certificate: Certificate | None) -> tuple[Address, ...]:
        """The parent's validators whose signature the certificate lacks.

        Raises ConsensusFault unless it is a certificate of the parent, or none where there can be none.
        """
        if self._rules is None or parent.height == 0:
            if certificate is not None:
                raise ConsensusFault("there is a certificate of a block that nobody certifies")
            return ()
        if certificate is None:
            raise ConsensusFault("the certificate of the parent is missing")
        if (certificate.height, certificate.block_id) != (parent.height, parent.hash):
            raise ConsensusFault(
                f"the certificate is for block {certificate.height} {to_hex(certificate.block_id)}, not for the parent"
            )
        validators = self._validators(parent.height)
        self._rules.verify_certificate(certificate, validators, self._chain_id)
        signers = {entry.validator for entry in certificate.signatures}
        return tuple(validator.address for validator in validators if validator.address not in signers)

    def proven(self, evidence: bytes, oldest: Height, newest: Height) -> Offence:
        """What a piece of evidence of these heights proves.

        Raises EvidenceOutOfTime, ConsensusFault for what proves nothing, StorageError where a header is missing here.
        """
        if self._rules is None:
            raise ConsensusFault("nobody on this chain judges evidence")

        def validators(height: Height) -> Sequence[Validator]:
            if not oldest <= height <= newest:
                raise EvidenceOutOfTime(f"the evidence is of height {height}; {oldest} to {newest} are judged now")
            return self._validators(height)

        return self._rules.verify_evidence(evidence, validators, self._chain_id)

    def offence(self, evidence: bytes, parent: BlockHeader, state: StatePort) -> Offence:
        """What a piece of evidence in the parent's child proves, on the parent's state.

        Raises ConsensusFault for what proves nothing, is too old or too new, or accuses who was convicted already;
        StorageError where a header is missing here.
        """
        if not has_staking(state):
            raise ConsensusFault("nobody on this chain judges evidence")
        offence = self.proven(evidence, oldest_judged(parent, state), parent.height)
        if is_convicted(state, offence.validator):
            raise ConsensusFault(f"{to_hex(offence.validator)} was convicted already")
        return offence

    def offences(
        self, evidence: Sequence[bytes], parent: BlockHeader, state: StatePort
    ) -> tuple[Offence, ...]:
        """What all evidence of a block proves, each accused once. Raises ConsensusFault, StorageError."""
        if sum(map(len, evidence)) > EVIDENCE_BLOCK_BYTES_MAX:
            raise ConsensusFault(f"the evidence has more than {EVIDENCE_BLOCK_BYTES_MAX} bytes")
        found = tuple(self.offence(item, parent, state) for item in evidence)
        if len({offence.validator for offence in found}) != len(found):
            raise ConsensusFault("two pieces of evidence accuse one validator")
        return found

    def findings(
        self,
        parent: BlockHeader,
        state: StatePort,
        certificate: Certificate | None,
        evidence: Sequence[bytes],
        blame: Address,
    ) -> Findings:
        """All that a proposed block brings. Raises InvalidBlock, blaming the proposer, and StorageError."""
        check = "last certificate"
        try:
            absent = self.absent(parent, certificate)
            check = "evidence"
            return Findings(absent=absent, offences=self.offences(evidence, parent, state))
        except ConsensusFault as cause:
            raise InvalidBlock(cause.message, check=check, blame=blame) from cause


def oldest_judged(parent: BlockHeader, state: StatePort) -> Height:
    """The oldest height whose offences the parent's child may judge, by the parent's state."""
    return Height(max(1, parent.height + 1 - evidence_blocks(state)))
