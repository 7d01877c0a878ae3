"""Every way in which a signed request can be refused, on a real chain, and that a refusal leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from lazai_core.api.errors import (
    AccessDenied,
    BadSignature,
    FeeTooLow,
    InsufficientFunds,
    InvalidInput,
    NonceReused,
    OverLimit,
    PaymentRequired,
    RequestExpired,
    RequestRejected,
    StaleNonce,
    UnknownDat,
    UnknownModel,
)
from lazai_core.api.types import DATA_REGISTRY_ADDRESS, MODEL_REGISTRY_ADDRESS, ModelId
from lazai_core.chain.abi import encode_call
from lazai_core.chain.system_calls import GRANT, REGISTER_DAT, SET_VERIFYING_KEY
from lazai_core.exact.reference import run_job
from lazai_core.node.assemble import Node, assemble
from lazai_core.node.identity import Secret
from lazai_core.testing.parts import account_key
from tests.e2e.solo import SAMPLE, WALLET, authorize, gas_points, plan, request_of, running, settle_in, write_folder

COST = 10**17
INPUT = SAMPLE.job_input(seed=1)
STRANGER = Secret(account_key(200))

Refusal = Callable[[Node], Awaitable[Any]]


def submit(**fields: Any) -> Refusal:
    """Submit with an authorisation that has these fields."""

    async def run(node: Node) -> Any:
        inputs = fields.get("inputs", (INPUT,))
        signed = authorize(body=b"body", max_cost=COST, **{k: v for k, v in fields.items() if k != "inputs"})
        return await node.gateway.submit(request_of(signed, *inputs))

    return run


async def other_body(node: Node) -> Any:
    signed = authorize(body=b"body", max_cost=COST)
    return await node.gateway.submit(evolve(request_of(signed, INPUT), body_hash=bytes(32)))


async def unknown_model(node: Node) -> Any:
    signed = authorize(body=b"body", max_cost=COST)
    return await node.gateway.submit(evolve(request_of(signed, INPUT), model=ModelId(bytes(32))))


async def too_dear(node: Node) -> Any:
    quote = await node.gateway.quote(SAMPLE.model.program.digest(), (INPUT,))
    return await submit_cost(node, quote.cost_max - 1)


async def above_escrow(node: Node) -> Any:
    return await submit_cost(node, 100 * 10**18 + 1)


async def submit_cost(node: Node, max_cost: int) -> Any:
    signed = authorize(body=b"body", max_cost=max_cost)
    return await node.gateway.submit(request_of(signed, INPUT))


async def forged(node: Node) -> Any:
    signed = authorize(body=b"body", max_cost=COST, key=STRANGER)
    return await node.gateway.submit(request_of(evolve(signed, user=WALLET), INPUT))


async def unsigned(node: Node) -> Any:
    return await node.gateway.submit(request_of(None, INPUT))


REFUSALS: list[tuple[str, Refusal, type[RequestRejected]]] = [
    ("unknown model", unknown_model, UnknownModel),
    ("a wallet without escrow", submit(key=STRANGER), InsufficientFunds),
    ("another wallet's signature", forged, BadSignature),
    ("another chain", submit(chain_id=1), BadSignature),
    ("another body", other_body, BadSignature),
    ("another node", submit(node=bytes(20)), AccessDenied),
    ("expired", submit(expiry=1), RequestExpired),
    ("counter ahead", submit(counter=1), StaleNonce),
    ("unknown dat", submit(dats=[99]), UnknownDat),
    ("dat of somebody else", submit(dats=[1]), AccessDenied),
    ("above escrow", above_escrow, InsufficientFunds),
    ("below the quote", too_dear, FeeTooLow),
    ("no input", submit(inputs=()), InvalidInput),
    ("input that does not fit", submit(inputs=(INPUT + b"x",)), InvalidInput),
    ("too many inputs", submit(inputs=(INPUT,) * 65), OverLimit),
    ("nobody pays", unsigned, PaymentRequired),
]


def with_node(tmp_path: Path, work: Callable[[Node], Awaitable[None]], *, extra: str = "") -> None:
    """Run `work` on a node whose chain holds escrow, model and one foreign DAT."""

    async def main() -> None:
        node = assemble(plan(write_folder(tmp_path, storage="memory", extra=extra), points=gas_points()))
        try:
            async with running(node):
                await work(node)
        finally:
            node.close()

    asyncio.run(main())


def test_each_refusal_has_its_class_and_leaves_nothing_reserved(tmp_path: Path) -> None:
    async def work(node: Node) -> None:
        await settle_in(node)
        await foreign_dat(node)
        for name, refusal, expected in REFUSALS:
            with pytest.raises(RequestRejected) as caught:
                await refusal(node)
            assert type(caught.value) is expected, f"{name}: {caught.value!r}"
            assert await node.gateway.next_counter(WALLET, 0) == 0, name
        await a_good_request_still_works(node)

    with_node(tmp_path, work)


def test_a_proof_that_nobody_could_accept_is_refused_before_any_work(tmp_path: Path) -> None:
    """Without a verifying key on chain every proof of such a system would be refused, after the work was done."""

    async def work(node: Node) -> None:
        owner = await settle_in(node)
        node.room.proofs["attestation"].needs_verifying_key = True
        with pytest.raises(InvalidInput, match="no verifying key for proof system attestation"):
            await submit()(node)
        with pytest.raises(InvalidInput, match="no verifying key"):
            await node.gateway.quote(SAMPLE.model.program.digest(), (INPUT,))
        # Attestation has no key; any bytes show that the registry is asked.
        data = encode_call(SET_VERIFYING_KEY, SAMPLE.model.program.digest(), "attestation", b"key")
        await owner.transact(MODEL_REGISTRY_ADDRESS, data, gas=1_000_000)
        await node.gateway.quote(SAMPLE.model.program.digest(), (INPUT,))

    with_node(tmp_path, work)


async def foreign_dat(node: Node) -> None:
    """DAT 1 belongs to the node's own account."""
    from lazai_core.node.demo_wallet import DemoWallet
    from tests.e2e.solo import NODE_KEY

    owner = DemoWallet(NODE_KEY, node.gateway, "")
    await owner.transact(DATA_REGISTRY_ADDRESS, encode_call(REGISTER_DAT, bytes(range(32)), "uri", 5), gas=1_000_000)


