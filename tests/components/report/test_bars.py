"""Bars, as they stand in the SVG."""

from xml.etree import ElementTree

from components.report import bars

SVG = "{http://www.w3.org/2000/svg}"


def drawn(series: dict[str, list[int]]) -> ElementTree.Element:
    colours = dict.fromkeys(series, "#000000") | {"a & b": "#ff0000", "b": "#0000ff"}
    return ElementTree.fromstring(bars.stacked("<title>", "years", "count", 5, series, colours, every=10))


def boxes(svg: ElementTree.Element, colour: str) -> list[tuple[float, ...]]:
    """Left, top, width and height of the bars of a colour; the last one is the legend's."""
    rectangles = [one for one in svg.iter(f"{SVG}rect") if one.get("fill") == colour]
    return [tuple(float(one.attrib[name]) for name in ("x", "y", "width", "height")) for one in rectangles][:-1]


def texts(svg: ElementTree.Element) -> list[str | None]:
    return [text.text for text in svg.iter(f"{SVG}text")]


def test_bars_are_as_high_as_their_counts_and_stand_on_each_other():
    svg = drawn({"a & b": [4, 0, 2], "b": [0, 3, 2]})
    first, third = boxes(svg, "#ff0000")
    second, above = boxes(svg, "#0000ff")
    unit = first[3] / 4
    assert [box[3] for box in (second, third, above)] == [round(unit * count, 1) for count in (3, 2, 2)]
    assert above[1] + above[3] == third[1] and above[0] == third[0]
    assert first[0] < second[0] < third[0]


def test_axes_tell_round_numbers_up_to_the_highest_bar():
    svg = drawn({"b": [4321, 0, 12]})
    assert texts(svg) == ["0", "1,000", "2,000", "3,000", "4,000", "5,000", "0", "10", "<title>", "years", "count", "b"]
    assert texts(drawn({"b": [1]}))[:2] == ["0", "1"]


def test_a_series_without_a_name_is_not_in_the_legend():
    assert texts(drawn({"": [1]}))[-1] == "count"


def test_nothing_at_all_is_empty_axes():
    svg = drawn({})
    assert boxes(svg, "#0000ff") == [] and "<title>" in texts(svg)
