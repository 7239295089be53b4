"""What an artifact holds, counted in one pass over its listing and its rejects.

Memory grows by 24 bytes an example: hashes of its person, photo and picture. Where these say that something is in two splits, or
there twice, the values themselves are looked up.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from components.ingest.examples_index import LISTING, read_parts
from schemas.arrow_files import parquet as pq
from schemas.reject import Reject, arrow_schema

REJECTS = "rejects.parquet"


@dataclass
class Tally:
    """Counts of an artifact.

    Attributes:
        labels: examples by split, gender, age in years and age class; what is unknown is None.
        heights: examples by the height of the face, pixels.
        given: examples by the split that the source gave them; None where it gave none.
        persons: number of persons by split.
        persons_in_all: number of persons.
        torn: the persons, and the photos by `sha256`, that are in more than one split.
        pictures: number of different pictures.
        rejects: by reason.
        first: the first reject of each reason.
        opened: photos that were opened, those of the rejects counted.
    """

    labels: Counter[tuple[str, str | None, int | None, str | None]] = field(default_factory=Counter)
    heights: Counter[int] = field(default_factory=Counter)
    given: Counter[str | None] = field(default_factory=Counter)
    persons: Counter[str] = field(default_factory=Counter)
    persons_in_all: int = 0
    torn: dict[str, list[str]] = field(default_factory=dict)
    pictures: int = 0
    rejects: Counter[str] = field(default_factory=Counter)
    first: dict[str, Reject] = field(default_factory=dict)
    opened: int = 0

    @property
    def examples(self) -> int:
        return self.labels.total()


def count(folder: Path) -> Tally:
    """Count an artifact; of one that has no listing, or one that cannot be read, nothing is counted but its rejects."""
    tally = Tally()
    persons, photos, pictures = _BySplit(), _BySplit(), _BySplit()
    for part in columns_of(folder / LISTING, *_READ):
        columns = {name: part[name].to_pylist() for name in part.column_names}
        tally.labels.update(zip(*(columns[name] for name in ("split", "gender", "age", "age_class")), strict=True))
        tally.heights.update(columns["height"])
        tally.given.update(columns["given_split"])
        for by_split, name in ((persons, "person"), (photos, "sha256"), (pictures, "pixels")):
            by_split.add(columns["split"], columns[name], distinct=name != "pixels")
    tally.persons.update({split: len(hashes) for split, hashes in persons.distinct().items()})
    tally.persons_in_all = len(np.unique(_joined(persons.distinct().values())))
    for name, by_split in (("person", persons), ("sha256", photos)):
        tally.torn[name] = _torn(_values(folder, name, _repeated(by_split.distinct().values())))
    twice = Counter(value for value, _ in _values(folder, "pixels", _repeated(pictures.all())))
    tally.pictures = tally.examples - sum(times - 1 for times in twice.values())
    for reject in rejected(folder):
        tally.rejects[reject.reason] += 1
        tally.first.setdefault(reject.reason, reject)
        tally.opened += bool(reject.sha256)
    tally.opened += tally.examples
    return tally


_READ = ("split", "gender", "age", "age_class", "height", "given_split", "person", "sha256", "pixels")


class _BySplit:
    """Hashes of values by the split that they are in."""

    def __init__(self) -> None:
        self._parts: dict[str, list[np.ndarray]] = {}

    def add(self, splits: list[str], values: list[Any], distinct: bool) -> None:
        hashes = np.fromiter(map(hash, values), np.int64, len(values))
        value_splits = np.array(splits)
        for split in np.unique(value_splits).tolist():
            split_hashes = hashes[value_splits == split]
            self._parts.setdefault(split, []).append(np.unique(split_hashes) if distinct else split_hashes)

    def all(self) -> list[np.ndarray]:
        return [part for parts in self._parts.values() for part in parts]

    def distinct(self) -> dict[str, np.ndarray]:
        """Of each split every hash once."""
        for split, parts in self._parts.items():
            if len(parts) > 1:
                self._parts[split] = [np.unique(_joined(parts))]
        return {split: parts[0] for split, parts in self._parts.items()}


def columns_of(file: Path, *names: str) -> Iterator[pa.Table]:
    """Columns of a Parquet file, some ten thousand rows at a time; nothing where there is none, or none that can be read."""
    try:
        if set(names) <= set(pq.read_schema(file).names):
            yield from read_parts(file, names)
    except (OSError, pa.ArrowInvalid):
        return


def rejected(folder: Path) -> Iterator[Reject]:
    """The rejects of an artifact, in the order of the rows."""
    for part in read_parts(folder / REJECTS, arrow_schema().names):
        yield from (Reject(**row) for row in part.to_pylist())


def _joined(parts: Iterable[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.empty(0, np.int64), *parts])


def _repeated(parts: Iterable[np.ndarray]) -> set[int]:
    """The hashes that stand more than once in some arrays."""
    sorted_hashes = np.sort(_joined(parts))
    return set(sorted_hashes[1:][sorted_hashes[1:] == sorted_hashes[:-1]].tolist())


def _values(folder: Path, name: str, hashes: set[int]) -> Iterator[tuple[Any, str]]:
    """The values of a column that have one of these hashes, each with its split."""
    for part in columns_of(folder / LISTING, name, "split") if hashes else ():
        for value, split in zip(part[name].to_pylist(), part["split"].to_pylist(), strict=True):
            if hash(value) in hashes:
                yield value, split


def _torn(values: Iterable[tuple[str, str]]) -> list[str]:
    """The values that are in more than one split."""
    splits: dict[str, set[str]] = {}
    for value, split in values:
        splits.setdefault(value, set()).add(split)
    return [value for value, in_splits in splits.items() if len(in_splits) > 1]
