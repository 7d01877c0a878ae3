"""Contracts compiled with solc and run in py-evm."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

COMPILE = """
const solc = require(process.argv[1]);
let text = "";
process.stdin.on("data", (part) => { text += part; }).on("end", () => {
  const outputSelection = { "*": { "*": ["evm.bytecode.object", "evm.methodIdentifiers"] } };
  const settings = { evmVersion: "prague", optimizer: { enabled: true, runs: 200 }, outputSelection };
  const input = { language: "Solidity", sources: { "a.sol": { content: text } }, settings };
  console.log(solc.compile(JSON.stringify(input)));
});
"""
GAS_LIMIT = 5_000_000
BALANCE = 10**24


def solc_folder() -> Path:
    named = os.environ.get("LAZAI_SOLC")
    folder = Path(named) if named else Path(__file__).resolve().parents[3] / "contracts" / "node_modules" / "solc"
    if not folder.is_dir() or shutil.which("node") is None:
        pytest.skip("the Solidity compiler is not here: run `npm ci` in contracts, or set LAZAI_SOLC to its folder")
    return folder


def compiled(text: str, name: str) -> tuple[bytes, bytes]:
    """Creation code and the selector of `verifyProof`; warnings fail."""
    command = ["node", "-e", COMPILE, str(solc_folder())]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True, timeout=120)
    output = json.loads(done.stdout)
    assert not output.get("errors"), output["errors"][0]["formattedMessage"]
    evm = output["contracts"]["a.sol"][name]["evm"]
    ((_, selector),) = [entry for entry in evm["methodIdentifiers"].items() if entry[0].startswith("verifyProof")]
    return bytes.fromhex(evm["bytecode"]["object"]), bytes.fromhex(selector)


class Chain:
    """One py-evm state under the rules of Prague."""

    def __init__(self) -> None:
        from eth.chains.base import MiningChain
        from eth.db.atomic import AtomicDB
        from eth.vm.forks.prague import PragueVM
        from eth_keys.datatypes import PrivateKey

        self._key = PrivateKey(b"\x01" * 32)
        account: Any = {"balance": BALANCE, "nonce": 0, "code": b"", "storage": {}}
        genesis: Any = {"difficulty": 0, "gas_limit": 30_000_000, "timestamp": 1, "extra_data": b"", "nonce": bytes(8)}
        chain = MiningChain.configure(__name__="TestChain", vm_configuration=((0, PragueVM),), chain_id=1)
        state: Any = {self._key.public_key.to_canonical_address(): account}
        self._vm = chain.from_genesis(AtomicDB(), genesis, state).get_vm()
        self._nonce = 0

    def send(self, to: bytes, data: bytes) -> tuple[Any, int]:
        """The computation and the whole transaction's gas."""
        address: Any = to
        unsigned = self._vm.create_unsigned_transaction(
            nonce=self._nonce, gas_price=10**10, gas=GAS_LIMIT, to=address, value=0, data=data
        )
        self._nonce += 1
        transaction = unsigned.as_signed_transaction(self._key, chain_id=1)
        computation = self._vm.state.apply_transaction(transaction)
        return computation, transaction.intrinsic_gas + computation.get_gas_used()


def arguments(proof: bytes, public: tuple[int, ...], context: bytes | None = None) -> bytes:
    """The call's arguments as Solidity's ABI lays them out."""
    static = proof + b"".join(value.to_bytes(32, "big") for value in public)
    if context is None:
        return static
    tail = len(context).to_bytes(32, "big") + context.ljust(-(-len(context) // 32) * 32, b"\0")
    return static + (len(static) + 32).to_bytes(32, "big") + tail


class Verifier:
    """A deployed contract."""

    def __init__(self, text: str, name: str = "PlonkVerifier") -> None:
        code, self._selector = compiled(text, name)
        self._chain = Chain()
        created, _ = self._chain.send(b"", code)
        assert created.is_success, created.error
        self._address = created.msg.storage_address

    def verify(self, proof: bytes, public: tuple[int, ...], context: bytes | None = None) -> tuple[bool, int]:
        """The answer and the transaction's gas. Numbers must fit 256 bits; native mode has a context."""
        data = self._selector + arguments(proof, public, context)
        computation, gas = self._chain.send(self._address, data)
        assert computation.is_success, computation.error
        assert len(computation.output) == 32
        return bool(int.from_bytes(computation.output, "big")), gas


ETHEREUMJS = """
import { readFileSync } from "node:fs";
const { createEVM } = await import(process.argv[2] + "/@ethereumjs/evm/dist/esm/index.js");
const { Common, Mainnet, Hardfork } = await import(process.argv[2] + "/@ethereumjs/common/dist/esm/index.js");
const { hexToBytes, bytesToHex } = await import(process.argv[2] + "/@ethereumjs/util/dist/esm/index.js");
const input = JSON.parse(readFileSync(0, "utf8"));
const evm = await createEVM({ common: new Common({ chain: Mainnet, hardfork: Hardfork.Prague }) });
const made = await evm.runCall({ data: hexToBytes(input.code), gasLimit: 10000000n });
const answers = [];
for (const call of input.calls) {
  const done = await evm.runCall({ to: made.createdAddress, data: hexToBytes(call), gasLimit: 5000000n });
  answers.push(BigInt(bytesToHex(done.execResult.returnValue)) === 1n);
}
console.log(JSON.stringify(answers));
"""


Call = tuple[bytes, tuple[int, ...]] | tuple[bytes, tuple[int, ...], bytes]


def second_opinion(text: str, calls: Sequence[Call], folder: Path) -> list[bool]:
    """The contract's answers in ethereumjs' EVM; skips where that is not installed."""
    named = os.environ.get("LAZAI_ETHEREUMJS")
    if named is None or not (Path(named) / "@ethereumjs" / "evm").is_dir():
        pytest.skip("ethereumjs is not here; set LAZAI_ETHEREUMJS to a node_modules folder with @ethereumjs/evm")
    code, selector = compiled(text, "PlonkVerifier")
    script = folder / "second.mjs"
    script.write_text(ETHEREUMJS)
    words = [arguments(*call) for call in calls]
    document = {"code": "0x" + code.hex(), "calls": ["0x" + (selector + each).hex() for each in words]}
    command = ["node", str(script), named]
    done = subprocess.run(command, input=json.dumps(document), capture_output=True, text=True, check=True, timeout=120)
    answers: list[bool] = json.loads(done.stdout)
    return answers
