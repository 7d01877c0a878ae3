"""Runs state tests of the execution-spec-tests fixtures on LazVM's rules."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import frozen

from lazai_core.api.errors import InvalidTransaction
from lazai_core.api.hashing import keccak256
from lazai_core.api.types import Address
from lazai_core.builtin.stores import MemoryStore
from lazai_core.chain.rlp_codec import encode
from lazai_core.chain.transaction import decode_transaction
from lazai_core.chain.trie import EMPTY_ROOT
from lazai_core.chain.witness import BlockMeter
from lazai_core.lazvm.database import NodeReader, StateDatabase
from lazai_core.lazvm.engine import ExecutionContext
from lazai_core.lazvm.ethereum import ethereum_precompiles
from lazai_core.lazvm.execute import run_transaction
from lazai_core.lazvm.fork import LazState


@frozen(kw_only=True)
class StateCase:
    """One post state of one test."""

    name: str
    env: dict[str, Any]
    pre: dict[str, Any]
    chain_id: int
    post: dict[str, Any]

    @property
    def raw(self) -> bytes:
        return bytes.fromhex(self.post["txbytes"][2:])

    @property
    def is_blob(self) -> bool:
        return self.raw[:1] == b"\x03"


def state_cases(folder: Path) -> Iterator[StateCase]:
    """Every Prague post state in the archive, in the order of file names."""
    with tarfile.open(folder / "eest-state-prague.tar.xz") as archive:
        for member in sorted(archive.getmembers(), key=lambda item: item.name):
            file = archive.extractfile(member) if member.isfile() and member.name.endswith(".json") else None
            if file is None:
                continue
            for name, test in sorted(json.load(file).items()):
                for index, post in enumerate(test["post"].get("Prague", ())):
                    yield StateCase(
                        name=f"{name}[{index}]",
                        env=test["env"],
                        pre=test["pre"],
                        chain_id=int(test.get("config", {}).get("chainid", "0x1"), 16),
                        post=post,
                    )


def _number(text: str) -> int:
    return int(text, 16)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def _ancestors(number: int) -> Iterator[bytes]:
    for older in range(number - 1, -1, -1):
        yield keccak256(str(older).encode())


def _context(case: StateCase) -> Any:
    env = case.env
    context = ExecutionContext(
        coinbase=_bytes(env["currentCoinbase"]),
        timestamp=_number(env["currentTimestamp"]),
        block_number=_number(env["currentNumber"]),
        difficulty=0,
        mix_hash=_number(env["currentRandom"]).to_bytes(32, "big"),
        gas_limit=_number(env["currentGasLimit"]),
        prev_hashes=_ancestors(_number(env["currentNumber"])),
        chain_id=case.chain_id,
        base_fee_per_gas=_number(env["currentBaseFee"]),
        excess_blob_gas=_number(env.get("currentExcessBlobGas", "0x0")),
    )
    context.slow_work = BlockMeter("slow work", 2**64)
    return context


def _prestate(case: StateCase, database: StateDatabase) -> Any:
    state = LazState(database, _context(case), EMPTY_ROOT)
    for address_text, account in case.pre.items():
        address = Address(_bytes(address_text))
        state.set_nonce(address, _number(account["nonce"]))
        state.set_balance(address, _number(account["balance"]))
        state.set_code(address, _bytes(account["code"]))
        for slot, value in account["storage"].items():
            state.set_storage(address, _number(slot), _number(value))
    state.persist()
    opened = LazState(database, _context(case), state.state_root)
    opened.precompile_table = ethereum_precompiles()
    return opened


def check_state_case(case: StateCase) -> str:
    """Empty when root and logs come out as the fixture says, else what differs."""
    state = _prestate(case, StateDatabase(NodeReader(MemoryStore())))
    logs: tuple[Any, ...] = ()
    error = ""
    try:
        logs = run_transaction(state, decode_transaction(case.raw)).logs
    except InvalidTransaction as refusal:
        error = refusal.message
    state.persist()
    if bool(error) != ("expectException" in case.post):
        return f"{case.name}: {case.post.get('expectException', 'valid')} expected, got {error or 'valid'}"
    if state.state_root != _bytes(case.post["hash"]):
        return f"{case.name}: another state root {error}"
    found = keccak256(encode([[log.address, list(log.topics), log.data] for log in logs]))
    return "" if found == _bytes(case.post["logs"]) else f"{case.name}: other logs"
