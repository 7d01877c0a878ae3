"""Validators on the virtual machine: sets two blocks later, absences, evidence, and blocks that say what is not so."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from attrs import evolve
from staked_chain import COIN, SHORT, StakedChain, double_vote, who

from lazai_consensus_bft.committee import committee_of
from lazai_consensus_bft.engine import BftEngine
from lazai_core.api.consensus import Certificate, Validator, validators_hash
from lazai_core.api.errors import ConsensusFault, InvalidBlock, StorageError
from lazai_core.api.types import VALIDATORS_ADDRESS, ZERO_ADDRESS, Address, Hash32, Height
from lazai_core.builtin.stores import MemoryStore
from lazai_core.chain.block import Block
from lazai_core.chain.light_client import LightClient, NotEnoughTrust, TrustOptions
from lazai_core.chain.light_file import HeaderFile, headers_of, heights_between
from lazai_core.chain.staking import is_convicted
from lazai_core.chain.staking_calls import ADD_STAKE, APPROVE, CLAIM, UNJAIL, WITHDRAW_STAKE
from lazai_core.runtime.evidence import PIECES_MAX, EvidencePool
from tests.unit.lazvm.world import CHAIN_ID


def refusal(chain: StakedChain, block: Block) -> InvalidBlock:
    with pytest.raises(InvalidBlock) as refused:
        chain.vm.check_block(block)
    assert refused.value.blame == block.header.proposer
    return refused.value


# Sets.


def test_a_change_in_one_block_decides_the_second_after_it() -> None:
    chain = StakedChain()
    chain.run(2)

    changing = chain.step(chain.call(ADD_STAKE, who(0), value=5 * COIN))

    assert chain.powers(changing.height) == chain.powers(changing.height + 1) == dict.fromkeys(range(4), 10)
    assert chain.powers(changing.height + 2) == {0: 15, 1: 10, 2: 10, 3: 10}
    after = chain.step()
    assert after.header.validators_hash == changing.header.validators_hash
    assert after.header.next_validators_hash != changing.header.next_validators_hash
    second = chain.step()
    assert second.header.validators_hash == after.header.next_validators_hash
    assert second.header.validators_hash == validators_hash(chain.vm.validators(Height(second.height)))


def test_headers_and_sets_agree_at_every_height() -> None:
    chain = StakedChain()
    for coins in (1, 2, 3):
        chain.step(chain.call(ADD_STAKE, who(coins), value=coins * COIN))
        chain.step()

    history = chain.vm.history
    for height in range(1, chain.vm.head.height + 1):
        header = history.header(height)
        block = history.block(height)
        assert header is not None
        assert block is not None
        assert header == block.header
        assert validators_hash(chain.vm.validators(Height(height))) == header.validators_hash
        assert header.validators_hash == history.header(height - 1).next_validators_hash  # type: ignore[union-attr]


def test_sets_are_there_after_a_restart() -> None:
    chain = StakedChain()
    chain.step(chain.call(ADD_STAKE, who(0), value=5 * COIN))
    known = [chain.vm.validators(Height(height)) for height in range(1, 4)]

    again = chain.open(chain.store)

    assert [again.validators(Height(height)) for height in range(1, 4)] == known
    with pytest.raises(StorageError, match="height 4"):
        again.validators(Height(4))


def test_a_block_of_another_set_is_refused() -> None:
    chain = StakedChain()
    chain.step(chain.call(ADD_STAKE, who(0), value=5 * COIN))
    block = chain.build().executed.block
    other = validators_hash(chain.vm.validators(Height(1)))

    assert block.header.next_validators_hash != other
    forged = evolve(block, header=evolve(block.header, next_validators_hash=other))
    assert refusal(chain, forged).check == "next validators"
    forged = evolve(block, header=evolve(block.header, validators_hash=block.header.next_validators_hash))
    assert refusal(chain, forged).check == "validators"


def test_a_validator_joins_gains_loses_is_jailed_and_leaves() -> None:
    chain = StakedChain()
    chain.step(chain.register(4, 8))
    joined = chain.vm.head.height
    assert 4 not in chain.powers(joined + 1)
    assert chain.powers(joined + 2)[4] == 8
    chain.run(2)
    chain.step(chain.call(WITHDRAW_STAKE, who(4), 3 * COIN))
    assert chain.powers(joined + 5)[4] == 5
    # Absent four times in one window of eight.
    while chain.vm.head.height % 8 != 7:
        chain.step()
    chain.run(4, absent=[4])
    assert 4 in chain.named()
    chain.step()
    assert 4 not in chain.named()
    jailed = chain.record(4)
    assert (jailed.jailed_until, jailed.power) == (chain.vm.head.height + SHORT.jail_blocks, 0)
    # It decides two more heights before it is out.
    assert 4 in chain.powers(chain.vm.head.height + 1)
    assert 4 not in chain.powers(chain.vm.head.height + 2)
    chain.run(5)
    chain.step(chain.call(UNJAIL, who(4)))
    assert chain.named()[4] == 4
    chain.step(chain.call(WITHDRAW_STAKE, who(4), chain.record(4).stake))
    chain.run(2)
    assert chain.powers(chain.vm.head.height) == dict.fromkeys(range(4), 10)
    held = chain.vm.state().balance(VALIDATORS_ADDRESS)
    chain.run(SHORT.unbonding_blocks)
    chain.step(chain.call(CLAIM, who(4)))
    assert held - chain.vm.state().balance(VALIDATORS_ADDRESS) == 8 * COIN - 8 * COIN // 10_000


def test_proposers_rotate_by_power_over_a_change() -> None:
    chain = StakedChain((10, 10, 10))
    turns = dict.fromkeys(range(4), 0)
    chain.step(chain.call(APPROVE, who(3), 30))
    chain.step(chain.register(3, 30))
    start = chain.vm.head.height + 2
    for height in range(start, start + 60):
        chain.step()
        proposer = committee_of(chain.vm.validators(Height(height))).proposer(height, 0)
        turns[next(number for number in turns if who(number) == proposer)] += 1

    assert turns == {0: 10, 1: 10, 2: 10, 3: 30}


def test_idaos_of_the_genesis_come_back_from_the_contract() -> None:
    first, second = Address(b"\x1d" * 20), Address(b"\x1e" * 20)
    chain = StakedChain((1, 2, 3, 4), idaos=(first, first, second, ZERO_ADDRESS))
    chain.run(2)

    assert [one.idao for one in sorted(chain.vm.validators(Height(4)), key=lambda one: one.power)] == [
        first, first, second, ZERO_ADDRESS,
    ]  # fmt: skip


# The last certificate.


def test_blocks_carry_the_certificate_of_their_parent() -> None:
    chain = StakedChain()

    first = chain.step(absent=[2])
    second = chain.step()

    assert first.last_certificate is None
    assert second.last_certificate == chain.certificate(first, [2])


def test_a_proposer_may_show_more_signatures_than_were_needed() -> None:
    chain = StakedChain()
    first = chain.step(absent=[2])
    whole = chain.certificate(first)

    assert chain.step(last_certificate=whole).last_certificate == whole


BAD_CERTIFICATES: dict[str, Callable[[StakedChain, Certificate], Certificate | None]] = {
    "none": lambda chain, good: None,
    "of the block before": lambda chain, good: Certificate.decode(chain.vm.history.certificate(good.height - 1)),
    "of another block": lambda chain, good: evolve(good, block_id=Hash32(b"\x01" * 32)),
    "of another height": lambda chain, good: evolve(good, height=Height(good.height + 1)),
    "of another round": lambda chain, good: evolve(good, round=1),
    "without a quorum": lambda chain, good: evolve(good, signatures=good.signatures[:2]),
    "with one signature twice": lambda chain, good: evolve(good, signatures=(good.signatures[0], *good.signatures)),
    "with a broken signature": lambda chain, good: evolve(
        good, signatures=(evolve(good.signatures[0], signature=bytes(65)), *good.signatures[1:])
    ),
    "in another order": lambda chain, good: evolve(good, signatures=good.signatures[::-1]),
}


@pytest.mark.parametrize("bad", BAD_CERTIFICATES)
def test_a_block_with_a_bad_certificate_is_refused(bad: str) -> None:
    chain = StakedChain()
    chain.run(3)
    block = chain.build().executed.block
    assert block.last_certificate is not None

    forged = chain.resealed(block, last_certificate=BAD_CERTIFICATES[bad](chain, block.last_certificate))

    assert refusal(chain, forged).check == "last certificate"


def test_a_certificate_that_the_header_does_not_cover_is_refused() -> None:
    chain = StakedChain()
    chain.run(2)
    block = chain.build().executed.block

    for body in ({"last_certificate": None}, {"evidence": (b"x",)}):
        assert refusal(chain, evolve(block, **body)).check == "consensus root"


def test_the_first_block_has_no_certificate() -> None:
    chain = StakedChain()
    other = StakedChain()
    other.run(1)
    certificate = Certificate.decode(other.vm.history.certificate(1))
    block = chain.build().executed.block

    assert refusal(chain, chain.resealed(block, last_certificate=certificate)).check == "last certificate"


def test_without_a_certificate_of_the_head_nothing_is_built() -> None:
    chain = StakedChain()
    chain.vm.commit(chain.build().executed)

    with pytest.raises(ConsensusFault, match="missing"):
        chain.build()


def test_absences_of_a_certificate_are_part_of_the_state() -> None:
    # Whoever shows another certificate of the parent makes another block.
    chain = StakedChain()
    first = chain.step(absent=[2])
    lean, full = chain.build().executed.block, chain.build(last_certificate=chain.certificate(first)).executed.block

    assert lean.header.state_root != full.header.state_root
    swapped = chain.resealed(lean, last_certificate=full.last_certificate)
    assert refusal(chain, swapped).check == "state_root"


# Evidence.


def test_evidence_costs_its_validator_stake_and_seat() -> None:
    chain = StakedChain()
    chain.run(3)

    block = chain.step(evidence=[double_vote(1, 2)])

    assert block.evidence == (double_vote(1, 2),)
    assert is_convicted(chain.vm.state(), who(1))
    assert chain.record(1).stake == 10 * COIN * 19 // 20
    assert chain.powers(block.height + 1) == dict.fromkeys(range(4), 10)
    assert chain.powers(block.height + 2) == dict.fromkeys((0, 2, 3), 10)
    # The coins are burnt where they lie.
    assert chain.vm.state().balance(VALIDATORS_ADDRESS) == 40 * COIN


def test_evidence_is_committed_once_whoever_sends_it_again() -> None:
    chain = StakedChain()
    chain.run(3)
    chain.step(evidence=[double_vote(1, 2)])

    for again in (double_vote(1, 2), double_vote(1, 2, salt=7), double_vote(1, 3)):
        assert chain.step(evidence=[again]).evidence == ()
        block = chain.build().executed.block
        forged = chain.resealed(block, evidence=(again,))
        assert "convicted already" in str(refusal(chain, forged))


def test_one_block_accuses_a_validator_once() -> None:
    chain = StakedChain()
    chain.run(3)
    two = (double_vote(1, 2), double_vote(1, 3))

    assert chain.build(evidence=two).executed.block.evidence == two[:1]
    forged = chain.resealed(chain.build().executed.block, evidence=two)
    assert "accuse one validator" in str(refusal(chain, forged))


def test_one_block_may_accuse_several() -> None:
    chain = StakedChain()
    chain.run(3)

    chain.step(evidence=[double_vote(1, 2), double_vote(3, 1)])

    assert set(chain.named()) == {0, 2}


def _bad_evidence(head: int) -> dict[str, Sequence[bytes]]:
    good = double_vote(1, head)
    return {
        "of a stranger": [double_vote(6, head)],
        "of a height to come": [double_vote(1, head + 1)],
        "too old": [double_vote(1, head - SHORT.evidence_blocks)],
        "of height zero": [double_vote(1, 0)],
        "of another chain": [double_vote(1, head, chain_id=1)],
        "forged": [good[:-1] + bytes([good[-1] ^ 1])],
        "cut": [good[:-1]],
        "nothing": [b""],
        "noise": [bytes(range(200))],
        "too long": [good, bytes(512 * 1024)],
    }


@pytest.mark.parametrize("bad", _bad_evidence(100))
def test_a_block_with_bad_evidence_is_refused(bad: str) -> None:
    chain = StakedChain()
    chain.run(SHORT.evidence_blocks + 2)
    evidence = _bad_evidence(chain.vm.head.height)[bad]

    assert bad == "too long" or chain.build(evidence=evidence).executed.block.evidence == ()
    forged = chain.resealed(chain.build().executed.block, evidence=tuple(evidence))
    assert refusal(chain, forged).check == "evidence"


def test_the_edge_of_the_evidence_window() -> None:
    chain = StakedChain()
    chain.run(SHORT.evidence_blocks + 2)
    height = chain.vm.head.height + 1
    oldest = height - SHORT.evidence_blocks

    assert chain.build(evidence=[double_vote(1, oldest - 1)]).executed.block.evidence == ()
    assert chain.step(evidence=[double_vote(1, oldest)]).evidence != ()


def test_evidence_is_judged_by_the_set_of_its_own_height() -> None:
    chain = StakedChain()
    chain.step(chain.register(4, 8))
    chain.run(1)

    assert chain.build(evidence=[double_vote(4, 2)]).executed.block.evidence == ()
    chain.step()
    left = chain.vm.head.height
    chain.step(chain.call(WITHDRAW_STAKE, who(4), 8 * COIN))
    chain.run(4)
    assert 4 not in chain.powers(chain.vm.head.height)
    chain.step(evidence=[double_vote(4, left)])
    assert is_convicted(chain.vm.state(), who(4))


def test_a_chain_without_the_contract_judges_nobody() -> None:
    chain = StakedChain()
    contracts = {address: code for address, code in chain.genesis.contracts.items() if address != VALIDATORS_ADDRESS}
    chain.genesis = evolve(chain.genesis, staking=None, contracts=contracts)
    chain.vm = chain.open(MemoryStore())
    chain.run(3)

    assert chain.build(evidence=[double_vote(1, 2)]).executed.block.evidence == ()
    assert chain.powers(chain.vm.head.height + 2) == dict.fromkeys(range(4), 10)
    forged = chain.resealed(chain.build().executed.block, evidence=(double_vote(1, 2),))
    assert refusal(chain, forged).check == "evidence"


# The pool.


def test_the_pool_keeps_one_proof_an_accused_until_a_block_holds_it() -> None:
    chain = StakedChain()
    chain.run(3)
    pool = EvidencePool(chain.vm)

    assert pool.add(double_vote(1, 2))
    assert not pool.add(double_vote(1, 2))
    assert not pool.add(double_vote(1, 3))
    assert pool.add(double_vote(2, 3))
    assert pool.pending() == (double_vote(1, 2), double_vote(2, 3))
    block = chain.step(evidence=pool.pending()[:1])
    pool.committed(block)
    assert pool.pending() == (double_vote(2, 3),)
    # Another proposer's block held another proof of the second accused.
    pool.committed(chain.step(evidence=[double_vote(2, 1)]))
    assert pool.pending() == ()
    assert not pool.add(double_vote(1, 2))


def test_the_pool_refuses_forgeries_by_name_and_knows_what_is_none() -> None:
    chain = StakedChain()
    chain.run(SHORT.evidence_blocks + 4)
    pool, head = EvidencePool(chain.vm), chain.vm.head.height
    good = double_vote(1, head)

    for forged in (b"", good[:-1], good[:-1] + bytes([good[-1] ^ 1]), double_vote(6, head), bytes(600_000)):
        with pytest.raises(ConsensusFault):
            pool.add(forged)
    with pytest.raises(ConsensusFault):
        pool.add(double_vote(1, head, chain_id=1))
    # Too old here or too new here: that makes nobody a forger.
    assert not pool.add(double_vote(1, 1))
    assert not pool.add(double_vote(1, head + 2))
    assert pool.pending() == ()


def test_evidence_of_the_height_being_decided_waits_for_the_next_block() -> None:
    chain = StakedChain()
    chain.run(2)
    pool = EvidencePool(chain.vm)

    assert pool.add(double_vote(1, 3))
    assert pool.pending() == ()
    pool.committed(chain.step())
    assert pool.pending() == (double_vote(1, 3),)


def test_the_pool_forgets_what_is_too_old() -> None:
    chain = StakedChain()
    chain.run(2)
    pool = EvidencePool(chain.vm)
    pool.add(double_vote(1, 1))
    for _ in range(SHORT.evidence_blocks - 2):
        pool.committed(chain.step())
    assert pool.pending() == (double_vote(1, 1),)
    pool.committed(chain.step())
    assert pool.pending() == ()
    assert PIECES_MAX >= 16


# Headers for those who have no node.


def test_headers_of_a_staked_chain_lead_from_its_genesis_to_any_block() -> None:
    chain = StakedChain((10, 10, 10, 10))
    chain.step(chain.call(APPROVE, who(4), 40))
    chain.step(chain.register(4, 40))
    chain.run(6)
    for number in range(3):
        chain.step(chain.call(WITHDRAW_STAKE, who(number), 10 * COIN))
        chain.run(4)
    chain.run(10)
    history, top = chain.vm.history, chain.vm.head.height
    stranger = (Validator(address=Address(b"\x99" * 20), power=1),)
    rules = BftEngine(chain_id=CHAIN_ID, address=stranger[0].address, committee=committee_of(stranger))
    client = LightClient(
        rules=rules,
        chain_id=CHAIN_ID,
        now_s=chain.vm.head.header.timestamp,
        options=TrustOptions(trusting_period_s=None),
    )
    everything = headers_of(history, range(top + 1))

    needed = heights_between(client, history, Height(0), Height(top))
    file = HeaderFile.decode(headers_of(history, needed).encode())

    # Validators 0 to 2 of the beginning are gone, so that one step is not enough, and not every header is needed.
    assert 2 < len(needed) < top // 2
    assert client.verify_to(file.block(Height(0)), Height(top), file.block).header == chain.vm.head.header
    with pytest.raises(NotEnoughTrust):
        client.verify_step(everything.block(Height(1)), everything.block(Height(top)))
    assert heights_between(client, history, Height(9), Height(4)) == [4, 5, 6, 7, 8, 9]
    with pytest.raises(ConsensusFault, match="no header of height"):
        headers_of(history, [top + 1])
