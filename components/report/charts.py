"""Charts that more than one step's page shows, and the one palette."""

from collections import Counter
from collections.abc import Mapping

from components.report import bars, page
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


def ages_by_split(counts: Mapping[str, Mapping[str, Mapping[int, int]]]) -> page.Pictures:
    """Examples by age, a picture a split, beside each other where there is room; the genders on top of each other.

    Args:
        counts: by split, gender and age in years.
    """
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
        drawn = bars.stacked(split, "age, years", "examples", _YEARS, _series(genders), COLOURS, every=20)
        pictures.append(page.Picture(drawn, caption, "svg+xml", f"Bars: examples of {split} by age and gender"))
    return page.Pictures(pictures)


def _series(genders: Mapping[str, Mapping[int, int]]) -> dict[str, list[int]]:
    """For every gender that there is, the examples of each five years."""
    series = {}
    for gender in COLOURS:
        if any(genders.get(gender, {}).values()):
            grouped = Counter[int]()
            for age, count in genders[gender].items():
                grouped[age // _YEARS] += count
            series[gender] = [grouped[number] for number in range(MAX_AGE // _YEARS + 1)]
    return series
