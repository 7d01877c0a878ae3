"""Provable security of a proof, round by round, from published bounds only; nothing here is used in consensus.

Two regimes: unique decoding and list decoding up to the Johnson bound. No conjecture enters. Sources:

- lines of Reed-Solomon words: BCIKS20 (2020/654), theorem 4.1 (unique decoding) and the Johnson bound of BCHKS25
  (2025/2055), theorem 4.2, in the form that ethereum/soundcalc uses. They count exceptional challenges, so they hold as
  they are for interleaved words, which are words over a larger field, and for codewords over F with challenges in K;
- BaseFold (2023/1705) in the list regime: Haboeck (2024/1571), one round of sumcheck and one line a fold, with the
  weighted agreement of theorem 4;
- logarithmic derivatives: Haboeck (2022/1530), Papini and Haboeck (2023/1284); sumcheck and Schwartz-Zippel elsewhere.

In the list regime the activation commitment stands for at most L polynomials, so each earlier error counts L times. The
weight commitment is a codeword that everybody can recompute, so it stands for one. Grinding counts for the query round
alone: the nonce follows the last message of the prover. The security is the least over all rounds (round-by-round
soundness, which is what the Fiat-Shamir transform needs), for each commitment in its better regime.
"""

from __future__ import annotations

from math import log2, sqrt
from typing import TYPE_CHECKING

from attrs import frozen

from lazai_core.api.errors import UnsupportedProgram

from .commitment import CodeParameters, Shape
from .field import DEGREE, TWO_ADICITY, P
from .parameters import ParameterSet

if TYPE_CHECKING:
    from .circuit.nodes import Node
    from .circuit.relations import Circuit

FIELD_BITS = DEGREE * log2(P)
"""log2 |K|, about 154.9."""
HASH_BITS = 128.0
"""Collisions of BLAKE3 and SHA-256."""
MULTIPLICITY_MIN = 3
"""The least m of the Johnson regime's theorems."""
MULTIPLICITY_MAX = 400
TUPLE_DEGREE = 4
"""Degree in (alpha, beta) of one denominator: the table's identity stands at alpha^4."""


@frozen(kw_only=True)
class ProofSizes:
    """What of a circuit decides about its errors. `leaf_variables` of the fraction tree; counts are upper bounds."""

    activation_variables: int
    weight_variables: int
    leaf_variables: int
    equalities: int = 1 << 16
    equality_variables: int = 28
    products: int = 1 << 16
    chi_degree: int = 64


@frozen(kw_only=True)
class Regime:
    """How far from the code a word may be. multiplicity 0: unique decoding; else the Johnson regime's m."""

    multiplicity: int

    @property
    def name(self) -> str:
        """For people."""
        return f"Johnson, m = {self.multiplicity}" if self.multiplicity else "unique decoding"

    def agreement(self, log_rate: int) -> float:
        """1 - theta: the fraction of positions at which a bad word can look good."""
        rate = 2.0**-log_rate
        return sqrt(rate) * (1 + 1 / self.multiplicity) if self.multiplicity else (1 + rate) / 2

    def list_size(self, log_rate: int) -> float:
        """Codewords within theta of a word: 1 / (2 eta sqrt(rate)) or (m + 1/2) / sqrt(rate), the larger."""
        m, rate = self.multiplicity, 2.0**-log_rate
        return max(m / (2 * rate), (m + 0.5) / sqrt(rate)) if m else 1.0

    def exceptional(self, log_length: int, log_rate: int) -> float:
        """Challenges of a line through two words that may bring them nearer to the code; the error times |K|."""
        length, rate, m = 2.0**log_length, 2.0**-log_rate, self.multiplicity + 0.5
        if not self.multiplicity:
            return length
        theta = 1 - self.agreement(log_rate)
        agreement = (2 * m**5 + 3 * m * theta * rate) * length / (3 * rate * sqrt(rate)) + m / sqrt(rate)
        weighted = 2 * m / sqrt(rate) * (length + 1)
        return agreement + weighted


@frozen(kw_only=True)
class Round:
    """One challenge of the verifier: `bits` is -log2 of the chance that it saves a false statement."""

    stage: str
    challenge: str
    bits: float
    count: int = 1


