from __future__ import annotations

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from lazai_core.cli import requirements
from lazai_core.cli.requirements import is_prerelease, misfits, within

VERSIONS = ["0.9", "1", "1.0", "1.0.1", "1.2b1", "1.2rc1", "1.2.dev3", "1.2", "1.10", "2.13.0+cpu", "2.14.1", "3.0a1"]
RANGES = [">=1,<2", "==1.2b1", "==1.2", ">1.0", "<=1.2", "!=1.2", ">=2.13,<2.16", "", ">=1.2,<1.10"]


@pytest.mark.parametrize("wanted", RANGES)
@pytest.mark.parametrize("version", VERSIONS)
def test_ranges_mean_what_packaging_says(version: str, wanted: str) -> None:
    # A bare upper bound excludes the pre-releases of that bound in packaging; ours lie below it all the same.
    expected = SpecifierSet(wanted).contains(Version(version), prereleases=True)

    assert within(version, wanted) == expected


@pytest.mark.parametrize("version", VERSIONS)
def test_prereleases_are_what_packaging_says(version: str) -> None:
    assert is_prerelease(version) == Version(version).is_prerelease


def test_what_an_environment_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["attrs>=99", "absent-package>=1,<2", "click>=8", "pytest>=99 ; extra == 'dev'", "rich[all] (>=1)"]
    monkeypatch.setattr(requirements, "requires", lambda _name: wanted)

    found = [(misfit.package, bool(misfit.installed), misfit.wanted) for misfit in misfits("acme")]

    assert found == [("attrs", True, ">=99"), ("absent-package", False, ">=1,<2")]


def test_our_own_requirements_are_understood() -> None:
    assert list(misfits("lazai-core")) == []
