"""`lazai verify` from a header that somebody trusts, over headers whose validator changes on the way."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from lazai_core.api.consensus import Certificate, CommitSignature, Validator, signing_digest, validators_hash
from lazai_core.api.errors import EncodingError
from lazai_core.api.hashing import address_of_private_key, sign_digest
from lazai_core.api.types import Hash32, Height, to_hex
from lazai_core.builtin.solo_consensus import commit_message
from lazai_core.chain.block import BlockHeader
from lazai_core.chain.genesis_file import read_genesis
from lazai_core.chain.light_file import HeaderFile
from lazai_core.chain.receipt_file import JobReceipt
from lazai_core.cli import receipts
from lazai_core.registry.discover import BUILT_IN, Discovery
from tests.unit.cli.box import Answer, run
from tests.unit.cli.receipt_sample import ADDRESS, CHAIN_ID, KEY, sample_receipt
from tests.unit.cli.test_verify import genesis

HEIGHTS = 12
CHANGE = 7
"""The first height that the second validator decides."""
SECOND_KEY = bytes(31) + b"\x55"
FIRST = (Validator(address=ADDRESS, power=1),)
SECOND = (Validator(address=address_of_private_key(SECOND_KEY), power=1),)


def members(height: int) -> Sequence[Validator]:
    return FIRST if height < CHANGE else SECOND


def certificate(header: BlockHeader, key: bytes) -> Certificate:
    message = commit_message(CHAIN_ID, header.height, 0, header.hash)
    signature = CommitSignature(
        validator=address_of_private_key(key), signature=sign_digest(signing_digest(message), key)
    )
    return Certificate(height=header.height, round=0, block_id=header.hash, signatures=(signature,))


class Chain:
    """Headers 0 to HEIGHTS; each holds the sample receipt's roots, so that a receipt fits any of them."""

    def __init__(self, start: Hash32, timestamp: int, note: bytes = b"") -> None:
        sample = JobReceipt.decode(sample_receipt())
        self.headers: dict[int, BlockHeader] = {}
        parent = start
        for height in range(HEIGHTS + 1):
            header = evolve(
                sample.header,
                height=Height(height),
                parent_hash=parent,
                timestamp=timestamp + height,
                validators_hash=validators_hash(members(height)),
                next_validators_hash=validators_hash(members(height + 1)),
                extra_data=note,
            )
            self.headers[height] = header
            parent = header.hash
        self.certificates = {
            height: certificate(header, KEY if height < CHANGE else SECOND_KEY)
            for height, header in self.headers.items()
            if height
        }

    def receipt(self, height: int) -> bytes:
        sample = JobReceipt.decode(sample_receipt())
        return evolve(
            sample,
            header=self.headers[height],
            certificate=self.certificates[height],
            validators=tuple(members(height)),
        ).encode()

    def file(self, *heights: int) -> HeaderFile:
        return HeaderFile(
            headers={height: self.headers[height] for height in heights},
            certificates={height: self.certificates[height] for height in heights if height},
            sets={validators_hash(items): items for items in (FIRST, SECOND)},
        )


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chain:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(receipts, "discover", lambda: Discovery(candidates=(BUILT_IN,)))
    genesis()
    made = read_genesis(Path("genesis.json").read_bytes())
    return Chain(made.hash, made.timestamp)


def verify(chain: Chain, height: int, *arguments: str, headers: HeaderFile | None = None) -> Answer:
    Path("receipt.json").write_bytes(chain.receipt(height))
    more: tuple[str, ...] = ()
    if headers is not None:
        Path("headers.json").write_bytes(headers.encode())
        more = ("--headers", "headers.json")
    return run("verify", "receipt.json", *arguments, *more)


def hash_of(chain: Chain, height: int) -> str:
    return to_hex(chain.headers[height].hash)


def test_the_trusted_header_itself_needs_nothing_else(chain: Chain) -> None:
    answer = verify(chain, 9, "--header", hash_of(chain, 9))

    assert answer.code == 0, answer.out
    assert f"trust    header {hash_of(chain, 9)} of height 9, which you trust\n" in answer.out


def test_certificates_lead_forwards_over_a_change_of_validators(chain: Chain) -> None:
    answer = verify(chain, 11, "--header", hash_of(chain, 2), headers=chain.file(*range(2, 12)))

    assert answer.code == 0, answer.out
    assert f"trust    header {hash_of(chain, 2)} of height 2, which you trust, and" in answer.out
    assert "assumed  the validators of height 2 were bound by their stake up to height 11" in answer.out


def test_a_genesis_leads_to_every_block(chain: Chain) -> None:
    answer = verify(chain, 11, "--genesis", "genesis.json", headers=chain.file(*range(12)))

    assert answer.code == 0, answer.out
    assert "trust    genesis 0x" in answer.out
    # Without the headers in between the genesis' validators are not those of the block.
    alone = verify(chain, 11, "--genesis", "genesis.json")
    assert alone.code == 4
    assert "the block's validators have hash" in alone.out


def test_hashes_lead_back_from_a_newer_header(chain: Chain) -> None:
    answer = verify(chain, 3, "--header", hash_of(chain, 9), headers=chain.file(*range(3, 10)))

    assert answer.code == 0, answer.out
    assert "which you trust, and 6 hashes back from there" in answer.out


