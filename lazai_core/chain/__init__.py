"""Blocks, transactions, receipts and genesis: pure data and rules. The virtual machine is not known here.

| module | what it is for |
|---|---|
| `block` | header, block, their canonical bytes |
| `transaction` | signed Ethereum transactions of types 0, 1, 2 and 4; a signer |
| `receipts` | transaction receipts, logs, bloom |
| `trie` | Merkle Patricia roots and proofs over short lists |
| `genesis` | the genesis file: read, write, every problem named; the lock on plugins |
| `rules` | what a block must satisfy before it is executed |
| `witness` | the compute records of a block, in the order in which they are needed |
| `history` | committed blocks, receipts, certificates in a key-value store |
| `receipt_file` | the receipt of one job, built and verified offline |
| `registry_view` | programs and constants as the model registry keeps them in state |
"""
