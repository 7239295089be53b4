"""Any data set whose labels stand in a CSV or Parquet file; the settings name the columns."""

import posixpath
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from components.ingest.sources import photos_root, table_values
from components.ingest.sources.settings import SourceSettings, TableSettings
from components.ingest.sources.table_file import Row, Table, open_table
from components.ingest.sources.table_values import Unreadable
from components.storage import places
from components.storage.names import is_remote, local, way_out
from schemas.error import VisageError
from schemas.record import FaceRecord

NAME = "labels"
"""Name of a data set that `source.name` gives none. Not that of the file: who is in which split follows from a hash of the
person, the data set's name included, and next month's labels may lie in a file of another name."""

_LABELS = ("age", "age_class", "gender", "born")
_OPTIONAL = ("age", "age_class", "gender", "born", "taken", "person", "split")
_COLUMN = re.compile(r"\{([^{}]+)\}")


def records(settings: SourceSettings) -> Iterator[FaceRecord]:
    """Every row of the table, in its order.

    An age is a number or, as in Adience, a range of years, which becomes the age class `25-32`; other classes keep their
    names. A row of which something cannot be read is malformed.

    Raises:
        VisageError: there is no table, it cannot be read, it lacks columns that the settings name, or a value has more than
            one meaning and the settings do not say which.
    """
    file = _find(settings)
    where = posixpath.join(settings.path, file) if file else settings.path
    folder = posixpath.dirname(file) if not settings.photos else ""
    photo_path = _photo_path(settings, folder)
    with places.stream(settings.path, file, settings.names_encoding) as opened:
        table = open_table(opened, where, settings.table)
        readers = _readers(settings.table, table, where)
        column_names = list(dict.fromkeys(column for columns, _ in readers.values() for column in columns))
        values = {
            name: ([column_names.index(column) for column in columns], value_of)
            for name, (columns, value_of) in readers.items()
        }
        for number, row in enumerate(table.rows(column_names)):
            yield _record(number, row, values, settings.name or NAME, photo_path)


_Readers = Mapping[str, tuple[list[Any], Callable[..., Any]]]
"""For each value of a record the columns that it is read from, by name or by place, and the function that reads their texts;
it raises `Unreadable`."""


def _record(
    number: int, row: Row, readers: _Readers, source: str, photo_path: Callable[[str], tuple[str, str]]
) -> FaceRecord:
    values: dict[str, Any] = {}
    texts, malformed = row
    wrong = [malformed] if malformed else []
    for name, (columns, value_of) in readers.items():
        try:
            values[name] = value_of(*[texts[column] for column in columns])
        except Unreadable as why:
            wrong.append(str(why))
    age, age_class = values.get("age", (None, None))
    if age is None and "dates" in values:
        age = values["dates"]
    path, photo_name = photo_path(values.get("path", ""))
    return FaceRecord(
        row=number,
        source=source,
        path=path,
        person=f"{source}:{values.get('person') or photo_name or f'row-{number}'}",
        age=age,
        age_class=None if age is not None else age_class or values.get("age_class"),
        gender=values.get("gender"),
        box=values.get("box"),
        split=values.get("split"),
        own_labels=values.get("own_labels", ()),
        malformed="; ".join(wrong),
    )


