"""The file of a table: CSV in any encoding, delimiter and compression that can be told from its first bytes, or Parquet.

pyarrow reads both, block by block, so that a table of any length takes the same memory.
"""

import bz2
import codecs
import csv
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, BinaryIO, Protocol

from components.ingest.sources.settings import TableSettings
from schemas.error import VisageError

Row = tuple[tuple[str, ...], str]
"""The text of each column that was asked for, and why the fields cannot be told apart; empty for a well-formed row."""


class Table(Protocol):
    """A table whose columns are known and whose rows are not read yet."""

    columns: list[str]

    def rows(self, column_names: Sequence[str]) -> Iterator[Row]:
        """The columns of these names, each of which must be there once, of every row.

        Raises:
            VisageError: the file is damaged.
        """
        ...


def open_table(file: BinaryIO, where: str, settings: TableSettings) -> Table:
    """The table in a file, which must be open for as long as rows are read; `where` is its name in messages.

    Raises:
        VisageError: it is neither CSV nor Parquet, it is empty or damaged.
    """
    head = _guarded(where, lambda: _unpacked(file, where).read(_HEAD))
    file.seek(0)
    if head.startswith(b"PAR1") or (not head and where.lower().endswith(".parquet")):
        packed = _unpacked(file, where)
        return _Parquet(file if packed is file else io.BytesIO(_guarded(where, packed.read)), where)
    _check_kind(head, where)
    return _Csv(_unpacked(file, where), head, where, settings)


_HEAD = 1 << 20
"""Bytes at the beginning of a CSV that tell its encoding, delimiter and columns."""

_DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError)


def _guarded(where: str, read: Any) -> Any:
    try:
        return read()
    except _DAMAGED as error:
        raise _damaged(where, error) from error


def _damaged(where: str, error: Exception) -> VisageError:
    return VisageError(f"{where} cannot be read to its end: {error}.", "It is damaged or not whole: fetch it anew.")


class _Borrowed:
    """A file that its reader does not close."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self.read = file.read

    def close(self) -> None:
        """Leave it open."""


def _unpacked(file: BinaryIO, where: str) -> Any:
    """What is in a compressed file, as a file; the file itself where it is not compressed."""
    import pyarrow

    begins = file.read(6)
    file.seek(0)
    if begins.startswith(b"\x1f\x8b"):
        return gzip.open(file)
    if begins.startswith(b"BZh"):
        return bz2.open(file)
    if begins.startswith(b"\xfd7zXZ\0"):
        return lzma.open(file)
    if begins.startswith(b"\x28\xb5\x2f\xfd"):
        return pyarrow.CompressedInputStream(pyarrow.PythonFile(_Borrowed(file), "r"), "zstd")
    if begins.startswith(b"PK\x03\x04"):
        archive = zipfile.ZipFile(file)
        names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
        if any(name.startswith("xl/") for name in names):
            raise _wrong_kind(where, "an Excel workbook")
        if "mimetype" in names and "content.xml" in names:
            raise _wrong_kind(where, "an OpenDocument spreadsheet")
        if len(names) != 1:
            raise VisageError(f"{where} is a zip of {len(names)} files.", "Name the table that is meant.", usage=True)
        return archive.open(names[0])
    return file


_KINDS = {
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"PK\x03\x04": "a zip in a zip",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"ARROW1": "an Arrow (Feather) file",
    b"ORC": "an ORC file",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a NumPy array",
    b"SQLite format 3": "an SQLite database",
    b"MATLAB 5.0": "a MATLAB file",
    b"%PDF": "a PDF",
    b"\xff\xd8\xff": "a JPEG",
    b"\x89PNG": "a PNG",
    b"{": "JSON",
    b"[": "JSON",
    b"<": "HTML or XML",
}
"""What people take for a table, by its first bytes."""


def _check_kind(head: bytes, where: str) -> None:
    if where.lower().endswith(".parquet"):
        raise VisageError(
            f"{where} cannot be read as Parquet: it does not begin as Parquet does.", "Is it whole? Fetch it anew."
        )
    kind = next((kind for begins, kind in _KINDS.items() if head.startswith(begins)), "")
    if not kind and "\0" in head[:4096].decode(_encoding(head), "replace"):
        kind = "no text"
    if kind:
        raise _wrong_kind(where, kind)


def _wrong_kind(where: str, kind: str) -> VisageError:
    return VisageError(f"{where} is {kind}.", "Save the table as CSV (UTF-8) or Parquet, and name that.", usage=True)


_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order marks; that of UTF-32 begins with that of UTF-16."""


