"""Reading of ITF JSON traces (Apalache's ADR 015) of the Tendermint specification, and its values as ours."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from lazai_consensus_bft.messages import Kind, Proposal, Vote
from lazai_consensus_bft.round import RoundState, Step
from lazai_core.api.types import Address, Hash32, Height

ARCHIVE = "tendermint-traces.tar.xz"
STEPS = {
    "NoStep": Step.UNSTARTED,
    "UnstartedStep": Step.UNSTARTED,
    "ProposeStep": Step.PROPOSE,
    "PrevoteStep": Step.PREVOTE,
    "PrecommitStep": Step.PRECOMMIT,
    "CommitStep": Step.COMMIT,
}


class Record(dict[str, Any]):
    """A record or map of a trace; hashable, so that it can stand in a set."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))


def decode(value: Any) -> Any:
    """Integers, tuples, sets and maps of ITF as Python's own."""
    if isinstance(value, list):
        return tuple(decode(item) for item in value)
    if not isinstance(value, dict):
        return value
    if "#bigint" in value:
        return int(value["#bigint"])
    if "#tup" in value:
        return tuple(decode(item) for item in value["#tup"])
    if "#set" in value:
        return frozenset(decode(item) for item in value["#set"])
    if "#map" in value:
        return Record({decode(key): decode(item) for key, item in value["#map"]})
    return Record({key: decode(item) for key, item in value.items() if key != "#meta"})


def fixtures_folder() -> Path:
    """Where public fixtures lie; skips the test, saying so, where there are none."""
    default = Path(__file__).resolve().parents[3].parent / "shared" / "fixtures"
    folder = Path(os.environ.get("LAZAI_FIXTURES", default))
    if not (folder / ARCHIVE).exists():
        pytest.skip(f"{ARCHIVE} is not in {folder}; set LAZAI_FIXTURES to the folder that holds it")
    return folder


@cache
def _files(folder: Path) -> dict[str, bytes]:
    with tarfile.open(folder / ARCHIVE, "r:xz") as archive:
        members = [member for member in archive.getmembers() if member.name.endswith(".itf.json")]
        return {Path(member.name).name: _content(archive, member) for member in members}


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member) or io.BytesIO()
    return stream.read()


@cache
def load(name: str) -> list[dict[str, Any]]:
    """The states of one trace, not decoded."""
    states: list[dict[str, Any]] = json.loads(_files(fixtures_folder())[name])["states"]
    return states


def names() -> list[str]:
    """Names of all traces."""
    return sorted(_files(fixtures_folder()))


# Values.


def address(name: str) -> Address:
    """A validator's name as an address; the order of names is kept."""
    return Address(name.encode().ljust(20, b"\0"))


def value_of(text: str) -> Hash32:
    """A block's name as its hash."""
    return Hash32(text.encode().ljust(32, b"\0"))


def optional_value(value: Any) -> Hash32 | None:
    """`Val("x")` or `Nil`."""
    return None if value["tag"] == "Nil" else value_of(value["value"])


def vote_of(record: Any) -> tuple[Address, Vote]:
    """A vote and its sender."""
    kind = Kind.PREVOTE if record["voteType"]["tag"] == "Prevote" else Kind.PRECOMMIT
    block_id = optional_value(record["valueId"])
    vote = Vote(kind=kind, height=Height(record["height"]), round=record["round"], block_id=block_id)
    return address(record["srcAddress"]), vote


def proposal_of(record: Any) -> Proposal:
    """A proposal; its prevotes come one by one in the traces."""
    return Proposal(
        height=Height(record["height"]),
        round=record["round"],
        block_id=value_of(record["proposal"]),
        valid_round=record["validRound"],
    )


def round_state(record: Any) -> RoundState:
    """The state of the round machine."""
    return RoundState(
        round=record["round"],
        step=STEPS[record["step"]["tag"]],
        locked_value=optional_value(record["lockedValue"]),
        locked_round=record["lockedRound"],
        valid_value=optional_value(record["validValue"]),
        valid_round=record["validRound"],
    )


# Systems of several validators.


@frozen
class Transition:
    """One driver step of one validator: its state before and after, the input and the output."""

    index: int
    validator: str
    before: Any
    after: Any
    input: Any
    output: Any


@frozen
class NewHeight:
    """The environment moved a validator on to a fresh height."""

    index: int
    validator: str
    after: Any


def system_prefixes(state: dict[str, Any]) -> list[str]:
    """A trace may hold several instances of the model; each has its own variables."""
    return sorted(key.removesuffix("system") for key in state if key.endswith("system"))


def _history(value: Any) -> tuple[str, Any, Any]:
    return tuple(value[key] for key in ("validator", "input", "output")) if isinstance(value, dict) else value


def _raw_drivers(state: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {name: node["es"] for name, node in state[prefix + "system"]["#map"]}


def drivers(state: dict[str, Any], prefix: str) -> dict[str, Any]:
    """The driver states of all validators of an instance."""
    return {name: decode(raw) for name, raw in _raw_drivers(state, prefix).items()}


def events(states: list[dict[str, Any]], prefix: str) -> Iterator[Transition | NewHeight]:
    """What happened to the validators of one instance, in order; nothing where only messages moved."""
    raw = _raw_drivers(states[0], prefix)
    decoded = drivers(states[0], prefix)
    for index, state in enumerate(states):
        now = _raw_drivers(state, prefix)
        for name in sorted(now):
            if now[name] == raw[name]:
                continue
            old, new = decoded[name], decode(now[name])
            raw[name], decoded[name] = now[name], new
            if not new["started"] and not new["executedInputs"]:
                yield NewHeight(index, name, new)
                continue
            validator, event, output = _history(decode(state[prefix + "_hist"]))
            assert name == validator, "a validator changed without an input"
            yield Transition(index, name, old, new, event, output)
