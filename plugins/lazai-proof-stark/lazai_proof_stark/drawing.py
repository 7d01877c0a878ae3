"""Charts as pictures: icicles of blocks and lines over logarithmic axes. SVG by this module, PNG by matplotlib."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from io import BytesIO
from math import ceil, floor, log10
from typing import Any

from attrs import frozen

from lazai_core.api.errors import BackendUnavailable

from .explain import Block, Chart

WIDTH, ROW, TITLE, GAP, MARGIN = 960.0, 26.0, 26.0, 16.0, 12.0
CHARACTER = 7.2
COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb", "#997700", "#994455")
ROOT_COLOUR = "#dddddd"
LEGEND_ROW, LEGEND_COLUMNS = 18.0, 4


def number_text(value: float) -> str:
    """Three digits, thousands apart."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def colours(charts: Sequence[Chart]) -> dict[str, str]:
    """One colour a stage, the same in all charts."""
    names = dict.fromkeys(child.name for chart in charts for child in chart.root.children)
    return {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(names)}


def legend(chart: Chart) -> list[tuple[str, str]]:
    """(stage, text) of every stage that weighs anything: narrow blocks have no room for a name."""
    stages = [child for child in chart.root.children if child.weight]
    total = chart.root.weight or 1.0
    return [(s.name, f"{s.name} {number_text(s.weight)} ({100 * s.weight / total:.0f} %)") for s in stages]


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


def rectangles(
    block: Block, left: float, top: float, width: float, chosen: Mapping[str, str], colour: str = ROOT_COLOUR
) -> Iterator[Rectangle]:
    """The block and everything under it, children side by side in proportion to their weights."""
    yield Rectangle(left=left, top=top, width=width, name=block.name, weight=block.weight, colour=colour)
    place = left
    for child in block.children:
        share = width * child.weight / block.weight if block.weight else 0.0
        mine = chosen.get(child.name, ROOT_COLOUR) if colour == ROOT_COLOUR else colour
        yield from rectangles(child, place, top + ROW, share, chosen, mine)
        place += share


