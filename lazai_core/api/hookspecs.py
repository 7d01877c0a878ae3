"""The hooks, all of them. Hooks register and observe; they are never on the path of a request or a block.

Implementations are synchronous functions marked with `hookimpl` in the module that the entry point in the group
`lazai` names. A hook may return nothing it does not have; unknown hook names are refused by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pluggy

from .entries import (
    ConsensusEntry,
    CoprocessorEntry,
    GasPolicyEntry,
    PluginInfo,
    PrecompileEntry,
    ProofSystemEntry,
    ServiceEntry,
    StorageEntry,
)
from .job import ComputeJob
from .precompile import BlockSummary
from .service import Benchmark, HealthCheck

PROJECT_NAME = "lazai"
ENTRY_POINT_GROUP = "lazai"

hookspec = pluggy.HookspecMarker(PROJECT_NAME)
hookimpl = pluggy.HookimplMarker(PROJECT_NAME)


@hookspec
def lazai_plugin() -> PluginInfo:  # type: ignore[empty-body]
    """Say who the plugin is.

    Called: by the registry, once, right after the module was imported.
    Slow: no; the module and this hook must not import anything heavy.
    Returns: one `PluginInfo`; every plugin has exactly one implementation.
    Exceptions: make the plugin broken; the text is shown with the plugin's and the distribution's name.
    Since: 1.0

    Example::

        @hookimpl
        def lazai_plugin() -> PluginInfo:
            return PluginInfo(name="acme-gas", hook_api=(1, 0), summary="Gas by the moon's phase")
    """


@hookspec
def lazai_precompiles() -> Iterable[PrecompileEntry]:  # type: ignore[empty-body]
    """Offer precompiled contracts.

    Called: by the registry, once, while it collects entries.
    Slow: no.
    Returns: any number of `PrecompileEntry`; names and addresses must be free.
    Exceptions: make the plugin broken.
    Since: 1.0

    Example::

        @hookimpl
        def lazai_precompiles() -> Iterable[PrecompileEntry]:
            yield PrecompileEntry(name="reverse", summary="Bytes backwards", address=ADDRESS, build=build_reverse)
    """


@hookspec
def lazai_coprocessors() -> Iterable[CoprocessorEntry]:  # type: ignore[empty-body]
    """Offer compute backends.

    Called: by the registry, once, while it collects entries.
    Slow: no; devices are probed in `build`, never here.
    Returns: any number of `CoprocessorEntry`.
    Exceptions: make the plugin broken.
    Since: 1.0

    Example::

        @hookimpl
        def lazai_coprocessors() -> Iterable[CoprocessorEntry]:
            yield CoprocessorEntry(name="torch", summary="PyTorch", build=build_torch, options=TorchOptions)
    """


@hookspec
def lazai_proof_systems() -> Iterable[ProofSystemEntry]:  # type: ignore[empty-body]
    """Offer proof systems.

    Called: by the registry, once, while it collects entries.
    Slow: no.
    Returns: any number of `ProofSystemEntry`.
    Exceptions: make the plugin broken.
    Since: 1.0

    Example::

        @hookimpl
        def lazai_proof_systems() -> Iterable[ProofSystemEntry]:
            yield ProofSystemEntry(name="toy", summary="A toy", kind=ProofKind.VALIDITY, build=build_toy)
    """


@hookspec
def lazai_consensus_engines() -> Iterable[ConsensusEntry]:  # type: ignore[empty-body]
    """Offer consensus engines.

    Called: by the registry, once, while it collects entries.
    Slow: no.
    Returns: any number of `ConsensusEntry`.
    Exceptions: make the plugin broken.
    Since: 1.0

    Example::

        @hookimpl
        def lazai_consensus_engines() -> Iterable[ConsensusEntry]:
            yield ConsensusEntry(name="solo", summary="One validator", build=build_solo)
    """


@hookspec
def lazai_gas_policies() -> Iterable[GasPolicyEntry]:  # type: ignore[empty-body]
    """Offer gas policies.

    Called: by the registry, once, while it collects entries.
    Slow: no.
    Returns: any number of `GasPolicyEntry`.
    Exceptions: make the plugin broken.
    Since: 1.0

    Example::

        @hookimpl
        def lazai_gas_policies() -> Iterable[GasPolicyEntry]:
            yield GasPolicyEntry(name="flat", summary="A constant price", build=build_flat, options=FlatOptions)
    """


@hookspec
def lazai_storage_backends() -> Iterable[StorageEntry]:  # type: ignore[empty-body]
    """Offer key-value stores (provisional).

    Called: by the registry, once, while it collects entries.
    Slow: no; nothing is opened before `build`.
    Returns: any number of `StorageEntry`.
    Exceptions: make the plugin broken.
    Since: 1.0

    Example::

        @hookimpl
        def lazai_storage_backends() -> Iterable[StorageEntry]:
            yield StorageEntry(name="memory", summary="Forgets everything", build=build_memory, durable=False)
    """


@hookspec
def lazai_services() -> Iterable[ServiceEntry]:  # type: ignore[empty-body]
    """Offer services, such as servers (provisional).

    Called: by the registry, once, while it collects entries.
    Slow: no; ports are opened in `run`.
    Returns: any number of `ServiceEntry`; a service runs only where the configuration names it.
    Exceptions: make the plugin broken.
    Since: 1.0

    Example::

        @hookimpl
        def lazai_services() -> Iterable[ServiceEntry]:
            yield ServiceEntry(name="openai", summary="OpenAI-compatible API", build=build_api, options=ApiOptions)
    """


@hookspec
def lazai_health_checks() -> Iterable[HealthCheck]:  # type: ignore[empty-body]
    """Offer checks for `lazai doctor`.

    Called: by `lazai doctor`, once.
    Slow: the hook no; a check may take seconds.
    Returns: any number of `HealthCheck`.
    Exceptions: shown as a failed check, with the plugin's name.
    Since: 1.0

    Example::

        @hookimpl
        def lazai_health_checks() -> Iterable[HealthCheck]:
            yield HealthCheck(name="torch-device", run=check_device)
    """


@hookspec
def lazai_benchmarks() -> Iterable[Benchmark]:  # type: ignore[empty-body]
    """Offer benchmarks for `lazai bench`.

    Called: by `lazai bench`, once.
    Slow: the hook no; a benchmark takes as long as its time budget.
    Returns: any number of `Benchmark`.
    Exceptions: shown as a failed benchmark, with the plugin's name.
    Since: 1.0

    Example::

        @hookimpl
        def lazai_benchmarks() -> Iterable[Benchmark]:
            yield Benchmark(name="minilm", summary="Exact against float embeddings", run=bench_minilm)
    """


@hookspec(firstresult=True)
def lazai_route_job(job: ComputeJob, candidates: Sequence[str]) -> str | None:
    """Choose which proof route a job takes among several this node could serve it by.

    Called: by the orchestrator, once a job, off consensus; stops at the first answer that is not None.
    Slow: no; it runs on the request's way.
    Returns: one of `candidates` (proof system names), or None to leave the choice to others; core's own
    implementation comes last and takes the job's wish.
    Exceptions: logged with the plugin's name; the next implementation is asked.
    Since: 1.0

    Example::

        @hookimpl
        def lazai_route_job(job: ComputeJob, candidates: Sequence[str]) -> str | None:
            return "attestation" if len(job.input) > 1_000_000 else None
    """


@hookspec
def lazai_block_committed(summary: BlockSummary) -> None:
    """Learn of a block after it became durable.

    Called: by the consensus host, once a block, in order of height.
    Slow: no; it delays the next block. Hand work to a thread.
    Returns: nothing.
    Exceptions: logged with the plugin's name and counted; never stop the node.
    Since: 1.0

    Example::

        @hookimpl
        def lazai_block_committed(summary: BlockSummary) -> None:
            heights.append(summary.height)
    """
