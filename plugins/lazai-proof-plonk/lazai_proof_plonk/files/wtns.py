"""`.wtns` version 2: the value of every wire, canonical and little-endian."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from lazai_core.api.errors import EncodingError

from ..parameters import ORDER
from .container import Cursor, read_container, write_container

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAGIC, VERSIONS = b"wtns", (1, 2)
VALUES_MAX = 1 << 26


def read_wtns(data: bytes | memoryview) -> NDArray[np.uint64]:
    """The values as limbs `[wires, 4]`, each below r. Raises EncodingError."""
    from .limbs import check_below, limbs_of

    container = read_container(data, MAGIC, VERSIONS)
    cursor = Cursor(container.section(1))
    cursor.prime(ORDER)
    count = cursor.u32()
    cursor.finish()
    section = container.section(2)
    if not 1 <= count <= VALUES_MAX or len(section.body) != 32 * count:
        raise section.fail(0, f"{len(section.body)} bytes are not {count} values of 32 bytes")
    values = limbs_of(section.body, 4)
    check_below(section, values, ORDER)
    return values


def write_wtns(values: NDArray[np.uint64]) -> bytes:
    """The canonical file, version 2, of limbs `[wires, 4]` below r."""
    import numpy as np

    if values.ndim != 2 or values.shape[1] != 4 or values.dtype != np.uint64:
        raise EncodingError(f".wtns: values must be uint64 limbs [wires, 4], not {values.dtype} {values.shape}")
    header = struct.pack("<I", 32) + ORDER.to_bytes(32, "little") + struct.pack("<I", len(values))
    return write_container(MAGIC, 2, [(1, [header]), (2, [np.ascontiguousarray(values).tobytes()])])
