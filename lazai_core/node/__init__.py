"""From a configuration to a running node: plan, build, start, stop.

| module | what it is for |
|---|---|
| `blueprint` | configuration and catalog to a checked plan; nothing is built or opened |
| `injection` | what a `build` function asks for, read from its annotations |
| `assemble` | the plan to objects, in order of need, closed in reverse |
| `lazy_coprocessor` | the backend, built when first used, behind a guard |
| `charged_service` | a plugin's service, behind a guard |
| `warm_up` | loads backend and models once the node is ready |
| `supervisor` | services: start in order, stop in reverse |
| `identity` | the node's key and the key file |
| `models` | model folders to a `ProgramStore` |
| `logs` | structlog, set up once |
| `system` | this machine's clock and randomness |
| `run` | `run_node`, what `lazai run` calls |
| `demo`, `demo_models`, `demo_wallet`, `demo_report` | `run_demo`, what `lazai demo` calls |
"""
