"""What the text of a table's field means: numbers, ages, classes, genders, splits, boxes, dates."""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from components.ingest.sources import dates
from schemas.error import VisageError
from schemas.record import MAX_AGE, TEST, TRAIN, VALIDATION


class Unreadable(Exception):
    """A value that cannot be read; the text says why, and which setting would help."""


UNKNOWN = ("", "none", "null", "nan", "na", "n/a", "<na>", "nat", "unknown", "u", "?")
_NO_PERSON = ("", "none", "null", "nan", "n/a", "<na>", "nat")
_SPLITS = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("validation", "val", "valid", "dev"), VALIDATION),
    **dict.fromkeys(("test", "testing"), TEST),
}
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)(e[+-]?\d+)?", re.IGNORECASE)
_WHOLE = re.compile(r"([+-]?\d+)[.,]0+")
_UNIT = re.compile(r"\s*\b(years?|yrs?|y)(\s+old)?\.?$", re.IGNORECASE)
# A comma stands between two ages in brackets, as in Adience's (25, 32), or with a blank behind it; else it is a decimal one.
_RANGE = re.compile(
    r"[(\[]\s*(\d{1,3})\s*[,;–—-]\s*(\d{1,3})\s*[)\]]|(\d{1,3})(?:\s*(?:[;–—-]|to)\s*|,\s+)(\d{1,3})", re.IGNORECASE
)
_AT_LEAST = re.compile(
    r"(?:(?:more than|over|above|older than|at least|from|>=?|≥)\s*(\d{1,3})"
    r"|(\d{1,3})\s*(?:\+|plus|and (?:over|older|above|more|up)|or (?:over|older|above|more)))",
    re.IGNORECASE,
)
_BELOW = re.compile(r"(?:less than|under|below|younger than|<)\s*(\d{1,3})", re.IGNORECASE)
_UP_TO = re.compile(r"(?:up to|at most|<=|≤)\s*(\d{1,3})", re.IGNORECASE)
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january januar",
            "feb february februar",
            "mar march mär märz mrz",
            "apr april",
            "may mai",
            "jun june juni",
            "jul july juli",
            "aug august",
            "sep sept september",
            "oct october okt oktober",
            "nov november",
            "dec december dez dezember",
        ),
        1,
    )
    for name in names.split()
}
_DAY_OF_MONTH = re.compile(r"(\d{1,2})[-. ]+([^\W\d_]{3,9})\.?|([^\W\d_]{3,9})\.?[-. ]+(\d{1,2})")
_DATE = re.compile(
    r"(\d{1,4})([-./])(\d{1,2})\2(\d{1,4})(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
)
_YEAR = re.compile(r"(1[5-9]|2[01])\d\d")


def number(text: str) -> float:
    """A number with a decimal point or a decimal comma.

    Raises:
        ValueError: it is none.
    """
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return float(text.replace(",", "."))


def code(text: str) -> str:
    """A code or number of a person as it was before a spreadsheet or pandas made a float of it: `1.0` is `1`."""
    match = _WHOLE.fullmatch(text) if text.endswith("0") else None
    return match[1] if match else text


def age(text: str) -> tuple[int | None, str | None]:
    """Age in whole years, or age class; both None if unknown."""
    if text.lower() in UNKNOWN:
        return None, None
    plain = _UNIT.sub("", text)
    years = _years(plain)
    if years:
        return None, years
    try:
        return math.floor(number(plain)), None
    except (ValueError, OverflowError) as error:
        meaning = (
            f"the date {text!r}: see source.table.born" if _DATE.fullmatch(text) else f"{text!r}: see source.table.age"
        )
        raise Unreadable(f"age is {meaning}") from error


def age_class(text: str) -> str | None:
    """An age class by its name, or by its range of years as `25-32`; None if unknown."""
    return None if text.lower() in UNKNOWN else _years(_UNIT.sub("", text)) or text


def _years(text: str) -> str:
    """A range of years as `25-32`; empty if the text is none.

    `more than 70`, `over 70` and `70+` all are the oldest class of their data sets, which begins with 70: the class before
    it ends with 69, as in FairFace.
    """
    match = _RANGE.fullmatch(text)
    if match:
        low, high = (int(group) for group in match.groups() if group)
        if low > high:
            raise Unreadable(f"age range is {text!r}: see source.table.age")
        return f"{low}-{high}"
    oldest = _AT_LEAST.fullmatch(text)
    if oldest and int(oldest[1] or oldest[2]) <= MAX_AGE:
        return f"{int(oldest[1] or oldest[2])}-{MAX_AGE}"
    below, up_to = _BELOW.fullmatch(text), _UP_TO.fullmatch(text)
    if below and int(below[1]):
        return f"0-{int(below[1]) - 1}"
    if up_to:
        return f"0-{int(up_to[1])}"
    return _made_a_date(text)


