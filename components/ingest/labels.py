"""The rules that need no photo: which rows are kept, and which split and fold a person belongs to; and a list of it all."""

import csv
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from components.ingest.sources import records
from components.ingest.sources.settings import SourceSettings
from components.step.settings import Section
from components.storage.names import way_out
from schemas.error import VisageError
from schemas.record import LABEL, MAX_AGE, SPLITS, TEST, TRAIN, VALIDATION, FaceRecord
from schemas.reject import REASONS


class FilterSettings(Section):
    """Which rows are kept. The defaults are the usual filter of IMDB-WIKI, as in https://github.com/yu4u/age-gender-estimation."""

    min_face_score: float | None = Field(
        1.0, description="a lower face score is rejected; null: any score will do. A face that was not found never will"
    )
    second_face: bool = Field(False, description="keep photos on which the source's detector saw a second face")
    min_age: int = Field(0, ge=0, le=MAX_AGE, description="a lower age is rejected, years")
    max_age: int = Field(MAX_AGE, ge=0, le=MAX_AGE, description="a higher age is rejected, years")
    unknown_age: bool = Field(False, description="keep rows of unknown age where the gender is known")
    unknown_gender: bool = Field(False, description="keep rows of unknown gender where the age is known")

    @model_validator(mode="after")
    def _in_order(self) -> "FilterSettings":
        if self.min_age > self.max_age:
            raise ValueError(f"min_age {self.min_age} is above max_age {self.max_age}")
        return self


class SplitSettings(Section):
    """How persons are dealt out to train, validation and test."""

    validation: float = Field(0.1, ge=0, lt=1, description="share of the persons for validation")
    test: float = Field(0.1, ge=0, lt=1, description="share of the persons for test")
    seed: int = Field(0, description="another one deals all persons anew")
    folds: int = Field(1, ge=1, description="number of folds; every example says which one its person is in")
    test_fold: int | None = Field(
        None,
        ge=0,
        description="the fold that is the test split; the next one is validation, the others train. null: by the shares",
    )
    given: bool = Field(True, description="keep to the split that the source gives, where it gives one")
    cut_from_train: tuple[Literal["validation", "test"], ...] = Field(
        (),
        description="splits that the source does not give: they get their shares of the persons that it gives to train, as "
        "`[validation]`",
    )

    @model_validator(mode="after")
    def _possible(self) -> "SplitSettings":
        if self.validation + self.test >= 1:
            raise ValueError("validation and test leave nothing to train on")
        if self.test_fold is not None and not (self.folds >= 3 and self.test_fold < self.folds):
            raise ValueError(f"test_fold {self.test_fold} needs at least 3 folds and is counted from 0, below folds")
        return self


def reject_of(record: FaceRecord, settings: FilterSettings) -> tuple[str, str] | None:
    """The reason to leave a row out, of `schemas.reject.REASONS` the first that applies, and a detail; None to keep it."""
    return next(_objections(record, settings), None)


def split_of(record: FaceRecord, settings: SplitSettings) -> str:
    """The split that a row belongs to: the same for all rows of a person, unless the source gives them different ones.

    It follows from a hash of the person and the seed alone, so that further rows and persons move nobody.
    """
    if settings.given and record.split == TRAIN and settings.cut_from_train:
        dealt = _dealt(record, settings)
        return dealt if dealt in settings.cut_from_train else TRAIN
    if settings.given and record.split is not None:
        return record.split
    return _dealt(record, settings)


def _dealt(record: FaceRecord, settings: SplitSettings) -> str:
    if settings.test_fold is not None:
        after = (fold_of(record, settings) - settings.test_fold) % settings.folds
        return {0: TEST, 1: VALIDATION}.get(after, TRAIN)
    drawn = _draw(record.person, "split", settings.seed)
    if drawn < settings.test:
        return TEST
    return VALIDATION if drawn < settings.test + settings.validation else TRAIN


def fold_of(record: FaceRecord, settings: SplitSettings) -> int:
    """The fold that a row's person belongs to, 0 to folds - 1, by a hash of the person and the seed.

    With `test_fold` k of 5 folds the splits are 60, 20 and 20 %, the protocol of Paplham and Franc (CVPR 2024).
    """
    return int(_draw(record.person, "fold", settings.seed) * settings.folds) if settings.folds > 1 else 0


def _objections(record: FaceRecord, settings: FilterSettings) -> Iterator[tuple[str, str]]:
    """All that speaks against a row, in the order of `REASONS`."""
    escape = way_out(record.path)
    if escape:
        yield "unsafe_path", escape
    if record.malformed:
        yield "malformed_row", record.malformed
    if record.age is not None and not settings.min_age <= record.age <= settings.max_age:
        yield "age_out_of_range", f"age {record.age}, allowed {settings.min_age} to {settings.max_age}"
    ageless = record.age is None and record.age_class is None
    if ageless and not (settings.unknown_age and record.gender is not None):
        yield "age_unknown", "" if record.gender is not None else "nor is the gender known"
    if record.gender is None and not settings.unknown_gender:
        yield "gender_unknown", ""
    if record.face_score is not None:
        if record.face_score == float("-inf"):
            yield "no_face", ""
        elif settings.min_face_score is not None and record.face_score < settings.min_face_score:
            yield "low_face_score", f"face score {record.face_score:.3f}, at least {settings.min_face_score:g} is asked"
    if record.second_face_score is not None and not settings.second_face:
        yield "second_face", f"score of the second face {record.second_face_score:.3f}"


