"""Light client: from one trusted header to any other, by certificates alone. No engine state, no clock, no network.

A header names two validator sets by hash: the one that signs it and the one that signs the next. *Sequential* steps
check the next header by the set the trusted header announced. *Skipping* steps go further: the new certificate must
also be signed by members that hit every quorum of the set announced by the trusted header, so at least one honest
validator among them vouches for it; this holds while those validators are still bound by their stake, which is what
the trusting period is for. *Backwards* hashes alone decide: every header names its parent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from attrs import frozen

from lazai_core.api.consensus import Certificate, Validator, validators_hash
from lazai_core.api.errors import ConsensusFault
from lazai_core.api.types import Hash32, Height

STEPS_MAX = 256


class TrustRules(Protocol):
    """What a consensus engine knows of certificates; every `ConsensusEngine` answers it."""

    def verify_certificate(self, certificate: Certificate, validators: Sequence[Validator], chain_id: int) -> None:
        """Raises ConsensusFault unless the certificate proves the decision of this validator set."""

    def vouches(self, certificate: Certificate, validators: Sequence[Validator]) -> bool:
        """Whether the certificate's signers hit every quorum of these validators."""


class LightHeader(Protocol):
    """What the light client reads of a block header. Timestamps in seconds."""

    @property
    def chain_id(self) -> int:
        """The chain."""

    @property
    def height(self) -> Height:
        """The height."""

    @property
    def hash(self) -> Hash32:
        """What validators sign."""

    @property
    def parent_hash(self) -> Hash32:
        """Hash of the header before."""

    @property
    def timestamp(self) -> int:
        """When it was proposed."""

    @property
    def validators_hash(self) -> Hash32:
        """The set that decides this height."""

    @property
    def next_validators_hash(self) -> Hash32:
        """The set that decides the next height."""


@frozen(kw_only=True)
class TrustOptions:
    """Limits in seconds. The trusting period must be shorter than the time stake stays bound; None is no limit."""

    trusting_period_s: int | None
    clock_drift_s: int = 10


@frozen(kw_only=True)
class LightBlock:
    """A header with its certificate and the sets it names.

    A header that is trusted for another reason needs no certificate; the last one of a path needs no next set.
    """

    header: LightHeader
    certificate: Certificate | None = None
    validators: tuple[Validator, ...] = ()
    next_validators: tuple[Validator, ...] = ()


Fetch: TypeAlias = Callable[[Height], LightBlock]


class NotEnoughTrust(ConsensusFault):
    """The step is too long: too few of the trusted validators signed. A header in between may help."""


@frozen(kw_only=True)
class LightClient:
    """The rules of one chain at one moment, in seconds since 1970."""

    rules: TrustRules
    chain_id: int
    now_s: int
    options: TrustOptions

    def verify_block(self, block: LightBlock) -> None:
        """Raises ConsensusFault unless the parts belong together and the block's own set decided it."""
        header, certificate = block.header, block.certificate
        if header.chain_id != self.chain_id:
            raise ConsensusFault(f"the header is of chain {header.chain_id}, not {self.chain_id}")
        if validators_hash(block.validators) != header.validators_hash:
            raise ConsensusFault(f"the validators given for height {header.height} are not those its header names")
        if block.next_validators:
            _require_next(block)
        if certificate is None:
            raise ConsensusFault(f"there is no certificate of height {header.height}")
        if (certificate.height, certificate.block_id) != (header.height, header.hash):
            raise ConsensusFault(f"the certificate is not for the header of height {header.height}")
        self.rules.verify_certificate(certificate, block.validators, self.chain_id)

    def verify_step(self, trusted: LightBlock, block: LightBlock) -> None:
        """Trust `block` because of `trusted`, which the caller trusts already.

        Raises NotEnoughTrust where a shorter step may succeed, ConsensusFault for everything that is wrong.
        """
        self._check_times(trusted.header, block.header)
        self.verify_block(block)
        if block.header.height == trusted.header.height + 1:
            if block.header.validators_hash != trusted.header.next_validators_hash:
                raise ConsensusFault(f"height {block.header.height} is signed by another set than was announced")
            if block.header.parent_hash != trusted.header.hash:
                raise ConsensusFault(f"height {block.header.height} does not follow the trusted header")
            return
        _require_next(trusted)
        assert block.certificate is not None, "verify_block has seen it"
        if not self.rules.vouches(block.certificate, trusted.next_validators):
            raise NotEnoughTrust(
                f"too few validators trusted at height {trusted.header.height} signed height {block.header.height}"
            )

    def _check_times(self, trusted: LightHeader, header: LightHeader) -> None:
        if header.height <= trusted.height:
            raise ConsensusFault(f"height {header.height} is not after the trusted height {trusted.height}")
        if header.timestamp <= trusted.timestamp:
            raise ConsensusFault(f"height {header.height} is not later than the trusted header")
        period = self.options.trusting_period_s
        if period is not None and trusted.timestamp + period <= self.now_s:
            raise ConsensusFault(
                f"the trusted header of height {trusted.height} is older than the trusting period",
                hint="start again from a newer header that you trust",
            )
        if header.timestamp > self.now_s + self.options.clock_drift_s:
            raise ConsensusFault(f"the header of height {header.height} lies in the future")

    def verify_to(self, trusted: LightBlock, target: Height, fetch: Fetch) -> LightBlock:
        """The block of height `target`, verified from `trusted` by skipping, halving steps that are too long.

        `fetch` gives the block of a height; what it gives is checked, so it may come from anyone. At most `STEPS_MAX`
        blocks are fetched. Raises ConsensusFault.
        """
        waiting = [fetch(target)]
        for _ in range(STEPS_MAX):
            block = waiting[-1]
            try:
                self.verify_step(trusted, block)
            except NotEnoughTrust:
                middle = Height((trusted.header.height + block.header.height) // 2)
                waiting.append(fetch(middle))
                if waiting[-1].header.height != middle:
                    raise ConsensusFault(f"asked for height {middle}, got {waiting[-1].header.height}") from None
                continue
            trusted = waiting.pop()
            if not waiting:
                if trusted.header.height != target:
                    raise ConsensusFault(f"asked for height {target}, got {trusted.header.height}")
                return trusted
        raise ConsensusFault(f"height {target} is not reached in {STEPS_MAX} steps from a trusted header")

    def contradict(self, first: LightBlock, second: LightBlock) -> bool:
        """Whether two blocks of one height are both decided: proof that the faults were more than the chain stands."""
        if first.header.height != second.header.height or first.header.hash == second.header.hash:
            return False
        for block in (first, second):
            self.verify_block(block)
        return True


def verify_back(trusted: LightHeader, target: Height, fetch: Callable[[Height], LightHeader]) -> LightHeader:
    """The header of an earlier height, by the hashes of parents alone. Raises ConsensusFault."""
    header = trusted
    while header.height > target:
        parent = fetch(Height(header.height - 1))
        if (parent.hash, parent.height, parent.chain_id) != (header.parent_hash, header.height - 1, header.chain_id):
            raise ConsensusFault(f"the header given for height {header.height - 1} is not the parent of the next")
        header = parent
    return header


def _require_next(block: LightBlock) -> None:
    if validators_hash(block.next_validators) != block.header.next_validators_hash:
        raise ConsensusFault(f"the next validators given for height {block.header.height} are not those it names")
