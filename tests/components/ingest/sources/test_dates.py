"""IMDB-WIKI's dates."""

from datetime import date

import pytest

from components.ingest.sources import dates


def test_matlab_counts_days_from_the_year_0():
    assert dates.from_matlab(367) == date(1, 1, 1)
    assert dates.from_matlab(734_414) == date(2010, 10, 3)
    assert dates.from_matlab(734_414.9) == date(2010, 10, 3)
    assert dates.from_matlab(date.max.toordinal() + 366) == date.max


@pytest.mark.parametrize(
    "number", [0, 366, 366.9, -1, date.max.toordinal() + 367, float("nan"), float("inf"), -float("inf")]
)
def test_a_number_that_is_no_day_of_the_calendar(number):
    assert dates.from_matlab(number) is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ((2009, 22, 3), date(2010, 10, 3)),
        ((2010, 9, 33), date(2010, 10, 3)),
        ((1950, 0, 5), date(1950, 1, 5)),
        ((1950, 0, 0), date(1949, 12, 31)),
        ((2012, 2, 29), date(2012, 2, 29)),
        ((2011, 2, 29), date(2011, 3, 1)),
        ((0, 5, 5), None),
        ((9999, 12, 32), None),
    ],
)
def test_dates_carry_over_as_in_matlab(written, meant):
    assert dates.with_carry(*written) == meant


def test_age_in_the_middle_of_a_year():
    assert dates.age_in(2009, date(1970, 6, 30)) == 39
    assert dates.age_in(2009, date(1970, 7, 1)) == 38
    assert dates.age_in(2009, None) is None
