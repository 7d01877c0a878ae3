"""What the system contracts hold, read through a `StatePort` without running them."""

from __future__ import annotations

from attrs import frozen

from lazai_core.api.hashing import keccak256
from lazai_core.api.precompile import StatePort
from lazai_core.api.proof import ProofSystem
from lazai_core.api.types import (
    ADDRESS_BYTES,
    DATA_REGISTRY_ADDRESS,
    MODEL_REGISTRY_ADDRESS,
    SETTLEMENT_ADDRESS,
    ZERO_ADDRESS,
    Address,
    DatId,
    Hash32,
    ModelId,
    Wei,
)

from .storage_layout import array_slot, mapping_slot, packed_field, read_blob, read_bytes, word_address

BLOB_BYTES_MAX = 2**21
"""Longest skeleton, constant or verifying key in bytes (ModelRegistry.BLOB_BYTES_MAX)."""
NAME_BYTES_MAX = 64
URI_BYTES_MAX = 512

_MODELS, _CONSTANTS, _VERIFYING_KEYS, _DIGESTS = 0, 1, 2, 3
_MODEL_NAME, _MODEL_URI, _MODEL_PROGRAM = 1, 2, 3
_DAT_COUNT, _DATS, _GRANTS = 0, 1, 2
_DAT_DIGEST, _DAT_GENERATION, _DAT_URI = 1, 2, 3
_ESCROW, _EARNINGS, _COUNTERS, _UNLOCKS_AT = 0, 1, 2, 3
_PRICE_BYTES = 12


@frozen(kw_only=True)
class RegisteredModel:
    """A model in the registry; `price` in wei a call."""

    model: ModelId
    owner: Address
    price: Wei
    name: str
    uri: str
    skeleton_bytes: int


@frozen(kw_only=True)
class RegisteredDat:
    """A data anchoring token; `price` in wei a use."""

    dat: DatId
    owner: Address
    price: Wei
    content_digest: Hash32
    uri: str


def read_model(state: StatePort, model: ModelId) -> RegisteredModel | None:
    """What the registry says about a model, or None when it is not registered."""
    slot = mapping_slot(_MODELS, model)
    word = state.storage(MODEL_REGISTRY_ADDRESS, slot)
    if word_address(word) == ZERO_ADDRESS:
        return None
    return RegisteredModel(
        model=model,
        owner=word_address(word),
        price=Wei(packed_field(word, ADDRESS_BYTES, _PRICE_BYTES)),
        name=_text(state, MODEL_REGISTRY_ADDRESS, slot + _MODEL_NAME, NAME_BYTES_MAX),
        uri=_text(state, MODEL_REGISTRY_ADDRESS, slot + _MODEL_URI, URI_BYTES_MAX),
        skeleton_bytes=state.storage(MODEL_REGISTRY_ADDRESS, slot + _MODEL_PROGRAM),
    )


def read_skeleton(state: StatePort, model: ModelId) -> bytes | None:
    """A model's skeleton, or None when it is not registered."""
    slot = mapping_slot(_MODELS, model)
    if word_address(state.storage(MODEL_REGISTRY_ADDRESS, slot)) == ZERO_ADDRESS:
        return None
    return read_blob(state, MODEL_REGISTRY_ADDRESS, slot + _MODEL_PROGRAM, BLOB_BYTES_MAX)


def read_constant(state: StatePort, digest: bytes) -> bytes | None:
    """The bytes of a constant by their SHA-256, or None when the registry does not hold them."""
    return read_blob(state, MODEL_REGISTRY_ADDRESS, mapping_slot(_CONSTANTS, digest), BLOB_BYTES_MAX) or None


def read_verifying_key(state: StatePort, model: ModelId, system: str) -> bytes | None:
    """The verifying key that a model's owner set for a proof system, or None."""
    slot = mapping_slot(_VERIFYING_KEYS, model, keccak256(system.encode("utf-8")))
    return read_blob(state, MODEL_REGISTRY_ADDRESS, slot, BLOB_BYTES_MAX) or None


