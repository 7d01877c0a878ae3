"""The genesis block: the first state, written out from the genesis value."""

from __future__ import annotations

from lazai_core.api.consensus import validators_hash
from lazai_core.api.types import ZERO_ADDRESS, Gas, Hash32, Height
from lazai_core.chain.block import Block, BlockHeader, consensus_root, records_root
from lazai_core.chain.genesis import Genesis
from lazai_core.chain.receipts import BLOOM_BYTES
from lazai_core.chain.trie import EMPTY_ROOT

from .accounts import JournaledAccounts
from .database import NodeReader, StateDatabase
from .production import ExecutedBlock


def genesis_block(genesis: Genesis, nodes: NodeReader) -> ExecutedBlock:
    """The block of height 0 with the nodes of its state."""
    database = StateDatabase(nodes)
    accounts = JournaledAccounts(database)
    for address, wei in sorted(genesis.balances.items()):
        accounts.set_balance(address, wei)
    for address, contract in sorted(genesis.contracts.items()):
        # A contract's nonce begins at 1 (EIP-161), so that it never counts as empty.
        accounts.set_nonce(address, 1)
        accounts.set_code(address, contract.code)
        for slot, value in sorted(contract.storage.items()):
            accounts.set_storage(address, slot, value)
    accounts.persist()
    members = validators_hash(genesis.validators)
    header = BlockHeader(
        chain_id=genesis.chain_id,
        height=Height(0),
        parent_hash=genesis.hash,
        timestamp=genesis.timestamp,
        proposer=ZERO_ADDRESS,
        state_root=Hash32(accounts.state_root),
        transactions_root=EMPTY_ROOT,
        receipts_root=EMPTY_ROOT,
        records_root=records_root(()),
        consensus_root=consensus_root(None, ()),
        logs_bloom=bytes(BLOOM_BYTES),
        gas_limit=genesis.block_gas_limit,
        gas_used=Gas(0),
        base_fee_per_gas=genesis.base_fee_per_gas,
        compute_gas_target=genesis.gas_parameters.compute_gas_target,
        compute_gas_used=Gas(0),
        compute_base_fee_per_gas=genesis.compute_base_fee_per_gas,
        validators_hash=members,
        next_validators_hash=members,
    )
    return ExecutedBlock(block=Block(header=header), receipts=(), outcomes=(), nodes=database.written)
