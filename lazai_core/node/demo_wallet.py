"""The demonstration's user: a wallet that talks to the chain by raw transactions and to the API by HTTP."""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from lazai_core.api.authorization import Authorization
from lazai_core.api.errors import InvalidTransaction, LazAIError
from lazai_core.api.hashing import keccak256
from lazai_core.api.service import Gateway, TransactionStatus
from lazai_core.api.types import Address, Gas, Hash32, ModelId, Wei, address_from_hex, hash_from_hex, to_hex
from lazai_core.chain.transaction import DYNAMIC_FEE, Transaction

from .identity import KeyIdentity, Secret

VALID_FOR_SECONDS = 600
FEE_FACTOR = 4
ANSWER_BYTES_MAX = 64 * 2**20
TIMEOUT_SECONDS = 120


@frozen(kw_only=True)
class PaidRequest:
    """The bytes of a request and the header that pays for exactly these bytes."""

    body: bytes
    header: str


class DemoWallet:
    """A key, a nonce, and two ways to the node."""

    def __init__(self, private_key: Secret, gateway: Gateway, base_url: str) -> None:
        self._private_key = private_key
        self._gateway = gateway
        self._base_url = base_url
        self.address: Address = KeyIdentity(private_key).address

    async def send(self, to: Address, data: bytes, *, value: int = 0, gas: int) -> Hash32:
        """Sign and send a transaction; it waits for a block then. Returns its hash."""
        account = await self._gateway.account(self.address)
        transaction = Transaction(
            type_id=DYNAMIC_FEE,
            chain_id=self._gateway.chain_id,
            nonce=account.nonce,
            max_fee_per_gas=Wei(FEE_FACTOR * self._gateway.fees().base_fee_per_gas),
            max_priority_fee_per_gas=Wei(0),
            gas=Gas(gas),
            to=to,
            value=Wei(value),
            data=data,
        ).signed(self._private_key.reveal())
        return await self._gateway.send_raw_transaction(transaction.raw)

    async def included(self, transaction_hash: Hash32) -> TransactionStatus:
        """Wait for a transaction's block. Raises InvalidTransaction when it reverted."""
        status = await self._gateway.transaction_status(transaction_hash, wait=True)
        if status is None or not status.succeeded:
            raise InvalidTransaction(f"transaction {to_hex(transaction_hash)} reverted")
        return status

    async def transact(self, to: Address, data: bytes, *, value: int = 0, gas: int) -> TransactionStatus:
        """`send`, then `included`."""
        return await self.included(await self.send(to, data, value=value, gas=gas))

    def authorize(self, document: Mapping[str, Any], *, model: str, lane: int = 0) -> PaidRequest:
        """Ask the price of a body and sign it for exactly these bytes. Blocks. Raises as `send_paid`."""
        body = json.dumps(document, separators=(",", ":")).encode()
        query = f"user={to_hex(self.address)}&lane={lane}&model={model}"
        answer, _ = self._post(f"/v1/lazai/quote?{query}", body, {})
        authorization = Authorization(
            user=self.address,
            node=address_from_hex(answer["node"]),
            model=ModelId(hash_from_hex(answer["model_digest"])),
            body_hash=keccak256(body),
            max_cost=Wei(int(answer["cost_max"])),
            expiry=int(time.time()) + VALID_FOR_SECONDS,
            lane=lane,
            counter=int(answer["next_counter"]),
        ).signed(self._private_key.reveal(), int(answer["chain_id"]), address_from_hex(answer["settlement"]))
        return PaidRequest(body=body, header=_header(authorization))

    def send_paid(self, path: str, paid: PaidRequest) -> tuple[dict[str, Any], Mapping[str, str]]:
        """POST a signed body: the answer, and its headers in lower case. Blocks.

        Raises OSError where the node cannot be reached, LazAIError with what it said where it refuses.
        """
        return self._post(path, paid.body, {"X-LazAI-Authorization": paid.header})

    def ask(self, path: str, document: Mapping[str, Any], *, model: str) -> dict[str, Any]:
        """`authorize`, then `send_paid`."""
        return self.send_paid(path, self.authorize(document, model=model))[0]

    def fetch(self, path: str) -> bytes:
        """GET raw bytes. Blocks."""
        return self._open(urllib.request.Request(self._base_url + path))[0]

    def _post(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[dict[str, Any], Mapping[str, str]]:
        request = urllib.request.Request(
            self._base_url + path, data=body, headers={"Content-Type": "application/json", **headers}
        )
        data, answered = self._open(request)
        document: dict[str, Any] = json.loads(data)
        return document, answered

    @staticmethod
    def _open(request: urllib.request.Request) -> tuple[bytes, Mapping[str, str]]:
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
                data: bytes = response.read(ANSWER_BYTES_MAX)
                return data, {name.lower(): value for name, value in response.headers.items()}
        except urllib.error.HTTPError as error:
            with error:
                text = error.read(4096).decode("utf-8", errors="replace")
            raise LazAIError(f"{request.full_url} answered {error.code}: {text}") from None


def _header(signed: Authorization) -> str:
    """The request header as the API's README states it."""
    fields = {
        "user": to_hex(signed.user),
        "node": to_hex(signed.node),
        "model": to_hex(signed.model),
        "maxCost": str(signed.max_cost),
        "expiry": str(signed.expiry),
        "lane": str(signed.lane),
        "counter": str(signed.counter),
        "signature": to_hex(signed.signature),
    }
    return base64.urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")