async def a_good_request_still_works(node: Node) -> None:
    signed = authorize(body=b"body", max_cost=COST)
    before = await node.gateway.balance(WALLET)
    outcome = await node.gateway.submit(request_of(signed, INPUT))
    assert outcome.outputs == (run_job(SAMPLE.model, INPUT).output_bytes(),)
    assert before - await node.gateway.balance(WALLET) == outcome.cost
    with pytest.raises(NonceReused):
        await node.gateway.submit(request_of(authorize(body=b"other", max_cost=COST), INPUT))
    again = await node.gateway.submit(request_of(signed, INPUT))
    assert again.replayed
    assert again.outputs == outcome.outputs


def test_a_granted_dat_is_paid_and_a_revoked_one_refused(tmp_path: Path) -> None:
    async def work(node: Node) -> None:
        from lazai_core.node.demo_wallet import DemoWallet
        from tests.e2e.solo import NODE_KEY

        await settle_in(node, price=0)
        await foreign_dat(node)
        owner = DemoWallet(NODE_KEY, node.gateway, "")
        await owner.transact(DATA_REGISTRY_ADDRESS, encode_call(GRANT, 1, WALLET, 2**40), gas=1_000_000)
        signed = authorize(body=b"body", max_cost=COST, dats=[1])
        outcome = await node.gateway.submit(request_of(signed, INPUT))
        base_fee = node.room.vm.history.block(outcome.height).header.base_fee_per_gas  # type: ignore[union-attr]
        status = await node.gateway.transaction_status(outcome.transaction_hash)
        assert status is not None
        # 5 wei for the data's owner on top of the node's gas; the tip is 0 in this genesis.
        assert outcome.cost >= status.gas_used * base_fee

    with_node(tmp_path, work)
