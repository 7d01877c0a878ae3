"""BLAKE3 of many short rows at once, sixteen rows in sixteen lanes.

Every row is hashed as BLAKE3's `keyed_hash` defines it, for rows of 64 to 1,024 bytes in whole 64-byte blocks (one
chunk), so
that any BLAKE3 library checks the result. Leaves and nodes of Merkle trees use different keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit
from numba.core import types
from numba.extending import intrinsic

from .lanes import LANES, transpose

WORDS_A_BLOCK = 16
DIGEST_WORDS = 8
ROW_WORDS_MAX = 256

CHUNK_START, CHUNK_END, ROOT, KEYED_HASH = 1, 2, 8, 16

INITIAL = (
    0x6A09E667,
    0xBB67AE85,
    0x3C6EF372,
    0xA54FF53A,
    0x510E527F,
    0x9B05688C,
    0x1F83D9AB,
    0x5BE0CD19,
)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
COLUMNS_AND_DIAGONALS = (
    (0, 4, 8, 12),
    (1, 5, 9, 13),
    (2, 6, 10, 14),
    (3, 7, 11, 15),
    (0, 5, 10, 15),
    (1, 6, 11, 12),
    (2, 7, 8, 13),
    (3, 4, 9, 14),
)

_WORD = ir.IntType(32)
_ADDRESS = ir.IntType(64)
_VECTOR = ir.VectorType(_WORD, LANES)


def _schedule() -> list[list[int]]:
    order = list(range(16))
    rounds = [order]
    for _ in range(6):
        order = [order[position] for position in PERMUTATION]
        rounds.append(order)
    return rounds


def _splat(builder: Any, word: Any) -> Any:
    if isinstance(word, int):
        return ir.Constant(_VECTOR, [word] * LANES)
    single = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), word, ir.Constant(_WORD, 0))
    mask = ir.Constant(_VECTOR, [0] * LANES)
    return builder.shuffle_vector(single, ir.Constant(_VECTOR, ir.Undefined), mask)


def _rotate_right(builder: Any, value: Any, count: int) -> Any:
    name = "llvm.fshr.v16i32"
    function = builder.module.globals.get(name) or ir.Function(
        builder.module, ir.FunctionType(_VECTOR, [_VECTOR, _VECTOR, _VECTOR]), name
    )
    return builder.call(function, [value, value, _splat(builder, count)])


def _mix(builder: Any, v: list[Any], place: tuple[int, int, int, int], x: Any, y: Any) -> None:
    a, b, c, d = place
    for word, turn_d, turn_b in ((x, 16, 12), (y, 8, 7)):
        v[a] = builder.add(builder.add(v[a], v[b]), word)
        v[d] = _rotate_right(builder, builder.xor(v[d], v[a]), turn_d)
        v[c] = builder.add(v[c], v[d])
        v[b] = _rotate_right(builder, builder.xor(v[b], v[c]), turn_b)


def _vector_at(builder: Any, base: Any, offset: Any) -> Any:
    return builder.inttoptr(builder.add(base, offset), _VECTOR.as_pointer())


@intrinsic
def _compress(_context, state, block, row_bytes, flags):
    """state: 8 vectors in and out; block: address of row 0's 64 bytes, rows `row_bytes` apart."""
    signature = types.void(types.uint64, types.uint64, types.uint64, types.uint32)

    def code(context: Any, builder: Any, _signature: Any, arguments: Sequence[Any]) -> Any:
        state_address, block_address, stride, flag_word = arguments
        rows = []
        for lane in range(LANES):
            offset = builder.mul(stride, ir.Constant(_ADDRESS, lane))
            rows.append(builder.load(_vector_at(builder, block_address, offset), align=4))
        message = transpose(builder, rows)
        places = [_vector_at(builder, state_address, ir.Constant(_ADDRESS, 64 * word)) for word in range(DIGEST_WORDS)]
        v = [builder.load(place, align=4) for place in places]
        v += [_splat(builder, word) for word in INITIAL[:4]]
        v += [_splat(builder, 0), _splat(builder, 0), _splat(builder, 64), _splat(builder, flag_word)]
        for order in _schedule():
            for step, place in enumerate(COLUMNS_AND_DIAGONALS):
                _mix(builder, v, place, message[order[2 * step]], message[order[2 * step + 1]])
        for word, place in enumerate(places):
            builder.store(builder.xor(v[word], v[word + 8]), place, align=4)
        return context.get_dummy_value()

    return signature, code