@frozen(kw_only=True)
class Security:
    """All rounds, and the regimes that were best for them."""

    rounds: tuple[Round, ...]
    activations: Regime
    weights: Regime

    @property
    def bits(self) -> float:
        """The least over the rounds and the hash functions."""
        return min(HASH_BITS, *(entry.bits for entry in self.rounds))

    @property
    def interactive_bits(self) -> float:
        """-log2 of the sum of all errors: a union bound, for one run with a live verifier."""
        return -log2(sum(entry.count * 2.0**-entry.bits for entry in self.rounds))

    def table(self) -> str:
        """One line a round, for people."""
        lines = [f"{entry.bits:7.1f}  {entry.stage}: {entry.challenge}" for entry in self.rounds]
        lines.append(f"{HASH_BITS:7.1f}  collisions of the hash functions")
        lines.append(f"{self.bits:7.1f}  least (A: {self.activations.name}; W: {self.weights.name})")
        return "\n".join(lines)


def query_bits(agreement: float, queries: int, grinding_bits: int) -> float:
    """Security of the query round."""
    return -queries * log2(agreement) + grinding_bits


def field_bits(numerator: float) -> float:
    """-log2 of numerator / |K|."""
    return FIELD_BITS - log2(numerator)


def all_regimes() -> list[Regime]:
    """Unique decoding, and Johnson's with every m that is worth a look."""
    return [Regime(multiplicity=m) for m in (0, *range(MULTIPLICITY_MIN, MULTIPLICITY_MAX))]


def security_of(sizes: ProofSizes, parameters: ParameterSet) -> Security:
    """Errors of all rounds at these sizes. Raises UnsupportedProgram where a size is above the set's limits."""
    require_sizes(sizes, parameters)
    regimes = all_regimes()
    activations = max(
        (_with_activations(sizes, parameters, regime) for regime in regimes),
        key=lambda found: min(entry.bits for entry in found[1]),
    )
    weights = max(
        ((regime, opening_rounds("open W", sizes.weight_variables, parameters.weights, regime)) for regime in regimes),
        key=lambda found: min(entry.bits for entry in found[1]),
    )
    return Security(rounds=(*activations[1], *weights[1]), activations=activations[0], weights=weights[0])


def _with_activations(sizes: ProofSizes, parameters: ParameterSet, regime: Regime) -> tuple[Regime, tuple[Round, ...]]:
    factor = regime.list_size(parameters.activations.log_rate)
    opening = opening_rounds("open A", sizes.activation_variables, parameters.activations, regime)
    return regime, (*_relations(sizes, factor), *opening)


