"""Models, constants and verifying keys: kept whole, owned, and read alike from the contract and from its slots."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazai_core.api.errors import StorageError
from lazai_core.api.hashing import keccak256
from lazai_core.api.types import MODEL_REGISTRY_ADDRESS, ZERO_ADDRESS, Address, ModelId
from lazai_core.chain.abi import encode_call
from lazai_core.chain.storage_layout import mapping_slot, read_blob
from lazai_core.chain.system_calls import (
    APPEND,
    FINISH_CONSTANTS,
    FINISH_MODEL,
    FINISH_VERIFYING_KEY,
    REGISTER_MODEL,
    SET_VERIFYING_KEY,
    STORE_CONSTANTS,
)
from lazai_core.chain.system_state import (
    BLOB_BYTES_MAX,
    RegisteredModel,
    read_constant,
    read_model,
    read_skeleton,
    read_verifying_key,
    registered_models,
)
from tests.unit.contracts.harness import AUTHOR, OTHER, USER, Outcome, World

CHUNK_BYTES = 24_575
UNKNOWN = ModelId(b"\x09" * 32)


def pattern(size: int) -> bytes:
    """Bytes that differ from chunk to chunk."""
    return b"".join(hashlib.sha256(index.to_bytes(8, "big")).digest() for index in range(-(-size // 32)))[:size]


def digest_of(skeleton: bytes) -> ModelId:
    """Program digest as docs/EXACT.md defines it."""
    return ModelId(hashlib.sha256(b"lazai/program/v1\x00" + skeleton).digest())


def call(world: World, sender: Address, signature: str, *values: Any) -> Outcome:
    return world.send(sender, MODEL_REGISTRY_ADDRESS, encode_call(signature, *values))


def register(world: World, skeleton: bytes = b"skeleton", sender: Address = AUTHOR, price: int = 5) -> Outcome:
    return call(world, sender, REGISTER_MODEL, skeleton, "digits", "ipfs://x", price)


@pytest.mark.parametrize("size", [1, 31, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES, 100_000])
def test_a_skeleton_comes_back_as_it_went_in(size: int) -> None:
    world, skeleton = World(), pattern(size)

    outcome = register(world, skeleton)

    model = digest_of(skeleton)
    assert outcome.values("bytes32") == (model,)
    assert outcome.gas_used < 30_000_000
    assert read_skeleton(world, model) == skeleton
    assert world.view(MODEL_REGISTRY_ADDRESS, "skeletonOf(bytes32)", model).values("bytes") == (skeleton,)
    assert read_model(world, model) == RegisteredModel(
        model=model, owner=AUTHOR, price=5, name="digits", uri="ipfs://x", skeleton_bytes=size  # type: ignore[arg-type]
    )
    described = world.view(MODEL_REGISTRY_ADDRESS, "describe(bytes32)", model)
    assert described.values("address", "uint256", "string", "string", "uint256") == (
        AUTHOR,
        5,
        "digits",
        "ipfs://x",
        size,
    )


def test_a_skeleton_may_come_in_pieces_of_any_size() -> None:
    world, skeleton = World(), pattern(300_000)
    pieces = [skeleton[:10], skeleton[10:100_000], skeleton[100_000:100_001], skeleton[100_001:200_000]]
    pieces.append(skeleton[200_000:])
    for piece in pieces:
        assert call(world, AUTHOR, APPEND, 7, piece).error == ""
    uploaded = world.view(MODEL_REGISTRY_ADDRESS, "uploadedBytes(address,uint256)", AUTHOR, 7)
    assert uploaded.values("uint256") == (300_000,)

    outcome = call(world, AUTHOR, FINISH_MODEL, 7, "long", "", 0)

    assert outcome.values("bytes32") == (digest_of(skeleton),)
    assert read_skeleton(world, digest_of(skeleton)) == skeleton
    assert call(world, AUTHOR, FINISH_MODEL, 7, "long", "", 0).error == "Empty(field=upload)"


def test_uploads_belong_to_their_uploader_and_can_be_forgotten() -> None:
    world = World()
    call(world, AUTHOR, APPEND, 1, b"mine")

    assert call(world, OTHER, FINISH_MODEL, 1, "theft", "", 0).error == "Empty(field=upload)"
    assert call(world, AUTHOR, "discard(uint256)", 1).error == ""
    assert call(world, AUTHOR, FINISH_MODEL, 1, "gone", "", 0).error == "Empty(field=upload)"
    assert call(world, AUTHOR, FINISH_CONSTANTS, 1).error == "Empty(field=upload)"


def test_a_digest_is_registered_once() -> None:
    world = World()
    register(world)

    error = f"ModelExists(model=0x{digest_of(b'skeleton').hex()}, owner=0x{AUTHOR.hex()})"
    assert register(world, sender=OTHER).error == error
    assert register(world).error == error
    call(world, OTHER, APPEND, 0, b"skeleton")
    assert call(world, OTHER, FINISH_MODEL, 0, "again", "", 0).error == error


def test_models_are_listed_in_order() -> None:
    world = World()
    skeletons = [b"a", b"b", b"c"]
    for skeleton in skeletons:
        register(world, skeleton)

    assert registered_models(world) == tuple(digest_of(skeleton) for skeleton in skeletons)
    assert registered_models(world, start=1, limit=1) == (digest_of(b"b"),)
    assert registered_models(world, start=9) == ()
    assert world.view(MODEL_REGISTRY_ADDRESS, "modelCount()").values("uint256") == (3,)
    assert world.view(MODEL_REGISTRY_ADDRESS, "modelAt(uint256)", 2).values("bytes32") == (digest_of(b"c"),)


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ((b"", "n", "", 0), "Empty(field=skeleton)"),
        ((b"s", "", "", 0), "Empty(field=name)"),
        ((b"s", "n" * 65, "", 0), "TooLong(field=name, size=65, sizeMax=64)"),
        ((b"s", "n", "u" * 513, 0), "TooLong(field=uri, size=513, sizeMax=512)"),
    ],
)
def test_fields_out_of_bounds_are_refused_by_name(values: tuple[Any, ...], error: str) -> None:
    assert call(World(), AUTHOR, REGISTER_MODEL, *values).error == error


def test_the_longest_texts_fit() -> None:
    world = World()
    call(world, AUTHOR, REGISTER_MODEL, b"s", "n" * 64, "u" * 512, 2**96 - 1)

    found = read_model(world, digest_of(b"s"))

    assert found is not None
    assert (found.name, found.uri, found.price) == ("n" * 64, "u" * 512, 2**96 - 1)


def test_an_upload_has_a_limit() -> None:
    world = World()
    slot = mapping_slot(4, AUTHOR, 0)
    world.state.set_storage(MODEL_REGISTRY_ADDRESS, slot, BLOB_BYTES_MAX - 1)
    world.state.lock_changes()

    too_long = f"TooLong(field=upload, size={BLOB_BYTES_MAX + 1}, sizeMax={BLOB_BYTES_MAX})"
    assert call(world, AUTHOR, APPEND, 0, b"ab").error == too_long


OWNER_CALLS: list[tuple[str, tuple[Any, ...]]] = [
    ("setPrice(bytes32,uint96)", (1,)),
    ("setUri(bytes32,string)", ("x",)),
    ("transfer(bytes32,address)", (OTHER,)),
    (SET_VERIFYING_KEY, ("plonk", b"key")),
]


@pytest.mark.parametrize(("signature", "values"), OWNER_CALLS)
def test_only_the_owner_changes_a_model(signature: str, values: tuple[Any, ...]) -> None:
    world = World()
    register(world)
    model = digest_of(b"skeleton")

    stranger = call(world, USER, signature, model, *values)
    unknown = call(world, AUTHOR, signature, UNKNOWN, *values)

    assert stranger.error.startswith(f"NotModelOwner(model=0x{model.hex()}, caller=0x{USER.hex()}")
    assert unknown.error == f"UnknownModel(model=0x{UNKNOWN.hex()})"
    assert call(world, AUTHOR, signature, model, *values).error == ""


def test_the_owner_changes_price_uri_and_owner() -> None:
    world = World()
    register(world)
    model = digest_of(b"skeleton")

    call(world, AUTHOR, "setPrice(bytes32,uint96)", model, 77)
    call(world, AUTHOR, "setUri(bytes32,string)", model, "")
    assert call(world, AUTHOR, "transfer(bytes32,address)", model, ZERO_ADDRESS).error.startswith("ZeroOwner(")
    call(world, AUTHOR, "transfer(bytes32,address)", model, OTHER)

    found = read_model(world, model)
    assert found is not None
    assert (found.owner, found.price, found.uri, found.name) == (OTHER, 77, "", "digits")
    assert world.view(MODEL_REGISTRY_ADDRESS, "terms(bytes32)", model).values("address", "uint256") == (OTHER, 77)
    assert call(world, AUTHOR, "setPrice(bytes32,uint96)", model, 1).error.startswith("NotModelOwner(")
    assert call(world, AUTHOR, "setUri(bytes32,string)", model, "u").error.startswith("NotModelOwner(")
    assert call(world, OTHER, "setUri(bytes32,string)", model, "u" * 513).error.startswith("TooLong(field=uri")


def test_constants_are_stored_once_under_their_sha256() -> None:
    world, blob = World(), pattern(30_000)
    digest = hashlib.sha256(blob).digest()
    assert read_constant(world, digest) is None

    first = call(world, USER, STORE_CONSTANTS, blob)
    second = call(world, OTHER, STORE_CONSTANTS, blob)

    assert first.values("bytes32") == second.values("bytes32") == (digest,)
    assert second.gas_used < first.gas_used // 4
    assert read_constant(world, digest) == blob
    assert world.view(MODEL_REGISTRY_ADDRESS, "constants(bytes32)", digest).values("bytes") == (blob,)
    assert call(world, USER, STORE_CONSTANTS, b"").error == "Empty(field=constants)"


def test_constants_may_come_in_pieces() -> None:
    world, blob = World(), pattern(60_000)
    for piece in (blob[:40_000], blob[40_000:]):
        call(world, USER, APPEND, 3, piece)

    digest = hashlib.sha256(blob).digest()
    assert call(world, USER, FINISH_CONSTANTS, 3).values("bytes32") == (digest,)
    assert read_constant(world, digest) == blob
    call(world, USER, APPEND, 3, blob)
    assert call(world, USER, FINISH_CONSTANTS, 3).values("bytes32") == (digest,)
    assert read_constant(world, digest) == blob


def test_verifying_keys_are_kept_by_model_and_system_and_replaced_whole() -> None:
    world = World()
    register(world)
    model, key = digest_of(b"skeleton"), pattern(50_000)
    assert read_verifying_key(world, model, "plonk") is None

    call(world, AUTHOR, SET_VERIFYING_KEY, model, "plonk", key)
    call(world, AUTHOR, SET_VERIFYING_KEY, model, "stark", b"other")
    assert read_verifying_key(world, model, "plonk") == key
    assert read_verifying_key(world, model, "stark") == b"other"
    by_contract = world.view(MODEL_REGISTRY_ADDRESS, "verifyingKey(bytes32,string)", model, "plonk")
    assert by_contract.values("bytes") == (key,)

    call(world, AUTHOR, SET_VERIFYING_KEY, model, "plonk", b"short")
    assert read_verifying_key(world, model, "plonk") == b"short"
    for piece in (key[:30_000], key[30_000:]):
        call(world, AUTHOR, APPEND, 5, piece)
    assert call(world, AUTHOR, FINISH_VERIFYING_KEY, 5, model, "plonk").error == ""
    assert read_verifying_key(world, model, "plonk") == key
    assert call(world, AUTHOR, FINISH_VERIFYING_KEY, 5, model, "plonk").error == "Empty(field=upload)"
    assert call(world, USER, FINISH_VERIFYING_KEY, 5, model, "plonk").error.startswith("NotModelOwner(")


@pytest.mark.parametrize(
    ("system", "key", "error"),
    [
        ("", b"k", "Empty(field=system)"),
        ("s" * 33, b"k", "TooLong(field=system, size=33, sizeMax=32)"),
        ("plonk", b"", "Empty(field=verifyingKey)"),
    ],
)
def test_verifying_keys_need_a_system_and_bytes(system: str, key: bytes, error: str) -> None:
    world = World()
    register(world)

    assert call(world, AUTHOR, SET_VERIFYING_KEY, digest_of(b"skeleton"), system, key).error == error


def test_what_is_not_registered_is_not_there() -> None:
    world = World()

    assert read_model(world, UNKNOWN) is None
    assert read_skeleton(world, UNKNOWN) is None
    for signature in ("terms(bytes32)", "describe(bytes32)", "skeletonOf(bytes32)"):
        assert world.view(MODEL_REGISTRY_ADDRESS, signature, UNKNOWN).error.startswith("UnknownModel(")


def test_a_chunk_is_an_account_that_cannot_run() -> None:
    world = World()
    register(world, b"\x60\x00\xff")
    slot = mapping_slot(0, digest_of(b"\x60\x00\xff")) + 3 + 1
    first = int.from_bytes(keccak256(slot.to_bytes(32, "big")), "big")
    chunk = Address(world.storage(MODEL_REGISTRY_ADDRESS, first).to_bytes(20, "big"))

    assert world.code(chunk) == b"\x00\x60\x00\xff"
    assert world.send(USER, chunk, b"\x01").error == ""
    assert world.code(chunk) == b"\x00\x60\x00\xff"


@given(size=st.integers(0, 3), count=st.integers(0, 3), codes=st.lists(st.binary(max_size=3), min_size=3, max_size=3))
def test_a_damaged_blob_is_refused(size: int, count: int, codes: list[bytes]) -> None:
    class Damaged:
        def storage(self, _address: bytes, slot: int) -> int:
            return {0: size, 1: count}.get(slot, (slot - first) + 1)

        def code(self, address: bytes) -> bytes:
            return codes[address[-1] - 1]

    first = int.from_bytes(keccak256((1).to_bytes(32, "big")), "big")
    whole = b"".join(code[1:] for code in codes[:count])
    try:
        found = read_blob(Damaged(), OTHER, 0, 3)  # type: ignore[arg-type]
    except StorageError:
        assert len(whole) != size or any(len(code) < 2 for code in codes[:count])
    else:
        assert found == whole[:size]
        assert len(found) == size


def test_a_blob_beyond_its_limit_is_not_read() -> None:
    class Endless:
        def storage(self, _address: bytes, _slot: int) -> int:
            return 2**255

    with pytest.raises(StorageError, match="more than 10"):
        read_blob(Endless(), OTHER, 0, 10)  # type: ignore[arg-type]