def _draw(person: str, purpose: str, seed: int) -> float:
    """A number from 0 up to 1 that a person always gets, whoever else there is."""
    digest = hashlib.sha256(f"{purpose}:{seed}:{person}".encode()).digest()
    # 53 bits are what a float holds exactly: more could round up to 1.
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53


_SETTINGS = {
    "unsafe_path": "Name the folder that the paths begin with as source.photos.",
    "age_out_of_range": "The limits are ingest.filter.min_age and ingest.filter.max_age.",
    "age_unknown": "Is it the right column, or file? ingest.filter.unknown_age=true keeps rows whose gender is known.",
    "gender_unknown": "ingest.filter.unknown_gender=true keeps rows whose age is known.",
    "low_face_score": "The limit is ingest.filter.min_face_score.",
    "second_face": "ingest.filter.second_face=true keeps them.",
    "excluded": "The lists are ingest.exclude and ingest.exclude_list.",
}
"""What to set where every row is rejected, by the reason that most rows have; a malformed row's detail says it itself."""


def advice(reasons: Counter[str], details: Mapping[str, str]) -> str:
    """What to do if no row is kept, as sentences.

    Args:
        reasons: how many rows were rejected for which reason.
        details: of the first row that was rejected for a reason.
    """
    reason, _ = reasons.most_common(1)[0]
    detail = f", the first: {details[reason]}" if details.get(reason) else ""
    return f"Most are {reason}{detail}. {_SETTINGS.get(reason, '')}".rstrip()


COLUMNS = ("row", "path", "person", "age", "age_class", "gender", "face_score", "split", "fold", "reason", "detail")
"""Columns of the list that `write_labels` writes; split and fold are empty for a reject, reason and detail for a kept row. A
table's own columns follow, as `label_NAME`."""


def write_labels(
    source: SourceSettings, filter_settings: FilterSettings, split_settings: SplitSettings, out: Path
) -> Counter[str]:
    """List every row of a source with its labels, and the split or the reason it is left out; open no photo.

    Prints how many rows there are of each kind, and gives these numbers: `rows`, `kept`, the splits, the reasons.

    Args:
        source: what is read.
        filter_settings: which rows are kept.
        split_settings: how persons are dealt out to the splits.
        out: file to write, .csv or .parquet; it appears when it is whole.

    Raises:
        VisageError: the source cannot be read or has no rows, or the file cannot be written.
    """
    if out.suffix.lower() not in _WRITERS:
        raise VisageError(f"{out} must end in {' or '.join(_WRITERS)}.", usage=True)
    counts: Counter[str] = Counter()
    details: dict[str, str] = {}
    partial = out.with_name(f".{out.name}.partial")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        columns = [*COLUMNS, *(f"{LABEL}{name}" for name in source.own_labels)]
        _WRITERS[out.suffix.lower()](
            partial, columns, _listed(source, filter_settings, split_settings, counts, details)
        )
        if not counts["rows"]:
            raise VisageError(f"{source.path} holds no rows.", "Name the data set's own folder or label file.")
        partial.replace(out)
    except OSError as error:
        raise VisageError(f"{out} cannot be written: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):
            partial.unlink()
    print(_summary(counts, details))
    return counts


def _listed(
    source: SourceSettings,
    filter_settings: FilterSettings,
    split_settings: SplitSettings,
    counts: Counter[str],
    details: dict[str, str],
) -> Iterator[tuple[Any, ...]]:
    for record in records(source):
        labels = record.age, record.age_class, record.gender, record.face_score
        rejected = reject_of(record, filter_settings)
        if rejected:
            counts.update(["rows", rejected[0]])
            details.setdefault(*rejected)
            yield record.row, record.path, record.person, *labels, None, None, *rejected, *record.own_labels
        else:
            split = split_of(record, split_settings)
            counts.update(["rows", "kept", split])
            dealt = split, fold_of(record, split_settings)
            yield record.row, record.path, record.person, *labels, *dealt, None, None, *record.own_labels


def _write_csv(file: Path, columns: Sequence[str], rows: Iterator[tuple[Any, ...]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        writer.writerow(columns)
        writer.writerows(rows)


def _write_parquet(file: Path, columns: Sequence[str], rows: Iterator[tuple[Any, ...]]) -> None:
    import pyarrow as pa

    from schemas.arrow_files import parquet

    kinds = {"row": pa.int64(), "age": pa.int64(), "face_score": pa.float64(), "fold": pa.int64()}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in columns])
    with parquet.ParquetWriter(file, schema) as writer:
        while block := list(islice(rows, 50_000)):
            arrays = [
                pa.array(values, kind) for values, kind in zip(zip(*block, strict=True), schema.types, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


_WRITERS = {".csv": _write_csv, ".parquet": _write_parquet}


def _summary(counts: Counter[str], details: Mapping[str, str]) -> str:
    lines = [("rows", counts["rows"], ""), ("kept", counts["kept"], "")]
    lines += [(f"  {split}", counts[split], "") for split in SPLITS]
    lines += [("rejected", counts["rows"] - counts["kept"], "")]
    lines += [(f"  {reason}", counts[reason], meaning) for reason, meaning in REASONS.items() if counts[reason]]
    shown = [f"{name:<20}{count:>10,}  {meaning}".rstrip() for name, count, meaning in lines]
    if not counts["kept"]:
        reasons = Counter({reason: counts[reason] for reason in REASONS if counts[reason]})
        shown.append(f"No row is kept. {advice(reasons, details)}")
    return "\n".join(shown)
