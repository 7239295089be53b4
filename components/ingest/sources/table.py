"""Any data set whose labels stand in a CSV or Parquet file; the settings name the columns."""

import csv
import io
import math
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from components.ingest.sources.settings import SourceSettings, TableSettings
from components.storage import places
from components.storage.names import is_remote, local
from schemas.error import VisageError
from schemas.record import TEST, TRAIN, VALIDATION, FaceRecord

_SUFFIXES = (".csv", ".tsv", ".parquet")
_OPTIONAL = ("age", "age_class", "gender", "person", "split")
_UNKNOWN = ("", "none", "null", "nan", "na", "n/a", "unknown", "u", "?")
_SPLITS = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("validation", "val", "valid", "dev"), VALIDATION),
    **dict.fromkeys(("test", "testing"), TEST),
}
_RANGE = re.compile(r"[(\[]?\s*(\d{1,3})\s*[,;-]\s*(\d{1,3})\s*[)\]]?")
_COLUMN = re.compile(r"\{([^{}]+)\}")

Row = Mapping[str, str]


def records(settings: SourceSettings) -> Iterator[FaceRecord]:
    """Every row of the table, in its order.

    An age is a number or, as in Adience, a range of years, which becomes the age class `25-32`; other classes keep their
    names. A row of which something cannot be read is malformed.

    Raises:
        VisageError: there is no table, it cannot be read, or it lacks columns that the settings name.
    """
    file = _find(settings)
    where = posixpath.join(settings.path, file) if file else settings.path
    source = settings.name or posixpath.splitext(posixpath.basename(where))[0]
    folder = posixpath.dirname(file) if not settings.photos else ""
    with places.stream(settings.path, file, settings.names_encoding) as opened:
        columns, rows = _read(opened, where, settings.table)
        read = _reader(settings.table, columns, where)
        for number, row in enumerate(rows):
            yield _record(number, row, read, source, folder)


class _Wrong(Exception):
    """A value that cannot be read."""


class _Malformed(dict[str, str]):
    """A row that is not as wide as the table."""


def _record(number: int, row: Row, read: Mapping[str, Callable[[Row], Any]], source: str, folder: str) -> FaceRecord:
    values: dict[str, Any] = {}
    wrong = ["the row does not have as many fields as the table has columns"] if isinstance(row, _Malformed) else []
    for name, value_of in read.items():
        try:
            values[name] = value_of(row)
        except _Wrong as why:
            wrong.append(str(why))
    path, person = values.get("path", ""), values.get("person")
    age, age_class = values.get("age", (None, None))
    return FaceRecord(
        row=number,
        source=source,
        path=places.within(folder, path),
        person=f"{source}:{person or path or f'row-{number}'}",
        age=age,
        age_class=None if age is not None else age_class or values.get("age_class"),
        gender=values.get("gender"),
        box=values.get("box"),
        split=values.get("split"),
        malformed="; ".join(wrong),
    )


def _reader(table: TableSettings, columns: list[str], where: str) -> Mapping[str, Callable[[Row], Any]]:
    """How to read each value of a row: by name, a function that raises `_Wrong`.

    A column that the settings name by another than its usual name must be there, and one of the labels.
    """
    usual = TableSettings()
    found = {name: getattr(table, name) for name in _OPTIONAL if getattr(table, name) in columns}
    renamed = [getattr(table, name) for name in _OPTIONAL if getattr(table, name) != getattr(usual, name)]
    asked = [*(_COLUMN.findall(table.path) or [table.path]), *renamed, *table.box]
    missing = [column for column in asked if column and column not in columns]
    have = f"It has {', '.join(columns)}."
    if missing:
        raise VisageError(
            f"{where} has no column {', '.join(missing)}.", f"{have} Name them under source.table.", usage=True
        )
    if not {"age", "age_class", "gender"} & set(found):
        hint = f"{have} Name them as source.table.age, age_class or gender."
        raise VisageError(f"{where} has no column of ages, age classes or genders.", hint, usage=True)
    read: dict[str, Callable[[Row], Any]] = {"path": lambda row: _path(row, table.path)}
    if "age" in found:
        read["age"] = lambda row: _age(row[found["age"]])
    if "age_class" in found:
        read["age_class"] = lambda row: _age_class(row[found["age_class"]])
    if "gender" in found:
        read["gender"] = lambda row: _gender(row[found["gender"]], table.genders)
    if "person" in found:
        read["person"] = lambda row: row[found["person"]]
    if "split" in found:
        read["split"] = lambda row: _split(row[found["split"]])
    if table.box:
        read["box"] = lambda row: _box([row[column] for column in table.box])
    return read


def _path(row: Row, pattern: str) -> str:
    path = _COLUMN.sub(lambda column: row[column[1]], pattern) if _COLUMN.search(pattern) else row[pattern]
    if not path:
        raise _Wrong("there is no path")
    if "\ufffd" in path:
        raise _Wrong("the path is not UTF-8")
    return path


