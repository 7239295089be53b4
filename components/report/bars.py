"""Stacked bars as an SVG: a page that needs no other chart is spared matplotlib, whose import takes longer than many a step."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from html import escape

_WIDTH, _HEIGHT = 495, 330
_LEFT, _TOP, _RIGHT, _BOTTOM = 62, 34, 405, 282
"""Of the axes, pixels from the upper left corner."""

_STEPS = 5
"""Values on the upright axis, beside 0, at most."""


def stacked(
    title: str,
    across: str,
    up: str,
    width: int,
    series: Mapping[str, Sequence[int]],
    colours: Mapping[str, str],
    every: int,
) -> bytes:
    """Bars beside each other, each of counts on top of each other, as the bytes of an SVG file.

    Args:
        title: above the bars.
        across: name of the level axis, with its unit.
        up: name of the upright axis.
        width: of a bar, in units of the level axis; the first bar begins at 0.
        series: by the name in the legend, empty for none, a count for each bar, as many in each series, from the lowest to the
            highest.
        colours: of the series.
        every: units of the level axis between two of its labels.
    """
    bars = [sum(counts) for counts in zip(*series.values(), strict=True)]
    step = _step(max(bars, default=1))
    highest = max(1, -(-max(bars, default=1) // step)) * step

    def x(units: float) -> float:
        return _LEFT + units / (width * max(1, len(bars))) * (_RIGHT - _LEFT)

    def y(value: float) -> float:
        return _BOTTOM - value / highest * (_BOTTOM - _TOP)

    def parts() -> Iterator[str]:
        yield (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
            'font-family="sans-serif" font-size="13" fill="#222222">'
        )
        yield f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>'
        below = [0] * len(bars)
        for name, counts in series.items():
            for number, count in enumerate(counts):
                if count:
                    left, top = x(number * width), y(below[number] + count)
                    size = f'width="{x((number + 1) * width) - left:.1f}" height="{y(below[number]) - top:.1f}"'
                    yield f'<rect x="{left:.1f}" y="{top:.1f}" {size} fill="{colours[name]}"/>'
            below = [low + count for low, count in zip(below, counts, strict=True)]
        yield f'<path d="M{_LEFT} {_TOP}V{_BOTTOM}H{_RIGHT}" fill="none" stroke="#222222"/>'
        for value in range(0, highest + 1, step):
            yield f'<path d="M{_LEFT - 4} {y(value):.1f}H{_LEFT}" stroke="#222222"/>'
            yield _text(_LEFT - 7, y(value) + 4, "end", f"{value:,}")
        for units in range(0, width * len(bars) + 1, every):
            yield f'<path d="M{x(units):.1f} {_BOTTOM}V{_BOTTOM + 4}" stroke="#222222"/>'
            yield _text(x(units), _BOTTOM + 18, "middle", str(units))
        yield _text((_LEFT + _RIGHT) / 2, 20, "middle", title, "font-size='15'")
        yield _text((_LEFT + _RIGHT) / 2, _BOTTOM + 38, "middle", across)
        yield _text(0, 0, "middle", up, f"transform='translate(14 {(_TOP + _BOTTOM) / 2}) rotate(-90)'")
        for number, name in enumerate(filter(None, series)):
            yield f'<rect x="{_RIGHT + 12}" y="{_TOP + 20 * number}" width="12" height="12" fill="{colours[name]}"/>'
            yield _text(_RIGHT + 29, _TOP + 20 * number + 11, "start", name)
        yield "</svg>\n"

    return "\n".join(parts()).encode()


def _step(highest: int) -> int:
    """The least of 1, 2, 5, 10, 20, 50, ... of which so many steps reach the highest value."""
    for power in itertools.count():
        for digit in (1, 2, 5):
            if digit * 10**power * _STEPS >= highest:
                return digit * 10**power
    raise AssertionError("unreachable")


def _text(x: float, y: float, anchor: str, text: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{escape(text)}</text>'