def _relations(sizes: ProofSizes, factor: float) -> tuple[Round, ...]:
    """Everything before the openings; `factor` polynomials may stand behind the activation commitment."""
    leaves = 2.0**sizes.leaf_variables
    rows = (
        ("relations", "chi, polynomial identities", sizes.chi_degree, 1),
        ("lookups", "alpha and beta, logarithmic derivative", TUPLE_DEGREE * leaves, 1),
        ("fraction tree", "mix of numerator and denominator", 1, sizes.leaf_variables),
        ("fraction tree", "round of a level, degree 2", 2, sizes.leaf_variables * (sizes.leaf_variables - 1) // 2),
        ("fraction tree", "child", 1, sizes.leaf_variables),
        ("claims", "mixes and the equalities' point", 1 + sizes.equalities + sizes.equality_variables, 1),
        ("products", "round, degree 3", 3, 64),
        ("products", "mix of operands", max(1, 2 * sizes.products), 1),
        ("claims", "join", 1, 1),
    )
    return tuple(
        Round(stage=stage, challenge=challenge, bits=field_bits(factor * max(1, numerator)), count=count)
        for stage, challenge, numerator, count in rows
    )


def opening_rounds(stage: str, variables: int, code: CodeParameters, regime: Regime) -> tuple[Round, ...]:
    """Challenges of the opening of one commitment (PROTOCOL.md, section 5)."""
    shape = Shape.of(variables, code)
    rounds = []
    sumcheck = 2 * regime.list_size(code.log_rate)
    columns = regime.exceptional(shape.log_length, code.log_rate) + sumcheck
    rounds.append(
        Round(stage=stage, challenge="columns, line and degree 2", bits=field_bits(columns), count=shape.log_columns)
    )
    log_length = shape.log_length
    for group in shape.fold_groups:
        fold = regime.exceptional(log_length, code.log_rate) + sumcheck
        name = f"fold of 2^{log_length}, line and degree 2"
        rounds.append(Round(stage=stage, challenge=name, bits=field_bits(fold), count=group))
        log_length -= group
    last = shape.log_rows - sum(shape.fold_groups)
    rounds.append(Round(stage=stage, challenge="last rounds, degree 2", bits=field_bits(sumcheck), count=last))
    bits = query_bits(regime.agreement(code.log_rate), code.queries, code.grinding_bits)
    rounds.append(Round(stage=stage, challenge=f"{code.queries} queries, {code.grinding_bits} bits of work", bits=bits))
    return tuple(rounds)


def require_sizes(sizes: ProofSizes, parameters: ParameterSet) -> None:
    """Refuse what a set's claim does not cover. Raises UnsupportedProgram with the size and the limit."""
    limits = (
        ("variables of the activation commitment", sizes.activation_variables, parameters.activation_variables_max),
        ("variables of the weight commitment", sizes.weight_variables, parameters.weight_variables_max),
        ("variables of the lookups", sizes.leaf_variables, parameters.leaf_variables_max),
        ("equalities", sizes.equalities, parameters.relations_max),
        ("products", sizes.products, parameters.relations_max),
        ("coefficients of a polynomial identity", sizes.chi_degree, parameters.chi_degree_max),
    )
    for name, size, limit in limits:
        if size > limit:
            raise UnsupportedProgram(
                f"the circuit has {size} {name}; parameter set {parameters.name} is shown to be sound up to {limit}",
                hint="prove a smaller input, or commit to the model under another parameter set",
            )
    for variables, code in (
        (sizes.activation_variables, parameters.activations),
        (sizes.weight_variables, parameters.weights),
    ):
        log_length = Shape.of(variables, code).log_length
        if log_length > TWO_ADICITY:
            raise UnsupportedProgram(f"a codeword of 2^{log_length} rows is longer than the field's subgroup")


def sizes_of(circuit: Circuit) -> ProofSizes:
    """The sizes of a circuit. Products are counted by paths: at least as many as there are terms."""
    from .model_key import commitment_variables
    from .regions import leaves_of

    leaves = leaves_of(circuit)
    forms = [form for region in leaves.regions for form in region.forms]
    equal = [equality.form for equality in circuit.equalities]
    degrees: dict[int, int] = {}
    return ProofSizes(
        activation_variables=commitment_variables(circuit.activations),
        weight_variables=commitment_variables(circuit.weights),
        leaf_variables=leaves.variables,
        equalities=len(equal),
        equality_variables=max((equality.piece.bits for equality in circuit.equalities), default=0),
        products=sum(node.paths for node in (*forms, *equal) if node.bilinear),
        chi_degree=max((chi_degree(node, degrees) for node in equal), default=0),
    )


def chi_degree(node: Node, known: dict[int, int] | None = None) -> int:
    """Degree in chi of a form's cells. `known` keeps results by identity of nodes that the caller keeps alive."""
    from .circuit.nodes import Node, Powers, Product, Sum

    known = {} if known is None else known
    found = known.get(id(node))
    if found is not None:
        return found
    if isinstance(node, Sum):
        degrees = [len(coefficients) - 1 + chi_degree(part, known) for coefficients, part in node.parts]
        result = max(len(node.constant) - 1, *degrees) if degrees else len(node.constant) - 1
    elif isinstance(node, Product):
        result = chi_degree(node.left, known) + chi_degree(node.right, known)
    else:
        sources = [getattr(node, "source", None), *getattr(node, "parts", ())]
        result = max((chi_degree(part, known) for part in sources if isinstance(part, Node)), default=0)
        if isinstance(node, Powers):
            result += node.source.shape[node.axis] - 1
    known[id(node)] = result
    return result
