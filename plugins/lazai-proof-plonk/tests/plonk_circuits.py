"""Circuits as rank-one constraints, written here because no compiler is at hand."""

from __future__ import annotations

import random

from lazai_proof_plonk.files.r1cs import R1cs, Terms, simple_r1cs
from lazai_proof_plonk.parameters import ORDER

Constraint = tuple[Terms, Terms, Terms]


def evaluate(terms: Terms, witness: list[int]) -> int:
    return sum(scale * witness[wire] for wire, scale in terms) % ORDER


def chain_circuit(length: int) -> tuple[R1cs, list[int]]:
    """public * private^length, one product after the other."""
    witness, constraints, previous = [1, 0, 3, 5], [], 2
    for index in range(length):
        value = witness[previous] * witness[3] % ORDER
        if index == length - 1:
            target = 1
            witness[1] = value
        else:
            target = len(witness)
            witness.append(value)
        constraints.append((((previous, 1),), ((3, 1),), ((target, 1),)))
        previous = target
    circuit = simple_r1cs(wires=len(witness), outputs=1, public_inputs=1, private_inputs=1, constraints=constraints)
    return circuit, witness


def mixed_circuit(length: int, seed: int) -> tuple[R1cs, list[int]]:
    """Random constraints of every kind that setups tell apart: sums, constants, empty sides, long combinations."""
    source = random.Random(seed)
    outputs, public, private = 2, 2, 3
    witness = [
        1,
        0,
        0,
        *(source.randrange(ORDER) for _ in range(public)),
        *(source.randrange(1 << 20) for _ in range(3)),
    ]
    known = list(range(1 + outputs, len(witness)))
    constraints: list[Constraint] = []
    for index in range(length):
        left, right = _sides(source, known)
        extra = _combination(source, known, source.randrange(3)) if source.random() < 0.6 else ()
        scale = source.choice([1, ORDER - 1, source.randrange(2, ORDER)])
        value = (evaluate(left, witness) * evaluate(right, witness) - evaluate(extra, witness)) % ORDER
        if index >= length - outputs:
            target = 1 + index - (length - outputs)
        else:
            target = len(witness)
            witness.append(0)
        witness[target] = value * pow(scale, -1, ORDER) % ORDER
        constraints.append((left, right, tuple(sorted((*extra, (target, scale))))))
        known.append(target)
    circuit = simple_r1cs(
        wires=len(witness), outputs=outputs, public_inputs=public, private_inputs=private, constraints=constraints
    )
    return circuit, witness


def _combination(source: random.Random, known: list[int], count: int) -> Terms:
    wires = sorted(source.sample(known, min(count, len(known))))
    terms = [
        (wire, source.choice([1, ORDER - 1, source.randrange(1, ORDER), source.randrange(1, 9)])) for wire in wires
    ]
    if source.random() < 0.4:
        terms.insert(0, (0, source.randrange(1, ORDER)))
    return tuple(terms)


def _sides(source: random.Random, known: list[int]) -> tuple[Terms, Terms]:
    constant: Terms = ((0, source.randrange(1, ORDER)),)
    kind = source.randrange(7)
    if kind == 0:
        return _combination(source, known, source.randrange(1, 5)), constant
    if kind == 1:
        return constant, _combination(source, known, source.randrange(1, 5))
    if kind == 2:
        return (), _combination(source, known, 2)
    if kind == 3:
        return constant, ((0, 7),)
    return tuple(_combination(source, known, source.randrange(1, 6)) for _ in range(2))  # type: ignore[return-value]


def quirky_circuit() -> tuple[R1cs, list[int]]:
    """What compilers do not write but files may hold: terms that cancel, written zeros, empty sides, any order."""
    part = -10 * pow(7, -1, ORDER) % ORDER
    ten: Terms = ((3, 2), (4, part))
    constraints: list[Constraint] = [
        (((0, 2),), ((3, 1), (4, 1)), ((3, 2), (4, 2))),
        (((0, 3),), ((3, 1),), ((3, 3),)),
        (((3, 1), (4, 0)), ((4, 1),), ((1, pow(7, -1, ORDER)), (3, 0))),
        (((3, 0),), ((4, 1),), ()),
        (((0, 0),), ((4, 1),), ()),
        (((0, 5),), (), ()),
        ((), ((0, 5),), ten),
        (((0, 5),), (), ten),
        (((3, 1),), (), ten),
        (((0, 5),), ((0, 2),), ((3, 2),)),
        ((), (), ()),
        (((4, 1), (3, 1)), ((4, 1), (3, 2)), ((4, 12), (0, 120))),
    ]
    circuit = simple_r1cs(wires=5, outputs=1, public_inputs=1, private_inputs=2, constraints=constraints)
    return circuit, [1, 245, 3, 5, 7]
