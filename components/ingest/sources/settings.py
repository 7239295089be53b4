"""What a source is and where it lies: the section `source` of a recipe."""

import difflib
import re
from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator

from components.step.settings import Section, external_path
from components.storage.settings import NamesEncoding, names_encoding
from schemas.record import GENDERS

SOURCES = {
    "imdb_wiki": "imdb.mat or wiki.mat, the labels of IMDB-WIKI",
    "file_names": "photos whose names are IMDB-WIKI's, where there is no .mat",
    "utkface": "photos whose names are UTKFace's",
    "table": "a CSV or Parquet file; its columns are named in source.table",
}
"""Every kind of source and what it reads. A kind is the module of the same name beside this file."""


_WHOLE = re.compile(r"^(-?\d+)\.0+$")


class TableSettings(Section):
    """How to read the columns of a table. A column that has its usual name need not be named."""

    model_config = ConfigDict(coerce_numbers_to_str=True)  # YAML reads a column or folder named 2024 as a number

    path: str = Field(
        "path",
        min_length=1,
        description="column of the photo's path, or a pattern of columns in braces: `{folder}/face.{number}.jpg`",
    )
    age: str = Field(
        "age",
        description="column of the age: years, or a range of years such as `(25, 32)`, `0-2` or `more than 70`, which becomes "
        "an age class; empty: no column is read",
    )
    age_class: str = Field(
        "age_class", description="column of the age class: a name such as YOUNG, or a range of years"
    )
    gender: str = Field("gender", description="column of the gender")
    genders: dict[str, str] = Field(
        {"female": "female", "f": "female", "male": "male", "m": "male"},
        description="what each code of the gender column means, capitals or not: `{0: male, 1: female}`; "
        "an empty value, `u` or `unknown` is an unknown gender",
    )
    born: str = Field("", description="column of the date of birth, from which the age follows; see dates")
    taken: str = Field("", description="column of the date, or the year, in which the photo was taken")
    dates: Literal["", "day_first", "month_first", "excel_1900", "excel_1904"] = Field(
        "",
        description="how dates are meant that can be read in two ways: 04/06/1970, or a spreadsheet's number of days, which "
        "counts from 1900, on old Macs from 1904",
    )
    person: str = Field("person", description="column of the person; without one every photo shows another person")
    split: str = Field("split", description="column of the split: train, validation (val, valid, dev) or test")
    box: tuple[str, ...] = Field(
        (),
        description="columns of the face's left, top, right and bottom edge, in pixels from 0, right and bottom exclusive; "
        "without them the whole picture is the face",
    )
    columns: tuple[str, ...] = Field(
        (),
        description="further columns to keep with the examples, for instance `[ethnicity, camera]`: evaluate tells the figures "
        "for each of their values; nothing is learned from them",
    )
    delimiter: str = Field(
        "",
        max_length=1,
        description="between the fields of a CSV; empty: what divides its first line into most columns",
    )
    encoding: str = Field(
        "", description="of a CSV, for instance cp1252; empty: UTF-8, or UTF-16 or UTF-32 where its first bytes say so"
    )

    @field_validator("genders", mode="before")
    @classmethod
    def _codes(cls, value: Any) -> Any:
        """YAML reads 0 and 1 as numbers; codes are compared as text."""
        if not isinstance(value, dict):
            return value
        return {_WHOLE.sub(r"\1", str(code).strip().lower()): meaning for code, meaning in value.items()}

    @field_validator("genders")
    @classmethod
    def _known(cls, value: dict[str, str]) -> dict[str, str]:
        wrong = sorted(set(value.values()) - set(GENDERS))
        if wrong:
            raise ValueError(f"a code means {' or '.join(GENDERS)}, not {', '.join(wrong)}")
        return value

    @field_validator("delimiter")
    @classmethod
    def _divides(cls, value: str) -> str:
        if value in ('"', "\r", "\n") or not value.isascii():
            raise ValueError("a CSV's fields cannot be divided by this")
        return value

    @field_validator("encoding")
    @classmethod
    def _is_encoding(cls, value: str) -> str:
        try:
            "".encode(value or "utf-8")
        except LookupError as error:
            raise ValueError("there is no such encoding; common ones are utf-8, utf-16, cp1252, latin-1") from error
        return value

    @field_validator("box")
    @classmethod
    def _four(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(value) not in (0, 4):
            raise ValueError("name four columns: left, top, right, bottom")
        return value

    @field_validator("columns")
    @classmethod
    def _named_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(value) or len(set(value)) < len(value):
            raise ValueError("every column has a name, and is named once")
        return value


class SourceSettings(Section):
    """Which data set is read, and where it lies."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    kind: str = Field("imdb_wiki", description=f"what is read: {'; '.join(f'{k}: {v}' for k, v in SOURCES.items())}")
    path: str = external_path(
        "",
        "where the labels are: a folder with its photos, the .mat, CSV or Parquet file, a zip or tar of it all, "
        "or a folder of a store, such as s3://bucket/faces",
    )
    photos: str = external_path(
        "",
        "where the photos are if not with the labels: a folder, a zip, a tar, also .gz, .bz2 or .xz, or a folder of a store",
    )
    names_encoding: NamesEncoding = names_encoding()
    name: str = Field(
        "",
        pattern=r"^[\w.-]*$",
        description="of the data set, in examples and persons; empty: the source's own: imdb, wiki, utkface; labels for a table",
    )
    cropped: bool | None = Field(
        None,
        description="imdb_wiki: whether the photos are the published cropped faces (true) or whole photos, whose face is at "
        "face_location (false); null: whole in folders that are called imdb or wiki, as the full sets are, else cropped",
    )
    table: TableSettings = Field(TableSettings(), description="table: its columns")

    @property
    def own_labels(self) -> tuple[str, ...]:
        """Names of the `own_labels` that every record of this source has."""
        return self.table.columns if self.kind == "table" else ()

    @field_validator("kind")
    @classmethod
    def _exists(cls, value: str) -> str:
        if value not in SOURCES:
            near = difflib.get_close_matches(value, SOURCES, n=1)
            suggestion = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"there is no such source: {', '.join(SOURCES)}{suggestion}")
        return value
