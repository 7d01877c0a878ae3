"""What a state knows about the block that it is executed in."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lazai_core.api.precompile import BlockContext, ComputeMeter, WitnessReader
from lazai_core.api.types import Hash32
from lazai_core.chain.block import randao_of
from lazai_core.chain.witness import BlockMeter

from .engine import ExecutionContext

ANCESTORS_MAX = 256


class LazContext(ExecutionContext):  # type: ignore[misc]
    """py-evm's context with the block as precompiles see it, the witness and the compute meter."""

    def __init__(
        self,
        *,
        block: BlockContext,
        parent_hash: Hash32,
        ancestor_hashes: Callable[[], Iterator[Hash32]],
        witness: WitnessReader,
        compute_meter: ComputeMeter,
        slow_work: BlockMeter,
    ) -> None:
        super().__init__(
            coinbase=block.coinbase,
            timestamp=block.timestamp,
            block_number=block.height,
            difficulty=0,
            mix_hash=randao_of(parent_hash),
            gas_limit=block.gas_limit,
            prev_hashes=ancestor_hashes(),
            chain_id=block.chain_id,
            base_fee_per_gas=block.base_fee_per_gas,
            excess_blob_gas=0,
        )
        self.block = block
        self.witness = witness
        self.compute_meter = compute_meter
        self.slow_work = slow_work
