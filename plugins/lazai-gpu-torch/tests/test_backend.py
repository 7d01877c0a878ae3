"""The torch backend is bit-equal to the reference, whatever route a product takes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from attrs import evolve

from lazai_core.api.errors import BackendUnavailable
from lazai_core.api.program import ValueInfo
from lazai_core.api.program_rules import DType
from lazai_core.exact.kernels import round_shift
from lazai_gpu_torch import products
from lazai_gpu_torch.backend import TorchCoprocessor
from lazai_gpu_torch.devices import Device, int8_product, open_device
from lazai_gpu_torch.normalization import integer_sqrt
from lazai_gpu_torch.options import TorchOptions
from lazai_gpu_torch.rescale import Rescale

CPU = TorchOptions(device="cpu", threads=1)


@pytest.fixture(scope="module")
def device() -> Device:
    return open_device(CPU)


def x_info(dtype: DType, low: int, high: int) -> ValueInfo:
    return ValueInfo(dtype=dtype, shape=(1, 1), low=low, high=high)


ROUTES: dict[str, tuple[DType, int, int, Callable[[Device], Device]]] = {
    "int8": (DType.INT8, -128, 127, lambda d: evolve(d, int8_product=True)),
    "split": (DType.INT16, -32768, products.SPLIT_HIGH_MAX, lambda d: evolve(d, int8_product=True)),
    "float32": (DType.INT8, -128, 127, lambda d: evolve(d, int8_product=False, float32_product=True)),
    "float64": (DType.INT16, -32768, 32767, lambda d: evolve(d, float32_product=False)),
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 7, 3), (32, 33, 5), (5, 257, 64)])
def test_every_route_of_a_weight_product_is_exact(route: str, shape: tuple[int, int, int], device: Device) -> None:
    dtype, low, high, changed = ROUTES[route]
    rows, inner, columns = shape
    rng = np.random.default_rng(hash(shape) % 1000)
    x = rng.integers(low, high + 1, (rows, inner)).astype(np.int16 if dtype is DType.INT16 else np.int8)
    x[0, :], x[-1, 0] = low, high
    weight = rng.integers(-128, 128, (columns, inner)).astype(np.int8)
    weight[0, :] = -128
    row_sum = int(np.abs(weight.astype(np.int64)).sum(1).max())
    chosen = products.weight_product(x_info(dtype, low, high), torch.from_numpy(weight), row_sum, changed(device))

    result = chosen.product(torch.from_numpy(x))

    assert chosen.name == route or (inner < products.INT8_INNER_MIN and chosen.name.startswith("float"))
    assert result.dtype == torch.int32
    assert np.array_equal(result.numpy(), x.astype(np.int64) @ weight.T.astype(np.int64))


def test_every_int16_splits_into_two_int8() -> None:
    rows = torch.arange(-32768, products.SPLIT_HIGH_MAX + 1, dtype=torch.int16)[:, None]
    assert torch.equal(products._split_product(rows, torch.ones((1, 1), dtype=torch.int8)), rows.to(torch.int32))


def test_a_saturating_int8_product_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def saturating(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return int8_product(left, right).clamp(-(2**15), 2**15 - 1)

    monkeypatch.setattr("lazai_gpu_torch.devices.int8_product", saturating)
    assert not open_device(CPU).int8_product


@pytest.mark.parametrize("shift", range(-16, 31))
def test_rescale_equals_round_shift(shift: int) -> None:
    edge = 2**30 - 1
    x = torch.tensor([-edge, -(2**20), -1001, -3, -2, -1, 0, 1, 2, 3, 999, 2**20, edge], dtype=torch.int32)
    rescale = Rescale.uniform(shift, -32768, 32767, DType.INT16, edge)
    expected = np.clip(round_shift(x.numpy().astype(np.int64), shift), -32768, 32767)
    assert np.array_equal(rescale(x).numpy(), expected)


def test_rescale_by_channel_mixes_left_and_right_shifts() -> None:
    shifts = torch.tensor([-3, 0, 1, 17], dtype=torch.int8)
    x = torch.tensor([[-100001, -7, -5, 2**29], [100001, 7, 5, -(2**29)]], dtype=torch.int32)
    rescale = Rescale.by_channel(shifts, -32768, 32767, DType.INT16, 2**29)
    expected = np.clip(round_shift(x.numpy().astype(np.int64), shifts.numpy().astype(np.int64)), -32768, 32767)
    assert np.array_equal(rescale(x).numpy(), expected)


def test_integer_sqrt_at_squares_and_their_neighbours() -> None:
    roots = [0, 1, 2, 3, 2**15, 2**24 + 1, 2**26 - 1, 3 * 2**28 - 7, 2**30 - 1]
    numbers = [n for r in roots for n in (r * r - 1, r * r, r * r + 1) if 0 <= n < 2**60]
    found = integer_sqrt(torch.tensor(numbers, dtype=torch.int64)).tolist()
    assert all(r * r <= n < (r + 1) * (r + 1) for n, r in zip(numbers, found, strict=True))


@pytest.mark.parametrize("name", ["cuda:97", "toaster", "meta"])
def test_a_device_that_is_not_there_is_named_with_a_way_out(name: str) -> None:
    with pytest.raises(BackendUnavailable, match="; ") as refusal:
        TorchCoprocessor(TorchOptions(device=name))
    assert name.split(":")[0] in str(refusal.value)


@pytest.mark.parametrize("threads", [-1, 5000])
def test_silly_thread_counts_are_refused(threads: int) -> None:
    with pytest.raises(ValueError, match="threads"):
        TorchOptions(threads=threads)
