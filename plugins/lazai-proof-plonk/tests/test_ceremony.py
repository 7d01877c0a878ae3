"""Powers of tau: the public ceremony is recognised, everything else is refused (row 20)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from attrs import evolve

from lazai_proof_plonk.ceremony import (
    TEST_TAU,
    CeremonyRefused,
    Setup,
    check_powers,
    check_trust,
    insecure_test_powers,
    load_ceremony,
)
from lazai_proof_plonk.files.ptau import PowersOfTau, read_ptau, write_ptau
from lazai_proof_plonk.kernels import g1, g2
from lazai_proof_plonk.keys import G2_GENERATOR


def test_the_public_ceremony_is_recognised_by_file_and_by_its_powers(ceremony_path: Path, tmp_path: Path) -> None:
    powers, how = load_ceremony(ceremony_path)
    assert (powers.power, how) == (11, "hermez, file powersOfTau28_hez_final_11.ptau")
    cut = evolve(powers, power=5, g1=powers.g1[:63], g2=powers.g2[:32])
    (tmp_path / "cut.ptau").write_bytes(write_ptau(cut))
    assert load_ceremony(tmp_path / "cut.ptau")[1] == "hermez, by its powers"
    assert load_ceremony(ceremony_path, Setup.UNKNOWN)[1].startswith("hermez")


def test_a_changed_file_of_the_public_ceremony_is_refused(ceremony_path: Path, tmp_path: Path) -> None:
    powers = read_ptau(ceremony_path.read_bytes())
    points = powers.g1.copy()
    points[[100, 101]] = points[[101, 100]]
    (tmp_path / "bad.ptau").write_bytes(write_ptau(evolve(powers, g1=points)))
    with pytest.raises(CeremonyRefused, match="not of one tau"):
        load_ceremony(tmp_path / "bad.ptau")


def test_the_test_ceremony_is_refused_unless_named(tmp_path: Path) -> None:
    path = tmp_path / "test.ptau"
    path.write_bytes(write_ptau(insecure_test_powers(4)))
    for trusted in (Setup.HERMEZ, Setup.UNKNOWN):
        with pytest.raises(CeremonyRefused, match="everybody knows"):
            load_ceremony(path, trusted)
    assert load_ceremony(path, Setup.INSECURE_TEST)[1] == "insecure-test, by its powers"
    assert g2.decode(insecure_test_powers(4).g2[1:2].copy())[0] == g2.multiply(G2_GENERATOR, TEST_TAU)


def test_unknown_ceremonies_are_refused_unless_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "own.ptau"
    path.write_bytes(write_ptau(own_powers(7)))
    with pytest.raises(CeremonyRefused, match="only 'hermez' is trusted"):
        load_ceremony(path)
    assert load_ceremony(path, Setup.UNKNOWN)[1] == "unknown, by its powers"
    assert check_trust(g2.multiply(G2_GENERATOR, 7), Setup.UNKNOWN) is Setup.UNKNOWN


@pytest.mark.parametrize("tau", [0, 1])
def test_a_tau_of_zero_or_one_is_refused(tau: int) -> None:
    with pytest.raises(CeremonyRefused):
        check_powers(own_powers(tau), "seed")


def test_inconsistent_powers_are_refused() -> None:
    good = own_powers(7)
    check_powers(good, "seed")
    swapped = good.g1.copy()
    swapped[[3, 4]] = swapped[[4, 3]]
    for name, bad in (("one tau", evolve(good, g1=swapped)), ("one tau", evolve(good, g2=own_powers(8).g2))):
        with pytest.raises(CeremonyRefused, match=name):
            check_powers(bad, "seed")
    off_curve = good.g1.copy()
    off_curve[5, 0] ^= np.uint64(1)
    with pytest.raises(CeremonyRefused, match="not on the curve"):
        check_powers(evolve(good, g1=off_curve), "seed")
    moved = np.concatenate([good.g1[1:], good.g1[:1]])
    with pytest.raises(CeremonyRefused, match="generators"):
        check_powers(evolve(good, g1=moved), "seed")


def own_powers(tau: int) -> PowersOfTau:
    points = [g1.multiply(g1.GENERATOR, tau**index) for index in range(15)]
    twisted = [g2.multiply(G2_GENERATOR, tau**index) for index in range(8)]
    return PowersOfTau(power=3, ceremony_power=3, g1=g1.encode(points), g2=g2.encode(twisted))