def _encoding(head: bytes) -> str:
    """The encoding that the first bytes of a text tell: by its mark, by its zeros, else UTF-8."""
    marked = next((name for mark, name in _MARKS.items() if head.startswith(mark)), "")
    if marked:
        return marked
    even, odd = head[:4096:2].count(0), head[1:4096:2].count(0)
    zeros = max(even, odd)
    if zeros > len(head[:4096]) // 4:
        return "utf-16-le" if odd == zeros else "utf-16-be"
    return "utf-8-sig"


_DELIMITERS = (",", ";", "\t", "|")
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\r?\n', re.IGNORECASE)
"""The line by which Excel tells itself the delimiter."""

_QUOTES = "Is a quotation mark left open, or source.table.delimiter another one?"


class _Csv:
    def __init__(self, stream: Any, head: bytes, where: str, settings: TableSettings) -> None:
        self._stream = stream
        self._where = where
        self._encoding = settings.encoding or _encoding(head)
        text = head.decode(self._encoding, "replace")
        separator = _SEPARATOR_LINE.match(text)
        self._skipped = 1 if separator else 0
        text = text[separator.end() :] if separator else text
        tabs = re.search(r"\.(tsv|txt)(\.\w+)?$", where.lower())
        self._delimiter = settings.delimiter or (separator[1] if separator else _delimiter(text, "\t" if tabs else ","))
        first, second = self._first_lines(text)
        self.columns = [name.lstrip("\ufeff").strip() for name in first]
        if not any(self.columns):
            raise VisageError(f"{where} is empty.", "Its first line must name the columns.")
        if len(second) == len(first) + 1 and not second[-1].strip():
            self.columns.append("")  # every line but the first ends in a delimiter

    def _first_lines(self, text: str) -> tuple[list[str], list[str]]:
        lines = io.StringIO(text, newline="")
        # The first is read strictly: it must not take the rest of the table for its last column's name.
        first, second = (csv.reader(lines, delimiter=self._delimiter, strict=strict) for strict in (True, False))
        try:
            columns = next((line for line in first if line), [])
        except csv.Error as error:
            raise VisageError(f"{self._where} is not well-formed: {error}.", _QUOTES) from error
        with suppress(csv.Error):  # a row is told where it stands
            return columns, next((line for line in second if line), [])
        return columns, []

    def rows(self, column_names: Sequence[str]) -> Iterator[Row]:
        import pyarrow
        from pyarrow import csv as arrow_csv
        from pyarrow.compute import utf8_trim_whitespace as trim

        decoder = codecs.getincrementaldecoder(self._encoding)("replace")
        quotes, malformed = 0, dict[int, str]()

        def utf8(block: Any) -> bytes:
            nonlocal quotes
            text = decoder.decode(bytes(block)).encode()
            quotes += text.count(b'"')
            return text

        def set_aside(row: Any) -> str:
            malformed[row.number] = row.text
            return "skip"

        names = [str(number) for number in range(len(self.columns))]
        number = 1 + self._skipped  # of the line that names the columns
        last: list[str] = []
        try:
            reader = arrow_csv.open_csv(
                pyarrow.TransformInputStream(pyarrow.PythonFile(self._stream, "r"), utf8),
                read_options=arrow_csv.ReadOptions(
                    column_names=names, skip_rows=self._skipped, block_size=_BLOCK, use_threads=False
                ),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=set_aside
                ),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pyarrow.string()), strings_can_be_null=False
                ),
            )
            header = number
            for batch in reader:
                columns = [batch.column(self.columns.index(name)) for name in column_names]
                for values in zip(*(trim(column).to_pylist() for column in columns), strict=True):
                    while malformed and number in malformed:
                        if number > header:
                            yield self._malformed(malformed[number], column_names)
                        del malformed[number]
                        number += 1
                    if number > header:
                        yield values, ""
                    number += 1
                if batch.num_rows:
                    last = [column[-1].as_py() for column in batch.columns]
        except pyarrow.ArrowException as error:
            raise VisageError(f"{self._where} is not well-formed after row {number}: {error}.", _QUOTES) from error
        except _DAMAGED as error:
            raise _damaged(self._where, error) from error
        remaining = [malformed[at] for at in sorted(malformed) if at > header]
        open_at_end = remaining[-1].count('"') % 2 if remaining else any("\n" in text or "\r" in text for text in last)
        if quotes % 2 and open_at_end:
            raise VisageError(f"{self._where} is not well-formed: its end lies within quotation marks.", _QUOTES)
        for text in remaining:
            yield self._malformed(text, column_names)

    def _malformed(self, text: str, column_names: Sequence[str]) -> Row:
        try:
            fields = next(csv.reader([text], delimiter=self._delimiter), [])
        except csv.Error as error:
            return ("",) * len(column_names), f"the row cannot be taken apart ({error}). {_QUOTES}"
        values_by_column = dict(zip(self.columns, map(str.strip, fields), strict=False))
        why = f"the row has {len(fields)} fields, the table has {len(self.columns)} columns: see source.table.delimiter"
        return tuple(values_by_column.get(name, "") for name in column_names), why


