"""Charts that more than one step's page shows, and the one palette."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from components.report import page
from schemas.record import FEMALE, MALE, MAX_AGE

UNKNOWN = "unknown"
COLOURS = {FEMALE: "#b5527d", MALE: "#3b7dbd", UNKNOWN: "#8c8c8c"}
"""Colour of a gender. Their lightness differs, so that they can be told apart in grey too."""

PLAIN = "#4878a8"
"""Colour of what has no gender."""

SERIES = ("#1f4e79", "#d9822b", "#7fb3d5", "#7a5195")
"""Colours of lines and bars that stand for other things than genders: from dark to light, so that grey tells them apart."""

GUIDE = "#6b6b6b"
"""Colour of lines that say where something should be."""

FAINT = "#bbbbbb"
"""Colour of what too little stands behind."""

_YEARS = 5


def ages(counts: Mapping[str, Mapping[str, Mapping[int, int]]]) -> Any:
    """A matplotlib figure of examples by age, a panel a split, the genders on top of each other.

    Args:
        counts: by split, gender and age in years.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.5 + 3 * max(1, len(counts)), 3), layout="constrained")
    starts = range(0, MAX_AGE + 1, _YEARS)
    panels = figure.subplots(1, max(1, len(counts)), squeeze=False)[0]
    for axes, (split, genders) in zip(panels, counts.items(), strict=False):
        below = [0] * len(starts)
        for gender, colour in COLOURS.items():
            grouped = Counter[int]()
            for age, count in genders.get(gender, {}).items():
                grouped[age // _YEARS * _YEARS] += count
            if grouped:
                heights = [grouped[start] for start in starts]
                axes.bar(starts, heights, _YEARS, below, align="edge", color=colour, label=gender)
                below = [low + high for low, high in zip(below, heights, strict=True)]
        axes.set(title=split, xlabel="age, years")
        axes.spines[["top", "right"]].set_visible(False)
        axes.yaxis.get_major_locator().set_params(integer=True)
    panels[0].set_ylabel("examples")
    handles = {label: bars for axes in panels for bars, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(list(handles.values()), list(handles), loc="outside right upper", frameon=False)
    return figure


def ages_by_split(counts: Mapping[str, Mapping[str, Mapping[int, int]]]) -> page.Pictures:
    """The same for a page: a picture a split, beside each other where there is room, a sentence under each."""
    pictures = []
    for split, genders in counts.items():
        counts_by_age = sum((Counter(of_gender) for of_gender in genders.values()), Counter[int]())
        if not counts_by_age:
            continue
        grouped = Counter[int]()
        for age, count in counts_by_age.items():
            grouped[age // 10 * 10] += count
        ((most, count),) = grouped.most_common(1)
        caption = (
            f"The {counts_by_age.total():,} examples of {split} with an age, in steps of five years; "
            f"{count / counts_by_age.total():.0%} of them are {most} to {most + 9} years old."
        )
        pictures.append(
            page.Picture(page.png(ages({split: genders})), caption, alt=f"Bars: examples of {split} by age and gender")
        )
    return page.Pictures(pictures)