def svg(charts: Sequence[Chart]) -> str:
    """All charts, one under the other; hovering over a block shows its name and weight."""
    parts: list[str] = []
    top, chosen = MARGIN, colours(charts)
    for chart in charts:
        total = f"{chart.title}: {number_text(chart.root.weight)} {chart.unit}"
        parts.append(f'<text x="{MARGIN}" y="{top + 16:.1f}" font-weight="bold">{escape(total)}</text>')
        top += TITLE
        blocks = rectangles(chart.root, MARGIN, top, WIDTH - 2 * MARGIN, chosen)
        parts += [_rectangle(item, chart.unit) for item in blocks]
        top += ROW * depth(chart.root) + 4
        entries = legend(chart)
        for index, (stage, text) in enumerate(entries):
            x = MARGIN + index % LEGEND_COLUMNS * (WIDTH - 2 * MARGIN) / LEGEND_COLUMNS
            y = top + LEGEND_ROW * (index // LEGEND_COLUMNS)
            parts.append(
                f'<rect x="{x:.1f}" y="{y + 4:.1f}" width="10" height="10" fill="{chosen[stage]}" fill-opacity="0.75"/>'
                f'<text x="{x + 15:.1f}" y="{y + 13:.1f}" font-size="11">{escape(text)}</text>'
            )
        top += LEGEND_ROW * -(-len(entries) // LEGEND_COLUMNS) + GAP
    return _document(WIDTH, top, parts)


def _document(width: float, height: float, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="monospace" font-size="12">'
    )
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>", ""])


def _rectangle(item: Rectangle, unit: str) -> str:
    full = f"{item.name}: {number_text(item.weight)} {unit}"
    room = int((item.width - 6) / CHARACTER)
    label = full if len(full) <= room else item.name if len(item.name) <= room else ""
    text = f'<text x="{item.left + 4:.1f}" y="{item.top + 17:.1f}">{escape(label)}</text>' if label else ""
    return (
        f'<g><title>{escape(full)}</title><rect x="{item.left:.2f}" y="{item.top:.1f}" width="{item.width:.2f}" '
        f'height="{ROW - 1:.1f}" fill="{item.colour}" fill-opacity="0.75" stroke="white" stroke-width="0.5"/>{text}</g>'
    )


@frozen(kw_only=True)
class Points:
    """A named series over positive numbers; with `labels`, one a point, above the marks; `joined` by a line or not."""

    name: str
    points: tuple[tuple[float, float], ...]
    labels: tuple[str, ...] = ()
    joined: bool = True


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
        for number, (label, (x, y)) in enumerate(sorted(zip(line.labels, line.points, strict=False), key=_by_place)):
            (across, up), above = place(x, y), 10 + 13 * (number % 2)
            text = f'<text x="{across:.1f}" y="{up - above:.1f}" font-size="10" text-anchor="middle">'
            parts.append(f"{text}{escape(label)}</text>")
    return _document(width, height, parts)


def _by_place(entry: tuple[str, tuple[float, float]]) -> tuple[float, float]:
    return entry[1]


def _line(line: Points, colour: str, places: Sequence[tuple[float, float]], index: int) -> list[str]:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    marks = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>' for x, y in places]
    legend = f'<text x="100" y="{70 + 16 * index}" fill="{colour}">{escape(line.name)}</text>'
    stroke = f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>' if line.joined else ""
    return [stroke, *marks, legend]


def _decades(values: Sequence[float]) -> tuple[int, int]:
    low, high = floor(log10(min(values))), ceil(log10(max(values)))
    return low, max(high, low + 1)


def _canvas(width: float, height: float) -> tuple[Any, Any]:
    """A figure and its canvas. Raises BackendUnavailable without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as cause:
        raise BackendUnavailable(
            "PNG pictures need matplotlib", hint="pip install 'lazai-proof-stark[plots]', or take the SVG"
        ) from cause
    figure = Figure(figsize=(width, height))
    return figure, FigureCanvasAgg(figure)


def png(charts: Sequence[Chart]) -> bytes:
    """The same icicles as a PNG. Raises BackendUnavailable without matplotlib."""
    figure, canvas = _canvas(9.6, sum(0.9 + 0.36 * depth(chart.root) for chart in charts))
    from matplotlib.patches import Rectangle as Patch

    chosen = colours(charts)
    for axes, chart in zip(figure.subplots(len(charts), squeeze=False)[:, 0], charts, strict=True):
        axes.set_title(f"{chart.title}: {number_text(chart.root.weight)} {chart.unit}", loc="left", fontsize=9)
        axes.set_xlim(0, WIDTH)
        axes.set_ylim(depth(chart.root) * ROW, 0)
        axes.set_axis_off()
        for item in rectangles(chart.root, 0.0, 0.0, WIDTH, chosen):
            axes.add_patch(Patch((item.left, item.top), item.width, ROW - 1, color=item.colour, alpha=0.75, lw=0))
            if item.width > CHARACTER * len(item.name):
                axes.text(item.left + 3, item.top + ROW / 2, item.name, fontsize=7, va="center", clip_on=True)
        marks = [Patch((0, 0), 1, 1, color=chosen[stage], alpha=0.75, lw=0) for stage, _ in legend(chart)]
        names = [text for _, text in legend(chart)]
        axes.legend(marks, names, loc="upper left", bbox_to_anchor=(0, 0), ncols=4, fontsize=7, frameon=False)
    figure.tight_layout()
    return _png_bytes(canvas)


def line_png(title: str, x_name: str, y_name: str, series: Sequence[Points]) -> bytes:
    """The same lines as a PNG. Raises BackendUnavailable without matplotlib."""
    figure, canvas = _canvas(7.2, 4.4)
    axes = figure.subplots()
    axes.set(title=title, xlabel=x_name, ylabel=y_name, xscale="log", yscale="log")
    axes.grid(visible=True, alpha=0.4)
    for index, line in enumerate(series):
        places = sorted(line.points)
        xs, ys = [x for x, _ in places], [y for _, y in places]
        style = "-" if line.joined else ""
        axes.plot(xs, ys, marker="o", linestyle=style, color=COLOURS[index % len(COLOURS)], label=line.name)
        for number, (label, place) in enumerate(sorted(zip(line.labels, line.points, strict=False), key=_by_place)):
            offset = (0, 7 + 10 * (number % 2))
            axes.annotate(label, place, xytext=offset, textcoords="offset points", fontsize=7, ha="center")
    axes.margins(0.08, 0.15)
    axes.legend(frameon=False, fontsize=8)
    figure.tight_layout()
    return _png_bytes(canvas)


def _png_bytes(canvas: Any) -> bytes:
    written = BytesIO()
    canvas.print_png(written)
    return written.getvalue()
