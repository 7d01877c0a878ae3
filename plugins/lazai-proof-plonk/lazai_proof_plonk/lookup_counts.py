"""How often each table row is looked up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lazai_core.api.errors import ProvingFailed

if TYPE_CHECKING:
    from numpy.typing import NDArray

FieldArray = Any


def _keys(first: FieldArray, second: FieldArray, third: FieldArray) -> NDArray[Any]:
    """One comparable item a row."""
    joined = np.ascontiguousarray(np.concatenate([first, second, third], axis=1))
    return joined.view(np.dtype((np.void, joined.shape[1] * 8))).reshape(-1)


def count_lookups(fixed: Mapping[str, FieldArray], columns: Sequence[FieldArray]) -> FieldArray:
    """The column m over the domain: counts stand at the first of equal table rows.

    Raises ProvingFailed naming the first gate row whose values are not in its table.
    """
    from .kernels.fields import FR

    rows = np.flatnonzero(fixed["qk"].any(axis=1))
    table = _keys(fixed["t1"], fixed["t2"], fixed["t3"])
    looked = _keys(columns[0][rows], columns[1][rows], fixed["tag"][rows])
    order = np.argsort(table, kind="stable")
    at = np.minimum(np.searchsorted(table[order], looked), len(table) - 1)
    found = order[at]
    missing = table[found] != looked
    if bool(missing.any()):
        raise ProvingFailed(f"the values of gate row {int(rows[np.argmax(missing)])} are not in their table")
    return FR.encode(np.bincount(found, minlength=len(table)).tolist())
