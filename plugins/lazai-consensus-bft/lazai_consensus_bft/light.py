"""Light client: from one trusted header to any other, by certificates alone. No engine, no clock, no network.

A header names two committees by hash: the one that signs it and the one that signs the next. *Sequential* steps check
the next header by the committee the trusted header announced. *Skipping* steps go further: the new certificate must
also be signed by a set that hits every quorum of the committee announced by the trusted header, so at least one honest
validator among them vouches for it; this holds while those validators are still bound by their stake, which is what
the trusting period is for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from attrs import frozen

from lazai_core.api.consensus import Certificate
from lazai_core.api.errors import ConsensusFault
from lazai_core.api.types import Hash32, Height

from .certificate import verify_commit
from .committee import Committee

STEPS_MAX = 256


class Header(Protocol):
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
        """The committee that decides this height."""

    @property
    def next_validators_hash(self) -> Hash32:
        """The committee that decides the next height."""


@frozen(kw_only=True)
class TrustOptions:
    """Limits in seconds. The trusting period must be shorter than the time stake stays bound."""

    trusting_period_s: int
    clock_drift_s: int = 10


@frozen(kw_only=True)
class LightBlock:
    """A header with its certificate and both committees it names."""

    header: Header
    certificate: Certificate
    committee: Committee
    next_committee: Committee


Fetch: TypeAlias = Callable[[Height], LightBlock]


class NotEnoughTrust(ConsensusFault):
    """The step is too long: too few of the trusted validators signed. A header in between may help."""


def verify_light_block(block: LightBlock, chain_id: int) -> None:
    """Raises ConsensusFault unless the parts belong together and the block's own committee decided it."""
    header = block.header
    if header.chain_id != chain_id:
        raise ConsensusFault(f"the header is of chain {header.chain_id}, not {chain_id}")
    if block.committee.hash != header.validators_hash or block.next_committee.hash != header.next_validators_hash:
        raise ConsensusFault(f"a committee given for height {header.height} is not the one its header names")
    if (block.certificate.height, block.certificate.block_id) != (header.height, header.hash):
        raise ConsensusFault(f"the certificate is not for the header of height {header.height}")
    verify_commit(block.certificate, block.committee, chain_id)


def verify_step(trusted: LightBlock, block: LightBlock, *, chain_id: int, now_s: int, options: TrustOptions) -> None:
    """Trust `block` because of `trusted`, which the caller trusts already.

    Raises NotEnoughTrust where a shorter step may succeed, ConsensusFault for everything that is wrong.
    """
    _check_times(trusted.header, block.header, now_s, options)
    verify_light_block(block, chain_id)
    if block.header.height == trusted.header.height + 1:
        if block.header.validators_hash != trusted.header.next_validators_hash:
            raise ConsensusFault(f"height {block.header.height} is signed by another committee than was announced")
        if block.header.parent_hash != trusted.header.hash:
            raise ConsensusFault(f"height {block.header.height} does not follow the trusted header")
        return
    tally = trusted.next_committee.rule.tally()
    for entry in block.certificate.signatures:
        tally.add(entry.validator)
    if not tally.hits_every_quorum:
        raise NotEnoughTrust(
            f"too few validators trusted at height {trusted.header.height} signed height {block.header.height}"
        )


def _check_times(trusted: Header, header: Header, now_s: int, options: TrustOptions) -> None:
    if header.height <= trusted.height:
        raise ConsensusFault(f"height {header.height} is not after the trusted height {trusted.height}")
    if header.timestamp <= trusted.timestamp:
        raise ConsensusFault(f"height {header.height} is not later than the trusted header")
    if trusted.timestamp + options.trusting_period_s <= now_s:
        raise ConsensusFault(
            f"the trusted header of height {trusted.height} is older than the trusting period",
            hint="start again from a newer header that you trust",
        )
    if header.timestamp > now_s + options.clock_drift_s:
        raise ConsensusFault(f"the header of height {header.height} lies in the future")


def verify_to(
    trusted: LightBlock, target: Height, fetch: Fetch, *, chain_id: int, now_s: int, options: TrustOptions
) -> LightBlock:
    """The block of height `target`, verified from `trusted` by skipping, halving steps that are too long.

    `fetch` gives the block of a height; what it gives is checked, so it may come from anyone. At most `STEPS_MAX`
    blocks are fetched. Raises ConsensusFault.
    """
    waiting = [fetch(target)]
    for _ in range(STEPS_MAX):
        block = waiting[-1]
        try:
            verify_step(trusted, block, chain_id=chain_id, now_s=now_s, options=options)
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


def contradict(first: LightBlock, second: LightBlock, chain_id: int) -> bool:
    """Whether two blocks of one height are both decided: proof that the faults were more than the chain stands."""
    if first.header.height != second.header.height or first.header.hash == second.header.hash:
        return False
    for block in (first, second):
        verify_light_block(block, chain_id)
    return True