_BLOCK = 4 << 20
"""Bytes that are read at once; no row may be longer."""


def _delimiter(text: str, usual: str) -> str:
    """What divides the first line into most columns; the usual one where nothing divides it into more."""
    line = next((line for line in text.splitlines() if line.strip()), "")

    def columns(delimiter: str) -> int:
        try:
            return len(next(csv.reader([line], delimiter=delimiter), []))
        except csv.Error:  # whoever reads the first line tells it
            return 0

    return max((usual, *_DELIMITERS), key=columns)


class _Parquet:
    def __init__(self, file: BinaryIO, where: str) -> None:
        import pyarrow

        from schemas.arrow_files import parquet

        self._where = where
        try:
            self._file = parquet.ParquetFile(file)
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise self._damaged(error) from error
        self.columns = list(self._file.schema_arrow.names)

    def rows(self, column_names: Sequence[str]) -> Iterator[Row]:
        import pyarrow

        for name in column_names:
            kind = self._file.schema_arrow.field(name).type
            if pyarrow.types.is_nested(kind):
                raise VisageError(
                    f"The column {name} of {self._where} holds {kind}, not one value a row.",
                    "Name another column under source.table.",
                    usage=True,
                )
        try:
            for batch in self._file.iter_batches(columns=list(column_names)):
                columns = [_texts(batch.column(batch.schema.names.index(name))) for name in column_names]
                for values in zip(*columns, strict=True):
                    yield values, ""
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> VisageError:
        return VisageError(f"{self._where} cannot be read as Parquet: {error}.", "Is it whole? Fetch it anew.")


def _texts(column: Any) -> list[str]:
    """The values of a column as a CSV would have them."""
    import pyarrow

    if pyarrow.types.is_temporal(column.type):
        column = column.cast(pyarrow.string())
    return [_text(value) for value in column.to_pylist()]


def _text(value: Any) -> str:
    if value is None or value != value:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace").strip()
    return str(value).strip()
