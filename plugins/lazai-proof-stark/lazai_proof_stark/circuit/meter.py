"""A count of work in gas, with a limit, and what each thing is worth.

A key states a price, and that price is a budget: the compiler counts what it makes, and `counting` pulls back every
functional once; whoever counts refuses as soon as the count is more than the budget. So both the work that follows and
the counting itself are bounded by the price, whatever key and program say. Thirty gas stand for a microsecond of one
core at least; vectors are counted by their entries, before they are formed.
"""

from __future__ import annotations

from lazai_core.api.errors import UnsupportedProgram

VECTOR_CELLS_MAX = 1 << 23
"""Entries of one vector over K, 40 bytes each: no functional of a verifier may need a longer one."""
GAS_PUBLIC_BYTE = 6
GAS_OPERATION = 6_000
GAS_POSITION = 300
"""A row or column of a pooling window: a form is made before anything else is."""
GAS_COLUMN = 1_500
GAS_LOOKUP = 1_500
GAS_TABLE = 3_000
GAS_EQUALITY = 1_500
GAS_REGION = 700
"""A piece of a lookup or of a table: its prefix, test and mask."""
GAS_STEP = 400
GAS_LEAF = 600
GAS_BLOCK = 1_000
GAS_PRODUCT = 2_000
GAS_ENTRY = 2
"""An entry of a vector that is formed, and later hashed or evaluated."""
GAS_WINDOW_ENTRY = 2
GAS_POWER = 200
GAS_PUBLIC_CELL = 1


class Meter:
    """Gas so far, and the most there may be; None: only count."""

    def __init__(self, limit: int | None = None) -> None:
        self.limit, self.gas = limit, 0

    def charge(self, gas: int) -> None:
        """Count work that is about to be done. Raises UnsupportedProgram beyond the limit."""
        self.gas += gas
        if self.limit is not None and self.gas > self.limit:
            raise UnsupportedProgram(
                f"verifying it costs more than the {self.limit} gas that the key pays for",
                hint="make the key anew; where the program has a dimension, prove a smaller value of it",
            )

    def vector(self, cells: int, each: int = GAS_ENTRY) -> None:
        """Count a vector over K. Raises UnsupportedProgram for one that nobody should form."""
        if cells > VECTOR_CELLS_MAX:
            raise UnsupportedProgram(
                f"verifying it needs a vector of {cells} entries, more than {VECTOR_CELLS_MAX}",
                hint="split the operation that joins so many cells",
            )
        self.charge(each * cells)
