"""A gateway for services that are tested without a node: it serves no model and says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from lazai_core.api.errors import Busy, UnknownModel
from lazai_core.api.gas import FeeState, GasQuote
from lazai_core.api.service import (
    AccountStatus,
    BlockInfo,
    InferenceOutcome,
    InferenceRequest,
    NodeStatus,
    Readiness,
    ServedModel,
    TransactionStatus,
)
from lazai_core.api.types import SETTLEMENT_ADDRESS, Address, DatId, Gas, Hash32, Height, ModelId, Wei
from lazai_core.testing.parts import KnownIdentity
from lazai_core.testing.sample import CHAIN_ID


class EmptyGateway:
    """`lazai_core.api.service.Gateway` of a node that is ready and holds nothing."""

    def __init__(self, *, ready: bool = True) -> None:
        self.chain_id = CHAIN_ID
        self.node_address: Address = KnownIdentity().address
        self.settlement_address: Address = SETTLEMENT_ADDRESS
        self.ready = ready

    def readiness(self) -> Readiness:
        """As it was made."""
        return Readiness(ready=self.ready, failing=() if self.ready else ("everything",), height=Height(1))

    def node_status(self) -> NodeStatus:
        """Alone, with nothing but a genesis block."""
        return NodeStatus(
            height=Height(0),
            block_hash=Hash32(bytes(32)),
            block_timestamp=0,
            deciding=Height(1),
            round=0,
            step="propose",
            validators=1,
            is_validator=True,
            transactions_waiting=0,
            peers=(),
            faults={},
        )

    async def block(self, height: Height) -> BlockInfo | None:
        """None."""
        return None

    def served_models(self) -> Sequence[ServedModel]:
        """None."""
        return ()

    def find_model(self, name: str) -> ServedModel:
        """Raises UnknownModel."""
        self._refuse(name)

    async def quote(
        self, model: ModelId, inputs: Sequence[bytes], dats: Sequence[DatId] = (), proof_system: str = ""
    ) -> GasQuote:
        """Raises UnknownModel."""
        self._refuse(model.hex())

    async def submit(self, request: InferenceRequest) -> InferenceOutcome:
        """Raises UnknownModel."""
        self._refuse(request.model.hex())

    async def receipt(self, receipt_id: str) -> bytes | None:
        """None."""
        return None

    async def next_counter(self, user: Address, lane: int) -> int:
        """0."""
        return 0

    async def balance(self, user: Address) -> Wei:
        """Nothing."""
        return Wei(0)

    async def account(self, address: Address) -> AccountStatus:
        """An account that was never used."""
        return AccountStatus(balance=Wei(0), nonce=0)

    def fees(self) -> FeeState:
        """Those of an empty chain."""
        return FeeState(
            base_fee_per_gas=Wei(10**9),
            gas_used=Gas(0),
            gas_target=Gas(15_000_000),
            compute_base_fee_per_gas=Wei(10**9),
            compute_gas_used=Gas(0),
            compute_gas_target=Gas(50_000_000),
        )

    async def send_raw_transaction(self, raw: bytes) -> Hash32:
        """Raises Busy: there is no pool."""
        raise Busy("this gateway has no pool for transactions")

    async def transaction_status(self, transaction_hash: Hash32, *, wait: bool = False) -> TransactionStatus | None:
        """None: no transaction is known."""
        return None

    async def call(self, to: Address, data: bytes) -> bytes:
        """What an account without code returns."""
        return b""

    def _refuse(self, name: str) -> NoReturn:
        raise UnknownModel(f"no model is called {name!r}; this node serves none")
