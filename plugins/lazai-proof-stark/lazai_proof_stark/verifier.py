"""The verifier: rebuilds every relation from the public program and checks the proof against it.

It holds neither weights nor witness, and takes nothing of the structure from the proof: sizes, tables, points and
functionals follow from program, verifying key, statement and challenges.
"""

from __future__ import annotations

from collections.abc import Callable

from lazai_core.api.errors import InvalidInput, ProofMalformed, ProofRejected, UnsupportedProgram
from lazai_core.api.program import Program
from lazai_core.api.proof import Statement, VerifyingKey
from lazai_core.api.transcript import Transcript
from lazai_core.exact.codec import decode_inputs, decode_outputs

from . import scalars as f
from .circuit.pullback import Context, Pulled
from .circuit.relations import Circuit
from .circuit.witness import Values
from .claims import (
    LookupChallenges,
    by_commitment,
    equality_claims,
    equality_variables,
    joined,
    lookup_claims,
    merged_leaves,
    operand_claims,
    product_terms,
)
from .commitment import check_weighted
from .fractions import check_zero_sum
from .messages import Receiver
from .model_key import WeightKey, activation_shape, circuit_of, weight_shape
from .opening import begin
from .products import check_products
from .regions import leaves_of


def verify(
    program: Program,
    key: VerifyingKey,
    weight_key: WeightKey,
    statement: Statement,
    proof: bytes,
    open_channel: Callable[[Transcript, bytes], Receiver] = Receiver,
) -> None:
    """Raises ProofMalformed or ProofRejected; returns when the statement is proved. A tool may watch the channel."""
    if statement.program_digest != program.digest() or key.program_digest != statement.program_digest:
        raise ProofRejected("statement, key and program name different models", check="program")
    try:
        bound, inputs = decode_inputs(program, statement.input)
        outputs = decode_outputs(bound, statement.output)
        circuit = circuit_of(program, bound.dim_value, weight_key)
    except (InvalidInput, ValueError) as cause:
        raise ProofRejected(f"the statement does not fit the program: {cause}", check="statement") from cause
    except UnsupportedProgram as cause:
        raise ProofMalformed(f"this program cannot be proved: {cause}") from cause
    _check_outputs(circuit, outputs)
    channel = open_channel(begin(weight_key.parameters, key, statement), proof)
    _check(circuit, Values(inputs, outputs), weight_key, channel)
    channel.finish()


def _check_outputs(circuit: Circuit, outputs: object) -> None:
    """Outputs are integers of their type; that they lie in the program's interval is part of the statement."""
    program = circuit.bound.program
    assert isinstance(outputs, tuple)
    for output, array in zip(program.outputs, outputs, strict=True):
        info = program.values[output.value]
        if int(array.min()) < info.low or int(array.max()) > info.high:
            raise ProofRejected(f"output {output.name} leaves [{info.low}, {info.high}]", check="statement")


def _check(circuit: Circuit, values: Values, weight_key: WeightKey, channel: Receiver) -> None:
    shape = activation_shape(circuit, weight_key.parameters)
    height = min(shape.parameters.cap_height, shape.log_length)
    cap = channel.receive_digests("activations", 1 << height)
    chi = channel.challenge("chi")
    alpha, beta = channel.challenges("lookup", 2)
    context = Context(chi=chi, values=values)
    leaves = leaves_of(circuit)
    claim = check_zero_sum(leaves.variables, channel)
    mix, equality_mix = channel.challenges("claims", 2)
    point = channel.challenges("equalities", equality_variables(circuit))
    first = Pulled()
    target = lookup_claims(leaves, LookupChallenges(alpha=alpha, beta=beta), claim, mix, context, first)
    equality_claims(circuit, point, equality_mix, context, first)
    first_claims = by_commitment(merged_leaves(first))
    products = product_terms(first)
    activation_sum, weight_sum = channel.receive_elements("sums", 2)
    rest = f.subtract(f.subtract(target, first.value), f.add(activation_sum, weight_sum))
    product_point, operands = check_products(products, rest, channel)
    operand_mix = channel.challenge("operands")
    second = Pulled()
    total = operand_claims(products, product_point, operands, operand_mix, context, second)
    if second.products:
        raise ProofMalformed("an operand of a product is not linear")
    second_claims = by_commitment(merged_leaves(second))
    (operand_sum,) = channel.receive_elements("operand sum", 1)
    operand_weights = f.subtract(f.subtract(total, second.value), operand_sum)
    join = channel.challenge("join")
    activations = joined(first_claims[0], second_claims[0], join)
    value = f.add(activation_sum, f.multiply(join, operand_sum))
    check_weighted(shape, cap, value, lambda z: activations.weight_at(circuit, z), channel)
    weights = joined(first_claims[1], second_claims[1], join)
    value = f.add(weight_sum, f.multiply(join, operand_weights))
    if not weights.terms:
        if value != f.ZERO:
            raise ProofRejected("a sum over no weights is not zero", check="weights")
        return
    weights_shape = weight_shape(circuit, weight_key.parameters)
    if len(weight_key.cap) != 1 << min(weights_shape.parameters.cap_height, weights_shape.log_length):
        raise ProofMalformed("the key's commitment has another size than the program's weights")
    check_weighted(weights_shape, weight_key.cap, value, lambda z: weights.weight_at(circuit, z), channel)
