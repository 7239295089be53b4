"""Statistics of a split, by TensorFlow Data Validation, and the labels in it.

TFDV's generators run in this process, one batch of records after another: 10,000 faces take about a second so, and 7 with a
Beam pipeline a split. Memory stays flat, for frequent values are counted in sketches.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import tensorflow_data_validation as tfdv
from google.protobuf.message import DecodeError
from pyarrow import RecordBatch
from tensorflow_data_validation.statistics import stats_impl
from tensorflow_metadata.proto.v0.schema_pb2 import Schema
from tensorflow_metadata.proto.v0.statistics_pb2 import DatasetFeatureStatisticsList, FeatureNameStatistics
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from schemas.error import VisageError
from schemas.shard import Shard, read_records

_BATCH = 1000


class Labels(NamedTuple):
    """What is known of one face; None where unknown."""

    age: int | None
    age_class: str | None
    gender: str | None


@dataclass(frozen=True)
class Description:
    """A split as it is.

    Attributes:
        statistics: TFDV's, one data set.
        labels: number of examples by what is known of them.
    """

    statistics: DatasetFeatureStatisticsList
    labels: Counter[Labels]

    @property
    def examples(self) -> int:
        return int(self.statistics.datasets[0].num_examples)

    @property
    def without_labels(self) -> int:
        """Number of examples that teach nothing: neither age nor age class nor gender is known."""
        return self.labels[Labels(None, None, None)]


def describe(
    folder: Path, shards: Iterable[Shard], schema: Schema, read: Callable[[int], None] = lambda count: None
) -> Description:
    """Statistics and labels of the examples in some shards.

    Args:
        folder: of the examples artifact.
        shards: of one split.
        schema: the reviewed one; it says which features are pictures, of whose bytes no values are counted.
        read: called with the number of examples of each batch.

    Raises:
        VisageError: a shard is missing, damaged, or holds other than the index says; a record is no Example, or its
            features change their type on the way.
    """
    options = tfdv.StatsOptions(schema=schema)
    generators = stats_impl.get_generators(options, in_memory=True)
    accumulators = [generator.create_accumulator() for generator in generators]
    labels: Counter[Labels] = Counter()
    types: dict[str, str] = {}
    for shard in shards:
        for batch in batches(folder, shard):
            _check_types(folder / shard.file, batch, types)
            accumulators = [
                generator.add_input(accumulator, batch)
                for generator, accumulator in zip(generators, accumulators, strict=True)
            ]
            labels.update(_labels(batch))
            read(batch.num_rows)
    return Description(stats_impl.extract_statistics_output(accumulators, generators), labels)


def batches(folder: Path, shard: Shard) -> Iterator[RecordBatch]:
    """The examples of a shard as Arrow, one column a feature, each value a list; a few hundred at a time.

    Raises:
        VisageError: as `describe`.
    """
    path, decoder, records_read = folder / shard.file, ExamplesToRecordBatchDecoder(), 0
    if not path.is_file():
        raise VisageError(f"{path} is missing, though the index names it.", "Run the ingest step again.")
    records = read_records(path)
    while batch_records := list(islice(records, _BATCH)):
        try:
            batch = decoder.DecodeBatch(batch_records)
        except RuntimeError as error:
            raise VisageError(
                f"{path}, records {records_read} to {records_read + len(batch_records) - 1}: {str(error).partition(': ')[2]}",
                "Not all of them are Examples with the same types. Run the ingest step again.",
            ) from error
        records_read += len(batch_records)
        yield batch
    if records_read != shard.examples:
        raise VisageError(
            f"{path} holds {records_read} examples, the index says {shard.examples}.", "Run the ingest step again."
        )


def load(path: Path) -> DatasetFeatureStatisticsList:
    """Statistics that an earlier run wrote.

    Raises:
        VisageError: the file is missing, or holds no statistics of one data set.
    """
    try:
        statistics = DatasetFeatureStatisticsList.FromString(path.read_bytes())
    except (OSError, DecodeError) as error:
        raise VisageError(
            f"{path} holds no statistics: {error}", "Name a statistics/train.pb of another run."
        ) from error
    if len(statistics.datasets) != 1:
        raise VisageError(f"{path} holds no statistics of one split.", "Name a statistics/train.pb of another run.")
    return statistics


def feature(statistics: DatasetFeatureStatisticsList, name: str) -> FeatureNameStatistics | None:
    """Statistics of one feature; None where no example has it."""
    for feature_statistics in statistics.datasets[0].features:
        if list(feature_statistics.path.step) == [name]:
            return feature_statistics if common(feature_statistics).num_non_missing else None
    return None


def common(feature_statistics: FeatureNameStatistics):  # type: ignore[no-untyped-def]
    """The part of a feature's statistics that all types have."""
    return getattr(feature_statistics, feature_statistics.WhichOneof("stats")).common_stats


def shares(feature_statistics: FeatureNameStatistics) -> dict[str, float]:
    """Share of every value among the examples that have the feature, for a feature of words, the most frequent first."""
    counts = {bucket.label: bucket.sample_count for bucket in feature_statistics.string_stats.rank_histogram.buckets}
    total = sum(counts.values())
    return {value: count / total for value, count in counts.items()}


def _labels(batch: RecordBatch) -> Iterator[Labels]:
    columns = [_first_values(batch, name) for name in ("face/age", "face/age_class", "face/gender")]
    return (Labels(*values) for values in zip(*columns, strict=True))


def _first_values(batch: RecordBatch, name: str) -> list:
    column_index = batch.schema.get_field_index(name)
    if column_index < 0:
        return [None] * batch.num_rows
    firsts = (values[0] if values else None for values in batch.column(column_index).to_pylist())
    return [value.decode(errors="replace") if isinstance(value, bytes) else value for value in firsts]


def _check_types(path: Path, batch: RecordBatch, types: dict[str, str]) -> None:
    """Within one batch the decoder minds the types; from batch to batch nobody does, and TFDV's sums would break."""
    for field in batch.schema:
        kind = str(getattr(field.type, "value_type", field.type))
        if kind != "null" and types.setdefault(field.name, kind) != kind:
            raise VisageError(
                f"{path}: {field.name} is {kind}, but {types[field.name]} in earlier examples.",
                "Run the ingest step again.",
            )
