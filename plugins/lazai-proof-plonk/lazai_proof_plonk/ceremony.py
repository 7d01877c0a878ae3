"""Which powers of tau are trusted, and proof that a file holds what it claims.

A file is of the public ceremony when its [tau]_2 is the ceremony's and all its powers are of one tau, which pairings
show: then nothing in it can differ from the original. Names and hashes of files are a convenience on top.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

import numpy as np

from lazai_core.api.errors import LazAIError

from .ceremony_files import KNOWN_FILES
from .files.ptau import PowersOfTau, read_ptau
from .keys import G2_GENERATOR, Point2
from .parameters import ORDER


class Setup(StrEnum):
    """`HERMEZ` is the public ceremony of 2^28; `INSECURE_TEST` has a tau that everybody knows; `UNKNOWN` is another."""

    HERMEZ = "hermez"
    INSECURE_TEST = "insecure-test"
    UNKNOWN = "unknown"


HERMEZ_X_2: Point2 = (
    (
        21831381940315734285607113342023901060522397560371972897001948545212302161822,
        17231025384763736816414546592865244497437017442647097510447326538965263639101,
    ),
    (
        2388026358213174446665280700919698872609886601280537296205114254867301080648,
        11507326595632554467052522095592665270651932854513688777769618397986436103170,
    ),
)
TEST_TAU = int.from_bytes(hashlib.sha256(b"lazai/plonk/insecure-test-tau").digest(), "big") % ORDER
WEIGHT_BITS = 128


class CeremonyRefused(LazAIError):
    """The powers of tau are wrong, or of a ceremony that is not trusted here."""


@lru_cache(maxsize=2)
def _test_x_2() -> Point2:
    from .kernels import g2

    point: Point2 = g2.multiply(G2_GENERATOR, TEST_TAU)
    return point


def setup_of(x_2: Point2) -> Setup:
    """The setup that this [tau]_2 belongs to."""
    if x_2 == HERMEZ_X_2:
        return Setup.HERMEZ
    return Setup.INSECURE_TEST if x_2 == _test_x_2() else Setup.UNKNOWN


def check_trust(x_2: Point2, trusted: Setup) -> Setup:
    """The setup of this [tau]_2, which must be the trusted one. Raises CeremonyRefused.

    To trust `UNKNOWN` is to trust every setup but the test ceremony, whose secret everybody knows.
    """
    found = setup_of(x_2)
    if found is trusted or (trusted is Setup.UNKNOWN and found is Setup.HERMEZ):
        return found
    if found is Setup.INSECURE_TEST:
        raise CeremonyRefused(
            "the key is of the test ceremony, whose secret everybody knows",
            hint=f"name the setup {Setup.INSECURE_TEST.value!r} where that is meant",
        )
    raise CeremonyRefused(f"the powers of tau are of the setup {found.value!r}, only {trusted.value!r} is trusted here")


@lru_cache(maxsize=4)
def insecure_test_powers(power: int) -> PowersOfTau:
    """A ceremony of 2^power with a public tau. Proofs under it prove nothing."""
    from .kernels import g1, g2
    from .kernels.fields import FR

    scalars = FR.powers(TEST_TAU, (2 << power) - 1)
    first = g2.encode([G2_GENERATOR, _test_x_2()])
    rest = np.zeros(((1 << power) - 2, 16), dtype=np.uint64)
    return PowersOfTau(
        power=power,
        ceremony_power=power,
        g1=g1.fixed_base(g1.GENERATOR, scalars),
        g2=np.concatenate([first, rest]),
    )


def load_ceremony(path: Path, trusted: Setup = Setup.HERMEZ) -> tuple[PowersOfTau, str]:
    """Read and check a `.ptau`; the text says how it was recognised. Raises EncodingError, CeremonyRefused."""
    from .kernels import g2

    with path.open("rb") as file:
        data = file.read()
    powers = read_ptau(data)
    (x_2,) = g2.decode(np.ascontiguousarray(powers.g2[1:2]))
    setup = check_trust(x_2, trusted)
    digest = hashlib.blake2b(data).hexdigest()
    check_powers(powers, digest)
    known = KNOWN_FILES.get(digest)
    return powers, f"{setup.value}, file {known}" if known else f"{setup.value}, by its powers"


def check_powers(powers: PowersOfTau, seed: str) -> None:
    """Every G1 point is on the curve and they are the powers of the tau in G2. Raises CeremonyRefused.

    One random combination for all: e(sum of w_i P_(i+1), G2) = e(sum of w_i P_i, [tau]_2), with 128-bit weights that
    follow from `seed`, which the caller derives from the points.
    """
    from .kernels import g1, g2, pairing

    first, second = g2.decode(np.ascontiguousarray(powers.g2[:2]))
    if first != G2_GENERATOR or g1.decode(np.ascontiguousarray(powers.g1[:1]))[0] != g1.GENERATOR:
        raise CeremonyRefused("the first powers are not the generators")
    if second is None or second == G2_GENERATOR or not g2.is_in_subgroup(second):
        raise CeremonyRefused("[tau]_2 is not a usable point of the subgroup")
    if not g1.all_on_curve(np.ascontiguousarray(powers.g1)):
        raise CeremonyRefused("a power of tau is not on the curve")
    count = len(powers.g1) - 1
    stream = hashlib.shake_256(f"lazai/plonk/powers/{seed}".encode()).digest(count * WEIGHT_BITS // 8)
    weights = np.zeros((count, 4), dtype=np.uint64)
    weights[:, :2] = np.frombuffer(stream, dtype="<u8").reshape(count, 2)
    low = g1.msm(np.ascontiguousarray(powers.g1[:-1]), weights, montgomery=False)
    high = g1.msm(np.ascontiguousarray(powers.g1[1:]), weights, montgomery=False)
    if not pairing.product_is_one([(g1.negate(high), G2_GENERATOR), (low, second)]):
        raise CeremonyRefused("the powers are not of one tau")