def test_a_block_of_another_chain_of_the_same_validators_is_refused(chain: Chain) -> None:
    fork = Chain(chain.headers[0].parent_hash, chain.headers[0].timestamp, b"fork")

    back = verify(fork, 3, "--header", hash_of(chain, 9), headers=chain.file(*range(3, 10)))
    assert back.code == 4
    assert "the chain's block of height 3 is" in back.out
    mixed = HeaderFile(
        headers={**chain.file(9).headers, **fork.file(*range(3, 9)).headers}, certificates={}, sets={}
    )
    assert "not the parent" in verify(fork, 3, "--header", hash_of(chain, 9), headers=mixed).out
    on = verify(fork, 3, "--header", hash_of(chain, 2), headers=chain.file(2))
    assert "does not follow the trusted header" in on.out


@pytest.mark.parametrize(
    ("heights", "text"),
    [
        (range(3, 12), "do not hold the header"),
        ((2, 11), "the headers given lack height 6"),
        (range(2, 6), "the headers given lack height 6"),
    ],
)
def test_headers_that_lead_nowhere_are_refused(chain: Chain, heights: Sequence[int], text: str) -> None:
    answer = verify(chain, 11, "--header", hash_of(chain, 2), headers=chain.file(*heights))

    assert answer.code == 4
    assert "trust: " in answer.out
    assert text in answer.out


def test_a_receipt_without_the_headers_in_between_is_refused_with_advice(chain: Chain) -> None:
    answer = verify(chain, 11, "--header", hash_of(chain, 2))

    assert answer.code == 4
    assert "not of the header that you trust" in answer.out
    assert "lazai headers export" in answer.out


def test_a_validator_that_nobody_announced_is_refused(chain: Chain) -> None:
    # The second validator certifies a block of a height at which the first decided.
    header = evolve(chain.headers[5], validators_hash=validators_hash(SECOND))
    sample = JobReceipt.decode(chain.receipt(5))
    forged = evolve(sample, header=header, certificate=certificate(header, SECOND_KEY), validators=SECOND)
    for start in (2, 4):
        Path("receipt.json").write_bytes(forged.encode())
        Path("headers.json").write_bytes(chain.file(2, 3, 4).encode())
        answer = run("verify", "receipt.json", "--header", hash_of(chain, start), "--headers", "headers.json")
        assert answer.code == 4, answer.out
        assert "trust: height 5 is signed by another set than was announced" in answer.out


def test_another_genesis_is_no_beginning(chain: Chain) -> None:
    other = Chain(Hash32(bytes(32)), chain.headers[0].timestamp)

    answer = verify(other, 11, "--genesis", "genesis.json", headers=other.file(*range(12)))

    assert answer.code == 4
    assert "the first of the headers given is not of this genesis" in answer.out


def test_the_trusting_period_is_kept(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    start = chain.headers[2].timestamp
    arguments = ("--header", hash_of(chain, 2), "--trusting-period", "100")
    headers = chain.file(*range(2, 12))

    monkeypatch.setattr(time, "time", lambda: start + 99)
    answer = verify(chain, 11, *arguments, headers=headers)
    assert answer.code == 0
    assert "the trusting period says so" in answer.out
    monkeypatch.setattr(time, "time", lambda: start + 100)
    assert "older than the trusting period" in verify(chain, 11, *arguments, headers=headers).out


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-1],
        lambda data: data.replace(b'"0x', b'"0X', 1),
        lambda data: data + b" ",
        lambda data: b"[]",
    ],
)
def test_a_file_that_holds_no_headers_is_named(chain: Chain, change: Callable[[bytes], bytes]) -> None:
    data = change(chain.file(2, 3).encode())
    Path("receipt.json").write_bytes(chain.receipt(3))
    Path("headers.json").write_bytes(data)

    answer = run("verify", "receipt.json", "--header", hash_of(chain, 2), "--headers", "headers.json")

    assert answer.code == 4
    assert "headers.json: the headers cannot be read" in answer.err
    with pytest.raises(EncodingError):
        HeaderFile.decode(data)


def test_headers_alone_are_no_trust(chain: Chain) -> None:
    answer = verify(chain, 3, headers=chain.file(2, 3))

    assert answer.code == 2
    assert "give --header or --genesis, too" in answer.err


def test_header_files_round_trip(chain: Chain) -> None:
    held = chain.file(*range(12))

    assert HeaderFile.decode(held.encode()) == held
    assert held.find(chain.headers[5].hash) == chain.headers[5]
    assert held.find(Hash32(bytes(32))) is None


def _sample_file() -> bytes:
    return Chain(Hash32(bytes(32)), 1_700_000_000).file(2, 3, 9).encode()


SAMPLE = _sample_file()


@given(st.data())
def test_any_changed_byte_of_a_header_file_is_refused_or_another_file(data: st.DataObject) -> None:
    changed = bytearray(SAMPLE)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))

    with contextlib.suppress(EncodingError):
        assert HeaderFile.decode(bytes(changed)).encode() == bytes(changed)


@given(st.binary(max_size=300))
def test_any_bytes_are_no_header_file(data: bytes) -> None:
    for raw in (data, SAMPLE[: len(SAMPLE) // 2] + data, b'{"blocks":[["0x' + data.hex().encode() + b'","0x"]]}'):
        with pytest.raises(EncodingError):
            HeaderFile.decode(raw)
