"""From the parts to the artifact: Parquet files of a good size, and the figures of the whole job."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from components.score.parts import Counts, rejects_file, scores_file, tally_of
from schemas.arrow_files import parquet as pq
from schemas.error import VisageError
from schemas.reject import arrow_schema as rejects_schema
from schemas.score import arrow_schema

ROWS = 200_000
"""Rows of a scores file, about."""

SAMPLE = 50_000
"""Faces that the drift is measured on, at most; they are taken evenly from all."""


@dataclass
class Population:
    """Who was scored.

    Attributes:
        decades: faces by decade of age (0, 10, ...) and gender (or None).
        age_sum: of all ages, years.
        age_classes: faces by age class, for a model that tells it.
        reasons: rejects by reason.
        sample: ages (whole years) and genders of some faces.
    """

    decades: Counter[tuple[int, str | None]] = field(default_factory=Counter)
    age_sum: float = 0.0
    age_classes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    sample: list[pd.DataFrame] = field(default_factory=list)

    def add(self, faces: pd.DataFrame, start: int, every: int) -> None:
        """Count some faces; `start` is the index of the first of them among all, and one of `every` is sampled."""
        decade = (faces["age"] // 10 * 10).astype(int)
        self.decades.update(zip(decade, faces["gender"], strict=True))
        self.age_sum += float(faces["age"].astype("float64").sum())
        self.age_classes.update(faces["age_class"].dropna())
        self.sample.append(faces[["age", "gender"]].iloc[-start % every :: every])

    def by_decade(self) -> dict[int, int]:
        """Faces by decade of age."""
        counted: Counter[int] = Counter()
        for (decade, _), count in self.decades.items():
            counted[decade] += count
        return dict(sorted(counted.items()))

    def by_gender(self) -> dict[str, int]:
        """Faces by gender, for a model that tells it."""
        counted: Counter[str] = Counter()
        for (_, gender), count in self.decades.items():
            if gender is not None:
                counted[gender] += count
        return dict(sorted(counted.items()))

    def sampled(self) -> pd.DataFrame:
        """The sample in one table, columns `age` and `gender`."""
        return pd.concat(self.sample, ignore_index=True) if self.sample else pd.DataFrame({"age": [], "gender": []})


def total(output: Path, parts: int, files: int) -> Counts:
    """What became of all photos.

    Raises:
        VisageError: a part is missing, or the sum is not the number of files that were listed.
    """
    held = [tally_of(output, number) for number in range(parts)]
    tallies = [tally for tally in held if tally is not None]
    whole = sum(tallies, start=Counts())
    if len(tallies) < parts or whole.photos != files or whole.scored + whole.without_face + whole.rejected != files:
        raise VisageError(
            f"Of {files} photos {whole.photos} are accounted for in {len(tallies)} of {parts} parts.",
            "Give the same command again; if it says so once more, delete the output and start anew.",
        )
    return whole


def collect(output: Path, parts: int, tally: Counts, collected: Callable[[int], None]) -> Population:
    """Bring the parts together: `scores/*.parquet` and `rejects.parquet`, in the order of the listing.

    Args:
        output: folder of the artifact.
        parts: number of parts.
        tally: of all photos.
        collected: called with the number of parts done so far.
    """
    population = Population()
    (output / "scores").mkdir(exist_ok=True)
    for stale in (output / "scores").iterdir():
        stale.unlink()
    every = max(1, -(-tally.faces // SAMPLE))
    faces = 0
    with pq.ParquetWriter(output / "rejects.parquet", rejects_schema()) as rejects:
        scores = _Scores(output / "scores")
        for number in range(parts):
            table = pq.read_table(scores_file(output, number))
            scores.write(table)
            found = table.filter(pc.is_valid(table["age"])).select(["age", "age_class", "gender"]).to_pandas()
            population.add(found, faces, every)
            faces += len(found)
            rejected = pq.read_table(rejects_file(output, number))
            if len(rejected):
                rejects.write_table(rejected)
                population.reasons.update(rejected["reason"].to_pylist())
            collected(number + 1)
        scores.close()
    return population


class _Scores:
    """Scores files, each begun when the one before is full."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = self._rows = 0
        self._begin()

    def _begin(self) -> None:
        self._writer = pq.ParquetWriter(self._folder / f"scores-{self._count:05d}.parquet", arrow_schema())
        self._count, self._rows = self._count + 1, 0

    def write(self, table: pa.Table) -> None:
        if self._rows and self._rows + len(table) > ROWS:
            self._writer.close()
            self._begin()
        self._writer.write_table(table)
        self._rows += len(table)

    def close(self) -> None:
        self._writer.close()


def figures(tally: Counts, population: Population) -> dict[str, Any]:
    """The figures of the job as plain data."""
    return {
        "photos": tally.photos,
        "scored": tally.scored,
        "without_face": tally.without_face,
        "rejected": tally.rejected,
        "rejects": dict(population.reasons.most_common()),
        "faces": tally.faces,
        "age_mean": round(population.age_sum / tally.faces, 3) if tally.faces else None,
        "ages": {f"{decade}-{decade + 9}": count for decade, count in population.by_decade().items()},
        "age_classes": dict(population.age_classes.most_common()),
        "genders": population.by_gender(),
    }


def pictures(output: Path) -> Iterator[Path]:
    """The photos that the parts kept for the summary page."""
    return iter(sorted((output / "parts").glob("*.jpg")))
