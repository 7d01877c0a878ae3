"""Data anchoring tokens: nobody uses what was not granted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazai_core.api.types import DATA_REGISTRY_ADDRESS, ZERO_ADDRESS, Address, DatId
from lazai_core.chain.abi import encode_call
from lazai_core.chain.system_calls import GRANT, REGISTER_DAT, REVOKE
from lazai_core.chain.system_state import RegisteredDat, dat_count, dat_permits, read_dat
from tests.unit.contracts.harness import AUTHOR, NODE, OTHER, START, USER, Outcome, World

DIGEST = b"\x07" * 32
LATER = START + 1_000
TRANSFER = "transfer(uint256,address)"


def call(world: World, sender: Address, signature: str, *values: Any) -> Outcome:
    return world.send(sender, DATA_REGISTRY_ADDRESS, encode_call(signature, *values))


def world_with_dat() -> World:
    world = World()
    assert call(world, AUTHOR, REGISTER_DAT, DIGEST, "ipfs://data", 9).values("uint256") == (1,)
    return world


def permits(world: World, account: Address, dat: int = 1) -> bool:
    """The contract's answer, which must be the one that the slots give."""
    (answer,) = world.view(DATA_REGISTRY_ADDRESS, "permits(uint256,address)", dat, account).values("bool")
    assert answer == dat_permits(world, DatId(dat), account, world.timestamp)
    return bool(answer)


def test_dats_are_numbered_from_one_and_described() -> None:
    world = world_with_dat()
    assert call(world, OTHER, REGISTER_DAT, DIGEST, "u" * 512, 2**96 - 1).values("uint256") == (2,)

    assert dat_count(world) == 2
    assert read_dat(world, DatId(1)) == RegisteredDat(
        dat=1, owner=AUTHOR, price=9, content_digest=DIGEST, uri="ipfs://data"  # type: ignore[arg-type]
    )
    second = read_dat(world, DatId(2))
    assert second is not None
    assert (second.owner, second.price, second.uri) == (OTHER, 2**96 - 1, "u" * 512)
    described = world.view(DATA_REGISTRY_ADDRESS, "describe(uint256)", 1)
    assert described.values("address", "uint256", "bytes32", "string") == (AUTHOR, 9, DIGEST, "ipfs://data")
    assert world.view(DATA_REGISTRY_ADDRESS, "ownerOf(uint256)", 2).values("address") == (OTHER,)


@pytest.mark.parametrize("dat", [0, 2, 2**256 - 1])
def test_unknown_dats_are_named_and_permit_nobody(dat: int) -> None:
    world = world_with_dat()

    for signature in ("ownerOf(uint256)", "describe(uint256)"):
        assert world.view(DATA_REGISTRY_ADDRESS, signature, dat).error == f"UnknownDat(dat={dat})"
    assert world.view(DATA_REGISTRY_ADDRESS, "terms(uint256,address)", dat, USER).error == f"UnknownDat(dat={dat})"
    assert read_dat(world, DatId(dat)) is None
    assert not permits(world, AUTHOR, dat)
    assert not permits(world, ZERO_ADDRESS, dat)


def test_a_grant_ends_with_its_last_second() -> None:
    world = world_with_dat()
    assert permits(world, AUTHOR)
    assert not permits(world, USER)

    assert call(world, AUTHOR, GRANT, 1, USER, LATER).error == ""

    assert permits(world, USER)
    assert not permits(world, OTHER)
    world.advance(LATER - world.timestamp)
    assert permits(world, USER)
    world.advance(1)
    assert not permits(world, USER)


def test_a_grant_can_be_shortened_revoked_and_given_again() -> None:
    world = world_with_dat()
    call(world, AUTHOR, GRANT, 1, USER, LATER)
    call(world, AUTHOR, GRANT, 1, USER, world.timestamp + 1)
    granted = world.view(DATA_REGISTRY_ADDRESS, "grantedUntil(uint256,address)", 1, USER)
    assert granted.values("uint64") == (world.timestamp,)
    world.advance(1)
    assert not permits(world, USER)

    call(world, AUTHOR, GRANT, 1, USER, LATER)
    assert permits(world, USER)
    call(world, AUTHOR, REVOKE, 1, USER)
    assert not permits(world, USER)


