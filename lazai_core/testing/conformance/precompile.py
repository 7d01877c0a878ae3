"""What every precompile must do: the same bytes on every node, gas before work, and a revert for nonsense."""

from __future__ import annotations

import contextlib
import tracemalloc
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from attrs import field, frozen

from lazai_core.api.entries import PrecompileEntry
from lazai_core.api.errors import PrecompileRevert
from lazai_core.api.precompile import NeedsCompute, Precompile, PrecompileCall
from lazai_core.testing.cases import cases
from lazai_core.testing.chain_port import CountingMeter, MemoryWitness, precompile_call
from lazai_core.testing.parts import build_entry

REVERT_DATA_BYTES_MAX = 4096
REFUSAL_MEMORY_BYTES_MAX = 16 * 1024 * 1024
# Addresses of Ethereum's own precompiles up to Prague (EIP-2537 ends at 0x11), with room for those to come.
RESERVED_ADDRESS_MAX = 0xFF
SECP256R1_ADDRESS = 0x100


@frozen(kw_only=True)
class Example:
    """A well-formed call: calldata and the output it must give. `static` says that a view call may make it."""

    name: str
    data: bytes = field(repr=False)
    output: bytes = field(repr=False)
    static: bool = True


class PrecompileConformance:
    """Subclass it, give the fixtures `entry` and `examples`; override `call` where the state must hold something."""

    @pytest.fixture
    def entry(self) -> PrecompileEntry:
        """The entry under test."""
        raise NotImplementedError("give a fixture `entry` that returns your PrecompileEntry")

    @pytest.fixture
    def examples(self) -> Sequence[Example]:
        """Well-formed calls with the outputs you worked out by other means."""
        raise NotImplementedError("give a fixture `examples` that returns calls with their outputs")

    @pytest.fixture
    def options(self, entry: PrecompileEntry) -> Any:
        """Options the precompile is built with."""
        return entry.options()

    @pytest.fixture
    def precompile(self, entry: PrecompileEntry, options: Any) -> Precompile:
        """The precompile."""
        return self.build(entry, options)

    def build(self, entry: PrecompileEntry, options: Any) -> Precompile:
        """Build it as one node would."""
        built: Precompile = build_entry(entry, options=options)
        return built

    def call(self, data: bytes, *, is_static: bool = False) -> PrecompileCall:
        """A call with this calldata and a fresh witness and meter."""
        return precompile_call(data, is_static=is_static)

    def outcome(self, precompile: Precompile, call: PrecompileCall) -> tuple[str, int, bytes]:
        """What becomes of a call: a word, the gas and the bytes. Only documented exceptions may come."""
        gas = 0
        try:
            gas = precompile.required_gas(call)
            return "output", gas, precompile.run(call)
        except PrecompileRevert as revert:
            return "revert", gas, revert.data
        except NeedsCompute as needed:
            return "needs compute", gas, needed.job.encode()

    # What it is.

    def test_the_address_is_none_of_ethereums_own(self, entry: PrecompileEntry, precompile: Precompile) -> None:
        number = int.from_bytes(entry.address, "big")

        assert number > RESERVED_ADDRESS_MAX
        assert number != SECP256R1_ADDRESS
        assert isinstance(precompile, Precompile)

    # Well-formed calls.

    def test_examples_give_their_outputs(self, precompile: Precompile, examples: Sequence[Example]) -> None:
        assert examples
        for example in examples:
            word, gas, output = self.outcome(precompile, self.call(example.data))

            assert (word, output) == ("output", example.output), example.name
            assert type(output) is bytes
            assert type(gas) is int
            assert gas > 0, "a call that costs nothing can be made without end"

    def test_calls_are_pure(
        self, entry: PrecompileEntry, options: Any, precompile: Precompile, examples: Sequence[Example]
    ) -> None:
        calls = [example.data for example in examples]
        for case in cases(20):
            with case:
                calls.append(case.mutate(case.choice(examples).data))
        outcomes = [self.outcome(precompile, self.call(data)) for data in calls]
        other = self.build(entry, options)

        for data, expected in reversed(list(zip(calls, outcomes, strict=True))):
            assert self.outcome(precompile, self.call(data)) == expected
            assert self.outcome(other, self.call(data)) == expected

    def test_a_view_call_gives_the_same_answer(self, precompile: Precompile, examples: Sequence[Example]) -> None:
        for example in examples:
            word, _, output = self.outcome(precompile, self.call(example.data, is_static=True))

            assert (word, output) == ("output", example.output) if example.static else word == "revert", example.name

    def test_gas_is_known_before_any_work(self, precompile: Precompile, examples: Sequence[Example]) -> None:
        for example in examples:
            witness, meter = MemoryWitness(), CountingMeter()
            given = self.call(example.data)
            call = precompile_call(
                given.data, state=given.state, block=given.block, witness=witness, compute_meter=meter
            )

            gas = precompile.required_gas(call)

            assert witness.asked == [], "a record may only be asked for after gas was charged"
            assert meter.total == 0, "compute gas may only be counted after EVM gas was charged"
            assert precompile.required_gas(call) == gas

    # Malformed calls.

    def test_malformed_calldata_reverts_or_is_paid_for(
        self, precompile: Precompile, examples: Sequence[Example]
    ) -> None:
        for data in _hostile_calldata(examples):
            self._check_outcome(precompile, data)
        for case in cases(150):
            with case:
                self._check_outcome(precompile, case.mutate(case.choice(examples).data))
                self._check_outcome(precompile, case.some_bytes(0, 300))

    def _check_outcome(self, precompile: Precompile, data: bytes) -> None:
        for is_static in (False, True):
            word, gas, output = self.outcome(precompile, self.call(data, is_static=is_static))
            if word == "output":
                assert gas > 0
            if word == "revert":
                assert type(output) is bytes
                assert len(output) <= REVERT_DATA_BYTES_MAX, "revert data is paid by nobody: keep it short"

    def test_refusing_is_cheap(self, precompile: Precompile, examples: Sequence[Example]) -> None:
        hostile = [self.call(data) for data in _hostile_calldata(examples)]
        tracemalloc.start()
        try:
            for call in hostile:
                tracemalloc.reset_peak()
                before, _ = tracemalloc.get_traced_memory()
                with contextlib.suppress(PrecompileRevert):
                    precompile.required_gas(call)
                peak = tracemalloc.get_traced_memory()[1] - before
                assert peak < REFUSAL_MEMORY_BYTES_MAX, f"{peak} bytes were used before any gas was charged"
        finally:
            tracemalloc.stop()


def _hostile_calldata(examples: Sequence[Example]) -> Iterator[bytes]:
    """Nothing, too little, too much, and lengths and offsets that point far outside."""
    yield from (b"", b"\x00", bytes(4), b"\xff" * 4, bytes(32), b"\xff" * 32, bytes(65_536), b"\xff" * 65_536)
    for example in examples:
        data = example.data
        yield data[:4]
        yield data[:-1]
        yield data[: len(data) // 2]
        yield data[:4] + b"\xff" * (len(data) - 4)
        for start in range(4, min(len(data), 4 + 32 * 12), 32):
            for word in (2**256 - 1, 2**255, 2**64, 2**32, 2**31, len(data)):
                yield data[:start] + word.to_bytes(32, "big") + data[start + 32 :]
