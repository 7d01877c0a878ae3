"""The live part of a node: from a request to a durable block. One event loop, and threads for what blocks.

| module | what it is for |
|---|---|
| `options` | limits and intervals |
| `execution` | the one thread that owns the machine's state |
| `work` | what waits for a block: wallets' transactions and the node's own calls |
| `admission` | checks a signed request, quotes its price, makes the node's call |
| `lanes` | nonces of open requests, reservations, replies to repeated requests |
| `mempool` | bounded; pending and ready |
| `orchestrator` | from a transaction that stops for want of a record to the record |
| `workers` | coprocessor and prover in threads behind a bounded queue |
| `records` | records that wait for their block |
| `builder` | ready work to a block |
| `consensus_host` | performs the engine's effects, commits, tells observers |
| `index` | where jobs and requests ended, rebuilt from blocks |
| `receipts` | receipt files of settled jobs |
| `gateway` | the front door for services |
"""
