"""Every installed plugin module, and that nothing installed is left out of the suites here."""

from __future__ import annotations

import pytest

from lazai_core.registry import Kind, discover
from lazai_core.testing.conformance import PluginHygiene
from tests.conformance.installed import catalog, entries


class TestInstalledPlugins(PluginHygiene):
    @pytest.fixture(params=[candidate.module for candidate in discover().candidates])
    def module(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)


def test_everything_installed_is_sound() -> None:
    assert [str(error) for plugin in catalog().broken for error in plugin.errors] == []
    assert [str(conflict.error) for conflict in catalog().conflicts] == []


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (Kind.COPROCESSOR, {"reference", "torch"}),
        (Kind.PROOF_SYSTEM, {"attestation"}),
        (Kind.CONSENSUS, {"solo"}),
        (Kind.GAS_POLICY, {"eip1559", "flat"}),
        (Kind.STORAGE, {"sqlite", "memory"}),
        (Kind.PRECOMPILE, {"ai-call", "proof-check"}),
        (Kind.SERVICE, {"openai"}),
    ],
)
def test_the_suites_see_what_this_repository_ships(kind: Kind, names: set[str]) -> None:
    assert names <= {entry.name for entry in entries(kind)}
