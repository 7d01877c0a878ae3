"""Settlement: who may run what, who pays whom, and that nothing can be had twice."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from eth_abi.abi import encode

from lazai_core.api.hashing import SECP256K1_ORDER, keccak256
from lazai_core.api.types import DATA_REGISTRY_ADDRESS, MODEL_REGISTRY_ADDRESS, SETTLEMENT_ADDRESS, ModelId
from lazai_core.chain.abi import encode_call
from lazai_core.chain.system_calls import (
    ADVANCE_LANE,
    REQUEST,
    REVOKE,
    Settled,
    decode_outputs,
    job_salt,
)
from lazai_core.chain.system_contracts import DEFAULT_GAS_PARAMETERS
from lazai_core.chain.system_state import earnings_of, escrow_of, next_counter
from tests.unit.contracts.harness import (
    AUTHOR,
    BASE_FEE,
    CHAIN_ID,
    COIN,
    NODE,
    OTHER,
    START,
    USER,
    WORKER,
    World,
    key_of,
)
from tests.unit.contracts.requests import (
    DAT_PRICE,
    INPUT,
    MODEL_PRICE,
    execute,
    register_dat,
    signed_request,
    unsigned_request,
    world_with_model,
)

TIP = DEFAULT_GAS_PARAMETERS.tip


def request_tuple(request: Any) -> tuple[Any, ...]:
    return (
        request.user,
        request.node,
        request.model,
        request.body_hash,
        list(request.dats),
        request.max_cost,
        request.expiry,
        request.lane,
        request.counter,
    )


def test_a_request_runs_and_everyone_is_paid() -> None:
    world, model = world_with_model()
    dat = register_dat(world)
    request = signed_request(model, dats=(dat,))

    outcome = execute(world, request, (INPUT, b"second"))

    assert decode_outputs(outcome.output) == (INPUT[::-1], b"dnoces")
    settled = [Settled.from_log(topics, data) for _, topics, data in outcome.logs]
    assert len(settled) == 1
    assert settled[0].request_hash == request.digest(CHAIN_ID, SETTLEMENT_ADDRESS)
    assert (settled[0].user, settled[0].node) == (USER, NODE)
    assert settled[0].compute_gas == 2 * world.ai.compute_gas
    assert escrow_of(world, USER) == 10 * COIN - settled[0].cost
    assert earnings_of(world, WORKER) == 2 * world.ai.compute_gas * TIP
    assert earnings_of(world, AUTHOR) == 2 * MODEL_PRICE + DAT_PRICE
    rest = settled[0].cost - earnings_of(world, WORKER) - earnings_of(world, AUTHOR)
    assert earnings_of(world, NODE) == rest
    assert next_counter(world, USER, 0) == 1


def test_the_precompile_gets_what_the_request_says() -> None:
    world, model = world_with_model()
    dat = register_dat(world)

    execute(world, signed_request(model, dats=(dat,), lane=9), (INPUT, b"second"), proof_system="stark")

    assert [call.input for call in world.ai.calls] == [INPUT, b"second"]
    assert {(call.model, call.dats, call.proof_system) for call in world.ai.calls} == {(model, (dat,), "stark")}
    assert [call.salt for call in world.ai.calls] == [job_salt(USER, 9, 0, 0), job_salt(USER, 9, 0, 1)]


def test_the_salt_is_the_hash_of_four_words() -> None:
    words = encode(["address", "uint64", "uint64", "uint256"], [USER, 5, 6, 7])

    assert job_salt(USER, 5, 6, 7) == keccak256(words)
    (on_chain,) = World().view(
        SETTLEMENT_ADDRESS, "jobSalt(address,uint64,uint64,uint256)", USER, 5, 6, 7
    ).values("bytes32")
    assert on_chain == job_salt(USER, 5, 6, 7)


def test_the_digest_is_eip_712_by_contract_by_core_and_by_hand() -> None:
    world = World()
    request = unsigned_request(ModelId(b"\x05" * 32), dats=(1, 2**200), lane=3, counter=4)
    domain_type = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    struct_type = (
        "InferenceRequest(address user,address node,bytes32 model,bytes32 bodyHash,uint256[] dats,"
        "uint256 maxCost,uint64 expiry,uint64 lane,uint64 counter)"
    )
    domain = encode(
        ["bytes32", "bytes32", "bytes32", "uint256", "address"],
        [keccak256(domain_type.encode()), keccak256(b"LazAI"), keccak256(b"1"), CHAIN_ID, SETTLEMENT_ADDRESS],
    )
    dats = keccak256(encode(["uint256[2]"], [list(request.dats)]))
    fields = list(request_tuple(request))
    fields[4] = dats
    struct = encode(
        ["bytes32", "address", "address", "bytes32", "bytes32", "bytes32", "uint256", "uint64", "uint64", "uint64"],
        [keccak256(struct_type.encode()), *fields],
    )
    by_hand = keccak256(b"\x19\x01" + keccak256(domain) + keccak256(struct))

    (by_contract,) = world.view(
        SETTLEMENT_ADDRESS, f"hashRequest({REQUEST})", request_tuple(request)
    ).values("bytes32")

    assert by_contract == by_hand == request.digest(CHAIN_ID, SETTLEMENT_ADDRESS)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"node": OTHER}, f"NotTheNode(caller=0x{NODE.hex()}, node=0x{OTHER.hex()})"),
        ({"expiry": START}, "Expired("),
        ({"key": key_of("other")}, f"WrongSigner(signer=0x{OTHER.hex()}, user=0x{USER.hex()})"),
        ({"chain_id": CHAIN_ID + 1}, "WrongSigner("),
        ({"contract": MODEL_REGISTRY_ADDRESS}, "WrongSigner("),
        ({"counter": 1}, "WrongCounter(lane=0, counter=1, expected=0)"),
        ({"max_cost": 11 * COIN}, f"InsufficientEscrow(user=0x{USER.hex()}, available={10 * COIN}, "),
        ({"max_cost": 1000}, "CostAboveMaximum("),
        ({"model": b"\x01" * 32}, f"UnknownModel(model=0x{'01' * 32})"),
        ({"dats": (77,)}, "UnknownDat(dat=77)"),
    ],
)
def test_a_wrong_request_is_refused_and_changes_nothing(options: dict[str, Any], error: str) -> None:
    world, model = world_with_model()
    root = escrow_of(world, USER), earnings_of(world, NODE), next_counter(world, USER, 0)

    outcome = execute(world, signed_request(options.pop("model", model), **options))

    assert outcome.error.startswith(error)
    assert root == (escrow_of(world, USER), earnings_of(world, NODE), next_counter(world, USER, 0))
    assert outcome.logs == ()


@pytest.mark.parametrize(
    "field", ["user", "node", "model", "body_hash", "dats", "max_cost", "expiry", "lane", "counter"]
)
def test_every_field_is_signed(field: str) -> None:
    world, model = world_with_model()
    dat = register_dat(world)
    request = signed_request(model, dats=(dat,))
    changed = {
        "user": OTHER,
        "node": OTHER,
        "model": b"\x02" * 32,
        "body_hash": b"\x02" * 32,
        "dats": (),
        "max_cost": request.max_cost + 1,
        "expiry": request.expiry + 1,
        "lane": 1,
        "counter": 1,
    }

    forged = evolve(request, **{field: changed[field]})
    outcome = execute(world, forged, sender=forged.node)

    assert outcome.error.startswith("WrongSigner(")


def test_an_executed_request_cannot_be_replayed() -> None:
    world, model = world_with_model()
    request = signed_request(model)
    assert execute(world, request).error == ""
    escrow = escrow_of(world, USER)

    assert execute(world, request).error == "WrongCounter(lane=0, counter=0, expected=1)"
    assert escrow_of(world, USER) == escrow


def test_lanes_do_not_wait_for_each_other() -> None:
    world, model = world_with_model()

    for lane, counter in ((7, 0), (0, 0), (7, 1), (2**64 - 1, 0), (0, 1)):
        assert execute(world, signed_request(model, lane=lane, counter=counter)).error == ""


def test_the_last_second_counts() -> None:
    world, model = world_with_model()
    request = signed_request(model, expiry=world.timestamp)

    assert execute(world, request).error == ""
    late = execute(world, signed_request(model, expiry=world.timestamp - 1, counter=1))
    assert late.error == f"Expired(expiry={world.timestamp - 2}, timestamp={world.timestamp - 1})"


def test_only_the_one_canonical_signature_is_accepted() -> None:
    world, model = world_with_model()
    request = signed_request(model)
    r, s, v = request.signature[:32], int.from_bytes(request.signature[32:64], "big"), request.signature[64]
    twin = r + (SECP256K1_ORDER - s).to_bytes(32, "big") + bytes([55 - v])
    malformed = [
        twin,
        request.signature[:64] + bytes([v - 27]),
        request.signature[:64],
        request.signature + b"\x00",
        b"",
        bytes(64) + b"\x1b",
        r + bytes(32) + b"\x1b",
    ]

    for signature in malformed:
        assert execute(world, evolve(request, signature=signature)).error == "MalformedSignature()"
    assert execute(world, request).error == ""


def test_a_request_without_inputs_is_refused() -> None:
    world, model = world_with_model()

    assert execute(world, signed_request(model), ()).error == "NoInputs()"


def test_a_dat_needs_a_grant_that_has_not_ended() -> None:
    world, model = world_with_model()
    closed = register_dat(world, permitted=None)
    refused = execute(world, signed_request(model, dats=(closed,)))
    assert refused.error == f"DatNotPermitted(dat={closed}, user=0x{USER.hex()})"

    open_dat = register_dat(world)
    assert execute(world, signed_request(model, dats=(open_dat,))).error == ""
    world.send(AUTHOR, DATA_REGISTRY_ADDRESS, encode_call(REVOKE, open_dat, USER))
    assert execute(world, signed_request(model, dats=(open_dat,), counter=1)).error.startswith("DatNotPermitted(")


def test_a_refusal_of_the_precompile_reaches_the_caller() -> None:
    world, model = world_with_model()
    world.ai.refusal = encode_call("UnknownModel(bytes32)", model)

    outcome = execute(world, signed_request(model))

    assert outcome.error == f"UnknownModel(model=0x{model.hex()})"
    assert escrow_of(world, USER) == 10 * COIN


def test_the_maximum_cost_is_exact_to_the_wei() -> None:
    def run(max_cost: int) -> tuple[str, int]:
        world, model = world_with_model()
        outcome = execute(world, signed_request(model, max_cost=max_cost), gas_price=BASE_FEE)
        cost = 0 if outcome.error else Settled.from_log(*outcome.logs[0][1:]).cost
        return outcome.error, cost

    cost = run(COIN)[1]
    assert run(cost) == ("", cost)
    # One byte of the request may change its calldata price by 12 gas, so the bound below is not one wei.
    assert run(cost - 200 * BASE_FEE)[0].startswith("CostAboveMaximum(")


def test_a_user_cancels_what_is_signed_and_not_run() -> None:
    world, model = world_with_model()
    request = signed_request(model, lane=4, counter=2)
    assert world.send(USER, SETTLEMENT_ADDRESS, encode_call(ADVANCE_LANE, 4, 3)).error == ""

    assert execute(world, request).error == "WrongCounter(lane=4, counter=2, expected=3)"
    back = world.send(USER, SETTLEMENT_ADDRESS, encode_call(ADVANCE_LANE, 4, 3))
    assert back.error == "LaneNotAdvanced(lane=4, next=3, current=3)"
    assert execute(world, signed_request(model, lane=4, counter=3)).error == ""


def test_one_account_may_play_every_part() -> None:
    world, model = world_with_model()
    world.ai.worker = USER
    world.send(AUTHOR, MODEL_REGISTRY_ADDRESS, encode_call("transfer(bytes32,address)", model, USER))
    before = escrow_of(world, USER)

    outcome = execute(world, signed_request(model, node=USER), sender=USER)

    cost = Settled.from_log(*outcome.logs[0][1:]).cost
    assert escrow_of(world, USER) == before - cost
    assert earnings_of(world, USER) == cost
