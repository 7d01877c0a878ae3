"""Options of the PLONK proof system, as `[proof.options]` in the node's TOML."""

from __future__ import annotations

from typing import Any

from attrs import Attribute, field, frozen

SETUPS = ("hermez", "insecure-test")
KERNELS = ("auto", "processor", "coprocessor")
DIM_VALUES_MAX = 64
ROWS_MIN, ROWS_MAX = 8, 1 << 20


def _check_setup(_instance: object, _attribute: Attribute[str], value: str) -> None:
    if value not in SETUPS:
        raise ValueError(f"setup must be one of {', '.join(SETUPS)}, got {value!r}")


def _check_kernels(_instance: object, _attribute: Attribute[str], value: str) -> None:
    if value not in KERNELS:
        raise ValueError(f"kernels must be one of {', '.join(KERNELS)}, got {value!r}")


def _check_dim_values(_instance: object, _attribute: Attribute[Any], value: tuple[int, ...]) -> None:
    if len(value) > DIM_VALUES_MAX or len(set(value)) != len(value) or any(each < 1 for each in value):
        raise ValueError(f"dim_values must be up to {DIM_VALUES_MAX} different positive numbers, got {list(value)}")


def _check_rows(_instance: object, _attribute: Attribute[int], value: int) -> None:
    if not ROWS_MIN <= value <= ROWS_MAX:
        raise ValueError(f"rows_max must be from {ROWS_MIN} to {ROWS_MAX}, got {value}")


@frozen(kw_only=True)
class PlonkOptions:
    """Which powers of tau keys are made with, and how large circuits may be."""

    ceremony: str = field(
        default="",
        metadata={"doc": "path of the .ptau file of the public ceremony; only making keys needs it"},
    )
    setup: str = field(
        default="hermez",
        validator=_check_setup,
        metadata={"doc": 'the trusted setup: "hermez", or "insecure-test" whose secret everybody knows'},
    )
    rows_max: int = field(
        default=1 << 17,
        validator=_check_rows,
        metadata={"doc": "circuits of more rows are refused"},
    )
    dim_values: tuple[int, ...] = field(
        default=(),
        validator=_check_dim_values,
        metadata={"doc": "of a program with a symbolic dimension, the sizes to make circuits for"},
    )
    kernels: str = field(
        default="auto",
        validator=_check_kernels,
        metadata={
            "doc": 'who transforms and commits: "processor", "coprocessor", or "auto", the coprocessor where its '
            "kernels are accelerated"
        },
    )
