from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from lazai_core.api.types import to_hex
from lazai_core.chain.genesis_file import read_genesis
from lazai_core.config import load_config
from lazai_core.node.identity import load_identity, read_key_file
from tests.unit.cli.box import Answer

Lazai = Callable[..., Answer]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_node_has_all_its_files_and_they_belong_together(lazai: Lazai) -> None:
    answer = lazai("init", "alpha", "--chain-id", "77")

    loaded = load_config(Path("alpha/node.toml"))
    node = loaded.config.node
    genesis = read_genesis(node.genesis.read_bytes())
    identity = load_identity(node.key_file)
    assert answer.code == 0
    assert genesis.chain_id == 77
    assert [validator.address for validator in genesis.validators] == [identity.address]
    assert genesis.governor == identity.address
    assert genesis.plugins == {
        "gas/flat": 2,
        "precompile/ai-call": 1,
        "precompile/proof-check": 1,
        "proof/attestation": 1,
    }
    assert to_hex(identity.address) in answer.out
    assert node.name == "alpha"


def test_secrets_are_private_and_in_no_other_file(lazai: Lazai) -> None:
    answer = lazai("init", "alpha")

    keys = Path("alpha/keys")
    password = (keys / "node.json.password").read_text(encoding="ascii").strip()
    assert (mode(keys / "node.json"), mode(keys / "node.json.password")) == (0o600, 0o600)
    assert mode(keys) == 0o700
    assert len(password) == 32
    texts = [answer.out, answer.err, *(path.read_text() for path in Path("alpha").glob("*.*"))]
    assert not any(password in text for text in texts)
    assert json.loads((keys / "node.json").read_text())["version"] == 3
    assert "for development only" in answer.out


@pytest.mark.parametrize("existing", ["node.toml", "genesis.json", "keys/node.json", "keys/node.json.password"])
def test_nothing_is_overwritten(lazai: Lazai, existing: str) -> None:
    path = Path("alpha", existing)
    path.parent.mkdir(parents=True)
    path.write_text("precious", encoding="utf-8")

    answer = lazai("init", "alpha")

    assert answer.code == 2
    assert f"never overwritten: alpha/{existing}" in answer.err
    assert path.read_text(encoding="utf-8") == "precious"
    assert [item for item in Path("alpha").rglob("*") if item.is_file()] == [path]


def test_the_password_can_come_from_a_file(lazai: Lazai) -> None:
    Path("secret").write_text("correct horse\n", encoding="utf-8")

    assert lazai("init", "alpha", "--password-file", "secret").code == 0

    assert read_key_file(Path("alpha/keys/node.json"), b"correct horse")
    assert not Path("alpha/keys/node.json.password").exists()


def test_the_password_can_come_from_the_environment(lazai: Lazai, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAZAI_KEY_PASSWORD", "correct horse")

    answer = lazai("init", "alpha")

    assert "opens with LAZAI_KEY_PASSWORD" in answer.out
    assert read_key_file(Path("alpha/keys/node.json"), b"correct horse")


def test_the_password_can_be_typed_and_is_not_shown(lazai: Lazai) -> None:
    answer = lazai("init", "alpha", "--ask-password", input="correct horse\ncorrect horse\n")

    assert answer.code == 0
    assert read_key_file(Path("alpha/keys/node.json"), b"correct horse")
    assert "correct horse" not in answer.out + answer.err


@pytest.mark.parametrize("source", ["file", "environment"])
def test_an_empty_password_is_refused(lazai: Lazai, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    Path("secret").write_text("\n", encoding="utf-8")
    if source == "environment":
        monkeypatch.setenv("LAZAI_KEY_PASSWORD", "")
    arguments = ["--password-file", "secret"] if source == "file" else []

    assert lazai("init", "alpha", *arguments).code == 2
    assert not Path("alpha").exists()


def test_accounts_can_be_funded(lazai: Lazai) -> None:
    address = "0x" + "ab" * 20

    assert lazai("init", "alpha", "--fund", address).code == 0

    genesis = read_genesis(Path("alpha/genesis.json").read_bytes())
    assert genesis.balances[bytes.fromhex("ab" * 20)] == 10_000 * 10**18


def test_an_account_that_is_none_is_refused(lazai: Lazai) -> None:
    answer = lazai("init", "alpha", "--fund", "0x12")

    assert answer.code == 2
    assert "an address has 40 hexadecimal digits" in answer.err


@pytest.mark.parametrize(
    ("folder", "name"), [("My Node!", "my-node"), ("7", "node"), ("ünï", "node"), ("deep/er/x1", "x1")]
)
def test_the_name_comes_from_the_folder_as_far_as_it_can(lazai: Lazai, folder: str, name: str) -> None:
    lazai("init", folder)

    assert load_config(Path(folder, "node.toml")).config.node.name == name


def test_two_chains_are_never_the_same(lazai: Lazai) -> None:
    lazai("init", "a1")
    lazai("init", "a2")

    assert Path("a1/genesis.json").read_bytes() != Path("a2/genesis.json").read_bytes()


CONFIG = """
[node]
name = "prover"
genesis = "chain/genesis.json"
key_file = "own/key.json"
[consensus]
use = "solo"
[coprocessor]
use = "reference"
[[proof]]
use = "attestation"
[gas]
use = "flat"
[storage]
use = "lmdb"
[precompiles]
use = ["ai-call"]
"""


def test_a_chain_is_made_for_a_configuration_that_is_there(lazai: Lazai) -> None:
    path = Path("beta/mine.toml")
    path.parent.mkdir()
    path.write_text(CONFIG, encoding="utf-8")

    answer = lazai("init", "--config", str(path), "--chain-id", "9")

    assert answer.code == 0
    assert path.read_text(encoding="utf-8") == CONFIG
    genesis = read_genesis(Path("beta/chain/genesis.json").read_bytes())
    assert genesis.chain_id == 9
    assert genesis.plugins == {"gas/flat": 2, "precompile/ai-call": 1, "proof/attestation": 1}
    identity = load_identity(Path("beta/own/key.json"))
    assert [validator.address for validator in genesis.validators] == [identity.address]
    assert mode(Path("beta/own/key.json.password")) == 0o600
    assert "lazai run beta/mine.toml" in answer.out
    again = lazai("init", "--config", str(path))
    assert again.code == 2
    assert "beta/chain/genesis.json, beta/own/key.json, beta/own/key.json.password" in again.err


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (('"flat"', '"tarif"'), 'mine.toml:13: gas.use: no gas policy is called "tarif"'),
        (("[storage]", "[storge]"), "storge"),
        (('["ai-call"]', '["median"]'), "median"),
    ],
)
def test_a_configuration_with_problems_makes_no_chain(lazai: Lazai, change: tuple[str, str], reason: str) -> None:
    Path("mine.toml").write_text(CONFIG.replace(*change), encoding="utf-8")

    answer = lazai("init", "--config", "mine.toml")

    assert answer.code == 2
    assert reason in answer.err
    assert not Path("chain").exists()
    assert not Path("own").exists()


@pytest.mark.parametrize("more", [["alpha"], ["--name", "alpha"]])
def test_a_configuration_that_is_there_has_its_folder_and_name(lazai: Lazai, more: list[str]) -> None:
    Path("mine.toml").write_text(CONFIG, encoding="utf-8")

    assert lazai("init", "--config", "mine.toml", *more).code == 2
    assert not Path("chain").exists()
