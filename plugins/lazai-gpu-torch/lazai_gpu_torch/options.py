"""Options of the torch backend, as `[coprocessor.options]` in the node's TOML."""

from __future__ import annotations

from attrs import Attribute, field, frozen


def _check_threads(_instance: object, _attribute: Attribute[int], value: int) -> None:
    if not 0 <= value <= 1024:
        raise ValueError(f"threads must be from 0 (all usable cores) to 1024, got {value}")


@frozen(kw_only=True)
class TorchOptions:
    """Which device, and how much of the machine."""

    device: str = field(
        default="auto",
        metadata={"doc": 'torch device: "auto" (first GPU, else the CPU), "cpu", "cuda" or "cuda:1"'},
    )
    threads: int = field(
        default=0,
        validator=_check_threads,
        metadata={"doc": "CPU threads of one operation; 0 takes the cores this process may use"},
    )
