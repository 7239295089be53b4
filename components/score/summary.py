"""From the parts to the artifact: Parquet files of a good size, and the figures of the whole job.

Parts are read one after another, once: what stays in memory is a row group in the making, the sample and the counters.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from components.score import parts
from components.score.parts import Counts
from components.score.plan import Plan
from components.storage import files
from components.storage.names import joined
from schemas.arrow_files import parquet as pq
from schemas.error import VisageError
from schemas.reject import arrow_schema as rejects_schema
from schemas.score import arrow_schema

ROWS = 200_000
"""Rows of a scores file, about."""

ROW_GROUP = 20_000
"""Rows of a row group, about."""

SAMPLE = 50_000
"""Faces that the drift is measured on, at most; they are taken evenly from all."""


class Sample:
    """Some faces, taken evenly from all that come: every one, every second one, every fourth ... as they become more."""

    def __init__(self) -> None:
        self._every, self._count, self._size = 1, 0, 0
        self._frames: list[pd.DataFrame] = []

    def add(self, faces: pd.DataFrame) -> None:
        """Look at further faces, columns `age` and `gender`."""
        numbered = faces[["age", "gender"]].set_index(pd.RangeIndex(self._count, self._count + len(faces)))
        self._count += len(faces)
        self._take([numbered[numbered.index % self._every == 0]])
        while self._size > SAMPLE:
            self._every *= 2
            everything, self._frames, self._size = self._frames, [], 0
            self._take([some[some.index % self._every == 0] for some in everything])

    def _take(self, some: list[pd.DataFrame]) -> None:
        self._frames += some
        self._size += sum(map(len, some))

    def table(self) -> pd.DataFrame:
        """The faces that were taken, columns `age` (years) and `gender`."""
        return pd.concat(self._frames, ignore_index=True) if self._frames else pd.DataFrame({"age": [], "gender": []})


@dataclass
class Population:
    """Who was scored.

    Attributes:
        decades: faces by decade of age (0, 10, ...) and gender (or None).
        age_sum: of all ages, years.
        age_classes: faces by age class, for a model that tells it.
        reasons: rejects by reason.
        sample: of the faces.
    """

    decades: Counter[tuple[int, str | None]] = field(default_factory=Counter)
    age_sum: float = 0.0
    age_classes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    sample: Sample = field(default_factory=Sample)

    def add(self, scores: pa.Table, rejects: pa.Table) -> None:
        """Count what came out of a part."""
        faces = scores.filter(pc.is_valid(scores["age"])).select(["age", "age_class", "gender"]).to_pandas()
        decade = (faces["age"] // 10 * 10).astype(int)
        self.decades.update(zip(decade, faces["gender"], strict=True))
        self.age_sum += float(faces["age"].astype("float64").sum())
        self.age_classes.update(faces["age_class"].dropna())
        self.reasons.update(rejects["reason"].to_pylist())
        if len(faces):
            self.sample.add(faces)

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


@dataclass(frozen=True)
class Collected:
    """All parts together.

    Attributes:
        counts: what became of all photos.
        population: who was scored.
        pictures: some scored photos, JPEG.
    """

    counts: Counts
    population: Population
    pictures: tuple[bytes, ...]


def collect(folder: str, plan: Plan, output: str, collected: Callable[[int], None]) -> Collected:
    """Bring the parts together: `scores/*.parquet` and `rejects.parquet`, in the order of the listing.

    Args:
        folder: folder or URL that the parts are kept in.
        plan: of the job.
        output: folder or URL of the artifact.
        collected: called with the number of parts done so far.

    Raises:
        VisageError: a part is missing, or the sum is not the number of files that were listed.
        OSError: something cannot be read or written.
    """
    files.remove_folder(joined(output, "scores"))
    counts, population, number = Counts(), Population(), 0
    pictures: list[bytes] = []
    with ExitStack() as open_files:
        scores = open_files.enter_context(_Scores(joined(output, "scores")))
        rejects = open_files.enter_context(_Table(joined(output, "rejects.parquet"), rejects_schema()))
        try:
            for number, part in enumerate(parts.read(folder, range(plan.parts)), start=1):
                scores.write(part.scores)
                rejects.write(part.rejects)
                population.add(part.scores, part.rejects)
                counts += part.counts
                pictures += part.pictures
                collected(number)
        except FileNotFoundError as error:
            raise _incomplete(counts, plan, number) from error
        if counts.photos != plan.files or counts.scored + counts.without_face + counts.rejected != plan.files:
            raise _incomplete(counts, plan, number)
    return Collected(counts, population, tuple(pictures))


def _incomplete(counts: Counts, plan: Plan, number: int) -> VisageError:
    return VisageError(
        f"Of {plan.files} photos {counts.photos} are accounted for in {number} of {plan.parts} parts.",
        "Give the same command again; if it says so once more, delete the output and start anew.",
    )


class _Table:
    """A Parquet file that is there when it is whole; to be closed by leaving a `with` statement.

    Attributes:
        rows: that were written.
    """

    def __init__(self, place: str, schema: pa.Schema) -> None:
        self._open = ExitStack()
        file = self._open.enter_context(files.new_file(place))
        self._writer = self._open.enter_context(pq.ParquetWriter(file, schema))
        self._waiting: list[pa.Table] = []
        self.rows = self._written = 0

    def __enter__(self) -> "_Table":
        return self

    def write(self, table: pa.Table) -> None:
        """Add rows."""
        if len(table):
            self._waiting.append(table)
            self.rows += len(table)
        if self.rows - self._written >= ROW_GROUP:
            self._write_waiting()

    def _write_waiting(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting))
        self._waiting, self._written = [], self.rows

    def close(self) -> None:
        """Write what is left; the file is there then."""
        with self._open:
            self._write_waiting()

    def __exit__(self, failed: type[BaseException] | None, *error: Any) -> None:
        if failed is None:
            self.close()
        else:
            self._open.__exit__(failed, *error)


class _Scores:
    """Scores files, each begun when the one before is full; to be closed by leaving a `with` statement."""

    def __init__(self, folder: str) -> None:
        self._folder, self._count = folder, 0
        self._table = self._next()

    def __enter__(self) -> "_Scores":
        return self

    def _next(self) -> _Table:
        table = _Table(joined(self._folder, f"scores-{self._count:05d}.parquet"), arrow_schema())
        self._count += 1
        return table

    def write(self, table: pa.Table) -> None:
        """Add rows; those of one call stay together."""
        if self._table.rows and self._table.rows + len(table) > ROWS:
            self._table.close()
            self._table = self._next()
        self._table.write(table)

    def __exit__(self, failed: type[BaseException] | None, *error: Any) -> None:
        self._table.__exit__(failed, *error)


def figures(collected: Collected) -> dict[str, Any]:
    """The figures of the job as plain data."""
    counts, population = collected.counts, collected.population
    return {
        **asdict(counts),
        "rejects": dict(population.reasons.most_common()),
        "age_mean": round(population.age_sum / counts.faces, 3) if counts.faces else None,
        "ages": {f"{decade}-{decade + 9}": count for decade, count in population.by_decade().items()},
        "age_classes": dict(population.age_classes.most_common()),
        "genders": population.by_gender(),
    }
