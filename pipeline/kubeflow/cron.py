"""Times of a schedule, as Kubeflow Pipelines reads them: the five fields of cron, of which Sunday is 0 and not 7.

The server parses them with robfig/cron, and says little of what it does not understand: https://pkg.go.dev/github.com/robfig/cron.
"""

import re

from schemas.error import VisageError

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 6, _DAYS),
)
"""Name, lowest and highest value, and what the values from the lowest on may be called."""

_ITEM = re.compile(r"(?:[*?]|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d+))?")


def with_seconds(cron: str) -> str:
    """The times as Kubeflow wants them: with the second in front.

    Args:
        cron: minute, hour, day of the month, month, day of the week.

    Raises:
        VisageError: they are no times; the message names the field.
    """
    fields = cron.split()
    if len(fields) != len(_FIELDS):
        raise _invalid(cron, f"{len(fields)} field{'' if len(fields) == 1 else 's'}")
    for text, (name, lowest, highest, names) in zip(fields, _FIELDS, strict=True):
        for item in text.split(","):
            _check(cron, item, name, lowest, highest, names)
    return " ".join(["0", *fields])


def _check(cron: str, item: str, name: str, lowest: int, highest: int, names: tuple[str, ...]) -> None:
    """One of the items between the commas of a field."""
    parts = _ITEM.fullmatch(item)
    if not parts:
        raise _invalid(cron, f"{item!r} as {name}")
    values = []
    for bound in filter(None, (parts["first"], parts["last"])):
        value = (
            lowest + names.index(bound.lower()) if bound.lower() in names else int(bound) if bound.isdecimal() else -1
        )
        if not lowest <= value <= highest:
            sunday = ", Sunday is 0" if names is _DAYS else ""
            raise _invalid(cron, f"{bound!r} as {name}, which is {lowest} to {highest}{sunday}")
        values.append(value)
    if values != sorted(values):
        raise _invalid(cron, f"{item!r} as {name}, which ends before it begins")
    if parts["step"] and int(parts["step"]) == 0:
        raise _invalid(cron, f"steps of 0 as {name}")


def _invalid(cron: str, problem: str) -> VisageError:
    return VisageError(
        f"{cron!r} does not say when to run: it has {problem}.",
        "Five fields are wanted: minute, hour, day of the month, month, day of the week. '0 2 * * *' is at two every night.",
        usage=True,
    )