def _age(text: str) -> tuple[int | None, str | None]:
    """Age in whole years, or age class; both None if unknown."""
    if text.lower() in _UNKNOWN:
        return None, None
    if _RANGE.fullmatch(text):
        return None, _age_class(text)
    try:
        return math.floor(float(text)), None
    except (ValueError, OverflowError) as error:
        raise _Wrong(f"age is {text!r}") from error


def _age_class(text: str) -> str | None:
    if text.lower() in _UNKNOWN:
        return None
    years = _RANGE.fullmatch(text)
    if not years:
        return text
    low, high = int(years[1]), int(years[2])
    if low > high:
        raise _Wrong(f"age range is {text!r}")
    return f"{low}-{high}"


def _gender(text: str, codes: Mapping[str, str]) -> str | None:
    code = text.lower()
    if code in codes:
        return codes[code]
    if code in _UNKNOWN:
        return None
    if code.isdigit() and not any(known.isdigit() for known in codes):
        raise VisageError(
            f"Gender is given as the number {text}, and data sets number it in opposite ways.",
            "Say what the numbers mean: --set 'source.table.genders={0: male, 1: female}' or the other way round.",
            usage=True,
        )
    raise _Wrong(f"gender is {text!r}")


def _split(text: str) -> str | None:
    if text.lower() in _UNKNOWN:
        return None
    if text.lower() not in _SPLITS:
        raise _Wrong(f"split is {text!r}")
    return _SPLITS[text.lower()]


def _box(texts: list[str]) -> tuple[float, float, float, float]:
    try:
        left, top, right, bottom = (float(text) for text in texts)
    except ValueError as error:
        raise _Wrong(f"the box is {', '.join(texts)}") from error
    if not (left < right and top < bottom and all(map(math.isfinite, (left, top, right, bottom)))):
        raise _Wrong(f"the box is {', '.join(texts)}")
    return left, top, right, bottom


def _find(settings: SourceSettings) -> str:
    """Which file under a path the table is; empty if it is the path itself."""
    path = settings.path
    if places.is_archive(path):
        found = [name for name in places.file_names(path, settings.names_encoding) if name.lower().endswith(_SUFFIXES)]
    elif places.is_file(path):
        return ""
    elif is_remote(path):
        found = []
    else:
        found = sorted(file.name for file in Path(local(path)).iterdir() if file.name.lower().endswith(_SUFFIXES))
    if len(found) != 1:
        held = f"{' and '.join(found[:3])} are" if found else "no CSV, TSV or Parquet file is"
        raise VisageError(f"Which table is meant? {held} in {path}.", "Name the file as source.path.", usage=True)
    return found[0]


def _read(file: BinaryIO, where: str, table: TableSettings) -> tuple[list[str], Iterator[Row]]:
    """The names of the columns, and the rows."""
    return _parquet(file, where) if where.lower().endswith(".parquet") else _csv(file, where, table.delimiter)


def _csv(file: BinaryIO, where: str, delimiter: str) -> tuple[list[str], Iterator[Row]]:
    between = delimiter or ("\t" if where.lower().endswith((".tsv", ".txt")) else ",")
    lines = csv.reader(
        io.TextIOWrapper(file, "utf-8-sig", errors="replace", newline=""), delimiter=between, strict=True
    )

    def read() -> Iterator[list[str]]:
        try:
            yield from lines
        except csv.Error as error:
            raise VisageError(
                f"{where} is not well-formed after line {lines.line_num}: {error}.",
                "Is a quotation mark left open, or source.table.delimiter another one?",
            ) from error

    filled = (line for line in read() if line)
    columns = [name.strip() for name in next(filled, [])]
    if not columns:
        raise VisageError(f"{where} is empty.", "Its first line must name the columns.")

    def row(line: list[str]) -> Row:
        values = [text.strip() for text in line]
        if len(values) == len(columns):
            return dict(zip(columns, values, strict=True))
        return _Malformed({**dict.fromkeys(columns, ""), **dict(zip(columns, values, strict=False))})

    return columns, (row(line) for line in filled)


def _parquet(file: BinaryIO, where: str) -> tuple[list[str], Iterator[Row]]:
    import pyarrow
    from pyarrow import parquet

    def fail(error: Exception) -> VisageError:
        return VisageError(f"{where} cannot be read as Parquet: {error}.", "Is it whole? Fetch it anew.")

    try:
        opened = parquet.ParquetFile(file)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise fail(error) from error
    columns = opened.schema_arrow.names

    def read() -> Iterator[Row]:
        try:
            for batch in opened.iter_batches():
                for row in batch.to_pylist():
                    yield {name: _text(value) for name, value in row.items()}
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise fail(error) from error

    return columns, read()


def _text(value: Any) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip()
    return str(value).strip()
