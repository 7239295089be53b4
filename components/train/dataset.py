"""From shards to batches, with tf.data.

Order and augmentation follow from seed and epoch alone, so that an epoch is the same whether or not the run was killed
before it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from components.estimator import heads, pixels
from components.estimator.settings import EstimatorSettings
from components.step.resources import cores, free_memory
from components.train.augment import augmented
from components.train.settings import TrainSettings
from schemas.error import VisageError
from schemas.example import decode
from schemas.record import FEMALE, TRAIN, VALIDATION
from schemas.shard import Shard, read_index, read_records

Labels = dict[str, tf.Tensor]

SHUFFLED = 20_000
"""Encoded faces that are held to draw from, where decoded faces are not kept in memory."""

PARSED = 64
"""Encoded faces whose labels are read at once."""

PARALLEL = cores()
"""Calls of a function at once."""

AHEAD = 4
"""Batches that are ready before they are asked for."""


@dataclass(frozen=True)
class Split:
    """One split of the examples, ready to be read.

    Attributes:
        name: `train` or `validation`.
        examples: how many there are.
        ages: how many of them have each age.
        age_classes: how many of them have each age class; ages count for none.
        genders: how many of them have each gender.
        paths: of the shards.
        estimator: which decides the size of faces and the age classes.
        cached: the decoded faces with their labels, kept in memory once read; None where they are read anew every epoch.
        folds: those whose examples count; None where all do.
    """

    name: str
    examples: int
    ages: Counter[int]
    age_classes: Counter[str]
    genders: Counter[str]
    paths: list[str]
    estimator: EstimatorSettings
    cached: tf.data.Dataset | None
    folds: tuple[int, ...] | None = None


def open_split(folder: Path, name: str, estimator: EstimatorSettings, cache: str) -> Split:
    """One split of an examples artifact.

    Raises:
        VisageError: it has no examples.
    """
    shards = read_index(folder).get(name, [])
    examples = sum(shard.examples for shard in shards)
    if not examples:
        raise VisageError(
            f"The {name} split of {folder} has no examples.",
            "See the summary and the rejects of the ingest step; a larger source or another ingest.split may help.",
        )
    paths = [str(folder / shard.file) for shard in shards if shard.examples]
    return _split(name, shards, paths, None, estimator, cache)


def open_folds(folder: Path, count: int, estimator: EstimatorSettings, cache: str) -> Iterator[tuple[Split, Split]]:
    """For every fold what a model of it sees: to train, the examples of the other folds; to validate, its own.

    The folds are those that ingest dealt the persons out to (`ingest.split.folds`); they part what is not for testing, the
    training and the validation split together.

    Raises:
        VisageError: the examples are of other folds, or one of them has none.
    """
    index = read_index(folder)
    shards = [shard for name in (TRAIN, VALIDATION) for shard in index.get(name, []) if shard.examples]
    paths = [str(folder / shard.file) for shard in shards]
    folds = _by_fold(paths)
    if set(folds) != set(range(count)):
        raise VisageError(
            f"train.folds is {count}, but the examples to train on are of the folds {sorted(folds)}.",
            f"Set ingest.split.folds={count}, and no ingest.split.test_fold, which keeps a whole fold for testing; with few "
            "persons, fewer folds.",
        )
    for fold in range(count):
        others = tuple(other for other in range(count) if other != fold)
        train = _split(
            f"train, all but fold {fold}", [folds[other] for other in others], paths, others, estimator, cache
        )
        yield train, _split(f"fold {fold}", [folds[fold]], paths, (fold,), estimator, cache)


def _by_fold(paths: Iterable[str]) -> dict[int, Shard]:
    """What is in every fold, as if each were a shard."""
    rows = [
        (example.fold, example.age, example.age_class, example.gender)
        for path in paths
        for example in map(decode, read_records(Path(path)))
    ]
    shards_by_fold = {}
    for fold in sorted({fold for fold, *_ in rows}):
        labels = list(zip(*(labels for row_fold, *labels in rows if row_fold == fold), strict=True))
        counts = [dict(Counter(label for label in column if label is not None)) for column in labels]
        shards_by_fold[fold] = Shard("", len(labels[0]), 0, *counts)
    return shards_by_fold


def _split(
    name: str,
    counts: Sequence[Shard],
    paths: list[str],
    folds: tuple[int, ...] | None,
    estimator: EstimatorSettings,
    cache: str,
) -> Split:
    examples = sum(count.examples for count in counts)
    small = examples * estimator.size**2 * 3 < free_memory() / 4
    in_memory = cache == "always" or (cache == "auto" and small)
    cached = _decoded(_of(folds, tf.data.TFRecordDataset(paths)), estimator).cache() if in_memory else None
    labels: dict[str, Counter] = {"ages": Counter(), "age_classes": Counter(), "genders": Counter()}
    for count in counts:
        for label, counter in labels.items():
            counter.update(getattr(count, label))
    return Split(name, examples, **labels, paths=paths, estimator=estimator, cached=cached, folds=folds)


def training_batches(
    split: Split, settings: TrainSettings, epoch: int, share: tf.distribute.InputContext | None = None
) -> tf.data.Dataset:
    """One epoch: shuffled and augmented batches of images uint8 [N, size, size, 3] and labels.

    A smaller batch at the end is left out. Where several devices share a batch, every one gets its part as a batch of its own,
    and a host, of which `share` tells, those of its devices; together they see what a single device would.
    """
    share = share or tf.distribute.InputContext()
    hosts, host = share.num_input_pipelines, share.input_pipeline_id
    batch_size = min(settings.batch_size, split.examples) // share.num_replicas_in_sync
    seed = settings.seed * 1_000_003 + epoch
    if split.cached is not None:
        faces = split.cached.shuffle(split.examples, seed).shard(hosts, host)
    else:
        files = tf.data.Dataset.from_tensor_slices(split.paths).shuffle(len(split.paths), seed)
        records = files.interleave(tf.data.TFRecordDataset, cycle_length=8, num_parallel_calls=PARALLEL)
        records = _of(split.folds, records).shuffle(min(split.examples, SHUFFLED), seed).shard(hosts, host)
        faces = _decoded(records, split.estimator)
    batches = faces.batch(batch_size, drop_remainder=True)

    def change(number: tf.Tensor, batch: tuple[tf.Tensor, Labels]) -> tuple[tf.Tensor, Labels]:
        images, labels = batch
        return augmented(
            images, tf.stack([tf.constant(seed, tf.int64), number * hosts + host]), settings.augment
        ), labels

    return _ahead(batches.enumerate().map(change, num_parallel_calls=PARALLEL))


def validation_batches(split: Split, settings: TrainSettings) -> tf.data.Dataset:
    """Every example once, as it is."""
    faces = split.cached
    if faces is None:
        faces = _decoded(_of(split.folds, tf.data.TFRecordDataset(split.paths)), split.estimator)
    return _ahead(faces.batch(settings.batch_size))


def _ahead(batches: tf.data.Dataset) -> tf.data.Dataset:
    """The batches, made before they are asked for.

    Without the thread that tunes tf.data while it runs: when an epoch ends it may sleep on to its next turn, each of which comes
    twice as late as the one before, and the iterator waits for it. Epochs of 45 seconds took 82.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.prefetch(AHEAD).with_options(options)


