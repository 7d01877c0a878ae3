"""The verifier of general computations."""

from __future__ import annotations

from collections.abc import Sequence

from lazai_core.api.errors import InvalidInput, InvalidProgram, ProofRejected

from .. import scalars as f
from ..commitment import Shape, check_weighted
from ..field import Extension
from ..fractions import check_zero_sum
from ..messages import Receiver
from ..parameters import ParameterSet
from .definition import Air
from .protocol import BusCode, Claims, begin, bus_code, bus_columns, inputs_at, log_columns
from .tape import Tape

SECURITY_BITS_MIN = 100


def verify_air(
    air: Air,
    publics: Sequence[int],
    proof: bytes,
    parameters: ParameterSet,
    security_bits_min: int = SECURITY_BITS_MIN,
) -> None:
    """Returns when it is proved that a table with these public cells fulfils `air`.

    Raises ProofMalformed, ProofRejected.
    """
    if parameters.security_bits < security_bits_min:
        raise ProofRejected(
            f"parameter set {parameters.name} gives {parameters.security_bits} bits, {security_bits_min} are wanted",
            check="security",
        )
    try:
        channel = Receiver(begin(air, publics, parameters), proof)
    except (InvalidInput, InvalidProgram) as cause:
        raise ProofRejected(cause.message, check="statement") from cause
    shape = Shape.of(air.log_rows + log_columns(air), parameters.activations)
    cap = channel.receive_digests("columns", 1 << min(shape.parameters.cap_height, shape.log_length))
    bus_point: tuple[Extension, ...] = ()
    at_bus: list[tuple[int, Extension]] = []
    if air.entries:
        bus_point, at_bus = _check_buses(air, bus_code(air), channel)
    tape = air.tape()
    z, values = _check_constraints(air, tape, channel)
    at_z = [(column, is_next, value) for (column, is_next), value in zip(tape.cells, values, strict=True)]
    claims = Claims.of(air, publics, z, at_z, bus_point, at_bus, channel.challenge("join"))
    check_weighted(shape, cap, claims.value, lambda point: claims.weight_at(air, point), channel)
    channel.finish()


def _check_buses(
    air: Air, code: BusCode, channel: Receiver
) -> tuple[tuple[Extension, ...], list[tuple[int, Extension]]]:
    alpha, beta = channel.challenges("bus", 2)
    claim = check_zero_sum(air.log_rows + code.log_entries, channel)
    rows, high = claim.point[: air.log_rows], claim.point[air.log_rows :]
    columns = bus_columns(code)
    values = channel.receive_elements("bus cells", len(columns))
    outputs = code.tape.on_elements(inputs_at(code.tape, values, rows))
    weights = f.eq_vector(high)
    numerator, denominator = f.ZERO, f.sum_all(weights[len(code.entries) :])
    for weight, (p, q) in zip(weights, code.fractions(outputs, alpha, beta), strict=False):
        numerator = f.add(numerator, f.multiply(weight, p))
        denominator = f.add(denominator, f.multiply(weight, q))
    if numerator != claim.numerator or denominator != claim.denominator:
        raise ProofRejected("the cells do not give the fractions of the buses", check="bus")
    return tuple(rows), list(zip(columns, values, strict=True))


def _check_constraints(air: Air, tape: Tape, channel: Receiver) -> tuple[list[Extension], list[Extension]]:
    mix = channel.challenge("constraints")
    z = channel.challenges("rows", air.log_rows)
    if f.ZERO in z:
        raise ProofRejected("a challenge is zero", check="constraints")
    value, bound = f.ZERO, []
    for inverse in reversed(f.invert_all(z)):
        sent = channel.receive_elements("round", air.degree)
        r = channel.challenge("round")
        # (1 - z) H(0) + z H(1) = value gives H(1), which is not sent.
        at_one = f.add(sent[0], f.multiply(f.subtract(value, sent[0]), inverse))
        value = interpolate([sent[0], at_one, *sent[1:]], r)
        bound.append(r)
    point = list(reversed(bound))
    values = channel.receive_elements("cells", len(tape.cells))
    total, power = f.ZERO, f.ONE
    for output in tape.on_elements(inputs_at(tape, values, point)):
        total, power = f.add(total, f.multiply(power, output)), f.multiply(power, mix)
    if total != value:
        raise ProofRejected("the cells do not fulfil the combined constraint", check="constraints")
    return point, values


def interpolate(values: Sequence[Extension], r: Extension) -> Extension:
    """The polynomial of degree below n with these values at 0 .. n - 1, at r."""
    count = len(values)
    differences = [f.subtract(r, f.lift(index)) for index in range(count)]
    result = f.ZERO
    for index, value in enumerate(values):
        top, bottom = f.ONE, 1
        for other in range(count):
            if other != index:
                top = f.multiply(top, differences[other])
                bottom = bottom * (index - other) % f.P
        result = f.add(result, f.multiply(value, f.scale(top, pow(bottom, -1, f.P))))
    return result
