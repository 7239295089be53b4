"""Batches: every example once an epoch, the same order for the same seed and epoch, labels that may be missing."""

from collections import Counter

import numpy as np
import pytest

from components.estimator.settings import EstimatorSettings
from components.train import dataset
from components.train.settings import AugmentSettings, TrainSettings
from schemas.error import VisageError
from tests.components.train.drawn_faces import write_examples

STILL = AugmentSettings(
    flip=False, rotation=0, zoom=0, shift=0, shear=0, brightness=0, contrast=0, saturation=0, erase=0
)
SMALL = EstimatorSettings(size=32)
PLAIN = TrainSettings(batch_size=64, augment=STILL)


def ages(batches):
    return [float(age) for _, labels in batches for age in labels["age"].numpy()]


@pytest.mark.parametrize("cache", ["always", "never"])
def test_an_epoch_has_every_example_once(examples, cache):
    split = dataset.open_split(examples, "train", SMALL, cache)
    assert split.examples == split.ages.total() == split.genders.total() == 512
    first, second = (ages(dataset.training_batches(split, PLAIN, epoch)) for epoch in (1, 2))
    assert len(first) == 512
    assert first != second
    assert Counter(first) == Counter(second) == Counter(ages(dataset.validation_batches(split, PLAIN)))


@pytest.mark.parametrize("cache", ["always", "never"])
def test_the_same_epoch_is_the_same_pixel_for_pixel(examples, cache):
    epochs = []
    for _ in range(2):
        split = dataset.open_split(examples, "train", SMALL, cache)
        batches = dataset.training_batches(split, TrainSettings(batch_size=64), 3)
        epochs.append(np.concatenate([images.numpy() for images, _ in batches]))
    np.testing.assert_array_equal(*epochs)


def test_another_seed_is_another_order(examples):
    split = dataset.open_split(examples, "train", SMALL, "always")
    orders = [ages(dataset.training_batches(split, PLAIN.model_copy(update={"seed": seed}), 1)) for seed in (0, 1)]
    assert orders[0] != orders[1]


def test_faces_come_as_squares_of_the_input_size(examples):
    split = dataset.open_split(examples, "train", EstimatorSettings(size=24), "never")
    images, labels = next(iter(dataset.training_batches(split, PLAIN, 1)))
    assert images.shape == (64, 24, 24, 3)
    assert images.dtype == np.uint8
    assert set(labels["female"].numpy()) == {0.0, 1.0}


def test_missing_labels_are_no_number(tmp_path):
    folder = write_examples(tmp_path / "examples", {"train": 6}, known=lambda row: (row != 2, row != 3), shards=1)
    split = dataset.open_split(folder, "train", SMALL, "never")
    _, labels = next(iter(dataset.validation_batches(split, PLAIN)))
    assert np.flatnonzero(np.isnan(labels["age"].numpy())).tolist() == [2]
    assert np.flatnonzero(np.isnan(labels["female"].numpy())).tolist() == [3]


def test_the_last_smaller_batch_is_left_out_of_training_only(examples):
    split = dataset.open_split(examples, "train", SMALL, "always")
    settings = PLAIN.model_copy(update={"batch_size": 100})
    assert len(ages(dataset.training_batches(split, settings, 1))) == 500 == 100 * dataset.steps(split, settings)
    assert len(ages(dataset.validation_batches(split, settings))) == 512


def test_no_epoch_waits_for_a_thread_that_tunes(examples):
    split = dataset.open_split(examples, "train", SMALL, "always")
    for batches in (dataset.training_batches(split, PLAIN, 1), dataset.validation_batches(split, PLAIN)):
        assert batches.options().autotune.enabled is False


def test_a_folder_that_ingest_did_not_write_is_named(tmp_path):
    with pytest.raises(VisageError, match="holds no examples"):
        dataset.open_split(tmp_path, "train", SMALL, "never")