def lacks_verifying_key(system: ProofSystem, state: StatePort, model: ModelId) -> bool:
    """Whether no proof of `system` for the model can be accepted yet: its owner has set no verifying key."""
    return system.needs_verifying_key and read_verifying_key(state, model, system.name) is None


def registered_models(state: StatePort, start: int = 0, limit: int = 1000) -> tuple[ModelId, ...]:
    """Digests of registered models in order of registration, from number `start`, at most `limit`."""
    count = state.storage(MODEL_REGISTRY_ADDRESS, _DIGESTS)
    return tuple(
        ModelId(state.storage(MODEL_REGISTRY_ADDRESS, array_slot(_DIGESTS, index)).to_bytes(32, "big"))
        for index in range(start, min(count, start + limit))
    )


def read_dat(state: StatePort, dat: DatId) -> RegisteredDat | None:
    """What the registry says about a DAT, or None when there is none of this number."""
    slot = mapping_slot(_DATS, dat)
    word = state.storage(DATA_REGISTRY_ADDRESS, slot)
    if word_address(word) == ZERO_ADDRESS:
        return None
    return RegisteredDat(
        dat=dat,
        owner=word_address(word),
        price=Wei(packed_field(word, ADDRESS_BYTES, _PRICE_BYTES)),
        content_digest=Hash32(state.storage(DATA_REGISTRY_ADDRESS, slot + _DAT_DIGEST).to_bytes(32, "big")),
        uri=_text(state, DATA_REGISTRY_ADDRESS, slot + _DAT_URI, URI_BYTES_MAX),
    )


def dat_permits(state: StatePort, dat: DatId, account: Address, timestamp: int) -> bool:
    """Whether an account may use a DAT in a block of this timestamp; False for an unknown DAT.

    The owner may; so may an account, or everyone through the zero address, up to the last second of its grant.
    """
    slot = mapping_slot(_DATS, dat)
    owner = word_address(state.storage(DATA_REGISTRY_ADDRESS, slot))
    if owner == ZERO_ADDRESS:
        return False
    if owner == account:
        return True
    generation = state.storage(DATA_REGISTRY_ADDRESS, slot + _DAT_GENERATION)
    ends = (
        state.storage(DATA_REGISTRY_ADDRESS, mapping_slot(_GRANTS, dat, generation, holder))
        for holder in (account, ZERO_ADDRESS)
    )
    return any(timestamp <= end for end in ends)


def dat_count(state: StatePort) -> int:
    """Number of DATs; they are numbered from 1."""
    return state.storage(DATA_REGISTRY_ADDRESS, _DAT_COUNT)


def escrow_of(state: StatePort, user: Address) -> Wei:
    """Wei that a user may spend on requests."""
    return Wei(state.storage(SETTLEMENT_ADDRESS, mapping_slot(_ESCROW, user)))


def earnings_of(state: StatePort, payee: Address) -> Wei:
    """Wei that a payee may withdraw."""
    return Wei(state.storage(SETTLEMENT_ADDRESS, mapping_slot(_EARNINGS, payee)))


def next_counter(state: StatePort, user: Address, lane: int) -> int:
    """Counter that the next request of a user's lane must have."""
    return state.storage(SETTLEMENT_ADDRESS, mapping_slot(_COUNTERS, user, lane))


def unlocks_at(state: StatePort, user: Address) -> int:
    """Second from which the user may withdraw escrow; 0 while it is locked."""
    return state.storage(SETTLEMENT_ADDRESS, mapping_slot(_UNLOCKS_AT, user))


def _text(state: StatePort, contract: Address, slot: int, size_max: int) -> str:
    """Text for people; bytes that are not UTF-8 show as replacement characters."""
    return read_bytes(state, contract, slot, size_max).decode("utf-8", errors="replace")
