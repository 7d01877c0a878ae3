"""Hot loops: numba functions over LLVM vectors of sixteen lanes, each held to the slow reference in `field` by tests.

| module | what it is for |
|---|---|
| `lanes` | arithmetic of F and K on sixteen lanes, as instructions |
| `extension` | folds, eq tables, products over K |
| `sums` | rounds of sumchecks |
| `fractions` | rounds and levels of the fraction tree |
| `windows` | an opening's first rounds, over windows of the polynomial |
| `transform` | number-theoretic transforms of interleaved columns |
| `codewords` | combining and folding codewords, the verifier's positions |
| `hashing` | BLAKE3 of many rows, Merkle paths, grinding |
| `operands` | integers against elements of K |
| `canonical` | short vectors in canonical form |
| `first_use` | saying that kernels are compiled |
| `arrays` | layouts and conversions |
"""
