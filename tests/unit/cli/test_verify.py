from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lazai_core.api.consensus import validators_hash
from lazai_core.api.errors import PluginMissing
from lazai_core.api.types import to_hex
from lazai_core.cli import receipts
from lazai_core.cli.offline import OfflineConsensus, OfflineSystems
from lazai_core.cli.receipts import TrustRoot, check_files
from lazai_core.registry import load_catalog
from lazai_core.registry.discover import BUILT_IN, Discovery
from tests.unit.cli.box import Answer, run
from tests.unit.cli.receipt_sample import ADDRESS, CHAIN_ID, VALIDATORS, sample_receipt

MEMBERS = to_hex(validators_hash(VALIDATORS))


@pytest.fixture
def verify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answer]:
    """Run `lazai verify` on a good receipt with only the built-in plugin installed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(receipts, "discover", lambda: Discovery(candidates=(BUILT_IN,)))
    Path("good.json").write_bytes(sample_receipt())
    return lambda *arguments: run("verify", *arguments)


def genesis(validator: bytes = ADDRESS, chain_id: int = CHAIN_ID) -> str:
    from lazai_core.cli.new_node import choose_parts, new_genesis

    parts = choose_parts(load_catalog(Discovery(candidates=(BUILT_IN,))))
    made = new_genesis(parts, chain_id=chain_id, validator=validator, timestamp=1)  # type: ignore[arg-type]
    Path("genesis.json").write_bytes(made.canonical)
    return to_hex(made.hash)


def test_a_good_receipt_is_accepted_and_says_what_that_means(verify: Callable[..., Answer]) -> None:
    answer = verify("good.json")

    assert answer.code == 0, answer.out
    assert answer.out.startswith("accepted  good.json\n  proven   block 3 0x")
    assert f"worker {to_hex(ADDRESS)} signed the statement" in answer.out
    assert "assumed  the validators executed the block" in answer.out
    assert f"trust    not given: the file's own validators hash {MEMBERS} was used" in answer.out


def test_the_document_for_scripts(verify: Callable[..., Answer]) -> None:
    document = json.loads(verify("good.json", "--json", "--trust", MEMBERS).out)

    (receipt,) = document["receipts"]
    assert document["accepted"] is True
    assert sorted(receipt) == ["accepted", "assumed", "check", "facts", "file", "proven", "reason", "trust"]
    assert receipt["trust"] == f"validators hash {MEMBERS}, given by you"
    assert receipt["facts"]["height"] == 3


def test_a_receipt_of_other_validators_is_refused(verify: Callable[..., Answer]) -> None:
    answer = verify("good.json", "--trust", "0x" + "00" * 32)

    assert answer.code == 4
    assert "REFUSED   good.json\n  trust: the block's validators have hash" in answer.out


def test_the_genesis_can_be_the_trust_root(verify: Callable[..., Answer]) -> None:
    digest = genesis()

    assert (
        f"trust    validators of the genesis {digest}, which you trust"
        in verify("good.json", "--genesis", "genesis.json").out
    )
    assert "whose hash you gave" in verify("good.json", "--genesis", "genesis.json", "--trust", digest).out


def test_another_genesis_is_refused(verify: Callable[..., Answer]) -> None:
    genesis(validator=b"\x11" * 20)
    assert verify("good.json", "--genesis", "genesis.json").code == 4
    genesis(chain_id=1)
    answer = verify("good.json", "--genesis", "genesis.json")
    assert answer.code == 4
    assert f"the receipt is of chain {CHAIN_ID}, the genesis of 1" in answer.out
    answer = verify("good.json", "--genesis", "genesis.json", "--trust", MEMBERS)
    assert answer.code == 4
    assert "error: trust: genesis.json has hash" in answer.err


def test_one_bad_receipt_among_good_ones_decides(verify: Callable[..., Answer]) -> None:
    Path("bad.json").write_bytes(sample_receipt(key=bytes(31) + b"\x08"))

    answer = verify("good.json", "bad.json")

    assert answer.code == 4
    assert "accepted  good.json" in answer.out
    assert "REFUSED   bad.json\n  signature: the attestation names worker" in answer.out


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ([], 2, "Missing argument 'RECEIPT...'"),
        (["absent.json"], 2, "does not exist"),
        (["good.json", "--trust", "0x12"], 2, "a hash has 64 hexadecimal digits"),
        (["good.json", "--consensus", "bft"], 2, '"bft" comes from lazai-consensus-bft, which is not installed'),
    ],
)
def test_what_cannot_be_checked_is_no_refusal(
    verify: Callable[..., Answer], arguments: list[str], code: int, text: str
) -> None:
    answer = verify(*arguments)

    assert answer.code == code
    assert text in answer.err


def test_every_changed_byte_is_refused(verify: Callable[..., Answer]) -> None:
    data = sample_receipt()
    paths = []
    for index in range(len(data)):
        changed = bytearray(data)
        changed[index] ^= 1 + index % 255
        path = Path(f"changed-{index}.json")
        path.write_bytes(changed)
        paths.append(path)

    outcomes = check_files(paths, TrustRoot())

    assert [outcome.file for outcome in outcomes if outcome.accepted] == []
    assert {"form", "certificate", "record path"} <= {outcome.check for outcome in outcomes}


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_a_cut_or_lengthened_receipt_is_refused(verify: Callable[..., Answer], cut: int) -> None:
    Path("cut.json").write_bytes(sample_receipt()[:cut])
    Path("long.json").write_bytes(sample_receipt() + b"\n")

    assert verify("cut.json").code == 4
    assert verify("long.json").code == 4


def test_systems_are_built_when_asked_for_and_named_when_absent() -> None:
    systems = OfflineSystems(load_catalog(Discovery(candidates=(BUILT_IN,))))

    assert list(systems) == ["attestation"]
    assert systems["attestation"] is systems["attestation"]
    with pytest.raises(PluginMissing, match="lazai-proof-stark"):
        systems["stark"]
    systems.close()


def test_several_validators_need_another_engine() -> None:
    rules = OfflineConsensus(load_catalog(Discovery(candidates=(BUILT_IN,))))

    with pytest.raises(PluginMissing, match="lazai-consensus-bft"):
        rules.verify_certificate(None, VALIDATORS * 2, CHAIN_ID)  # type: ignore[arg-type]
