"""The benchmark of the virtual machine: blocks of ERC-20 transfers. `lazai bench erc20-block` runs it."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lazai_core.api.consensus import Validator
from lazai_core.api.gas import FeeState, GasQuote
from lazai_core.api.hashing import address_of_private_key
from lazai_core.api.job import ComputeJob, ComputeRecord, JobKind, ResourceUsage
from lazai_core.api.precompile import StatePort
from lazai_core.api.service import BenchmarkResult
from lazai_core.api.types import Address, Gas, Wei

if TYPE_CHECKING:
    from lazai_core.api.storage import KeyValueStore
    from lazai_core.lazvm.vm import LazVM

Progress = Callable[[int, int, str], None]
OpenStore = Callable[[Path], "KeyValueStore"]

TRANSACTIONS_A_BLOCK = 500
BAR_PER_SECOND = 450
_CHAIN_ID = 31_337
_TOKEN = Address(b"\x70" * 20)
_PROPOSER = Address(b"\xbb" * 20)
_GWEI = 10**9
_GAS_TRANSFER = 80_000


def erc20_block(seconds: float, progress: Progress, open_store: OpenStore) -> Sequence[BenchmarkResult]:
    """Blocks of signed ERC-20 transfers, each from another sender to a new holder.

    One figure is the proposer's work (signatures checked, executed, rooted, committed durably), one the validator's
    (decoded, executed, compared) on its own store. One thread. `open_store` opens a store in a folder.
    """
    with tempfile.TemporaryDirectory(prefix="lazai-bench-") as folder:
        stores = [open_store(Path(folder, name)) for name in ("proposer", "validator")]
        try:
            proposing, checking, gas = _measure(stores, seconds, progress)
        finally:
            for store in stores:
                store.close()
    note = f"{len(proposing)} blocks of {TRANSACTIONS_A_BLOCK}, one thread, spread {_spread(proposing)}"
    return (
        BenchmarkResult(
            name="erc20-block-proposer",
            value=statistics.median(proposing),
            unit="tx/s",
            bar=f">= {BAR_PER_SECOND}",
            notes=note,
        ),
        BenchmarkResult(
            name="erc20-block-validator",
            value=statistics.median(checking),
            unit="tx/s",
            notes=f"{gas} gas a block, spread {_spread(checking)}",
        ),
    )


def _measure(
    stores: Sequence[KeyValueStore], seconds: float, progress: Progress
) -> tuple[list[float], list[float], int]:
    keys = [number.to_bytes(32, "big") for number in range(1, TRANSACTIONS_A_BLOCK + 1)]
    proposer, validator = (_machine(store, keys) for store in stores)
    proposing: list[float] = []
    checking: list[float] = []
    gas = 0
    started = time.perf_counter()
    # The first block pays for imports inside functions and for cold caches; it is not counted.
    for round_number, raw in enumerate(_signed_blocks(keys)):
        built, checked, gas = _one_block(proposer, validator, raw)
        if round_number:
            proposing.append(TRANSACTIONS_A_BLOCK / built)
            checking.append(TRANSACTIONS_A_BLOCK / checked)
        elapsed = time.perf_counter() - started
        progress(min(int(elapsed), int(seconds)), int(seconds), f"{round_number + 1} blocks")
        if len(proposing) >= 2 and elapsed >= seconds:
            break
    return proposing, checking, gas


def _one_block(proposer: LazVM, validator: LazVM, raw: Sequence[bytes]) -> tuple[float, float, int]:
    """Seconds to build and commit, seconds to check, and the block's gas."""
    from lazai_core.chain.block import Block
    from lazai_core.lazvm.vm import BlockPlan

    plan = BlockPlan(transactions=raw, timestamp=proposer.head.header.timestamp + 1, proposer=_PROPOSER)
    start = time.perf_counter()
    executed = proposer.build_block(plan).executed
    proposer.commit(executed)
    built = time.perf_counter() - start
    assert len(executed.block.transactions) == len(raw), "the benchmark's own transactions were refused"
    assert all(outcome.succeeded for outcome in executed.outcomes), "a transfer of the benchmark reverted"
    data = executed.block.encode()
    start = time.perf_counter()
    checked = validator.check_block(Block.decode(data))
    took = time.perf_counter() - start
    validator.commit(checked)
    return built, took, executed.block.header.gas_used


