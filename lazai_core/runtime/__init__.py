"""The live part of a node: from a request to a durable block. One event loop, and threads for what blocks.

| module | what it is for |
|---|---|
| `options` | limits and intervals |
| `execution` | threads behind a bounded queue; one of them owns the machine's state |
| `work` | what waits for a block: wallets' transactions and the node's own calls |
| `calls` | jobs of a call, before it is made and after it was settled |
| `admission` | checks a signed request; makes the node's call |
| `pricing` | what a request costs, from above |
| `lanes` | nonces of open requests, reservations |
| `mempool` | bounded; pending and ready |
| `orchestrator` | from a transaction that stops for want of a record to the record |
| `workers` | coprocessor and prover in threads |
| `records` | records that wait for their block |
| `jobs` | jobs that contracts made, until their block |
| `signing` | the node's calls as transactions, once their nonces are known |
| `builder` | ready work to a block |
| `consensus_host` | performs the engine's effects, and is what the network speaks to |
| `peering` | what host and network ask of each other |
| `block_desk` | blocks on their way to the engine: got, checked, decided ones verified |
| `host_parts` | what a consensus host is made of |
| `host_tasks` | tasks beside the host's inbox |
| `proposals` | blocks of the height that is being decided |
| `decided` | decided blocks of peers, until their turn comes |
| `block_timing` | when a proposer builds its block |
| `block_checks` | what a validator looks at before it votes |
| `commit` | a decided block made durable; pools, index and observers told |
| `disk` | files that must be durable at a moment of our choosing |
| `wal` | the log that is written ahead of every signature |
| `last_sign` | what this key has signed last, beside the key |
| `index` | where jobs and requests ended, made again from blocks after a crash |
| `outcome` | what became of a request, read from its block |
| `receipts` | receipt files of settled jobs |
| `status` | where a transaction stands |
| `namespace` | a part of the store under a prefix |
| `gateway` | the front door for services |
| `engine_room` | all of these joined |
"""