def _readers(settings: TableSettings, table: Table, where: str) -> _Readers:
    """How to read each value of a row.

    A column that the settings name by another than its usual name must be there, and one of the labels. An empty name is that
    of no column.
    """
    usual = TableSettings()
    column_of = {name: getattr(settings, name) for name in _OPTIONAL if getattr(settings, name) in table.columns}
    column_of = {name: column for name, column in column_of.items() if column}
    in_path = _COLUMN.findall(settings.path) or [settings.path]
    renamed = [getattr(settings, name) for name in _OPTIONAL if getattr(settings, name) != getattr(usual, name)]
    required = (*in_path, *renamed, *settings.box, *settings.columns)
    missing = [column for column in required if column and column not in table.columns]
    have = f"It has {textwrap.shorten(', '.join(filter(None, table.columns)), 400, placeholder=' ...')}."
    if missing:
        other = " Or is source.table.delimiter another one?" if len(table.columns) == 1 else ""
        raise VisageError(
            f"{where} has no column {', '.join(missing)}.", f"{have} Name them under source.table.{other}", usage=True
        )
    if not set(_LABELS) & set(column_of):
        hint = f"{have} Name them as source.table.age, age_class or gender."
        raise VisageError(f"{where} has no column of ages, age classes or genders.", hint, usage=True)
    if ("born" in column_of) != ("taken" in column_of):
        hint = "Name the columns of both dates: source.table.born and source.table.taken."
        raise VisageError("An age follows from the date of birth and the date of the photo.", hint, usage=True)
    readers: dict[str, tuple[list[str], Callable[..., Any]]] = {
        "path": (in_path, lambda *texts: _path(texts, settings.path)),
        "age": ([column_of.get("age", "")], table_values.age),
        "dates": (
            [column_of.get("born", ""), column_of.get("taken", "")],
            lambda born, taken: table_values.age_between(
                table_values.day(born, settings.dates, column_of["born"]),
                table_values.day(taken, settings.dates, column_of["taken"]),
            ),
        ),
        "age_class": ([column_of.get("age_class", "")], table_values.age_class),
        "gender": ([column_of.get("gender", "")], lambda text: table_values.gender(text, settings.genders)),
        "person": ([column_of.get("person", "")], table_values.person),
        "split": ([column_of.get("split", "")], table_values.split),
        "box": (list(settings.box), lambda *texts: table_values.box(texts)),
        "own_labels": (list(settings.columns), lambda *texts: tuple(text or None for text in texts)),
    }
    readers = {
        # The same few ages and genders stand in all rows of a long table.
        name: (columns, value_of if name in ("path", "person", "box", "own_labels") else lru_cache(1000)(value_of))
        for name, (columns, value_of) in readers.items()
        if columns and all(columns)
    }
    twice = sorted({column for columns, _ in readers.values() for column in columns if table.columns.count(column) > 1})
    if twice:
        raise VisageError(
            f"{where} has {table.columns.count(twice[0])} columns that are called {twice[0]}.",
            "Rename all but one, or name another column under source.table.",
            usage=True,
        )
    return readers


def _path(texts: tuple[str, ...], pattern: str) -> str:
    values = iter(texts)
    path = _COLUMN.sub(lambda _: next(values), pattern) if _COLUMN.search(pattern) else texts[0]
    if not any(texts):
        raise Unreadable("there is no path")
    if "\ufffd" in path:
        raise Unreadable("the path is not UTF-8: see source.table.encoding")
    if ("\n" in path or "\r" in path) and re.search(r"[,;\t|]", path):
        raise Unreadable("the path holds fields of two lines: is a quotation mark left open?")
    return path


def _photo_path(settings: SourceSettings, folder: str) -> Callable[[str], tuple[str, str]]:
    """From a path as the table has it, its path under the photos, and the part of it that names the photo.

    A whole path that begins with that of the photos is one within them. A backslash is a separator, as Windows writes it,
    unless there is a photo that has it in its name.
    """
    root = photos_root(settings).rstrip("/")
    whole_root = root if is_remote(root) else str(Path(root or "/").absolute()).rstrip("/")
    may_have_backslashes = not is_remote(root) and not places.is_archive(root)

    def photo_path(path: str) -> tuple[str, str]:
        if path.startswith(f"{whole_root}/"):
            path = path[len(whole_root) + 1 :]
            return path, path
        if "\\" in path:
            written = places.within(folder, path)
            if not may_have_backslashes or way_out(path) or not places.exists(root, written):
                path = path.replace("\\", "/")
        return places.within(folder, path), path

    return photo_path


def _find(settings: SourceSettings) -> str:
    """Which file under a path the table is; empty if it is the path itself."""
    path = settings.path
    if places.is_archive(path):
        tables = []
        for name in places.file_names(path, settings.names_encoding):
            if name in ("content.xml", "xl/workbook.xml"):
                return ""  # a spreadsheet is a zip too; whoever reads it says what it is
            if places.is_table(name) and "__MACOSX" not in name.split("/"):
                tables.append(name)
    elif places.is_file(path):
        return ""
    elif is_remote(path):
        tables = []
    else:
        tables = sorted(file.name for file in Path(local(path)).iterdir() if places.is_table(file.name))
    if len(tables) != 1:
        candidates = f"{' and '.join(tables[:3])} are" if tables else "no CSV, TSV or Parquet file is"
        raise VisageError(f"Which table is meant? {candidates} in {path}.", "Name the file as source.path.", usage=True)
    return tables[0]