def _machine(store: KeyValueStore, keys: Sequence[bytes]) -> LazVM:
    from lazai_core.chain.genesis import Genesis, GenesisContract
    from lazai_core.chain.storage_layout import mapping_slot
    from lazai_core.chain.system_contracts import DEFAULT_GAS_PARAMETERS, artifact, genesis_contracts, runtime_code
    from lazai_core.lazvm.vm import LazVM

    accounts = [address_of_private_key(key) for key in keys]
    layout = {item["label"]: int(item["slot"]) for item in artifact("Token")["storageLayout"]["storage"]}
    balances = {mapping_slot(layout["balanceOf"], account): 10**12 for account in accounts}
    contracts = genesis_contracts(governor=_PROPOSER, gas_parameters=DEFAULT_GAS_PARAMETERS)
    genesis = Genesis(
        chain_id=_CHAIN_ID,
        timestamp=1_700_000_000,
        block_gas_limit=Gas(2 * _GAS_TRANSFER * len(keys)),
        base_fee_per_gas=Wei(_GWEI),
        compute_base_fee_per_gas=Wei(_GWEI),
        inline_flops_max=0,
        inline_memory_bytes_max=0,
        validators=(Validator(address=_PROPOSER, power=1),),
        governor=_PROPOSER,
        gas_parameters=DEFAULT_GAS_PARAMETERS,
        balances={account: Wei(10**24) for account in accounts},
        contracts={**contracts, _TOKEN: GenesisContract(code=runtime_code("Token"), storage=balances)},
    )
    return LazVM(genesis=genesis, store=store, precompiles={}, gas_policy=_StillFees(), verify_record=_no_records)


def _signed_blocks(keys: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Blocks without end: in each, every sender pays one new holder."""
    from lazai_core.chain.abi import encode_call
    from lazai_core.chain.transaction import Transaction

    nonce = 0
    while True:
        block = []
        for number, key in enumerate(keys):
            holder = Address((nonce * len(keys) + number + 1).to_bytes(20, "big"))
            transaction = Transaction(
                chain_id=_CHAIN_ID,
                nonce=nonce,
                max_fee_per_gas=Wei(2 * _GWEI),
                max_priority_fee_per_gas=Wei(_GWEI),
                gas=Gas(_GAS_TRANSFER),
                to=_TOKEN,
                data=encode_call("transfer(address,uint256)", holder, 7),
            )
            block.append(transaction.signed(key).raw)
        yield block
        nonce += 1


def _spread(values: Sequence[float]) -> str:
    return f"{min(values):.0f} to {max(values):.0f}"


class _StillFees:
    """A gas policy whose fees do not move; the benchmark's blocks hold no jobs, so that none has a price."""

    name = "still"
    version = 1

    def compute_gas(self, kind: JobKind, usage: ResourceUsage, state: StatePort) -> Gas:
        return Gas(0)

    def quote(self, kind: JobKind, planned: ResourceUsage, fees: FeeState, state: StatePort, tip: Wei) -> GasQuote:
        return GasQuote(gas_ai=Gas(0), gas_inference=Gas(0), compute_gas=Gas(0), price_per_gas=Wei(0), cost_max=Wei(0))

    def evm_gas(self, compute_gas: Gas, base_fee_per_gas: Wei, compute_base_fee_per_gas: Wei) -> Gas:
        return Gas(0)

    def next_base_fees(self, parent: FeeState) -> tuple[Wei, Wei]:
        return Wei(_GWEI), Wei(_GWEI)

    def compute_gas_target(self, state: StatePort) -> Gas:
        return Gas(1)


def _no_records(job: ComputeJob, record: ComputeRecord, state: StatePort) -> None:
    raise AssertionError("the benchmark has no jobs")
