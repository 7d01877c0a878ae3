"""The gateway on a real chain: many requests at once, operator-paid calls, contract-made jobs, raw transactions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest

from lazai_core.api.errors import (
    InvalidInput,
    InvalidTransaction,
    LazAIError,
    RequestExpired,
    RequestRejected,
    StaleNonce,
    UnknownModel,
)
from lazai_core.api.types import (
    AI_CALL_ADDRESS,
    MODEL_REGISTRY_ADDRESS,
    SETTLEMENT_ADDRESS,
    Gas,
    Hash32,
    ModelId,
    Wei,
    to_hex,
)
from lazai_core.chain.abi import encode_call
from lazai_core.chain.receipt_file import JobReceipt
from lazai_core.chain.system_calls import ADVANCE_LANE, WITHDRAW, ComputeGasCall, InferCall
from lazai_core.chain.transaction import DYNAMIC_FEE, Transaction
from lazai_core.node.assemble import Node, assemble
from lazai_core.node.demo_wallet import DemoWallet
from tests.e2e.solo import (
    CHAIN_ID,
    MODEL,
    MODEL_NAME,
    NODE,
    SAMPLE,
    WALLET,
    WALLET_KEY,
    authorize,
    gas_points,
    plan,
    request_of,
    running,
    settle_in,
    write_folder,
)


def with_node(
    tmp_path: Path, work: Callable[[Node, DemoWallet], Awaitable[None]], *, limits: Mapping[str, int] | None = None
) -> None:
    """Run `work` on a fresh node whose chain holds escrow and model."""

    async def main() -> None:
        config = write_folder(tmp_path, storage="memory")
        lines = [f"{name} = {value}" for name, value in (limits or {}).items()]
        text = config.read_text(encoding="utf-8").replace("[limits]", "\n".join(["[limits]", *lines]))
        config.write_text(text, encoding="utf-8")
        node = assemble(plan(config, points=gas_points()))
        try:
            async with running(node):
                await work(node, await settle_in(node))
        finally:
            node.close()

    asyncio.run(main())


def answer_to(job_input: bytes) -> bytes:
    return SAMPLE.run(job_input).output_bytes()


def test_a_lane_of_requests_sent_at_once_is_answered_in_full(tmp_path: Path) -> None:
    inputs = [SAMPLE.job_input(seed=seed) for seed in range(6)]

    async def work(node: Node, _wallet: DemoWallet) -> None:
        quote = await node.gateway.quote(MODEL, inputs[:1])
        requests = [
            request_of(authorize(body=b"%d" % counter, max_cost=quote.cost_max, counter=counter), data)
            for counter, data in enumerate(inputs)
        ]
        outcomes = await asyncio.gather(*(node.gateway.submit(request) for request in requests))
        assert [outcome.outputs[0] for outcome in outcomes] == [answer_to(data) for data in inputs]
        assert await node.gateway.next_counter(WALLET, 0) == len(inputs)
        assert len(node.room.mempool) == 0
        assert len(node.room.records) == 0

    with_node(tmp_path, work)


def test_a_quote_is_of_a_proof_system_of_the_chain(tmp_path: Path) -> None:
    async def work(node: Node, _wallet: DemoWallet) -> None:
        data = SAMPLE.job_input(seed=1)
        chosen = await node.gateway.quote(MODEL, (data,))
        assert await node.gateway.quote(MODEL, (data,), proof_system="attestation") == chosen
        with pytest.raises(InvalidInput, match="no proof system 'stark'"):
            await node.gateway.quote(MODEL, (data,), proof_system="stark")

    with_node(tmp_path, work)


def test_a_repetition_waits_for_the_first_and_is_marked(tmp_path: Path) -> None:
    async def work(node: Node, _wallet: DemoWallet) -> None:
        data = SAMPLE.job_input(seed=1)
        quote = await node.gateway.quote(MODEL, (data,))
        request = request_of(authorize(body=b"b", max_cost=quote.cost_max), data)
        first, second = await asyncio.gather(node.gateway.submit(request), node.gateway.submit(request))
        assert (first.replayed, second.replayed) == (False, True)
        assert first.transaction_hash == second.transaction_hash

    with_node(tmp_path, work)


def test_a_client_that_leaves_does_not_stop_the_settlement(tmp_path: Path) -> None:
    async def work(node: Node, _wallet: DemoWallet) -> None:
        data = SAMPLE.job_input(seed=1)
        quote = await node.gateway.quote(MODEL, (data,))
        request = request_of(authorize(body=b"b", max_cost=quote.cost_max), data)
        task = asyncio.create_task(node.gateway.submit(request))
        await asyncio.sleep(0)
        task.cancel()
        again = await node.gateway.submit(request)
        assert again.replayed
        assert again.outputs == (answer_to(data),)

    with_node(tmp_path, work)


@pytest.mark.parametrize("count", [1, 2, 9])
def test_the_quote_covers_the_charge_and_the_receipts_name_each_job(tmp_path: Path, count: int) -> None:
    async def work(node: Node, _wallet: DemoWallet) -> None:
        inputs = tuple(SAMPLE.job_input(seed=seed) for seed in range(count))
        quote = await node.gateway.quote(MODEL, inputs)
        before = await node.gateway.balance(WALLET)
        outcome = await node.gateway.submit(request_of(authorize(body=b"b", max_cost=quote.cost_max), *inputs))
        assert outcome.outputs == tuple(answer_to(data) for data in inputs)
        assert before - await node.gateway.balance(WALLET) == outcome.cost <= quote.cost_max
        assert outcome.compute_gas == quote.compute_gas
        assert len(set(outcome.receipt_ids)) == len(outcome.verified) == len(outcome.measurements) == count
        for receipt_id, data in zip(outcome.receipt_ids, inputs, strict=True):
            receipt = JobReceipt.decode(await node.gateway.receipt(receipt_id) or b"")
            assert receipt.job.input == data
            assert receipt.record.output == answer_to(data)
        assert await node.gateway.receipt("00" * 32) is None
        assert await node.gateway.receipt("not hexadecimal") is None

    with_node(tmp_path, work)


def test_the_operator_pays_for_requests_with_a_key(tmp_path: Path) -> None:
    async def work(node: Node, _wallet: DemoWallet) -> None:
        inputs = tuple(SAMPLE.job_input(seed=seed) for seed in range(2))
        before = (await node.gateway.account(NODE)).balance
        outcome = await node.gateway.submit(request_of(None, *inputs, api_key_id="alice"))
        assert outcome.outputs == tuple(answer_to(data) for data in inputs)
        assert outcome.worker == NODE
        # All base fees are burnt; the node's balance falls by exactly what it says the request cost.
        assert before - (await node.gateway.account(NODE)).balance == outcome.cost
        assert len({to_hex(job_id) for job_id in outcome.job_ids}) == 2

    with_node(tmp_path, work)


def test_a_wallet_calls_the_precompile_itself(tmp_path: Path) -> None:
    """A job that only execution shows: the transaction stops for want of a record, and the node makes it."""
    data = SAMPLE.job_input(seed=5)
    call = InferCall(model=MODEL, input=data, proof_system="attestation", salt=bytes(range(32)))

    async def work(node: Node, wallet: DemoWallet) -> None:
        status = await wallet.transact(AI_CALL_ADDRESS, call.encode(), gas=5_000_000)
        block = node.room.vm.history.block(status.height or 0)
        assert block is not None
        assert [record.output for record in block.records] == [answer_to(data)]
        assert block.header.compute_gas_used > 0
        receipt = await node.gateway.receipt(block.records[0].job_id.hex())
        assert JobReceipt.decode(receipt or b"").job.salt == bytes(range(32))

    with_node(tmp_path, work)


def test_transactions_that_can_never_enter_a_block_say_why(tmp_path: Path) -> None:
    async def work(node: Node, wallet: DemoWallet) -> None:
        gateway = node.gateway
        unknown = InferCall(model=ModelId(bytes(32)), input=b"", proof_system="attestation")
        with pytest.raises(InvalidTransaction, match="reverted"):
            await wallet.transact(AI_CALL_ADDRESS, unknown.encode(), gas=5_000_000)
        with pytest.raises(InvalidTransaction, match="cannot be read"):
            await gateway.send_raw_transaction(b"\x02rubbish")
        with pytest.raises(InvalidTransaction, match="for chain 5"):
            await gateway.send_raw_transaction(signed(nonce=9, chain_id=5).raw)
        with pytest.raises(InvalidTransaction, match="nonce is 0"):
            await gateway.send_raw_transaction(signed(nonce=0).raw)
        with pytest.raises(InvalidTransaction, match="above a block"):
            await gateway.send_raw_transaction(signed(nonce=9, gas=10**8).raw)
        with pytest.raises(InvalidTransaction, match="may cost"):
            await gateway.send_raw_transaction(signed(nonce=3, value=10**30).raw)
        short = await gateway.send_raw_transaction(signed(nonce=3, gas=20_999).raw)
        with pytest.raises(InvalidTransaction, match="below the 21000"):
            await gateway.transaction_status(short, wait=True)
        assert await gateway.transaction_status(Hash32(bytes(32))) is None
        assert len(node.room.mempool) == 0

    with_node(tmp_path, work)


def signed(*, nonce: int, chain_id: int = CHAIN_ID, gas: int = 100_000, value: int = 0) -> Transaction:
    return Transaction(
        type_id=DYNAMIC_FEE,
        chain_id=chain_id,
        nonce=nonce,
        max_fee_per_gas=Wei(10**11),
        max_priority_fee_per_gas=Wei(0),
        gas=Gas(gas),
        to=bytes(20),
        value=Wei(value),
    ).signed(WALLET_KEY.reveal())


def test_a_later_nonce_waits_for_the_earlier_and_a_better_fee_replaces(tmp_path: Path) -> None:
    async def work(node: Node, wallet: DemoWallet) -> None:
        gateway = node.gateway
        nonce = (await gateway.account(wallet.address)).nonce
        later = await gateway.send_raw_transaction(signed(nonce=nonce + 1, value=2).raw)
        await asyncio.sleep(0.05)
        status = await gateway.transaction_status(later)
        assert status is not None
        assert status.height is None
        with pytest.raises(InvalidTransaction, match="waits already"):
            await gateway.send_raw_transaction(signed(nonce=nonce + 1, value=3).raw)
        await gateway.send_raw_transaction(signed(nonce=nonce, value=1).raw)
        status = await gateway.transaction_status(later, wait=True)
        assert status is not None
        assert status.succeeded
        assert (await gateway.account(wallet.address)).nonce == nonce + 2

    with_node(tmp_path, work)


def test_calls_answer_or_say_why_not(tmp_path: Path) -> None:
    async def work(node: Node, _wallet: DemoWallet) -> None:
        gateway = node.gateway
        answer = await gateway.call(AI_CALL_ADDRESS, ComputeGasCall(model=MODEL, dimension=0).encode())
        assert int.from_bytes(answer[:32], "big") == (await gateway.quote(MODEL, (SAMPLE.job_input(),))).compute_gas
        with pytest.raises(RequestRejected, match="StillLocked"):
            await gateway.call(SETTLEMENT_ADDRESS, encode_call(WITHDRAW, 1))
        infer = InferCall(model=MODEL, input=SAMPLE.job_input(), proof_system="attestation")
        with pytest.raises(RequestRejected, match="as a transaction"):
            await gateway.call(AI_CALL_ADDRESS, infer.encode())

    with_node(tmp_path, work)


def test_models_are_found_by_name_and_by_digest(tmp_path: Path) -> None:
    async def work(node: Node, _wallet: DemoWallet) -> None:
        gateway = node.gateway
        assert gateway.find_model(MODEL_NAME) is gateway.find_model(to_hex(MODEL))
        assert [model.name for model in gateway.served_models()] == [MODEL_NAME]
        with pytest.raises(UnknownModel, match=f"the models are: {MODEL_NAME}"):
            gateway.find_model("other")
        assert gateway.readiness().ready

    with_node(tmp_path, work)


def test_a_model_that_is_not_registered_is_not_served(tmp_path: Path) -> None:
    async def main() -> None:
        node = assemble(plan(write_folder(tmp_path, storage="memory"), points=gas_points()))
        try:
            async with running(node):
                with pytest.raises(UnknownModel, match="registry"):
                    await node.gateway.quote(MODEL, (SAMPLE.job_input(),))
            assert not node.gateway.readiness().ready
            with pytest.raises(LazAIError):
                await node.gateway.send_raw_transaction(signed(nonce=0).raw)
        finally:
            node.close()

    asyncio.run(main())


def test_price_changes_take_effect_for_the_next_request(tmp_path: Path) -> None:
    async def work(node: Node, wallet: DemoWallet) -> None:
        data = SAMPLE.job_input(seed=1)
        cheap = await node.gateway.quote(MODEL, (data,))
        change = encode_call("setPrice(bytes32,uint96)", MODEL, 10**18)
        await wallet.transact(MODEL_REGISTRY_ADDRESS, change, gas=200_000)
        dear = await node.gateway.quote(MODEL, (data,))
        assert dear.cost_max - cheap.cost_max > 9 * 10**17

    with_node(tmp_path, work)


def test_a_call_that_would_revert_is_left_out_and_its_neighbours_are_not(tmp_path: Path) -> None:
    """The wallet cancels a lane behind the node's back, while requests of two lanes are under way."""

    async def work(node: Node, wallet: DemoWallet) -> None:
        data = SAMPLE.job_input(seed=1)
        quote = await node.gateway.quote(MODEL, (data,))
        # Room for the second request's price after the first blocks moved the base fee.
        cost = 2 * quote.cost_max
        requests = [
            request_of(authorize(body=b"%d-%d" % (lane, counter), max_cost=cost, lane=lane, counter=counter), data)
            for lane in (0, 1)
            for counter in (0, 1)
        ]
        await wallet.send(SETTLEMENT_ADDRESS, encode_call(ADVANCE_LANE, 0, 9), gas=200_000)
        outcomes = await asyncio.gather(*(node.gateway.submit(item) for item in requests), return_exceptions=True)
        cancelled, kept = outcomes[:2], outcomes[2:]
        for outcome in cancelled:
            assert isinstance(outcome, StaleNonce) or not isinstance(outcome, BaseException)
        assert isinstance(cancelled[1], StaleNonce)
        assert all(not isinstance(outcome, BaseException) for outcome in kept)
        assert await node.gateway.next_counter(WALLET, 0) == 9
        assert await node.gateway.next_counter(WALLET, 1) == 2
        # Nobody paid for a call that failed: every transaction of the node succeeded.
        for height in range(1, node.room.vm.head.height + 1):
            assert all(receipt.succeeded for receipt in node.room.vm.history.receipts(height))

    with_node(tmp_path, work)


