"""From an exact integer program to relations over the field, without any cryptography.

`compile` builds a `Circuit` from a program's skeleton alone; `witness` fills its columns from a trace;
`pullback` turns a functional of a form into claims on commitments; `check` is the slow oracle.
"""
