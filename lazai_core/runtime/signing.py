"""Turns the node's calls into transactions, at the moment their nonces are known."""

from __future__ import annotations

from attrs import evolve

from lazai_core.api.needs import NodeIdentity
from lazai_core.api.types import Wei
from lazai_core.chain.transaction import DYNAMIC_FEE, Transaction
from lazai_core.lazvm.vm import LazVM

from .pricing import Pricing
from .work import NodeCall


class CallSigner:
    """Signs for the next block: its base fee, no tip (the node pays itself), the node's next nonce."""

    def __init__(self, *, vm: LazVM, pricing: Pricing, identity: NodeIdentity) -> None:
        self._vm = vm
        self._pricing = pricing
        self._identity = identity

    def next_nonce(self) -> int:
        """The node account's nonce at the head."""
        return self._vm.state().nonce(self._identity.address)

    def sign(self, call: NodeCall, nonce: int | None = None) -> Transaction:
        """The call as a signed transaction; `nonce` None takes the next one."""
        base_fee, _ = self._vm.next_base_fees()
        transaction = Transaction(
            type_id=DYNAMIC_FEE,
            chain_id=self._vm.genesis.chain_id,
            nonce=self.next_nonce() if nonce is None else nonce,
            max_fee_per_gas=Wei(base_fee),
            max_priority_fee_per_gas=Wei(0),
            gas=self._pricing.gas_limit(call.fixed_gas, call.runs),
            to=call.to,
            data=call.data,
        )
        signature = self._identity.sign(transaction.signing_digest())
        return evolve(
            transaction,
            r=int.from_bytes(signature[:32], "big"),
            s=int.from_bytes(signature[32:64], "big"),
            y_parity=signature[64] - 27,
        )
