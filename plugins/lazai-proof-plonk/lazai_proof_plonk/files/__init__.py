"""Files of the circom and snarkjs world: strict readers, canonical writers.

Readers raise `EncodingError`; the text names the file kind, the section and the offset. They look at every length
before they allocate, so that a hostile file costs no more than its own size.
"""
