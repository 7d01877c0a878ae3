"""Keyed BLAKE3 of many rows of one length at once: int32 tensors, whose additions and shifts wrap as words do."""

from __future__ import annotations

import torch

BLOCK_WORDS = 16
_IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A)
_PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
_CHUNK_START, _CHUNK_END, _ROOT, _KEYED_HASH = 1, 2, 8, 16
_ROUNDS = 7


def _schedule() -> list[list[int]]:
    order = list(range(BLOCK_WORDS))
    rounds = []
    for _ in range(_ROUNDS):
        rounds.append(order)
        order = [order[place] for place in _PERMUTATION]
    return rounds


_SCHEDULE = _schedule()


def _signed(word: int) -> int:
    return word - (1 << 32) if word >> 31 else word


def _turned(words: torch.Tensor, bits: int) -> torch.Tensor:
    """Rotation to the right; the shift of a signed word repeats its sign, which the mask takes away."""
    return ((words >> bits) & ((1 << (32 - bits)) - 1)) | (words << (32 - bits))


def _mix(state: list[torch.Tensor], first: torch.Tensor, second: torch.Tensor) -> None:
    """The mixing function on four columns at once: the state's rows a, b, c, d are `[4, n]`."""
    a, b, c, d = state
    for words, d_turn, b_turn in ((first, 16, 12), (second, 8, 7)):
        a = a + b + words
        d = _turned(d ^ a, d_turn)
        c = c + d
        b = _turned(b ^ c, b_turn)
    state[:] = [a, b, c, d]


def hash_rows(rows: torch.Tensor, key: bytes) -> torch.Tensor:
    """int32 `[n, words]`, words a multiple of 16 and at most 256, to int32 `[n, 8]`; little-endian words."""
    count, width = rows.shape
    device = rows.device
    key_words = [_signed(int.from_bytes(key[start : start + 4], "little")) for start in range(0, 32, 4)]
    chaining = torch.tensor(key_words, dtype=torch.int32, device=device)[:, None].expand(8, count)
    constants = torch.tensor([_signed(word) for word in _IV], dtype=torch.int32, device=device)
    columns = rows.t().contiguous()
    blocks = width // BLOCK_WORDS
    for index in range(blocks):
        message = columns[BLOCK_WORDS * index : BLOCK_WORDS * (index + 1)]
        flags = _KEYED_HASH | (_CHUNK_START if index == 0 else 0)
        flags |= _CHUNK_END | _ROOT if index == blocks - 1 else 0
        last = torch.tensor([0, 0, 4 * BLOCK_WORDS, flags], dtype=torch.int32, device=device)
        state = [
            chaining[:4],
            chaining[4:],
            constants[:, None].expand(4, count),
            last[:, None].expand(4, count),
        ]
        for order in _SCHEDULE:
            words = message[order]
            _mix(state, words[0:8:2], words[1:8:2])
            state = [state[0], state[1].roll(-1, 0), state[2].roll(-2, 0), state[3].roll(-3, 0)]
            _mix(state, words[8:16:2], words[9:16:2])
            state = [state[0], state[1].roll(1, 0), state[2].roll(2, 0), state[3].roll(3, 0)]
        chaining = torch.cat([state[0] ^ state[2], state[1] ^ state[3]])
    return chaining.t().contiguous()