def _made_a_date(text: str) -> str:
    """The range of years out of which a spreadsheet made a day of a month: `4-6` comes out as 06-Apr, `12-Aug` was 8-12.

    Which of day and month stood first depends on the country, but the lower age did.
    """
    day = _DAY_OF_MONTH.fullmatch(text)
    month = _MONTHS.get((day[2] or day[3]).lower()) if day else None
    if not day or not month:
        return ""
    low, high = sorted((month, int(day[1] or day[4])))
    return f"{low}-{high}"


def gender(text: str, codes: Mapping[str, str]) -> str | None:
    """Female, male, or None for unknown.

    Raises:
        VisageError: it is given as a number, and `codes` has none.
    """
    value = code(text).lower()
    if value in codes:
        return codes[value]
    if value in UNKNOWN:
        return None
    if value.isdigit() and not any(known.isdigit() for known in codes):
        raise VisageError(
            f"Gender is given as the number {value}, and data sets number it in opposite ways.",
            "Say what the numbers mean: --set 'source.table.genders={0: male, 1: female}' or the other way round.",
            usage=True,
        )
    raise Unreadable(f"gender is {text!r}: see source.table.genders")


def person(text: str) -> str:
    """Who it is; empty if unknown."""
    return "" if text.lower() in _NO_PERSON else code(text)


def split(text: str) -> str | None:
    """The split; None if the row gives none."""
    if text.lower() in UNKNOWN:
        return None
    if text.lower() not in _SPLITS:
        raise Unreadable(f"split is {text!r}: see source.table.split")
    return _SPLITS[text.lower()]


def box(texts: Sequence[str]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom edge of the face, pixels."""
    wrong = f"the box is {', '.join(texts)}: see source.table.box"
    try:
        left, top, right, bottom = map(number, texts)
    except ValueError as error:
        raise Unreadable(wrong) from error
    if not (left < right and top < bottom and all(map(math.isfinite, (left, top, right, bottom)))):
        raise Unreadable(wrong)
    return left, top, right, bottom


_FIRST_DAYS = {"excel_1900": date(1899, 12, 30), "excel_1904": date(1904, 1, 1)}
"""Day 0 of Excel's two ways to count days. It takes 1900 for a leap year, so that day 1 is right from March 1900 on."""


def day(text: str, order: str, column: str) -> date | int | None:
    """A date, or a year where no more is given; None if unknown.

    Args:
        text: ISO 8601, day.month.year with points, a year, or as `order` says; a time of day is passed over.
        order: `day_first` or `month_first`, for dates with the year at the end; `excel_1900` or `excel_1904`, for numbers of
            days; empty if not stated.
        column: in messages.

    Raises:
        VisageError: the date could be meant in more than one way.
    """
    if text.lower() in UNKNOWN:
        return None
    plain = code(text)
    if _YEAR.fullmatch(plain):
        return int(plain)
    try:
        if _NUMBER.fullmatch(plain):
            if order not in _FIRST_DAYS:
                raise _ambiguous(
                    column, text, "a spreadsheet's number of days", "excel_1900, or excel_1904 for old Macs"
                )
            return _FIRST_DAYS[order] + timedelta(days=math.floor(number(plain)))
        match = _DATE.fullmatch(text)
        if not match:
            raise Unreadable(f"{column} is {text!r}, which is no date: see source.table.dates")
        first, between, middle, last = int(match[1]), match[2], int(match[3]), int(match[4])
        if len(match[1]) == 4:
            return date(first, middle, last)
        if len(match[4]) != 4:
            raise Unreadable(f"{column} is {text!r}: its year must have four digits")
        if order not in ("day_first", "month_first") and between != ".":
            raise _ambiguous(column, text, "a date of either order", "day_first or month_first")
        month_first = order == "month_first"
        return date(last, first, middle) if month_first else date(last, middle, first)
    except (ValueError, OverflowError) as error:
        raise Unreadable(f"{column} is {text!r}, which is no day of the calendar: see source.table.dates") from error


def _ambiguous(column: str, text: str, meaning: str, choices: str) -> VisageError:
    return VisageError(
        f"The column {column} holds {text!r}, {meaning}.",
        f"Say how it is meant: source.table.dates={choices}.",
        usage=True,
    )


def age_between(born: date | int | None, taken: date | int | None) -> int | None:
    """Age in whole years on the day of a photo; None if either is unknown. Not checked for range.

    A photo of which only the year is known counts as taken in the middle of it, see `dates.age_in`; if only the year of birth
    is known, the age is the one reached in the photo's year.
    """
    if born is None or taken is None:
        return None
    if isinstance(born, int):
        return (taken if isinstance(taken, int) else taken.year) - born
    if isinstance(taken, int):
        return dates.age_in(taken, born)
    return taken.year - born.year - ((taken.month, taken.day) < (born.month, born.day))
