"""The node's key: encrypted at rest, never overwritten, never printed."""

from __future__ import annotations

import json
import pickle
import stat
from pathlib import Path

import pytest

from lazai_core.api.errors import AssemblyError, StorageError
from lazai_core.api.hashing import keccak256, recover_address
from lazai_core.node.identity import KeyIdentity, Secret, load_identity, new_private_key, read_key_file, write_key_file

# EIP-712's example account.
KEY = Secret(keccak256(b"cow"))
ADDRESS = "cd2a3d9f938e13cd947ec05abc7fe734df8dd826"


def test_a_key_file_opens_with_its_password_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAZAI_KEY_PASSWORD", raising=False)
    path = tmp_path / "node.json"
    write_key_file(path, KEY, b"right", work_factor=1000)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["address"].removeprefix("0x").lower() == ADDRESS
    assert read_key_file(path, b"right").reveal() == KEY.reveal()
    with pytest.raises(AssemblyError, match="LAZAI_KEY_PASSWORD"):
        load_identity(path)
    monkeypatch.setenv("LAZAI_KEY_PASSWORD", "right")
    assert load_identity(path).address.hex() == ADDRESS
    monkeypatch.delenv("LAZAI_KEY_PASSWORD")
    path.with_name("node.json.password").write_text("right\n")
    assert load_identity(path).address.hex() == ADDRESS


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "node.json"
    path.write_text("precious")

    with pytest.raises(StorageError, match="already"):
        write_key_file(path, KEY, b"x", work_factor=1000)
    assert path.read_text() == "precious"


@pytest.mark.parametrize("content", ["", "{}", "[]", "not JSON", '{"version": 3}', '{"version": 3, "crypto": {}}'])
def test_a_damaged_key_file_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "node.json"
    path.write_text(content)

    with pytest.raises(AssemblyError, match=r"node\.json"):
        read_key_file(path, b"x")


def test_an_absent_key_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(AssemblyError, match="lazai init"):
        read_key_file(tmp_path / "none.json", b"")


def test_a_secret_shows_nothing() -> None:
    identity = KeyIdentity(KEY)

    for text in (repr(KEY), str(KEY), f"{KEY}", repr(identity), repr({"key": KEY})):
        assert KEY.reveal().hex() not in text
    with pytest.raises(TypeError):
        pickle.dumps(KEY)


def test_signatures_are_the_accounts_own() -> None:
    digest = keccak256(b"message")

    assert recover_address(digest, KeyIdentity(KEY).sign(digest)).hex() == ADDRESS
    assert len({new_private_key().reveal() for _ in range(8)}) == 8