def steps(split: Split, settings: TrainSettings) -> int:
    """Batches of an epoch."""
    return max(1, split.examples // settings.batch_size)


def _of(folds: tuple[int, ...] | None, records: tf.data.Dataset) -> tf.data.Dataset:
    """The records of these folds; None are all."""
    if folds is None:
        return records
    feature = {"split/fold": tf.io.FixedLenFeature([], tf.int64, -1)}

    def in_folds(record: tf.Tensor) -> tf.Tensor:
        return tf.reduce_any(tf.io.parse_single_example(record, feature)["split/fold"] == tf.constant(folds, tf.int64))

    return records.filter(in_folds)


def _decoded(records: tf.data.Dataset, estimator: EstimatorSettings) -> tf.data.Dataset:
    """Faces and labels, one by one. What is cheap is done in batches, since tf.data's own cost for each element counts too."""
    features = {
        "image/encoded": tf.io.FixedLenFeature([], tf.string),
        "face/age": tf.io.FixedLenFeature([], tf.int64, -1),
        "face/age_class": tf.io.FixedLenFeature([], tf.string, ""),
        "face/gender": tf.io.FixedLenFeature([], tf.string, ""),
    }
    classes = tf.constant(estimator.age.classes, tf.string)
    ranks = tf.range(1, len(estimator.age.classes) + 1)

    def read(records: tf.Tensor) -> tuple[tf.Tensor, Labels]:
        parsed = tf.io.parse_example(records, features)
        gender, unknown = parsed["face/gender"], tf.constant(float("nan"))
        age = tf.where(parsed["face/age"] < 0, unknown, tf.cast(parsed["face/age"], tf.float32))
        named = tf.reduce_sum(tf.where(classes == parsed["face/age_class"][:, None], ranks, 0), axis=1) - 1
        labels = {
            "age": age,
            "age_class": tf.maximum(heads.class_of(age, estimator.age), named),
            "female": tf.where(gender == "", unknown, tf.cast(gender == FEMALE, tf.float32)),
        }
        return parsed["image/encoded"], labels

    def face(jpeg: tf.Tensor, labels: Labels) -> tuple[tf.Tensor, Labels]:
        return pixels.decode(jpeg, estimator.size), labels

    rows = records.batch(PARSED).map(read, num_parallel_calls=PARALLEL).unbatch()
    return rows.map(face, num_parallel_calls=PARALLEL)
