"""Which rows of a source are left out by name: patterns of the settings, and a list in a file."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, Self

import pyarrow as pa
from pyarrow import csv

from components.storage import places
from schemas.arrow_files import parquet as pq
from schemas.error import VisageError
from schemas.record import FaceRecord

_HINT = (
    "It is a Parquet or CSV file with a column `path`; with a column `source` a row is of that data set only, with a column "
    "`likely_wrong`, as in label_check.parquet of the evaluate step, only rows that say true are left out."
)


class Exclusion:
    """Says of a record why it is left out.

    Args:
        patterns: of persons and paths; `*` stands for anything.
        paths: of photos; of each the data set that it is of, or an empty name for any.
    """

    def __init__(self, patterns: Sequence[str], paths: frozenset[tuple[str, str]] = frozenset()) -> None:
        self._patterns = patterns
        self._paths = paths

    @classmethod
    def of(cls, patterns: Sequence[str], file: str) -> Self:
        """Of the settings.

        Args:
            patterns: `ingest.exclude`.
            file: `ingest.exclude_list`; empty for none.

        Raises:
            VisageError: the file cannot be read, or has no column `path`.
        """
        return cls(patterns, _paths(file) if file else frozenset())

    def reason(self, record: FaceRecord) -> str:
        """Why a record is left out; empty if it is not."""
        if any(fnmatchcase(name, pattern) for pattern in self._patterns for name in (record.person, record.path)):
            return "named in ingest.exclude"
        if (record.source, record.path) in self._paths or ("", record.path) in self._paths:
            return "named in ingest.exclude_list"
        return ""


def _paths(file: str) -> frozenset[tuple[str, str]]:
    try:
        with places.stream(file) as opened:
            table: Any = (
                pq.read_table(opened) if file.lower().endswith(".parquet") else csv.read_csv(opened, **_AS_TEXT)
            )
        _check_columns(file, table.column_names)
        if "likely_wrong" in table.column_names:
            table = table.filter(table["likely_wrong"].cast(pa.bool_()).fill_null(False))
        texts = table["path"].cast(pa.string()).to_pylist()
        sources = table["source"].cast(pa.string()).to_pylist() if "source" in table.column_names else [""] * len(texts)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise VisageError(f"ingest.exclude_list: {file} cannot be read: {error}.", _HINT, usage=True) from error
    return frozenset((source or "", path) for source, path in zip(sources, texts, strict=True) if path)


_AS_TEXT = {"convert_options": csv.ConvertOptions(column_types={"path": pa.string(), "source": pa.string()})}
"""A name in a CSV is not to be read as a number: 007 would become 7."""


def _check_columns(file: str, columns: Sequence[str]) -> None:
    if "path" not in columns:
        raise VisageError(
            f"ingest.exclude_list: {file} has no column path, but {', '.join(columns)}.", _HINT, usage=True
        )
    for name in ("path", "source", "likely_wrong"):
        if columns.count(name) > 1:
            raise VisageError(
                f"ingest.exclude_list: {file} has {columns.count(name)} columns {name}.", _HINT, usage=True
            )
