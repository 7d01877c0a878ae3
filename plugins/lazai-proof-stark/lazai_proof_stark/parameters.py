"""Named parameter sets. Both sides must use the same one; unknown names are refused.

`security_bits` is what `security.security_of` proves at the largest sizes that a set allows, in the unique decoding or
Johnson regime and without any conjecture; a test recomputes it. Rates: the activation commitment is made in each proof
and small, so a low rate costs little time and saves queries; the codeword of the weights stays in memory.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from lazai_core.api.encoding import Writer, domain_hash
from lazai_core.api.errors import ProofMalformed, ProofRejected

from .commitment import CodeParameters


@frozen(kw_only=True)
class ParameterSet:
    """`activations` for the commitment made in each proof, `weights` for the one made once a model.

    The limits are log2 of the largest commitments and of the most lookups and table rows together; `relations_max`
    bounds equalities and products each, `chi_degree_max` the polynomial identities.
    """

    name: str
    security_bits: int
    activations: CodeParameters
    weights: CodeParameters
    activation_variables_max: int = 26
    weight_variables_max: int = 27
    leaf_variables_max: int = 28
    relations_max: int = 1 << 16
    chi_degree_max: int = 64

    @property
    def digest(self) -> bytes:
        """Identity, absorbed first."""
        writer = Writer().text(self.name).u32(self.security_bits)
        for code in (self.activations, self.weights):
            for value in (code.log_rate, code.queries, code.grinding_bits, code.log_arity, code.cap_height):
                writer.u32(value)
        return domain_hash("lazai/stark/parameters/v1", writer.finish())


PARAMETER_SETS: Mapping[str, ParameterSet] = {
    entry.name: entry
    for entry in (
        ParameterSet(
            name="proven100",
            security_bits=100,
            activations=CodeParameters(log_rate=3, queries=102, grinding_bits=16),
            weights=CodeParameters(log_rate=2, queries=124, grinding_bits=16),
        ),
        ParameterSet(
            name="proven128",
            security_bits=128,
            activations=CodeParameters(log_rate=3, queries=133, grinding_bits=18),
            weights=CodeParameters(log_rate=2, queries=163, grinding_bits=18),
            leaf_variables_max=24,
        ),
        ParameterSet(
            name="dev",
            security_bits=10,
            activations=CodeParameters(log_rate=2, queries=8, grinding_bits=4),
            weights=CodeParameters(log_rate=2, queries=8, grinding_bits=4),
        ),
    )
}


def parameter_set(name: str) -> ParameterSet:
    """Raises ProofMalformed for an unknown name, listing the known ones."""
    found = PARAMETER_SETS.get(name)
    if found is None:
        known = ", ".join(sorted(PARAMETER_SETS))
        raise ProofMalformed(f"parameter set {name!r} is unknown; there are {known}")
    return found


def require_strength(parameters: ParameterSet, security_bits_min: int) -> None:
    """Refuse a set weaker than the verifier asks for; so `dev` needs a verifier that asks for next to nothing.

    Raises ProofRejected.
    """
    if parameters.security_bits < security_bits_min:
        raise ProofRejected(
            f"parameter set {parameters.name} has {parameters.security_bits} bits of security, "
            f"{security_bits_min} are wanted",
            check="parameter set",
        )
