"""One height of an engine: joins driver, signer, timers and accountability, and speaks in effects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from lazai_core.api.consensus import (
    AppendWal,
    Broadcast,
    BuildBlock,
    Certificate,
    CheckBlock,
    CommitSignature,
    Decide,
    Effect,
    SignMessage,
)
from lazai_core.api.errors import ConsensusFault
from lazai_core.api.types import HASH_BYTES, Address, Hash32, Height

from .accountability import Accountant
from .buffers import FarRounds, Held
from .certificate import check_signer, ordered_signatures, verify_votes
from .committee import Committee
from .driver import PROPOSALS_MAX, Driver
from .evidence import SignedMessage
from .messages import NO_ROUND, Kind, Message, Proposal, Vote, encode_message, proposed_block
from .options import BftOptions
from .round import Decided, FindValue, Propose, RoundOutput, SendVote, StartTimer, Step, TimeoutKind
from .seconds import SecondVotes
from .signer import HeightSigner
from .timers import KINDS, REBROADCAST, Timers
from .wal import Intent, Restored, Valid, encode_record

Effects = Iterator[Effect]
SIGNATURE_BYTES = 65
RESUMED_MAX = 8
"""Messages of a log that are signed again: more than an engine can have asked for at once before a crash."""


class HeightEngine:
    """A validator in one height. Every method gives the effects of its input; none is called after the decision."""

    def __init__(
        self,
        *,
        chain_id: int,
        address: Address,
        committee: Committee,
        options: BftOptions,
        height: Height,
        silent: bool,
    ) -> None:
        self._chain_id = chain_id
        self._address = address
        self._committee = committee
        self._options = options
        self._height = height
        self._driver = Driver(
            address=address,
            rule=committee.rule,
            proposer=lambda round_number: committee.proposer(height, round_number),
            rounds_behind_max=options.rounds_behind_max,
        )
        self._signer = HeightSigner(silent)
        self._timers = Timers(options, height)
        self._accountant = Accountant(chain_id, committee.rule)
        self._seconds = SecondVotes(committee.rule)
        self._far = FarRounds()
        self._unchecked: dict[Hash32, list[Proposal]] = {}
        self._checks: dict[Hash32, tuple[bool, int]] = {}
        self._heard: dict[int, set[tuple[Hash32, int]]] = {}
        self._building = NO_ROUND
        self._recorded_valid_round = NO_ROUND
        self._round_seen = NO_ROUND
        self.joining = b""
        """The precommit that was asked for together with the decision, if any."""

    @property
    def position(self) -> tuple[int, str]:
        """Round, 0 before the first, and the step's name."""
        state = self._driver.state
        return max(state.round, 0), state.step.name.lower()

    # Beginning and end.

    def preload(self, waiting: Iterable[tuple[Address, Held]]) -> Effects:
        """Count the votes that came before the height began."""
        for sender, (message, payload, signature) in waiting:
            yield from self._take(sender, message, payload, signature)

    def start(self, restored: Restored) -> Effects:
        """Enter the first round, or go on where a crash ended this height."""
        yield from self._timers.start_rebroadcast()
        state = restored.state()
        if state is None:
            self._driver.start()
        else:
            if restored.valid is not None:
                self._recall_valid(restored.valid)
            self._driver.resume(state)
            messages = [entry for _, entry in sorted(restored.messages.items())]
            for message, payload in messages[:-RESUMED_MAX]:
                self._signer.restore(message, payload)
            for message, payload in messages[-RESUMED_MAX:]:
                # Among them the newest that was signed: a key that is asked for it again knows that its log is whole.
                self._signer.restore(message, payload)
                yield from self._sign(message, payload)
            if state.step is Step.PROPOSE:
                yield from self._timers.start(TimeoutKind.PROPOSE, state.round)
        yield from self._advance()

    def _recall_valid(self, valid: Valid) -> None:
        vote = Vote(kind=Kind.PREVOTE, height=self._height, round=valid.round, block_id=valid.block_id)
        signatures = tuple((entry.validator, entry.signature) for entry in valid.signatures)
        self._driver.add_quorum(vote, signatures)
        self._recorded_valid_round = valid.round

    def stop(self) -> Effects:
        """Stop all timers."""
        yield from self._timers.cancel_all()

    # Inputs.

    def receive(self, sender: Address, message: Message, payload: bytes, signature: bytes) -> Effects:
        """A validator's message of this height."""
        yield from self._take(sender, message, payload, signature)
        yield from self._advance()

    def _take(self, sender: Address, message: Message, payload: bytes, signature: bytes) -> Effects:
        current = max(self._driver.state.round, 0)
        if message.round < current - self._options.rounds_behind_max:
            return
        ahead = message.round > current + self._options.rounds_ahead_max
        if isinstance(message, Vote):
            if ahead:
                yield from self._take_far(sender, message, signature)
            else:
                yield from self._count(sender, message, signature)
        elif not ahead and sender == self._committee.proposer(self._height, message.round) and self._is_sized(message):
            yield from self._take_proposal(sender, message, SignedMessage(payload=payload, signature=signature))

    def _take_far(self, sender: Address, vote: Vote, signature: bytes) -> Effects:
        self._far.add(sender, vote, signature)
        reachable = self._far.reachable(self._committee.rule)
        if reachable is not None:
            self._driver.skip_to(reachable)
            yield from self._recount(reachable)

    def _recount(self, round_number: int) -> Effects:
        """Count the far votes that a later round has brought near."""
        for sender, vote, signature in self._far.take_up_to(round_number + self._options.rounds_ahead_max):
            yield from self._count(sender, vote, signature)

    def _count(self, sender: Address, vote: Vote, signature: bytes) -> Effects:
        keeper = self._driver.keeper
        first = keeper.vote_of(vote.kind, vote.round, sender)
        added = self._driver.add_vote(sender, vote, signature)
        if added.conflict is not None:
            yield self._accountant.conflict(added.conflict)
        if first is not None and first.vote != vote:
            self._seconds.add(sender, vote, signature, keeper)
        signatures = self._seconds.quorum(vote, keeper)
        if signatures is not None:
            self._driver.add_quorum(vote, signatures)
        evidence = self._accountant.prevote(sender, vote, signature, self._driver)
        if evidence is not None:
            yield evidence

    def _take_proposal(self, sender: Address, proposal: Proposal, message: SignedMessage) -> Effects:
        evidence = self._accountant.proposal(sender, proposal, message)
        if evidence is not None:
            yield evidence
        if not self._is_new(proposal) or not self._prove_polka(proposal):
            return
        block_id = proposal.block_id
        if block_id in self._checks:
            self._driver.add_proposal(proposal, self._checks[block_id][0])
            return
        self._unchecked.setdefault(block_id, []).append(proposal)
        yield CheckBlock(height=self._height, round=proposal.round, block_id=block_id, proposer=sender)

    def _is_sized(self, proposal: Proposal) -> bool:
        """Whether its polka could be one: members in order, each once, with whole signatures.

        Looked at first: two proposals of one round are evidence, and evidence is bounded.
        """
        signers = [entry.validator for entry in proposal.polka]
        return (
            all(before < after for before, after in pairwise(signers))
            and all(signer in self._committee for signer in signers)
            and all(len(entry.signature) == SIGNATURE_BYTES for entry in proposal.polka)
        )

    def _is_new(self, proposal: Proposal) -> bool:
        """Whether to look at a proposal: each once, and of one round no more than prove its proposer a liar."""
        heard = self._heard.setdefault(proposal.round, set())
        statement = (proposal.block_id, proposal.valid_round)
        if statement in heard or len(heard) >= PROPOSALS_MAX:
            return False
        heard.add(statement)
        return True

    def _prove_polka(self, proposal: Proposal) -> bool:
        """Whether the proposal's valid round, if it names one, has a quorum of prevotes; counts those it brings."""
        if proposal.valid_round == NO_ROUND:
            return True
        if self._driver.keeper.has_quorum(Kind.PREVOTE, proposal.valid_round, proposal.block_id):
            return True
        vote = Vote(kind=Kind.PREVOTE, height=self._height, round=proposal.valid_round, block_id=proposal.block_id)
        try:
            verify_votes(vote, proposal.polka, self._committee, self._chain_id)
        except ConsensusFault:
            return False
        self._driver.add_quorum(vote, tuple((entry.validator, entry.signature) for entry in proposal.polka))
        return True

    def built(self, round_number: int, block_id: Hash32) -> Effects:
        """The block this proposer asked for."""
        if round_number == self._building and len(block_id) == HASH_BYTES:
            self._building = NO_ROUND
            self._checks[block_id] = (True, round_number)
            self._driver.propose(round_number, block_id)
            yield from self._advance()

    def checked(self, block_id: Hash32, valid: bool) -> Effects:
        """Whether a proposed block is valid."""
        proposals = self._unchecked.pop(block_id, None)
        if proposals is not None:
            self._checks[block_id] = (valid, proposals[-1].round)
            for proposal in proposals:
                self._driver.add_proposal(proposal, valid)
            yield from self._advance()

    def signed(self, payload: bytes, signature: bytes) -> Effects:
        """The signature of our own message: send it, and count it as everybody's."""
        if not self._signer.is_waiting(payload):
            return
        try:
            check_signer(self._address, payload, signature)
        except ConsensusFault:
            return
        message = self._signer.signed(payload, signature)
        yield Broadcast(payload=payload, signature=signature, proposes=proposed_block(message))
        if isinstance(message, Vote):
            yield from self._count(self._address, message, signature)
        elif message is not None:
            self._driver.add_proposal(message, True)
        yield from self._advance()

    def timed_out(self, name: str, round_number: int) -> Effects:
        """A timer has run out."""
        if not self._timers.elapsed(name, round_number):
            return
        if name == REBROADCAST:
            for message, payload, signature in self._signer.newest():
                yield Broadcast(payload=payload, signature=signature, proposes=proposed_block(message))
            yield from self._timers.start_rebroadcast()
            return
        self._driver.time_out(KINDS[name], round_number)
        yield from self._advance()

    # What the driver asks for.

    def _advance(self) -> Effects:
        while True:
            output = self._driver.advance()
            if self._driver.state.round != self._round_seen:
                yield from self._new_round()
            yield from self._record_valid()
            if output is None:
                break
            if isinstance(output, Decided):
                yield from self._decide(output.round, output.value)
                return
            yield from self._carry_out(output)
        yield from self._timers.cancel_stale(self._driver.state)
        commit = self._driver.committed
        if commit is not None:
            # A quorum vouches for a block whose proposal, or whose check, is not here.
            yield from self._decide(*commit)

    def _new_round(self) -> Effects:
        self._round_seen = self._driver.state.round
        self._forget_before(self._round_seen - self._options.rounds_behind_max)
        yield from self._recount(self._round_seen)

    def _forget_before(self, oldest: int) -> None:
        self._accountant.forget_before(oldest)
        self._seconds.forget_before(oldest)
        for block_id, proposals in list(self._unchecked.items()):
            self._unchecked[block_id] = [proposal for proposal in proposals if proposal.round >= oldest]
            if not self._unchecked[block_id]:
                del self._unchecked[block_id]
        for block_id, (_, round_number) in list(self._checks.items()):
            if round_number < oldest:
                del self._checks[block_id]
        for round_number in [number for number in self._heard if number < oldest]:
            del self._heard[round_number]

    def _record_valid(self) -> Effects:
        state = self._driver.state
        if state.valid_value is None or state.valid_round == self._recorded_valid_round:
            return
        self._recorded_valid_round = state.valid_round
        signatures = self._polka(state.valid_round, state.valid_value)
        record = Valid(height=self._height, round=state.valid_round, block_id=state.valid_value, signatures=signatures)
        # A precommit may follow from it: the block must outlive its proposer and this process.
        yield AppendWal(payload=encode_record(record), block_id=record.block_id)

    def _polka(self, round_number: int, block_id: Hash32) -> tuple[CommitSignature, ...]:
        return ordered_signatures(self._driver.keeper.signatures(Kind.PREVOTE, round_number, block_id))

    def _carry_out(self, output: RoundOutput) -> Effects:
        match output:
            case FindValue():
                yield from self._find_value(output.round)
            case Propose():
                yield from self._propose(output)
            case SendVote():
                vote = Vote(
                    kind=output.kind, height=self._height, round=self._driver.state.round, block_id=output.value
                )
                yield from self._sign(vote, encode_message(vote, self._chain_id))
            case StartTimer():
                yield from self._timers.start(output.kind, output.round)

    def _find_value(self, round_number: int) -> Effects:
        yield from self._timers.start(TimeoutKind.PROPOSE, round_number)
        self._building = round_number
        if not self._signer.silent:
            yield BuildBlock(height=self._height, round=round_number)

    def _propose(self, output: Propose) -> Effects:
        round_number = self._driver.state.round
        yield from self._timers.start(TimeoutKind.PROPOSE, round_number)
        polka: tuple[CommitSignature, ...] = ()
        if output.valid_round > NO_ROUND:
            polka = self._polka(output.valid_round, output.value)
            if not polka:
                # Without its prevotes nobody could accept the block; a silent round is the honest thing.
                return
        proposal = Proposal(
            height=self._height,
            round=round_number,
            block_id=output.value,
            valid_round=output.valid_round,
            polka=polka,
        )
        yield from self._sign(proposal, encode_message(proposal, self._chain_id))

    def _sign(self, message: Message, payload: bytes) -> Effects:
        fresh = self._signer.request(message, payload)
        if fresh is None:
            return
        if fresh:
            yield AppendWal(payload=encode_record(Intent(height=self._height, payload=payload)))
        yield SignMessage(payload=payload, height=self._height, round=message.round, step=message.kind)

    def _decide(self, round_number: int, block_id: Hash32) -> Effects:
        signatures = self._driver.keeper.signatures(Kind.PRECOMMIT, round_number, block_id)
        certificate = Certificate(
            height=self._height,
            round=round_number,
            block_id=block_id,
            signatures=ordered_signatures(signatures),
        )
        yield from self._timers.cancel_all()
        yield from self._join(round_number, block_id)
        yield Decide(certificate=certificate)

    def _join(self, round_number: int, block_id: Hash32) -> Effects:
        """Sign the precommit that this validator would have cast, had the others' not come first.

        The block is decided, so nothing can contradict it, and without it the validator would count as absent for being
        slower than a quorum.
        """
        if self._driver.state.round > round_number or self._signer.has_spoken(round_number, Kind.PRECOMMIT):
            return
        vote = Vote(kind=Kind.PRECOMMIT, height=self._height, round=round_number, block_id=block_id)
        self.joining = encode_message(vote, self._chain_id)
        yield from self._sign(vote, self.joining)
