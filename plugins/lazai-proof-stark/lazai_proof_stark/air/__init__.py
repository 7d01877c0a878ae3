"""General computations: tables of field elements with constraints, proved with the same commitment as models.

    air = Air("fibonacci", ("a", "b"), log_rows=10)
    row, following = air.row, air.following
    air.transition("shift", following["a"] - row["b"])
    air.transition("sum", following["b"] - row["a"] - row["b"])
    air.public("a", 0)
    air.public("b", -1)

`prove_air(air, columns, parameters)` and `verify_air(air, public_values, proof, parameters)` do the rest.
"""

from .definition import Air
from .prove import prove_air
from .verify import verify_air

__all__ = ["Air", "prove_air", "verify_air"]
