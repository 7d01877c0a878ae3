"""Constructors of nodes: shapes, bounds and the counts that keep work bounded."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from attrs import evolve

from .nodes import (
    Arange,
    Broadcast,
    Causal,
    Concat,
    Contract,
    Inside,
    Node,
    Polynomial,
    Powers,
    Product,
    Reshape,
    Rows,
    Scale,
    Shape,
    Slice,
    Sum,
    Transpose,
    Window,
)


def _above(*sources: Node) -> dict[str, Any]:
    return {
        "paths": sum(source.paths for source in sources),
        "depth": 1 + max((source.depth for source in sources), default=0),
        "bilinear": any(source.bilinear for source in sources),
    }


def _ends(weights: Sequence[int], node: Node) -> tuple[int, int]:
    """Bounds of sum of weight * element."""
    low = sum(min(w * node.low, w * node.high) for w in weights)
    return low, sum(max(w * node.low, w * node.high) for w in weights)


def arange(count: int, start: int = 0) -> Arange:
    """start, ..., start + count - 1."""
    return Arange(shape=(count,), low=start, high=start + count - 1, start=start)


def uniform(shape: Shape, value: int) -> Sum:
    """The same integer everywhere."""
    return Sum(shape=shape, low=value, high=value, parts=(), constant=(value,))


def linear(parts: Sequence[tuple[int | Polynomial, Node]], constant: int | Polynomial = 0) -> Node:
    """Constant + sum of coefficient * part. Polynomial coefficients leave the bounds without meaning."""
    terms = tuple((c if isinstance(c, tuple) else (c,), node) for c, node in parts)
    offset = constant if isinstance(constant, tuple) else (constant,)
    shape = terms[0][1].shape
    assert all(node.shape == shape for _, node in terms), [node.shape for _, node in terms]
    if len(terms) == 1 and terms[0][0] == (1,) and offset == (0,):
        return terms[0][1]
    ends = [_ends(c, node) for c, node in terms]
    low, high = sum(e[0] for e in ends) + sum(offset), sum(e[1] for e in ends) + sum(offset)
    return Sum(shape=shape, low=low, high=high, parts=terms, constant=offset, **_above(*(n for _, n in terms)))


def reshape(source: Node, shape: Shape) -> Node:
    """The same elements in order."""
    assert prod(shape) == source.size, (shape, source.shape)
    if shape == source.shape:
        return source
    return Reshape(shape=shape, low=source.low, high=source.high, source=source, **_above(source))


def runs(first: Shape, second: Shape) -> list[tuple[list[int], list[int]]]:
    """Axes (of extent above 1) of two shapes of one size, in the shortest runs that hold the same elements."""
    a = [axis for axis, extent in enumerate(first) if extent > 1]
    b = [axis for axis, extent in enumerate(second) if extent > 1]
    result: list[tuple[list[int], list[int]]] = []
    while a or b:
        left, right = [a.pop(0)], [b.pop(0)]
        sizes = [first[left[0]], second[right[0]]]
        while sizes[0] != sizes[1]:
            if sizes[0] < sizes[1]:
                left.append(a.pop(0))
                sizes[0] *= first[left[-1]]
            else:
                right.append(b.pop(0))
                sizes[1] *= second[right[-1]]
        result.append((left, right))
    return result


def merges(source: Node, shape: Shape) -> bool:
    """Whether a reshape joins axes: then a functional of the result need not be separable over the source's axes."""
    return any(len(old) > 1 for old, _ in runs(source.shape, shape))


def transpose(source: Node, permutation: Sequence[int]) -> Node:
    """Axes in another order."""
    if list(permutation) == list(range(len(permutation))):
        return source
    shape = tuple(source.shape[axis] for axis in permutation)
    return Transpose(
        shape=shape, low=source.low, high=source.high, source=source, permutation=tuple(permutation), **_above(source)
    )


def cut(source: Node, axis: int, start: int, length: int, step: int = 1) -> Node:
    """`length` entries of one axis."""
    assert start >= 0
    assert start + (length - 1) * step < source.shape[axis]
    if start == 0 and length == source.shape[axis]:
        return source
    shape = (*source.shape[:axis], length, *source.shape[axis + 1 :])
    return Slice(
        shape=shape,
        low=source.low,
        high=source.high,
        source=source,
        axis=axis,
        start=start,
        step=step,
        **_above(source),
    )


def take(source: Node, axis: int, position: int) -> Node:
    """One entry of an axis, which goes away."""
    return reshape(cut(source, axis, position, 1), source.shape[:axis] + source.shape[axis + 1 :])


