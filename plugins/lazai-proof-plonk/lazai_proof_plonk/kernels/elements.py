"""Field elements as values inside numba code: kernels read as formulas, and one text serves both engines.

An `Element` lives in registers: one element (`words`) or eight (`lanes`). `a + b`, `a - b`, `a * b` take and give
values below 2p. The named operations below say what else they take. Addresses are `uint64`; addresses in lists may
carry a flag in their lowest bit, which loads ignore.
"""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
# numba's extension points carry no types, and `overload` reads signatures without annotations.

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.datamodel import models
from numba.extending import NativeValue, intrinsic, overload, register_model, typeof_impl, unbox

from .engines import ENGINES, Engine
from .lanes import Lanes
from .words import Words

_WORD = ir.IntType(64)


def digest_of(*parts: bytes) -> str:
    """Of this folder's modules and `parts`: numba's cache notices changes of a kernel's own file only."""
    digest = blake2b(digest_size=8)
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


_DIGEST = digest_of()


class EngineType(types.Type):
    """numba's type of one engine; carries nothing at run time."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        super().__init__(name=f"Engine({engine}, {_DIGEST})")


class ElementType(types.Type):
    """numba's type of the elements of one engine."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        super().__init__(name=f"Element({engine}, {_DIGEST})")


register_model(EngineType)(models.OpaqueModel)


@typeof_impl.register(Engine)
def _type_of_engine(value: Engine, _context: Any) -> EngineType:
    return EngineType(value.name)


@unbox(EngineType)
def _unbox_engine(_kind: Any, _value: Any, context: Any) -> Any:
    return NativeValue(context.context.get_dummy_value())


def _emitter_class(engine: str) -> Any:
    return Lanes if ENGINES[engine].lanes > 1 else Words


@register_model(ElementType)
class _ElementModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: ElementType) -> None:
        super().__init__(manager, kind, _emitter_class(kind.engine).TYPE)


def _emitter(builder: Any, engine: str) -> Any:
    return _emitter_class(engine)(builder, ENGINES[engine].modulus)


Body = Callable[..., Any]


def _operation(parameters: str, result: str, body: Body) -> Any:
    """A numba intrinsic. `parameters` spells one letter each: n engine, e element, w 64-bit word; `result` e, w or v
    (nothing).

    The first engine or element among the arguments decides the instructions; `body(emitter, *arguments)` emits them.
    """
    decisive = next(i for i, letter in enumerate(parameters) if letter in "ne")

    def signature_of(kinds: Sequence[Any]) -> Any:
        engine = kinds[decisive].engine
        results = {"e": ElementType(engine), "w": types.uint64, "v": types.void}
        wanted = [types.uint64 if letter == "w" else kind for letter, kind in zip(parameters, kinds, strict=True)]
        return results[result](*wanted)

    def code(context: Any, builder: Any, signature: Any, arguments: Sequence[Any]) -> Any:
        emitter = _emitter(builder, signature.args[decisive].engine)
        values = [value for letter, value in zip(parameters, arguments, strict=True) if letter != "n"]
        emitted = body(emitter, *values)
        return context.get_dummy_value() if result == "v" else emitted

    # numba wants the exact number of parameters in the function's own signature.
    names = ", ".join(f"a{i}" for i in range(len(parameters)))
    scope: dict[str, Any] = {"signature_of": signature_of, "code": code}
    exec(f"def emit(context, {names}):\n    return signature_of([{names}]), code", scope)
    return intrinsic(scope["emit"])


def _spaced(emitter: Any, address: Any, stride: Any) -> list[Any]:
    places = [address]
    for _ in range(emitter.LANES - 1):
        places.append(emitter.builder.add(places[-1], stride))
    return places


def _listed(emitter: Any, list_address: Any, offset: Any) -> list[Any]:
    builder, places = emitter.builder, []
    for lane in range(emitter.LANES):
        pointer = builder.inttoptr(builder.add(list_address, ir.Constant(_WORD, 8 * lane)), _WORD.as_pointer())
        word = builder.and_(builder.load(pointer, align=8), ir.Constant(_WORD, -2))
        places.append(builder.add(word, offset))
    return places


def _fetch(emitter: Any, list_address: Any) -> None:
    """Ask for the cache lines at the listed addresses."""
    builder, module = emitter.builder, emitter.builder.module
    byte_pointer, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte_pointer, flag, flag, flag])
    name = "llvm.prefetch.p0"
    function = module.globals.get(name) or ir.Function(module, kind, name)
    for place in _listed(emitter, list_address, ir.Constant(_WORD, 0)):
        pointer = builder.inttoptr(place, byte_pointer)
        builder.call(function, [pointer, ir.Constant(flag, 0), ir.Constant(flag, 3), ir.Constant(flag, 1)])


