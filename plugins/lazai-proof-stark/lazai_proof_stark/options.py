"""Options of the proof system, as `[proof.options]` in the node's TOML."""

from __future__ import annotations

from attrs import Attribute, field, frozen


def _check_threads(_instance: object, _attribute: Attribute[int], value: int) -> None:
    if not 0 <= value <= 1024:
        raise ValueError(f"threads must be from 0 (all usable cores) to 1024, got {value}")


def _check_models(_instance: object, _attribute: Attribute[int], value: int) -> None:
    if not 1 <= value <= 1024:
        raise ValueError(f"models_prepared_max must be from 1 to 1024, got {value}")


def _check_parameters(_instance: object, _attribute: Attribute[str], value: str) -> None:
    if not value:
        raise ValueError("parameters must name a parameter set")


KERNELS = ("auto", "processor", "coprocessor")


def _check_kernels(_instance: object, _attribute: Attribute[str], value: str) -> None:
    if value not in KERNELS:
        raise ValueError(f"kernels must be one of {', '.join(KERNELS)}, got {value!r}")


@frozen(kw_only=True)
class StarkOptions:
    """How strong this node's proofs are, and how much of the machine making them may take."""

    parameters: str = field(
        default="proven100",
        validator=_check_parameters,
        metadata={"doc": 'parameter set of new verifying keys: "proven100"; "dev" is weak and refused by default'},
    )
    threads: int = field(
        default=0,
        validator=_check_threads,
        metadata={"doc": "threads of one proof; 0 takes the cores this process may use"},
    )
    models_prepared_max: int = field(
        default=4,
        validator=_check_models,
        metadata={"doc": "models whose weight commitments stay in memory (about 20 bytes a weight)"},
    )
    kernels: str = field(
        default="auto",
        validator=_check_kernels,
        metadata={
            "doc": 'who proves: "processor" (compiled here), "coprocessor" (its field kernels), or "auto": the '
            "coprocessor where it has a device of its own; the proofs are the same bytes"
        },
    )