def test_everyone_can_be_let_in_and_out() -> None:
    world = world_with_dat()
    call(world, AUTHOR, GRANT, 1, ZERO_ADDRESS, LATER)
    call(world, AUTHOR, GRANT, 1, USER, LATER)
    assert permits(world, OTHER)

    call(world, AUTHOR, REVOKE, 1, ZERO_ADDRESS)

    assert not permits(world, OTHER)
    assert permits(world, USER)
    call(world, AUTHOR, "revokeAll(uint256)", 1)
    assert not permits(world, USER)
    assert permits(world, AUTHOR)


def test_a_transfer_ends_all_grants_even_when_the_dat_comes_back() -> None:
    world = world_with_dat()
    call(world, AUTHOR, GRANT, 1, USER, LATER)

    assert call(world, AUTHOR, TRANSFER, 1, OTHER).error == ""

    assert permits(world, OTHER)
    assert not permits(world, USER)
    assert not permits(world, AUTHOR)
    call(world, OTHER, TRANSFER, 1, AUTHOR)
    assert not permits(world, USER)


@pytest.mark.parametrize(
    ("signature", "values"),
    [
        (GRANT, (USER, LATER)),
        (REVOKE, (USER,)),
        ("revokeAll(uint256)", ()),
        ("setPrice(uint256,uint96)", (1,)),
        (TRANSFER, (OTHER,)),
    ],
)
def test_only_the_owner_rules_over_a_dat(signature: str, values: tuple[Any, ...]) -> None:
    world = world_with_dat()
    call(world, AUTHOR, GRANT, 1, NODE, LATER)

    for stranger in (USER, NODE):
        error = f"NotDatOwner(dat=1, caller=0x{stranger.hex()}, owner=0x{AUTHOR.hex()})"
        assert call(world, stranger, signature, 1, *values).error == error
    assert call(world, AUTHOR, signature, 2, *values).error == "UnknownDat(dat=2)"
    assert call(world, AUTHOR, signature, 1, *values).error == ""


def test_prices_change_and_terms_show_them() -> None:
    world = world_with_dat()
    call(world, AUTHOR, "setPrice(uint256,uint96)", 1, 12)

    terms = world.view(DATA_REGISTRY_ADDRESS, "terms(uint256,address)", 1, USER)

    assert terms.values("address", "uint256", "bool") == (AUTHOR, 12, False)


def test_bad_arguments_are_refused_by_name() -> None:
    world = world_with_dat()

    assert call(world, AUTHOR, REGISTER_DAT, bytes(32), "", 0).error == "ZeroDigest()"
    long = call(world, AUTHOR, REGISTER_DAT, DIGEST, "u" * 513, 0)
    assert long.error == "TooLong(field=uri, size=513, sizeMax=512)"
    assert call(world, AUTHOR, TRANSFER, 1, ZERO_ADDRESS).error == "ZeroOwner(dat=1)"
    past = world.timestamp - 1
    assert call(world, AUTHOR, GRANT, 1, USER, past).error == f"GrantInPast(until={past}, timestamp={past + 1})"


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["grant", "revoke", "all", "give", "wait"]), st.integers(0, 2), st.integers(0, 40)),
        max_size=8,
    )
)
def test_any_history_permits_what_a_list_of_grants_permits(steps: list[tuple[str, int, int]]) -> None:
    world, accounts = world_with_dat(), (USER, OTHER, ZERO_ADDRESS)
    owner, grants = AUTHOR, dict[Address, int]()
    for step, index, number in steps:
        account = accounts[index]
        if step == "grant":
            call(world, owner, GRANT, 1, account, world.timestamp + number)
            grants[account] = world.timestamp - 1 + number
        elif step == "revoke":
            call(world, owner, REVOKE, 1, account)
            grants.pop(account, None)
        elif step == "all":
            call(world, owner, "revokeAll(uint256)", 1)
            grants.clear()
        elif step == "give":
            owner, previous = (USER, OTHER, AUTHOR)[index], owner
            call(world, previous, TRANSFER, 1, owner)
            grants.clear()
        else:
            world.advance(number)
    for account in (USER, OTHER, NODE, AUTHOR):
        ends = [end for holder, end in grants.items() if holder in (account, ZERO_ADDRESS)]
        assert permits(world, account) == (account == owner or any(world.timestamp <= end for end in ends))