def concat(parts: Sequence[Node], axis: int) -> Node:
    """Parts one after the other."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0].shape
    shape = (*first[:axis], sum(part.shape[axis] for part in parts), *first[axis + 1 :])
    low, high = min(part.low for part in parts), max(part.high for part in parts)
    return Concat(shape=shape, low=low, high=high, parts=tuple(parts), axis=axis, **_above(*parts))


def broadcast(source: Node, shape: Shape) -> Node:
    """The numpy broadcast to `shape`."""
    padded = reshape(source, (1,) * (len(shape) - len(source.shape)) + source.shape)
    if padded.shape == shape:
        return padded
    return Broadcast(shape=shape, low=source.low, high=source.high, source=padded, **_above(padded))


def along(source: Node, shape: Shape, axis: int) -> Node:
    """A vector spread over `shape` so that it runs along `axis`."""
    return broadcast(reshape(source, (shape[axis],) + (1,) * (len(shape) - axis - 1)), shape)


def contract(source: Node, axis: int, weights: Sequence[int] | None = None) -> Node:
    """Weighted sum along one axis, which goes away."""
    count = source.shape[axis]
    if weights is None:
        low, high = count * source.low, count * source.high
    else:
        low, high = _ends(weights, source)
    shape = source.shape[:axis] + source.shape[axis + 1 :]
    return Contract(
        shape=shape,
        low=low,
        high=high,
        source=source,
        axis=axis,
        weights=None if weights is None else tuple(weights),
        **_above(source),
    )


def scale(source: Node, axis: int, weights: Sequence[int]) -> Node:
    """Elements times integers along one axis."""
    if len(set(weights)) == 1:
        return linear([(weights[0], source)])
    ends = [end for w in set(weights) for end in (w * source.low, w * source.high)]
    return Scale(
        shape=source.shape,
        low=min(ends),
        high=max(ends),
        source=source,
        axis=axis,
        weights=tuple(weights),
        **_above(source),
    )


def window(source: Node, axis: int, kernel: int, out: int, stride: int, dilation: int, pad: int) -> Node:
    """Positions of a sliding window along one axis; zero outside."""
    shape = (*source.shape[:axis], kernel, out, *source.shape[axis + 1 :])
    last = (out - 1) * stride + (kernel - 1) * dilation - pad
    full = pad == 0 and last < source.shape[axis]
    low, high = (source.low, source.high) if full else (min(0, source.low), max(0, source.high))
    return Window(
        shape=shape,
        low=low,
        high=high,
        source=source,
        axis=axis,
        stride=stride,
        dilation=dilation,
        pad=pad,
        **_above(source),
    )


def inside(extent: int, kernel: int, out: int, stride: int, dilation: int, pad: int) -> Inside:
    """Which positions of a window exist."""
    return Inside(shape=(kernel, out), low=0, high=1, extent=extent, stride=stride, dilation=dilation, pad=pad)


def causal(source: Node) -> Node:
    """The source with hidden cells at zero."""
    return Causal(shape=source.shape, low=min(0, source.low), high=max(0, source.high), source=source, **_above(source))


def rows(source: Node, indices: Node) -> Node:
    """source[indices] with public indices."""
    shape = indices.shape + source.shape[1:]
    return Rows(shape=shape, low=source.low, high=source.high, source=source, indices=indices, **_above(source))


def at_challenge(source: Node, axis: int) -> Node:
    """The polynomial whose coefficients lie along `axis`, at chi."""
    shape = source.shape[:axis] + source.shape[axis + 1 :]
    return Powers(shape=shape, low=source.low, high=source.high, source=source, axis=axis, **_above(source))


def product(left: Node, right: Node, letters: str, *, low: int | None = None, high: int | None = None) -> Node:
    """`letters` as numpy's einsum writes it; the caller may know better bounds."""
    assert not left.bilinear, "a product takes linear forms"
    assert not right.bilinear, "a product takes linear forms"
    operands, out = letters.split("->")
    first, second = operands.split(",")
    extents = dict(zip(first, left.shape, strict=True)) | dict(zip(second, right.shape, strict=True))
    assert all(extents[letter] == extent for letter, extent in zip(first, left.shape, strict=True)), letters
    count = prod(extent for letter, extent in extents.items() if letter not in out)
    ends = [a * b for a in (left.low, left.high) for b in (right.low, right.high)]
    return Product(
        shape=tuple(extents[letter] for letter in out),
        low=count * min(ends) if low is None else low,
        high=count * max(ends) if high is None else high,
        paths=1,
        depth=0,
        left=left,
        right=right,
        left_letters=first,
        right_letters=second,
        out_letters=out,
    )


def bounds(node: Node, low: int, high: int) -> Node:
    """The same node with bounds that the caller knows to hold."""
    return evolve(node, low=low, high=high)


def parts_below(node: Node) -> list[Node]:
    """`node` and every node that it is made of, each once."""
    found: dict[int, Node] = {}
    stack = [node]
    while stack:
        part = stack.pop()
        if id(part) in found:
            continue
        found[id(part)] = part
        for entry in (getattr(part, "source", None), *getattr(part, "parts", ())):
            inner = entry[1] if isinstance(entry, tuple) else entry
            if isinstance(inner, Node):
                stack.append(inner)
    return list(found.values())
