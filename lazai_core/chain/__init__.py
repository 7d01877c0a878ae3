"""Blocks, transactions, receipts and genesis: pure data and rules. The virtual machine is not known here.

| module | what it is for |
|---|---|
| `block` | header, block, their canonical bytes |
| `transaction` | signed Ethereum transactions of types 0, 1, 2 and 4; a signer |
| `receipts` | transaction receipts, logs, bloom |
| `trie` | Merkle Patricia roots and proofs over short lists |
| `rlp_codec` | recursive length prefix, strict and bounded |
| `genesis` | what a chain begins with, its canonical JSON and hash |
| `genesis_file` | reads a genesis file, every problem named; the lock on plugins |
| `rules` | what a block must satisfy before it is executed |
| `witness` | the compute records of a block in the order of need, and meters of what is scarce in it |
| `history` | committed blocks, receipts, certificates in a key-value store |
| `receipt_file` | the receipt of one job as a file |
| `receipt_check` | verifies such a file offline |
| `registry_view` | programs and constants as the model registry keeps them in state |
| `abi`, `storage_layout` | Solidity's calls and storage |
| `system_contracts`, `system_state`, `system_calls` | the genesis contracts: code, what they hold, their calls |
"""
