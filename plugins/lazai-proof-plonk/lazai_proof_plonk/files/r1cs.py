"""`.r1cs` version 1: rank-one constraints A * B = C over the circuit's wires.

Section 1 is the header, 2 the constraints, 3 the map from wires to labels. Wires: 0 holds one, then outputs, public
inputs, private inputs, the rest. Custom gates (sections 4 and 5) are refused. Coefficients are canonical.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from attrs import field, frozen

from lazai_core.api.errors import EncodingError

from ..parameters import ORDER
from .container import Cursor, Section, read_container, write_container

MAGIC, VERSION = b"r1cs", 1
HEADER, CONSTRAINTS, LABELS, CUSTOM_GATES, CUSTOM_USES = 1, 2, 3, 4, 5
CONSTRAINTS_MAX = 1 << 24
WIRES_MAX = 1 << 26
TERM = struct.Struct("<IQQQQ")

Terms = tuple[tuple[int, int], ...]
"""A linear combination: (wire, coefficient) in the order of the file."""


@frozen(kw_only=True)
class R1cs:
    """A circuit. `constraints[i]` is (A, B, C); `labels[wire]` is the compiler's label, or there are none."""

    wires: int
    outputs: int
    public_inputs: int
    private_inputs: int
    label_count: int
    constraints: tuple[tuple[Terms, Terms, Terms], ...] = field(repr=False)
    labels: tuple[int, ...] = field(repr=False)

    @property
    def public(self) -> int:
        """Number of public values: outputs, then public inputs."""
        return self.outputs + self.public_inputs


def read_r1cs(data: bytes | memoryview) -> R1cs:
    """Parse and check a whole file. Raises EncodingError."""
    container = read_container(data, MAGIC, (VERSION,))
    for number in (CUSTOM_GATES, CUSTOM_USES):
        section = container.optional(number)
        if section is not None and any(section.body[:4]):
            raise section.fail(0, "custom gates are not supported")
    cursor = Cursor(container.section(HEADER))
    cursor.prime(ORDER)
    wires, outputs, public, private = (cursor.u32() for _ in range(4))
    label_count, count = cursor.u64(), cursor.u32()
    cursor.finish()
    if not 1 <= wires <= WIRES_MAX or 1 + outputs + public + private > wires:
        raise cursor.fail(f"{wires} wires cannot hold {outputs} outputs, {public} and {private} inputs")
    if count > CONSTRAINTS_MAX:
        raise cursor.fail(f"{count} constraints are more than {CONSTRAINTS_MAX}")
    constraints = _read_constraints(container.section(CONSTRAINTS), count, wires)
    labels = _read_labels(container.optional(LABELS), wires)
    return R1cs(
        wires=wires,
        outputs=outputs,
        public_inputs=public,
        private_inputs=private,
        label_count=label_count,
        constraints=constraints,
        labels=labels,
    )


def _read_constraints(section: Section, count: int, wires: int) -> tuple[tuple[Terms, Terms, Terms], ...]:
    # Each constraint holds at least three counts.
    if 12 * count > len(section.body):
        raise section.fail(0, f"{count} constraints do not fit in {len(section.body)} bytes")
    constraints, offset = [], 0
    for _ in range(count):
        left, offset = _read_terms(section, offset, wires)
        right, offset = _read_terms(section, offset, wires)
        result, offset = _read_terms(section, offset, wires)
        constraints.append((left, right, result))
    if offset != len(section.body):
        raise section.fail(offset, f"{len(section.body) - offset} bytes are left over")
    return tuple(constraints)


def _read_terms(section: Section, offset: int, wires: int) -> tuple[Terms, int]:
    body = section.body
    if len(body) - offset < 4:
        raise section.fail(offset, "a linear combination is cut off")
    count = int.from_bytes(body[offset : offset + 4], "little")
    start, end = offset + 4, offset + 4 + count * TERM.size
    if end > len(body):
        raise section.fail(offset, f"a linear combination of {count} terms does not fit in what is left")
    terms = []
    for index, (wire, low, mid, high, top) in enumerate(TERM.iter_unpack(body[start:end])):
        value = low | mid << 64 | high << 128 | top << 192
        if wire >= wires or value >= ORDER:
            what = f"wire {wire} of {wires}" if wire >= wires else "a coefficient that is not canonical"
            raise section.fail(start + index * TERM.size, f"a term has {what}")
        terms.append((wire, value))
    return tuple(terms), end


def _read_labels(section: Section | None, wires: int) -> tuple[int, ...]:
    if section is None:
        return ()
    if len(section.body) != 8 * wires:
        raise section.fail(0, f"{len(section.body)} bytes are not one label for each of {wires} wires")
    return struct.unpack(f"<{wires}Q", section.body)


def write_r1cs(circuit: R1cs) -> bytes:
    """The canonical file; section 3 where there are labels. Raises EncodingError for values that no file can hold."""
    header = [struct.pack("<I", 32), ORDER.to_bytes(32, "little")]
    counts = (circuit.wires, circuit.outputs, circuit.public_inputs, circuit.private_inputs)
    header.append(struct.pack("<IIIIQI", *counts, circuit.label_count, len(circuit.constraints)))
    body = bytearray()
    for constraint in circuit.constraints:
        for terms in constraint:
            body += struct.pack("<I", len(terms))
            for wire, value in terms:
                if not 0 <= wire < circuit.wires or not 0 <= value < ORDER:
                    raise EncodingError(f".r1cs: wire {wire} or its coefficient is out of range")
                body += struct.pack("<I", wire) + value.to_bytes(32, "little")
    sections: list[tuple[int, list[bytes]]] = [(HEADER, header), (CONSTRAINTS, [bytes(body)])]
    if circuit.labels:
        sections.append((LABELS, [struct.pack(f"<{len(circuit.labels)}Q", *circuit.labels)]))
    return write_container(MAGIC, VERSION, sections)


def simple_r1cs(
    *,
    wires: int,
    outputs: int,
    public_inputs: int,
    private_inputs: int,
    constraints: Sequence[tuple[Terms, Terms, Terms]],
) -> R1cs:
    """A circuit whose labels are its wires."""
    return R1cs(
        wires=wires,
        outputs=outputs,
        public_inputs=public_inputs,
        private_inputs=private_inputs,
        label_count=wires,
        constraints=tuple(constraints),
        labels=tuple(range(wires)),
    )
