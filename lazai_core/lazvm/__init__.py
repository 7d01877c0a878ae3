"""The virtual machine: Prague rules by py-evm, our precompiles, blocks built and checked by one function.

The only room that imports `eth`. Importing this package is light; importing `lazai_core.lazvm.vm` is not (it loads
py-evm), so import that inside functions. What the rest of the node uses, and nothing else:

    from lazai_core.lazvm.vm import LazVM
    vm = LazVM(
        genesis=genesis,            # lazai_core.chain.genesis.Genesis
        store=store,                # api.storage.KeyValueStore: state, blocks, receipts and indices in one batch
        precompiles={address: precompile},
        active_from={address: height},  # PrecompileEntry.active_from where it is not 0; optional
        gas_policy=gas_policy,      # api.gas.GasPolicy
        verify_record=verify_record,  # chain.witness.RecordCheck; `records.RecordVerifier(...)` is the real one
        consensus=engine,           # judges certificates and evidence; without it blocks carry neither
    )                               # writes the genesis block into an empty store; InvalidGenesis on another chain's

    vm.head                -> Block             newest committed block (chain.block.Block)
    vm.history             -> ChainHistory      chain.history: block(height), block_by_hash, receipts(height),
                                                transaction_place(hash), certificate(height)
    vm.state()             -> StateView         state at the head; vm.state(root) at any committed root.
                                                balance, nonce, code, storage (a StatePort)
    vm.validators(height)  -> (Validator, ...)  who decides a height, up to the second after the head
    vm.verify_evidence(bytes) -> Offence        what evidence of the window proves; `runtime.evidence` asks
    vm.fees()              -> FeeState          fee fields of the head, as GasPolicy.quote wants them
    vm.next_base_fees()    -> (Wei, Wei)        EVM and compute base fee of the next block
    vm.simulate(raw, records={}, timestamp=None)
                           -> TransactionOutcome   speculative run on the head, nothing is kept. Raises NeedsCompute,
                                                InvalidTransaction, InvalidBlock(blame=worker) on a wrong record
    vm.call(CallRequest(...), root=None, records={})
                           -> CallOutcome       eth_call: output, revert data, gas used; nothing is kept
    vm.build_block(BlockPlan(...), records) -> BuiltBlock
                           proposer: .executed (ExecutedBlock), .waiting [(raw, ComputeJob)],
                           .refused [(raw, InvalidTransaction)], .left_over [raw] (did not fit)
    vm.check_block(block) -> ExecutedBlock   validator: the same function with the block's own records;
                                                raises InvalidBlock(check=..., blame=...)
    vm.commit(executed, certificate=b"")        one durable atomic batch; then vm.head is the block
    vm.summary(executed)   -> BlockSummary      for observers

`records` is a mapping of `JobId` to `ComputeRecord`. Blocks are checked or built on the head only. A `LazVM` belongs
to one thread at a time (the execution thread); `vm.history`, `vm.state()` and `vm.validators()` may be read from
others.

| module | what it is for |
|---|---|
| `vm` | the facade above |
| `plan` | what goes into the building of a block, and what comes out |
| `production` | one block: what proposer and validator share |
| `opening` | what a block says of consensus: last certificate and evidence, judged, for the contract Validators |
| `execute` | one transaction or call on an open state |
| `validation` | whether a transaction can be executed |
| `engine` | the one module that imports `eth` |
| `fork` | Prague's rules as classes over py-evm, with our corrections |
| `ethereum` | Ethereum's precompiles: two corrected, the slow ones counted |
| `adapter` | `Precompile` to a py-evm precompile |
| `context` | what a state knows about its block |
| `accounts` | accounts and storage during a block, with an undo list |
| `state_trie` | Merkle Patricia tries: reads, and many changes in one pass |
| `database` | trie nodes and code in the key-value store, and a layer on top |
| `views` | accounts at a state root |
| `genesis_state` | the genesis block |
| `records` | checks a compute record against its job |
| `bench` | the benchmark of blocks |
"""

import os

# py-evm hashes all the time; of the libraries that are here this one is the fastest (a twentieth of a block's time).
os.environ.setdefault("ETH_HASH_BACKEND", "pysha3")
