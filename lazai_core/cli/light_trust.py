"""From a header that somebody trusts to the block of a receipt, by the headers of a file."""

from __future__ import annotations

from attrs import frozen

from lazai_core.api.consensus import validators_hash
from lazai_core.api.errors import ConsensusFault, ProofRejected
from lazai_core.api.types import Hash32, Height, to_hex
from lazai_core.chain.block import BlockHeader
from lazai_core.chain.genesis import Genesis
from lazai_core.chain.light_client import LightBlock, LightClient, TrustOptions, TrustRules, verify_back
from lazai_core.chain.light_file import HeaderFile
from lazai_core.chain.receipt_file import JobReceipt


@frozen(kw_only=True)
class LightTrust:
    """Where trust begins: at a header by its hash, or at a genesis; and the headers that lead on from there."""

    header: Hash32 | None = None
    genesis: Genesis | None = None
    headers: HeaderFile | None = None
    trusting_period_s: int | None = None
    now_s: int = 0


@frozen(kw_only=True)
class Path:
    """How the receipt's block came to be trusted, and what that assumes."""

    trust: str
    assumed: tuple[str, ...] = ()


def follow(receipt: JobReceipt, trust: LightTrust, rules: TrustRules) -> Path:
    """Raises ProofRejected unless the receipt's block follows from where trust begins."""
    try:
        return _follow(receipt, trust, rules)
    except ConsensusFault as cause:
        raise ProofRejected(cause.message, check="trust", hint=cause.hint) from cause


def _follow(receipt: JobReceipt, trust: LightTrust, rules: TrustRules) -> Path:
    target = receipt.header
    if trust.header is not None and target.hash == trust.header:
        return Path(trust=f"header {to_hex(target.hash)} of height {target.height}, which you trust")
    if trust.headers is None:
        raise ConsensusFault(
            f"the receipt is of block {target.height} {to_hex(target.hash)}, not of the header that you trust",
            hint="give the headers in between with --headers; `lazai headers export` writes them",
        )
    start, origin = _start(trust, trust.headers)
    if target.height <= start.height:
        found = verify_back(start, target.height, trust.headers.header)
        if found.hash != target.hash:
            raise ConsensusFault(f"the chain's block of height {target.height} is {to_hex(found.hash)}, not this one")
        return Path(trust=f"{origin}, and {start.height - target.height} hashes back from there")
    return _forwards(receipt, trust, trust.headers, start, origin, rules)


def _forwards(
    receipt: JobReceipt, trust: LightTrust, headers: HeaderFile, start: BlockHeader, origin: str, rules: TrustRules
) -> Path:
    target, steps = receipt.header, set[int]()

    def fetch(height: Height) -> LightBlock:
        steps.add(height)
        if height != target.height:
            return headers.block(height)
        return LightBlock(header=target, certificate=receipt.certificate, validators=receipt.validators)

    options = TrustOptions(trusting_period_s=trust.trusting_period_s)
    client = LightClient(rules=rules, chain_id=start.chain_id, now_s=trust.now_s, options=options)
    client.verify_to(headers.block(start.height), target.height, fetch)
    bound = f"the validators of height {start.height} were bound by their stake up to height {target.height}"
    period = "no trusting period was given" if trust.trusting_period_s is None else "the trusting period says so"
    return Path(trust=f"{origin}, and {len(steps)} certificates from there", assumed=(f"{bound}: {period}",))


def _start(trust: LightTrust, headers: HeaderFile) -> tuple[BlockHeader, str]:
    if trust.header is not None:
        found = headers.find(trust.header)
        if found is None:
            raise ConsensusFault(f"the headers given do not hold the header {to_hex(trust.header)} that you trust")
        return found, f"header {to_hex(found.hash)} of height {found.height}, which you trust"
    assert trust.genesis is not None, "trust begins somewhere"
    genesis, first = trust.genesis, headers.header(Height(0))
    members = validators_hash(genesis.validators)
    # What else this header says nobody can tell without executing it; the next one's certificate covers its hash.
    named = (first.parent_hash, first.chain_id, first.timestamp, first.validators_hash, first.next_validators_hash)
    if named != (genesis.hash, genesis.chain_id, genesis.timestamp, members, members):
        raise ConsensusFault("the first of the headers given is not of this genesis")
    return first, f"genesis {to_hex(genesis.hash)}"