load = _operation("nw", "e", lambda e, address: e.load(address))
"""load(engine, address): a block as `store` left it."""
store = _operation("ew", "v", lambda e, value, address: e.store(value, address))
load_uniform = _operation("nw", "e", lambda e, address: e.load_uniform(address))
"""load_uniform(engine, address): one element on all lanes, as `store_uniform` left it."""
store_uniform = _operation("ew", "v", lambda e, value, address: e.store_uniform(value, address))
load_rows = _operation("nww", "e", lambda e, address, stride: e.load_rows(_spaced(e, address, stride)))
"""load_rows(engine, address, stride): lane i from the field array element at address + i * stride."""
store_rows = _operation("eww", "v", lambda e, value, address, stride: e.store_rows(value, _spaced(e, address, stride)))
"""store_rows(value, address, stride): canonical, from a value below 2p."""
load_listed = _operation("nww", "e", lambda e, places, offset: e.load_rows(_listed(e, places, offset)))
"""load_listed(engine, list_address, offset): lane i from the field array element at list[i] + offset."""
fetch_listed = _operation("nw", "v", _fetch)
odd_mask = _operation("nw", "w", lambda e, address: e.odd_mask(address))
"""odd_mask(engine, list_address): lanes whose address carries the flag."""
zero = _operation("n", "e", lambda e: e.zero())
one = _operation("n", "e", lambda e: e.one())
prepared = _operation("e", "e", lambda e, a: e.prepared(a))
twiddle = _operation("e", "e", lambda e, a: e.twiddle(a))
"""A prepared factor kept close to p, for operands that were added lazily."""
raw_multiply = _operation("ee", "e", lambda e, a, b: e.raw_mul(a, b))
"""raw_multiply(prepared(a), b) is a * b; without preparation, a * b times a constant of the engine."""
loose_multiply = _operation("ee", "e", lambda e, a, b: e.loose_mul(a, b))
"""raw_multiply whose result only `lazy_add` and `lazy_subtract` may take."""
lazy_add = _operation("ee", "e", lambda e, a, b: e.lazy_add(a, b))
lazy_subtract = _operation("ee", "e", lambda e, a, b: e.lazy_sub(a, b))
"""lazy_subtract(a, b): a - b + 2p where sums need no reduction; b below 2p."""
canonical = _operation("e", "e", lambda e, a: e.canonical(a))
zero_mask = _operation("e", "w", lambda e, a: e.zero_mask(a))
equal_mask = _operation("ee", "w", lambda e, a, b: e.equal_mask(a, b))
"""equal_mask(a, b): for values as `load_rows` gives them, canonical."""
blend = _operation("wee", "e", lambda e, mask, a, b: e.blend(mask, a, b))
_add = _operation("ee", "e", lambda e, a, b: e.add(a, b))
_subtract = _operation("ee", "e", lambda e, a, b: e.sub(a, b))
_multiply = _operation("ee", "e", lambda e, a, b: e.mul(a, b))
reduction = _operation("eeww", "e", lambda e, a, b, f, g: e.reduction(a, b, f, g))
reduction_sign = _operation("eeww", "w", lambda e, a, b, f, g: e.reduction_sign(a, b, f, g))
cofactor = _operation("eeww", "e", lambda e, u, v, f, g: e.cofactor(u, v, f, g))
modulus_value = _operation("n", "e", lambda e: e.modulus_value())
inversion_start = _operation("n", "e", lambda e: e.inversion_start())
word_of = _operation("ew", "w", lambda e, a, index: e.word(a, index))
# The sizes that loops step by, constants once compiled.
block_bytes = _operation("n", "w", lambda e: ir.Constant(_WORD, e.BLOCK_BYTES))
uniform_bytes = _operation("n", "w", lambda e: ir.Constant(_WORD, e.UNIFORM_BYTES))
lane_count = _operation("n", "w", lambda e: ir.Constant(_WORD, e.LANES))


@intrinsic
def keep_alive(_context, array):
    """Ends the life of an array whose memory is read by address: numba frees arrays after the last use of a name."""
    return types.void(array), lambda context, builder, signature, arguments: context.get_dummy_value()


@overload(operator.add)
def _overloaded_add(a, b):
    if isinstance(a, ElementType) and isinstance(b, ElementType):
        return lambda a, b: _add(a, b)
    return None


@overload(operator.sub)
def _overloaded_subtract(a, b):
    if isinstance(a, ElementType) and isinstance(b, ElementType):
        return lambda a, b: _subtract(a, b)
    return None


@overload(operator.mul)
def _overloaded_multiply(a, b):
    if isinstance(a, ElementType) and isinstance(b, ElementType):
        return lambda a, b: _multiply(a, b)
    return None
