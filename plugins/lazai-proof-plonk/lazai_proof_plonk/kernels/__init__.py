"""Fast arithmetic on BN254: fields, number-theoretic transforms, multi-scalar multiplication, pairing.

Import the rooms by name; this package itself imports nothing, since numba loads with the rooms:

    from lazai_proof_plonk.kernels import fields, g1, g2, ntt, pairing, warm

Conventions, the same everywhere
--------------------------------
* A *field array* is a C-contiguous `uint64[n, 4]`: one element a row, little-endian limbs, Montgomery form
  x * 2^256 mod p, always canonical (below p). These are the bytes of `.zkey` and `.ptau` sections:
  `np.frombuffer(section, "<u8").reshape(-1, 4)` is a field array, `array.tobytes()` goes back.
* A *canonical array* has the same shape and holds x itself: the bytes of `.wtns`.
* A *G1 array* is `uint64[n, 8]`: x then y, Montgomery over Fq; infinity is all zeros. The bytes of `.ptau`, `.zkey`.
* A *G2 array* is `uint64[n, 16]`: x.c0, x.c1, y.c0, y.c1, Montgomery over Fq; infinity is all zeros.
* Single scalars are Python ints, reduced on the way in. Single points are `curve.Point`, `(x, y)` or None for
  infinity, and `curve.Point2`, `((x0, x1), (y0, y1))` or None: canonical ints, never Montgomery.
* No function changes its arguments, except where a parameter is called `out`; results are new arrays.
* `threads=None` means `workers.default_threads()`; results never depend on the number of threads.
* Shapes and lengths that do not fit raise ValueError, a mistake of the caller. Bytes from outside are to be checked
  first: `is_canonical`, `all_on_curve`, `is_in_subgroup`. Only `pairing.product_is_one` checks what it is given.

fields: `FR` and `FQ`, both `FieldArrays` with `.modulus`
---------------------------------------------------------
    encode(values: Iterable[int]) -> array             any ints, reduced
    decode(array) -> list[int]                         canonical ints
    to_montgomery(canonical, *, threads=None) -> array         of values below the modulus
    from_montgomery(array, *, threads=None) -> canonical
    is_canonical(array) -> bool                        every row below the modulus (either form)
    zeros(n) -> array;  constant(value, n) -> array
    add(a, b), sub(a, b), mul(a, b), neg(a)            elementwise; keywords `out=` (may be an operand), `threads=`
    scale(a, k: int), add_constant(a, k: int)          same keywords
    multiply_add(a, b, c) = a * b + c                  same keywords; in all of these one row stands for any number
    linear_combination(arrays, coefficients: Sequence[int], *, threads=None) -> array
                                                       shorter arrays count as padded by zeros
    powers(base: int, n, *, first: int = 1, threads=None) -> array     first * base^i
    inverse(a, *, threads=None) -> array               elementwise, in batches; zero raises ZeroDivisionError
    prefix_products(a, *, threads=None) -> array       out[0] = 1, out[i] = a[0] ... a[i - 1]; length n + 1
    prefix_sums(a, *, threads=None) -> array           out[0] = 0, out[i] = a[0] + ... + a[i - 1]; length n + 1
    inner_product(a, b, *, threads=None) -> int
    evaluate(coefficients, point: int, *, threads=None) -> int
    divide_by_linear(coefficients, point: int, *, threads=None) -> tuple[array, int]
                                                       quotient (length n - 1) and remainder by X - point

ntt (over Fr; sizes 2^0 .. 2^28)
--------------------------------
    root_of_unity(size: int) -> int                    5^((r - 1) / 2^28) squared down, as in the circom ecosystem
    forward(coefficients, size=None, *, shift: int = 1, threads=None) -> array
                                                       values at shift * w^i, natural order; zeros pad to `size`
    inverse(values, *, shift: int = 1, threads=None) -> array
                                                       coefficients from values at shift * w^i
g1
--
    GENERATOR, encode(points) -> G1 array, decode(array) -> list[Point]
    msm(bases, scalars, *, montgomery=True, threads=None) -> Point
                                                       scalars: a field array, or canonical with montgomery=False;
                                                       len(scalars) <= len(bases), the first bases are used
    msm_many(bases, scalar_arrays, *, montgomery=True, threads=None) -> list[Point]
                                                       the same bases for all; fills the threads better
    linear_combination(points: Sequence[Point], scalars: Sequence[int]) -> Point       small sums, for verifiers
    add(P, Q), negate(P), multiply(P, k)               Points
    is_on_curve(P) -> bool; all_on_curve(array) -> bool    canonical and on the curve; infinity passes
    fixed_base(base: Point, scalars, *, montgomery=True, threads=None) -> G1 array     base * scalar each
    scale_each(array, scalars, *, montgomery=True, threads=None) -> G1 array           points[i] * scalars[i]

g2
--
    GENERATOR, encode(points), decode(array), add(P, Q), negate(P), multiply(P, k)
    is_on_curve(P) -> bool; is_in_subgroup(P) -> bool (of order r too; infinity passes); all_on_curve(array)
    linear_combination(points: Sequence[Point2], scalars: Sequence[int]) -> Point2
    msm(bases, scalars, *, montgomery=True, threads=None) -> Point2
    fixed_base(base: Point2, scalars, *, montgomery=True) -> G2 array

pairing
-------
    product_is_one(pairs: Sequence[tuple[Point, Point2]]) -> bool
        prod e(P_i, Q_i) == 1; each point's range, curve and (G2) order are checked: ProofMalformed names the bad one
    pairing(P, Q) -> tuple[int, ...]                   12 coefficients over Fq: real and imaginary parts of w^0 .. w^5

warm, engines, workers
----------------------
    warm.warm_up(progress: Callable[[str, float], None] | None = None) -> float
        compile (or load from the cache) every kernel; progress(name, seconds) after each step; total seconds
    warm.is_compiled() -> bool                         `warm_up` has ended once for this code, CPU and engine
    engines.engine_name() -> str                       "ifma-8x52" or "portable-4x64"
    workers.default_threads() -> int                   CPUs this process may use
The environment variable LAZAI_PLONK_PORTABLE=1, read at import, forces the portable path.
"""
