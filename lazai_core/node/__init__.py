"""From a configuration to a running node: plan, build, start, stop.

| module | what it is for |
|---|---|
| `blueprint` | configuration and catalog to a checked plan; nothing is built or opened |
| `injection` | what a `build` function asks for, read from its annotations |
| `assemble` | the plan to objects, in order of need, closed in reverse |
| `supervisor` | services: start in order, stop in reverse |
| `identity` | the node's key and the key file |
| `models` | model folders to a `ProgramStore` |
| `logs` | structlog, set up once |
| `run` | `run_node`, what `lazai run` calls |
| `demo` | `run_demo`, what `lazai demo` calls |
"""