def test_a_request_that_expires_while_it_waits_is_refused(tmp_path: Path) -> None:
    """A block's time may run ahead of the clock, so an expiry can pass between admission and block."""

    async def work(node: Node, wallet: DemoWallet) -> None:
        head = node.room.vm.head.header.timestamp
        data = SAMPLE.job_input(seed=1)
        quote = await node.gateway.quote(MODEL, (data,))
        expiry = max(head, int(time.time())) + 2
        request = request_of(authorize(body=b"b", max_cost=2 * quote.cost_max, expiry=expiry), data)
        for nonce in range(2, 6):
            sent = await node.gateway.send_raw_transaction(signed(nonce=nonce).raw)
            await node.gateway.transaction_status(sent, wait=True)
        with pytest.raises(RequestExpired):
            await node.gateway.submit(request)
        assert await node.gateway.next_counter(WALLET, 0) == 0

    with_node(tmp_path, work)


def test_empty_blocks_come_when_the_operator_wants_them(tmp_path: Path) -> None:
    async def work(node: Node, _wallet: DemoWallet) -> None:
        height = node.room.vm.head.height
        async with asyncio.timeout(20), node.room.host.committed:
            await node.room.host.committed.wait_for(lambda: node.room.vm.head.height >= height + 2)
        block = node.room.vm.head
        assert block.transactions == ()
        assert len(node.room.vm.history.certificate(block.height)) > 65

    with_node(tmp_path, work, limits={"empty_block_interval_ms": 50, "block_interval_ms": 20})


def test_without_the_option_no_block_is_made_without_work(tmp_path: Path) -> None:
    async def work(node: Node, _wallet: DemoWallet) -> None:
        height = node.room.vm.head.height
        await asyncio.sleep(0.2)
        assert node.room.vm.head.height == height

    with_node(tmp_path, work)
