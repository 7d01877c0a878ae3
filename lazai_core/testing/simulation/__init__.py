"""Whole nodes on one thread in virtual time: the host, gossip and machine that ship, on a simulated network and disk.

| module | what it is for |
|---|---|
| `loop` | an event loop with a clock of its own; lives that end at any point |
| `disk` | a disk that forgets, tears and fails |
| `chain` | committees, a small genesis, accounts that pay each other |
| `node` | one node's rooms over simulated parts |
| `byzantine` | what faulty validators do |
| `checks` | what must hold after every step, and a referee that executes every block for itself |
| `world` | one seed: nodes, faults, load, until everybody is level |
| `runs` | many seeds, reports |
"""
