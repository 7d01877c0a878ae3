"""examples/custom_precompile: hygiene and the suite, against medians from the standard library."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median_low

import pytest

from lazai_core.api import PrecompileEntry
from lazai_core.api.errors import PrecompileRevert
from lazai_core.registry import Kind
from lazai_core.testing.cases import Case
from lazai_core.testing.chain_port import precompile_call
from lazai_core.testing.conformance import Example, PluginHygiene, PrecompileConformance
from tests.conformance.examples import EXAMPLES, example_entry, example_module

FOLDER = "custom_precompile"


def words(*values: int) -> bytes:
    return b"".join(value.to_bytes(32, "big") for value in values)


class TestHygiene(PluginHygiene):
    @pytest.fixture
    def module(self, monkeypatch: pytest.MonkeyPatch) -> str:
        monkeypatch.setenv("PYTHONPATH", str(EXAMPLES / FOLDER))
        return example_module(FOLDER)


class TestMedian(PrecompileConformance):
    @pytest.fixture
    def entry(self) -> PrecompileEntry:
        entry = example_entry(FOLDER, Kind.PRECOMPILE, "median")
        assert isinstance(entry, PrecompileEntry)
        return entry

    @pytest.fixture
    def examples(self) -> Sequence[Example]:
        random = Case(1).random
        lists = [[0], [2**256 - 1, 0], [5, 5, 5], [1, 2, 3, 4], [9, 1, 5]]
        lists += [[random.randrange(2**256) for _ in range(count)] for count in (2, 33, 1024)]
        return [
            Example(name=f"{len(values)} words", data=words(*values), output=words(median_low(values)))
            for values in lists
        ]

    def test_what_is_no_list_of_words_is_refused(self, entry: PrecompileEntry) -> None:
        precompile = entry.build()
        for data in (b"", bytes(31), bytes(33), bytes(32 * 1025)):
            with pytest.raises(PrecompileRevert):
                precompile.required_gas(precompile_call(data))
        with pytest.raises(PrecompileRevert):
            precompile.run(precompile_call(bytes(32), value=1))

    def test_gas_follows_the_length(self, entry: PrecompileEntry) -> None:
        precompile = entry.build()
        gas = [precompile.required_gas(precompile_call(bytes(32 * count))) for count in (1, 2, 3, 1024)]

        assert gas == [209, 224, 236, 200 + 6 * 1024 + 3 * 1024 * 11]
