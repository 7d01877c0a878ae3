"""Opening a device, and finding out which of its fast integer products are exact.

No product is trusted for its name: an int8 product may saturate on processors without VNNI, a float32 product may
run in a shorter format. Each route is tried on the worst operands it will be used for, once a process and device.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import torch
from attrs import frozen

from lazai_core.api.errors import BackendUnavailable

from .options import TorchOptions

FLOAT32_EXACT_LIMIT = 2**24
"""float32 holds every integer below this, so sums whose partial sums stay below it are exact in any order."""

PROBE_SHAPES = ((17, 1024, 24), (32, 512, 16), (1, 256, 8), (130, 1016, 40), (1, 8, 1), (3, 9, 2), (33, 31, 1))
"""(M, K, N): large sums at the limit, and the awkward small and odd sizes."""


@frozen(kw_only=True)
class Device:
    """A torch device with the products that were found exact on it."""

    handle: torch.device
    description: str
    int8_product: bool
    float32_product: bool

    @property
    def is_cuda(self) -> bool:
        """Whether this is an NVIDIA device."""
        return self.handle.type == "cuda"


def usable_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _choose(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        handle = torch.device(name)
    except RuntimeError as cause:
        raise BackendUnavailable(
            f"torch knows no device {name!r}", hint='use "auto", "cpu", "cuda" or "cuda:1"'
        ) from cause
    if handle.type not in ("cpu", "cuda"):
        raise BackendUnavailable(f"device type {handle.type!r} is not supported", hint='use "cpu" or "cuda"')
    if handle.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (handle.index or 0) >= count:
            raise BackendUnavailable(
                f"device {name!r} is not there: torch {torch.__version__} sees {count} CUDA devices",
                hint='set device = "cpu", or install a CUDA build of torch and the NVIDIA driver',
            )
        return torch.device("cuda", handle.index or 0)
    return handle


def _exact(product: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], handle: torch.device, low: int) -> bool:
    """Whether `product` of int8 matrices `[M, K] @ [K, N]` is exact, also at the ends of int8."""
    generator = torch.Generator().manual_seed(7)
    for rows, inner, columns in PROBE_SHAPES:
        left = torch.randint(low, 128, (rows, inner), dtype=torch.int8, generator=generator)
        # As in use: the transposed view of a weight whose rows lie together.
        right = torch.randint(low, 128, (columns, inner), dtype=torch.int8, generator=generator).t()
        left[0], right[:, 0] = low, low
        left[-1], right[:, -1] = 127, 127
        expected = left.double() @ right.double()
        try:
            got = product(left.to(handle), right.to(handle)).cpu().double()
        except RuntimeError:
            return False
        if not torch.equal(got, expected):
            return False
    return True


def open_device(options: TorchOptions) -> Device:
    """Choose, probe and describe. Raises BackendUnavailable with what to do."""
    handle = _choose(options.device)
    if handle.type == "cpu":
        torch.set_num_threads(options.threads or usable_cores())
        description = f"cpu, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"
    else:
        description = f"{handle} {torch.cuda.get_device_name(handle)}"
    return Device(
        handle=handle,
        description=description,
        int8_product=_exact(int8_product, handle, -128),
        float32_product=_exact(lambda left, right: left.float() @ right.float(), handle, -128),
    )


def int8_product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """int8 `[M, K] @ [K, N]` to int32. On CUDA the library wants M > 16 and K, N in multiples of 8: zeros fill up."""
    if left.device.type != "cuda":
        return torch._int_mm(left, right)
    rows, inner = left.shape
    columns = right.shape[1]
    more_rows, more_inner, more_columns = max(0, 17 - rows), -inner % 8, -columns % 8
    if more_rows or more_inner:
        left = torch.nn.functional.pad(left, (0, more_inner, 0, more_rows))
    if more_inner or more_columns:
        right = torch.nn.functional.pad(right, (0, more_columns, 0, more_inner))
    return torch._int_mm(left, right)[:rows, :columns]
