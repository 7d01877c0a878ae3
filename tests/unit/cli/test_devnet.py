"""`lazai devnet`: the files of a network, and what stops one from starting."""

from __future__ import annotations

import json
import socket
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lazai_core.chain.genesis_file import read_genesis
from lazai_core.cli.main import cli, run_cli
from lazai_core.config import load_config
from lazai_core.config.peer_address import PeerAddress
from lazai_core.node.devnet import free_base_port, read_devnet
from lazai_core.node.identity import load_identity

pytest.importorskip("lazai_consensus_bft")
pytest.importorskip("lazai_api_openai")


def devnet(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["devnet", *arguments])


def test_each_node_has_its_own_key_and_knows_all_others(tmp_path: Path) -> None:
    folder = tmp_path / "net"
    result = devnet("--dir", str(folder), "--init-only", "--validators", "4", "--idaos", "2", "--base-port", "20000")
    assert result.exit_code == 0, result.output
    network = read_devnet(folder)
    genesis = read_genesis((folder / "genesis.json").read_bytes(), name="genesis")
    keys = {load_identity(node.folder / "keys" / "node.json").address for node in network.nodes}
    assert keys == {validator.address for validator in genesis.validators}
    assert len({validator.idao for validator in genesis.validators}) == 2
    for node in network.nodes:
        config = load_config(node.config).config
        assert config.network is not None
        assert config.network.listen == node.network
        peers = {str(PeerAddress.parse(peer)) for peer in config.network.peers}
        assert peers == {f"{other.address}@{other.network}" for other in network.nodes if other is not node}
        assert (node.folder / "genesis.json").read_bytes() == genesis.canonical
        for secret in (node.folder / "keys").iterdir():
            assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    account = load_identity(folder / "account.json").address
    assert genesis.balances[account] == 10_000 * 10**18


def test_files_for_hosts_listen_for_everybody_and_are_not_run_here(tmp_path: Path) -> None:
    folder = tmp_path / "net"
    result = devnet("--dir", str(folder), "--validators", "3", "--hosts", "10.0.0.1,10.0.0.2,10.0.0.1")
    assert result.exit_code == 0, result.output
    assert "copy each folder to its host" in result.output
    places = [node.network for node in read_devnet(folder).nodes]
    assert places == ["10.0.0.1:26700", "10.0.0.2:26700", "10.0.0.1:26701"]
    config = load_config(folder / "node-2" / "node.toml").config
    assert config.network is not None
    assert config.network.listen == "0.0.0.0:26701"
    assert [choice.options["listen"] for choice in config.service] == ["127.0.0.1:27701"]
    again = devnet("--dir", str(folder))
    assert again.exit_code == 2
    assert "runs on several hosts" in again.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--idaos", "5"), "5 iDAOs for 4 validators"),
        (("--hosts", "10.0.0.1"), "1 hosts for 4 validators"),
        (("--fund", "0x12"), "--fund"),
    ],
)
def test_what_does_not_fit_together_is_told_before_anything_is_written(
    tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    folder = tmp_path / "net"
    result = devnet("--dir", str(folder), "--init-only", *arguments)
    assert result.exit_code == 2
    assert message in result.output
    assert not folder.exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "mine").write_text("x")
    result = devnet("--dir", str(folder), "--init-only")
    assert result.exit_code == 2
    assert "is not empty and holds no network" in result.output
    (folder / "mine").unlink()
    assert devnet("--dir", str(folder), "--init-only").exit_code == 0
    again = devnet("--dir", str(folder), "--init-only")
    assert again.exit_code == 2
    assert "there is a network" in again.output


def test_ports_in_use_are_named_with_who_holds_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, base = tmp_path / "net", free_base_port(4)
    assert devnet("--dir", str(folder), "--init-only", "--base-port", str(base)).exit_code == 0
    with socket.socket() as held:
        held.bind(("127.0.0.1", base + 1001))
        held.listen()
        assert run_cli(["devnet", "--dir", str(folder)]) == 1
    error = capsys.readouterr().err
    assert f"127.0.0.1:{base + 1001} is held by pid" in error
    assert f"--base-port {base + 100}" in error


def test_a_folder_that_is_no_network_is_told_apart(tmp_path: Path) -> None:
    folder = tmp_path / "net"
    folder.mkdir()
    for text in ("{", "[]", json.dumps({"format": "other"})):
        (folder / "devnet.json").write_text(text)
        assert run_cli(["devnet", "--dir", str(folder)]) == 1
