"""Signed transfers sent over HTTP at a steady rate, from a process of its own: what users of a network look like."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict, define, field, frozen

from lazai_core.api.errors import LazAIError
from lazai_core.api.hashing import address_of_private_key, keccak256
from lazai_core.api.types import Address, Gas, Wei
from lazai_core.chain.genesis import GenesisContract
from lazai_core.node.devnet import NodeClient

FORMAT = "lazai/load/v1"
ACCOUNTS = 400
TICK_S = 0.1
LOOK_S = 0.1
SETTLE_S = 15.0
_TOKEN = Address(b"\x70" * 20)
_TOKENS = 10**12
_GAS_TRANSFER = 80_000
_GWEI = 10**9


@frozen(kw_only=True)
class LoadPlan:
    """How much is sent, and for how long."""

    rate_per_second: int
    seconds: float
    chain_id: int

    @property
    def count(self) -> int:
        """Transactions in all."""
        return int(self.rate_per_second * self.seconds)

    def to_json(self) -> str:
        """For the command line of the load's process."""
        return json.dumps(asdict(self))


def _key(number: int) -> bytes:
    return (0x1A2A1 << 128 | number + 1).to_bytes(32, "big")


def load_accounts(plan: LoadPlan) -> list[Address]:
    """Who sends: no account has more than a handful of transactions under way."""
    return [address_of_private_key(_key(number)) for number in range(ACCOUNTS)]


def token_contract(accounts: Sequence[Address]) -> tuple[Address, GenesisContract]:
    """An ERC-20 token of which each account holds plenty."""
    from lazai_core.chain.storage_layout import mapping_slot
    from lazai_core.chain.system_contracts import artifact, runtime_code

    layout = {item["label"]: int(item["slot"]) for item in artifact("Token")["storageLayout"]["storage"]}
    balances = {mapping_slot(layout["balanceOf"], account): _TOKENS for account in accounts}
    return _TOKEN, GenesisContract(code=runtime_code("Token"), storage=balances)


def signed_transfers(plan: LoadPlan) -> Iterator[tuple[int, bytes]]:
    """Account and raw bytes of each transfer: every account in turn pays a holder that has nothing yet."""
    from lazai_core.chain.abi import encode_call
    from lazai_core.chain.transaction import Transaction

    for number in range(plan.count):
        nonce, account = divmod(number, ACCOUNTS)
        holder = Address((number + (1 << 100)).to_bytes(20, "big"))
        transaction = Transaction(
            chain_id=plan.chain_id,
            nonce=nonce,
            max_fee_per_gas=Wei(10 * _GWEI),
            max_priority_fee_per_gas=Wei(_GWEI),
            gas=Gas(_GAS_TRANSFER),
            to=_TOKEN,
            data=encode_call("transfer(address,uint256)", holder, 7),
        )
        yield account, transaction.signed(_key(account)).raw


@define(eq=False)
class _Sender(threading.Thread):
    """Sends its share to one node, and watches that node's blocks for it."""

    place: str
    share: list[tuple[float, bytes]]
    started_at: float
    ends_s: float
    sent: dict[str, float] = field(factory=dict)
    final: dict[str, float] = field(factory=dict)
    refused: int = 0
    reason: str = ""

    def __attrs_pre_init__(self) -> None:
        super().__init__(daemon=True)

    def run(self) -> None:
        client = NodeClient(self.place)
        height = int(client.get("/status")["height"]) + 1
        sent_index, looked = 0, 0.0
        while self._now() < self.ends_s:
            due = sent_index
            while due < len(self.share) and self.share[due][0] <= self._now():
                due += 1
            if due > sent_index:
                self._send(client, self.share[sent_index:due])
                sent_index = due
            if self._now() - looked >= LOOK_S:
                looked = self._now()
                height = self._look(client, height)
            if sent_index == len(self.share) and len(self.final) + self.refused == len(self.share):
                return
            time.sleep(TICK_S / 2)

    def _now(self) -> float:
        return time.time() - self.started_at

    def _send(self, client: NodeClient, share: Sequence[tuple[float, bytes]]) -> None:
        # The time at which a transaction was due counts, so that a slow node cannot make its load lighter.
        for due, raw in share:
            self.sent["0x" + keccak256(raw).hex()] = due
        try:
            answers = client.post("/v1/lazai/transactions", {"raw": ["0x" + raw.hex() for _, raw in share]})["data"]
        except (OSError, LazAIError) as error:
            self.refused += len(share)
            self.reason = str(error)
            return
        bad = [answer["error"]["message"] for answer in answers if "error" in answer]
        self.refused += len(bad)
        self.reason = bad[0] if bad else self.reason

    def _look(self, client: NodeClient, height: int) -> int:
        while int(client.get("/status")["height"]) >= height:
            block = client.get(f"/v1/lazai/blocks/{height}")
            now = self._now()
            for name in block["transactions"]:
                if name in self.sent:
                    self.final[name] = now
            height += 1
        return height


def run_load(plan: LoadPlan, places: Sequence[str]) -> dict[str, Any]:
    """Send everything and wait for it to be final; the samples as [sent, latency or None] in seconds."""
    _say(0, plan.count, "signing")
    transfers = list(signed_transfers(plan))
    shares: list[list[tuple[float, bytes]]] = [[] for _ in places]
    for number, (account, raw) in enumerate(transfers):
        # An account always uses the same node, as a wallet does.
        shares[account % len(places)].append((number / plan.rate_per_second, raw))
    started_at = time.time() + 1
    ends_s = plan.seconds + SETTLE_S
    senders = [_Sender(place, share, started_at, ends_s) for place, share in zip(places, shares, strict=True)]
    for sender in senders:
        sender.start()
    while any(sender.is_alive() for sender in senders):
        final = sum(len(sender.final) for sender in senders)
        _say(final, plan.count, f"transfers final after {max(0.0, time.time() - started_at):.0f} s")
        time.sleep(0.5)
    samples = [
        [round(sent, 3), round(sender.final[name] - sent, 4) if name in sender.final else None]
        for sender in senders
        for name, sent in sender.sent.items()
    ]
    reason = next((sender.reason for sender in senders if sender.reason), "")
    refused = sum(sender.refused for sender in senders)
    return {"format": FORMAT, "started_at": started_at, "samples": samples, "refused": refused, "reason": reason}


def _say(done: int, total: int, text: str) -> None:
    sys.stdout.write(f"{done} {total} {text}\n")
    sys.stdout.flush()


def main() -> None:
    """Entry point of the load's process: file for the answer, plan, and the nodes' addresses."""
    target, plan, *places = sys.argv[1:]
    document = run_load(LoadPlan(**json.loads(plan)), places)
    Path(target).write_text(json.dumps(document), encoding="utf-8")