@njit(cache=True, nogil=True)
def hash_rows(rows, key, digests, begin, end):
    """digests[i] = keyed BLAKE3 of rows[i], for begin <= i < end; both multiples of 16.

    rows uint32[n, words], words a multiple of 16; key uint32[8]; digests uint32[n, 8].
    """
    state = np.empty((8, 16), np.uint32)
    words = rows.shape[1]
    blocks = words // 16
    row_bytes = np.uint64(words * 4)
    source = np.uint64(rows.ctypes.data)
    state_address = np.uint64(state.ctypes.data)
    for first in range(begin, end, 16):
        for word in range(8):
            for lane in range(16):
                state[word, lane] = key[word]
        address = source + np.uint64(first) * row_bytes
        for block in range(blocks):
            flags = np.uint32(16)
            if block == 0:
                flags = np.uint32(flags | np.uint32(1))
            if block == blocks - 1:
                flags = np.uint32(flags | np.uint32(2 | 8))
            _compress(state_address, address + np.uint64(64 * block), row_bytes, flags)
        for lane in range(16):
            for word in range(8):
                digests[first + lane, word] = state[word, lane]


@njit(cache=True, nogil=True)
def verify_paths(digests, indices, log_leaves, cap_height, siblings, cap, key):
    """Whether leaves with these digests at these ascending distinct indices lead to the cap.

    digests uint32[m, 8]; indices int64[m]; siblings uint32[s, 8] in the order they are needed, level by level, left to
    right; cap uint32[2^cap_height, 8]. Gives the number of siblings used, or -1 when a hash differs or they run out.
    """
    count = indices.shape[0]
    width = ((count + 15) // 16) * 16
    current = np.zeros((width, 8), np.uint32)
    current[:count] = digests
    places = indices.copy()
    pairs = np.zeros((width, 16), np.uint32)
    used = 0
    for _ in range(log_leaves - cap_height):
        parents = 0
        position = 0
        while position < count:
            place = places[position]
            if place % 2 == 0 and position + 1 < count and places[position + 1] == place + 1:
                pairs[parents, :8] = current[position]
                pairs[parents, 8:] = current[position + 1]
                position += 2
            else:
                if used >= siblings.shape[0]:
                    return -1
                if place % 2 == 0:
                    pairs[parents, :8] = current[position]
                    pairs[parents, 8:] = siblings[used]
                else:
                    pairs[parents, :8] = siblings[used]
                    pairs[parents, 8:] = current[position]
                used += 1
                position += 1
            places[parents] = place // 2
            parents += 1
        count = parents
        hash_rows(pairs, key, current, 0, ((count + 15) // 16) * 16)
    for position in range(count):
        for word in range(8):
            if current[position, word] != cap[places[position], word]:
                return -1
    return used


@njit(cache=True, nogil=True)
def sibling_places(indices, log_leaves, cap_height, levels, places):
    """The (level, index) of each sibling that `verify_paths` will need, in its order; gives their number."""
    count = indices.shape[0]
    current = indices.copy()
    needed = 0
    for level in range(log_leaves - cap_height):
        parents = 0
        position = 0
        while position < count:
            place = current[position]
            if place % 2 == 0 and position + 1 < count and current[position + 1] == place + 1:
                position += 2
            else:
                levels[needed] = level
                places[needed] = place ^ 1
                needed += 1
                position += 1
            current[parents] = place // 2
            parents += 1
        count = parents
    return needed


@njit(cache=True, nogil=True)
def find_nonce(seed, key, bits, first, tries):
    """The least nonce from `first` whose hash with the seed begins with `bits` zero bits, or -1 after `tries`.

    The hash is keyed BLAKE3 of seed (32 bytes) || nonce (8 bytes little-endian) || 24 zero bytes; its first word's
    upper bits count. seed uint32[8].
    """
    rows = np.zeros((256, 16), np.uint32)
    digests = np.zeros((256, 8), np.uint32)
    for row in range(256):
        for word in range(8):
            rows[row, word] = seed[word]
    shift = np.uint32(32 - bits)
    done = 0
    while done < tries:
        for row in range(256):
            nonce = np.uint64(first + done + row)
            rows[row, 8] = np.uint32(nonce & np.uint64(0xFFFFFFFF))
            rows[row, 9] = np.uint32(nonce >> np.uint64(32))
        hash_rows(rows, key, digests, 0, 256)
        for row in range(256):
            if digests[row, 0] >> shift == 0:
                return first + done + row
        done += 256
    return -1
