"""Lists of paths: lines of text, or the column `path` of a CSV or Parquet file."""

import codecs
import csv
import io
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

from components.storage import folders, names
from schemas.error import VisageError

_TEXTS = (".txt", ".lst", ".list")
_TABLES = (".csv", ".tsv")
_PARQUET = ".parquet"
_COLUMN = "path"
_LONGEST = 1 << 16
_QUOTES = "\"'"


def is_list(place: str) -> bool:
    """Whether a file is called like a list."""
    return place.lower().endswith((*_TEXTS, *_TABLES, _PARQUET))


def paths(place: str, file: BinaryIO) -> Iterator[str]:
    """The paths that a list holds, absolute or URLs, in its order; relative ones count from the list's own folder.

    A file is looked for as it is written first, then without the blanks and quotes around it, with backslashes as
    separators, and with its accents in the other of Unicode's forms. What is nowhere to be found comes as it was written.

    Args:
        place: of the list.
        file: the list, opened.

    Raises:
        VisageError: it is no such list.
    """
    folder = names.parent(place)
    for written in _written(place, file):
        if written.strip():
            yield _absolute(folder, written)


def _written(place: str, file: BinaryIO) -> Iterator[str]:
    lowered = place.lower()
    if lowered.endswith(_PARQUET):
        return _of_parquet(place, file)
    text = _text(file)
    return _of_table(place, text) if lowered.endswith(_TABLES) else _lines(place, text)


def _absolute(folder: str, written: str) -> str:
    plain = written.strip()
    if len(plain) > 1 and plain[0] in _QUOTES and plain[0] == plain[-1]:
        plain = plain[1:-1]
    try:
        plain = names.local(plain)
    except ValueError:  # a file:// of another machine: there is no such file here
        return plain
    if names.is_remote(plain):
        return plain
    if names.is_remote(folder):
        return plain.replace("\\", "/") if plain.startswith("/") else f"{folder}/" + plain.replace("\\", "/")
    if plain == written and plain.isascii() and "\\" not in plain:
        return os.path.normpath(os.path.join(folder, plain))  # noqa: PTH118
    for path in (os.path.join(folder, written), os.path.join(folder, plain)):  # noqa: PTH118
        if actual_path := folders.find("/" if path.startswith("/") else "", path):
            return os.path.normpath(actual_path)
    return os.path.normpath(os.path.join(folder, plain))  # noqa: PTH118


def _text(file: BinaryIO) -> io.TextIOWrapper:
    """The file as text: by its byte order mark, as UTF-16 without one, else UTF-8 whose other bytes are kept."""
    start = file.read(4)
    file.seek(0)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return io.TextIOWrapper(file, "utf-16", errors="replace")
    if len(start) == 4 and 0 in start:  # no path holds a NUL
        return io.TextIOWrapper(file, "utf-16-be" if start[0] == 0 else "utf-16-le", errors="replace")
    return io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape")


def _lines(place: str, text: io.TextIOWrapper) -> Iterator[str]:
    while line := text.readline(_LONGEST):
        if len(line) == _LONGEST:
            raise VisageError(
                f"{place} is no list of paths: it has a line of more than {_LONGEST:,} letters.", usage=True
            )
        yield line.rstrip("\n")


def _of_table(place: str, text: io.TextIOWrapper) -> Iterator[str]:
    first = next((line for line in _lines(place, text) if line.strip()), "")
    between = max("\t;,", key=first.count)
    columns = [column.strip().lower() for column in next(csv.reader([first], delimiter=between), [])]
    rows = csv.reader((line + "\n" for line in _lines(place, text)), delimiter=between)
    if _COLUMN in columns:
        number = columns.index(_COLUMN)
    elif len(columns) == 1:  # lines without a heading
        number = 0
        yield first
    else:
        raise VisageError(f"{place} has no column `{_COLUMN}`, but {', '.join(columns)}.", usage=True)
    try:
        yield from (row[number] for row in rows if len(row) > number)
    except csv.Error as error:
        raise VisageError(f"{place} is not well-formed after line {rows.line_num}: {error}.", usage=True) from error


def _of_parquet(place: str, file: BinaryIO) -> Iterator[str]:
    import pyarrow as pa

    from schemas.arrow_files import parquet as pq

    try:
        table = pq.ParquetFile(file)
        columns = table.schema_arrow.names
        column = _COLUMN if _COLUMN in columns else columns[0]
        if column != _COLUMN and len(columns) > 1:
            raise VisageError(f"{place} has no column `{_COLUMN}`, but {', '.join(columns)}.", usage=True)
        for batch in table.iter_batches(columns=[column]):
            yield from (os.fsdecode(value) for value in _as_bytes(batch.column(0)) if value)
    except _NoText as kind:
        raise VisageError(f"{place} is no list of paths: its column {column} holds {kind}.", usage=True) from kind
    except (pa.ArrowException, IndexError) as error:
        raise VisageError(f"{place} is no Parquet file that can be read: {error}", usage=True) from error


class _NoText(Exception):
    """Values that are no text; the text says of which type they are."""


def _as_bytes(values: Any) -> list[bytes | None]:
    """Texts of an Arrow array, as bytes: what calls itself text may hold names that are not UTF-8."""
    import pyarrow as pa

    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    try:
        return values.cast(pa.large_binary()).to_pylist()
    except pa.ArrowNotImplementedError as error:
        raise _NoText(values.type) from error
