"""What an estimator says of the test split, one row an example."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from schemas.arrow_files import parquet as pq
from schemas.error import VisageError
from schemas.example import FaceExample, decode
from schemas.record import FEMALE, MALE
from schemas.shard import Shard, read_records

if TYPE_CHECKING:
    from components.estimator.saved import Estimator

_BATCH = 256

SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("person", pa.string()),
        ("source", pa.string()),
        ("age", pa.float32()),
        ("age_class", pa.string()),
        ("age_decade", pa.string()),
        ("gender", pa.string()),
        ("side", pa.float32()),
        ("face_score", pa.float32()),
        ("age_log_probability", pa.float32()),
        ("predicted_age", pa.float32()),
        ("predicted_age_std", pa.float32()),
        ("predicted_age_low", pa.float32()),
        ("predicted_age_high", pa.float32()),
        ("predicted_age_class", pa.string()),
        ("predicted_female", pa.float32()),
        ("predicted_gender", pa.string()),
    ]
)
"""Columns of predictions.parquet.

Ages in years; `side`: of the stored face, pixels; `face_score`: the source's; `age_log_probability`: natural logarithm of the
probability that was given to the true age in whole years; `low` and `high`: ends of the 90 % interval; `age_class`: the
example's own or, for an estimator with classes, the one that its age falls into; `predicted_age_class`: the likeliest one;
unknown labels, and what the estimator does not tell, are null. Then follow `predicted_at_least_18` and the like, the probability
of an age of so many years or more, and `label_camera` and the like, a table's own columns.
"""


def examples(folder: Path, shards: Sequence[Shard]) -> Iterator[FaceExample]:
    """The examples of a split, in the order of its shards.

    Raises:
        VisageError: a shard is missing or damaged.
    """
    for shard in shards:
        path = folder / shard.file
        if not path.is_file():
            raise VisageError(f"{path} is missing, though the index names it.", "Run the ingest step again.")
        try:
            yield from map(decode, read_records(path))
        except ValueError as error:
            raise VisageError(f"{path}: {error}", "Run the ingest step again.") from error


def predict(
    estimator: "Estimator",
    examples: Iterable[FaceExample | None],
    read: Callable[[int], None] = lambda count: None,
    thresholds: Sequence[int] = (),
) -> pd.DataFrame:
    """What an estimator says of examples, one row each in their order; columns as in `SCHEMA`, what is unknown NaN or None.

    Args:
        estimator: that is asked.
        examples: of a split; None for one that the estimator is not asked about: nothing is known in its row.
        read: called with the number of examples of each batch.
        thresholds: ages, years; for each a column says how probable it is that a face is so old.

    Raises:
        VisageError: a shard cannot be read, a picture cannot be decoded, or there are no examples.
    """
    rows, parts, count = iter(examples), [], 0
    while batch := list(islice(rows, _BATCH)):
        examples_by_row = {count + place: example for place, example in enumerate(batch) if example is not None}
        if examples_by_row:
            parts.append(
                _predict(estimator, list(examples_by_row.values()), thresholds).set_index(pd.Index(examples_by_row))
            )
        count += len(batch)
        read(len(batch))
    if not count:
        raise VisageError("The test split holds no examples.", "Give it a larger share of the persons, or more photos.")
    predicted = pd.concat(parts) if parts else pd.DataFrame(columns=SCHEMA.names)
    return predicted.reindex(range(count))


def write(path: Path, faces: pd.DataFrame) -> None:
    """Write the predictions as Parquet."""
    further = [name for name in faces if name not in SCHEMA.names]
    kinds = [pa.string() if faces[name].dtype == object else pa.float32() for name in further]
    schema = pa.schema([*SCHEMA, *map(pa.field, further, kinds)])
    pq.write_table(pa.Table.from_pandas(faces, schema=schema, preserve_index=False), path)


def at_least_column(threshold: int) -> str:
    """Column with the probability of an age of so many years or more, by the distribution."""
    return f"predicted_at_least_{threshold}"


def decade(age: float | None) -> str | None:
    """The age group of ten years, for instance `20-29`; the last one is `90-100`."""
    if age is None or np.isnan(age):
        return None
    first = min(int(age) // 10 * 10, 90)
    return f"{first}-{first + 9}" if first < 90 else "90-100"


def _predict(estimator: "Estimator", batch: list[FaceExample], thresholds: Sequence[int]) -> pd.DataFrame:
    classes = estimator.classes
    try:
        outputs = estimator.outputs_of_jpegs([example.jpeg for example in batch])
    except ValueError:
        outputs = None
    if outputs is None:
        raise VisageError(
            f"The picture of {_undecodable(estimator, batch)} in the test split cannot be decoded.",
            "Run the ingest step again.",
        )
    predictions, distribution = estimator.interpret(outputs), estimator.distribution(outputs)
    ages = np.array([np.nan if example.age is None else example.age for example in batch], np.float32)
    predicted = {field.name: getattr(predictions, field.name) for field in fields(predictions)}
    return pd.DataFrame(
        {
            "path": [example.path for example in batch],
            "person": [example.person for example in batch],
            "source": [example.source for example in batch],
            "age": ages,
            "age_class": [
                classes.known(example.age_class, example.age) if classes else example.age_class for example in batch
            ],
            "age_decade": [decade(example.age) for example in batch],
            "gender": [example.gender for example in batch],
            "side": np.array([min(example.height, example.width) for example in batch], np.float32),
            "face_score": np.array(
                [np.nan if example.score is None else example.score for example in batch], np.float32
            ),
            "age_log_probability": distribution.log_probability(ages).astype(np.float32),
            "predicted_age": predicted["age"],
            "predicted_age_std": predicted["age_std"],
            "predicted_age_low": predicted["age_low"],
            "predicted_age_high": predicted["age_high"],
            "predicted_age_class": [classes.numbered(number) if classes else None for number in predicted["age_class"]],
            "predicted_female": predicted["female"],
            "predicted_gender": [_gender(female) for female in predicted["female"]],
            **{at_least_column(years): distribution.at_least(years).astype(np.float32) for years in thresholds},
        }
    )


def _gender(female: float) -> str | None:
    if np.isnan(female):
        return None
    return FEMALE if female >= 0.5 else MALE


def _undecodable(estimator: "Estimator", batch: list[FaceExample]) -> str:
    for example in batch:
        try:
            estimator.predict_jpegs([example.jpeg])
        except ValueError:
            return f"{example.source}, {example.path}"
    return "an example"
