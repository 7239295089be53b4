"""Dates as IMDB-WIKI writes them, and the age that follows from them."""

from datetime import date, timedelta

MATLAB_EPOCH = 366
"""MATLAB counts days from the year 0, Python from the year 1: a date number is the ordinal plus 366."""


def from_matlab(number: float) -> date | None:
    """The day of a MATLAB date number; None for one that is no day of the calendar, such as 0 and NaN."""
    if not MATLAB_EPOCH + 1 <= number < date.max.toordinal() + MATLAB_EPOCH + 1:
        return None
    return date.fromordinal(int(number) - MATLAB_EPOCH)


def with_carry(year: int, month: int, day: int) -> date | None:
    """The day that MATLAB's datenum makes of a year, month and day: what is too large or too small carries over.

    IMDB-WIKI's file names have such dates (1953-10-00, 1984-15-03), and its dob is made of them in this way: months over
    12 go into the next year, months under 1 count as 1, days are counted from the first of the month
    (https://www.mathworks.com/help/matlab/matlab_prog/carryover-in-date-vectors-and-strings.html).
    None if that is no day of the calendar.
    """
    months = max(month, 1) - 1
    try:
        return date(year + months // 12, months % 12 + 1, 1) + timedelta(days=day - 1)
    except (ValueError, OverflowError):
        return None


def age_in(year: int, born: date | None) -> int | None:
    """Age on a photo taken in a year, in whole years; None if the birthday is unknown. Not checked for range.

    Only the year of the photo is known, so it counts as taken in the middle of it, as the data set's page says
    (https://data.vision.ee.ethz.ch/cvl/rrothe/imdb-wiki/; Rothe, Timofte, Van Gool, IJCV 2016): who is born in July or
    later has not had that year's birthday.
    """
    if born is None:
        return None
    return year - born.year - (1 if born.month >= 7 else 0)
