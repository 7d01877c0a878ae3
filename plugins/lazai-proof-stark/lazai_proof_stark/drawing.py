"""Charts as pictures: icicles of blocks and lines over logarithmic axes. SVG by this module, PNG by matplotlib."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from math import ceil, floor, log10
from pathlib import Path

from attrs import frozen

from lazai_core.api.errors import BackendUnavailable

from .explain import Block, Chart

WIDTH, ROW, TITLE, GAP, MARGIN = 960.0, 26.0, 26.0, 16.0, 12.0
CHARACTER = 7.2
COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb", "#997700", "#994455")


@frozen(kw_only=True)
class Rectangle:
    """One block in place. `label` may be empty where there is no room."""

    left: float
    top: float
    width: float
    name: str
    weight: float
    colour: str


def depth(block: Block) -> int:
    """Rows of an icicle."""
    return 1 + max((depth(child) for child in block.children), default=0)


def rectangles(block: Block, left: float, top: float, width: float, colour: str = "#dddddd") -> Iterator[Rectangle]:
    """The block and everything under it, children side by side in proportion to their weights."""
    yield Rectangle(left=left, top=top, width=width, name=block.name, weight=block.weight, colour=colour)
    place = left
    for index, child in enumerate(block.children):
        share = width * child.weight / block.weight if block.weight else 0.0
        mine = COLOURS[index % len(COLOURS)] if colour == "#dddddd" else colour
        yield from rectangles(child, place, top + ROW, share, mine)
        place += share


def svg(charts: Sequence[Chart]) -> str:
    """All charts, one under the other; hovering over a block shows its name and weight."""
    parts: list[str] = []
    top = MARGIN
    for chart in charts:
        total = f"{chart.title}: {chart.root.weight:,.4g} {chart.unit}"
        parts.append(f'<text x="{MARGIN}" y="{top + 16:.1f}" font-weight="bold">{escape(total)}</text>')
        top += TITLE
        parts += [_rectangle(item, chart.unit) for item in rectangles(chart.root, MARGIN, top, WIDTH - 2 * MARGIN)]
        top += ROW * depth(chart.root) + GAP
    return _document(WIDTH, top, parts)


def _document(width: float, height: float, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="monospace" font-size="12">'
    )
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>", ""])


def _rectangle(item: Rectangle, unit: str) -> str:
    full = f"{item.name}: {item.weight:,.4g} {unit}"
    room = int((item.width - 6) / CHARACTER)
    label = full if len(full) <= room else item.name if len(item.name) <= room else ""
    text = f'<text x="{item.left + 4:.1f}" y="{item.top + 17:.1f}">{escape(label)}</text>' if label else ""
    return (
        f'<g><title>{escape(full)}</title><rect x="{item.left:.2f}" y="{item.top:.1f}" width="{item.width:.2f}" '
        f'height="{ROW - 1:.1f}" fill="{item.colour}" fill-opacity="0.75" stroke="white" stroke-width="0.5"/>{text}</g>'
    )


@frozen(kw_only=True)
class Points:
    """A named series over positive numbers."""

    name: str
    points: tuple[tuple[float, float], ...]


def line_svg(title: str, x_name: str, y_name: str, series: Sequence[Points]) -> str:
    """Lines with marks over two logarithmic axes, whole decades on both."""
    width, height, left, bottom = 720.0, 440.0, 80.0, 390.0
    x_low, x_high = _decades([x for line in series for x, _ in line.points])
    y_low, y_high = _decades([y for line in series for _, y in line.points])

    def place(x: float, y: float) -> tuple[float, float]:
        across = (log10(x) - x_low) / (x_high - x_low)
        up = (log10(y) - y_low) / (y_high - y_low)
        return left + across * (width - left - 30), bottom - up * (bottom - 50)

    parts = [f'<text x="{left}" y="24" font-weight="bold">{escape(title)}</text>']
    for power in range(x_low, x_high + 1):
        x, _ = place(10.0**power, 10.0**y_low)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="50" y2="{bottom}" stroke="#dddddd"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">1e{power}</text>')
    for power in range(y_low, y_high + 1):
        _, y = place(10.0**x_low, 10.0**power)
        parts.append(f'<line x1="{left}" x2="{width - 30}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">1e{power}</text>')
    parts.append(f'<text x="{(left + width) / 2:.1f}" y="{bottom + 40}" text-anchor="middle">{escape(x_name)}</text>')
    parts.append(f'<text x="{left}" y="42">{escape(y_name)}</text>')
    for index, line in enumerate(series):
        parts += _line(line, COLOURS[index % len(COLOURS)], [place(x, y) for x, y in sorted(line.points)], index)
    return _document(width, height, parts)


def _line(line: Points, colour: str, places: Sequence[tuple[float, float]], index: int) -> list[str]:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    marks = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>' for x, y in places]
    legend = f'<text x="100" y="{70 + 16 * index}" fill="{colour}">{escape(line.name)}</text>'
    return [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>', *marks, legend]


def _decades(values: Sequence[float]) -> tuple[int, int]:
    low, high = floor(log10(min(values))), ceil(log10(max(values)))
    return low, max(high, low + 1)


def png(charts: Sequence[Chart], path: Path) -> None:
    """The same icicles as a PNG. Raises BackendUnavailable without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.patches import Rectangle as Patch
    except ImportError as cause:
        raise BackendUnavailable(
            "PNG pictures need matplotlib", hint="pip install 'lazai-proof-stark[plots]', or take the SVG"
        ) from cause
    figure = Figure(figsize=(9.6, 1.2 * len(charts) + 0.4 * sum(depth(chart.root) for chart in charts)))
    canvas = FigureCanvasAgg(figure)
    for axes, chart in zip(figure.subplots(len(charts), squeeze=False)[:, 0], charts, strict=True):
        axes.set_title(f"{chart.title}: {chart.root.weight:,.4g} {chart.unit}", loc="left", fontsize=9)
        axes.set_xlim(0, WIDTH)
        axes.set_ylim(depth(chart.root) * ROW, 0)
        axes.set_axis_off()
        for item in rectangles(chart.root, 0.0, 0.0, WIDTH):
            axes.add_patch(Patch((item.left, item.top), item.width, ROW - 1, color=item.colour, alpha=0.75, lw=0))
            if item.width > CHARACTER * len(item.name):
                axes.text(item.left + 3, item.top + ROW / 2, item.name, fontsize=7, va="center", clip_on=True)
    figure.tight_layout()
    canvas.print_png(str(path))
