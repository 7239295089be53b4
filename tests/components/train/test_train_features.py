"""What recipes can ask of training beside the default, each on a few drawn faces."""

import csv
import json
import logging
import zipfile
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from components.estimator import heads, saved
from components.estimator.settings import EstimatorSettings
from components.step import StepContext, Tracker
from components.train import STEP, dataset
from components.train.balance import example_weights
from components.train.learner import Learner
from components.train.settings import Settings, TrainSettings
from schemas.error import VisageError
from tests.components.estimator.made_graphs import random_mobilenet, write_graph
from tests.components.train.drawn_faces import write_examples

STACK = {"kind": "stack", "layers": [{"filters": 4, "pool": 4, "norm": True}]}


class Quiet(Tracker):
    def metric(self, name, value, step=None):
        pass


def recipe(estimator=None, **train) -> Settings:
    return Settings.model_validate(
        {
            "estimator": {"size": 16, "backbone": STACK} | (estimator or {}),
            "train": {"epochs": 1, "batch_size": 32} | train,
        }
    )


def trained(examples, output, settings):
    output.mkdir(exist_ok=True)
    counts = STEP.run(settings, StepContext({"ingest": examples}, output, tracker=Quiet()))
    return counts, saved.load(output / "estimator")


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    return write_examples(tmp_path_factory.mktemp("few"), {"train": 64, "validation": 32})


@pytest.fixture(scope="module")
def classes_only(tmp_path_factory):
    def parted(age):
        return "YOUNG" if age < 30 else "MIDDLE" if age < 60 else "OLD"

    return write_examples(tmp_path_factory.mktemp("classes"), {"train": 256, "validation": 64}, age_class=parted)


@pytest.fixture(scope="module")
def two_epochs(few, tmp_path_factory):
    """Folder of a short training by the default recipe."""
    output = tmp_path_factory.mktemp("two epochs") / "out"
    trained(few, output, recipe(epochs=2))
    return output


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_short_floats_train_and_what_is_saved_is_float32(few, tmp_path, precision, caplog):
    with caplog.at_level(logging.WARNING, "visage.train"):
        _, estimator = trained(few, tmp_path / "out", recipe(precision=precision))
    assert "slower" in caplog.text
    assert np.isfinite(estimator.predict_images([np.zeros((20, 20, 3), np.uint8)]).age).all()
    config = zipfile.ZipFile(tmp_path / "out" / "estimator" / saved.MODEL).read("config.json").decode()
    assert "float16" not in config


def test_xla_trains_to_the_same_loss(few, tmp_path):
    settings = {"average": 0, "augment": {"flip": False}}
    plain, _ = trained(few, tmp_path / "plain", recipe({"trunk": {"dropout": 0}}, **settings))
    compiled, _ = trained(few, tmp_path / "xla", recipe({"trunk": {"dropout": 0}}, xla=True, **settings))
    assert compiled["val_loss"] == pytest.approx(plain["val_loss"], rel=1e-3)


def test_whitening_is_fitted_to_the_training_faces(few, tmp_path):
    _, estimator = trained(few, tmp_path / "out", recipe({"pixels": {"colour": "grey", "whiten": True}}))
    (matrix,) = (layer.matrix.numpy() for layer in estimator.network._flatten_layers() if layer.name == "whiten")
    assert np.abs(matrix - np.eye(len(matrix))).max() > 0.1


def test_weights_without_statistics_get_those_of_the_training_faces_before_the_first_step(few, tmp_path):
    graph = write_graph(tmp_path / "model.json", random_mobilenet())
    settings = recipe({"size": 32, "backbone": {"kind": "mobilenet", "weights": str(graph)}})
    learner = Learner(settings, heads.age_bins(settings.estimator.age), {}, 1, tf.distribute.get_strategy())
    split = dataset.open_split(few, "train", settings.estimator, "never")
    learner.start(dataset.validation_batches(split, settings.train))
    for model in (learner.model, learner.ema_model):
        norms = [layer for layer in model._flatten_layers() if layer.name.endswith("_bn")]
        assert len(norms) == 27
        assert all(norm.moving_mean.numpy().any() for norm in norms)


def test_files_of_weights_beside_a_graph_count_in_the_identity_of_a_training(few, tmp_path):
    graph = write_graph(tmp_path / "model.json", random_mobilenet())
    settings = recipe({"size": 32, "backbone": {"kind": "mobilenet", "weights": str(graph)}})
    assert STEP.files_outside
    place, names = STEP.files_outside(settings)
    assert sorted(tmp_path / name for name in names) == sorted(tmp_path.glob("*.bin"))
    assert place == str(tmp_path)
    assert STEP.files_outside(recipe()) == ("", ())


def test_a_regression_knows_its_deviation_from_the_validation_split(few, tmp_path):
    counts, estimator = trained(
        few, tmp_path / "out", recipe({"age": {"head": "regression", "loss": "absolute_error"}})
    )
    predictions = estimator.predict_images([np.zeros((20, 20, 3), np.uint8)])
    assert predictions.age_std[0] == pytest.approx(counts["val_age_rmse"], rel=1e-5)


def test_examples_with_age_classes_alone_are_learned(classes_only, tmp_path):
    age = {"edges": [30, 60], "classes": ["YOUNG", "MIDDLE", "OLD"], "loss": "cross_entropy"}
    settings = recipe(
        {"age": age, "backbone": {"width": 8, "stem": 1, "blocks": [1]}, "size": 32},
        epochs=8,
        optimizer={"learning_rate": 1e-2},
        stop={"metric": "val_age_class_accuracy"},
    )
    counts, _ = trained(classes_only, tmp_path / "out", settings)
    assert counts["val_age_class_accuracy"] > 0.7
    assert "val_age_mae" not in counts


def test_class_names_that_were_not_given_are_told(classes_only, tmp_path):
    with pytest.raises(VisageError, match="age classes: MIDDLE, OLD, YOUNG") as caught:
        trained(classes_only, tmp_path / "out", recipe())
    assert "estimator.age.classes" in caught.value.hint


def test_a_metric_that_the_examples_do_not_have_cannot_stop_training(few, tmp_path):
    with pytest.raises(VisageError, match="val_age_class_accuracy") as caught:
        trained(few, tmp_path / "out", recipe(stop={"metric": "val_age_class_accuracy"}))
    assert "val_loss, val_age_mae" in caught.value.hint


def test_tensorboard_has_every_figure_of_every_epoch(two_epochs):
    rows = list(csv.DictReader((two_epochs / "history.csv").open()))
    tags_by_epoch: dict[int, set[str]] = {}
    for file in (two_epochs / "tensorboard").iterdir():
        for record in tf.data.TFRecordDataset(str(file)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                tags_by_epoch.setdefault(event.step, set()).add(value.tag)
    figures = set(rows[0]) - {"epoch", "seconds"}
    assert tags_by_epoch == {1: figures, 2: figures}


def test_the_settings_stand_in_the_artifact(two_epochs):
    settings = json.loads((two_epochs / "estimator" / saved.METADATA).read_text())["settings"]
    assert EstimatorSettings.model_validate(settings) == recipe().estimator


def split_with(ages: dict[int, int], estimator: EstimatorSettings) -> dataset.Split:
    genders = Counter(female=30, male=10)
    return dataset.Split("train", 40, Counter(ages), Counter(), genders, [], estimator, None)


def test_without_balance_all_examples_count_alike():
    settings = recipe()
    assert example_weights(settings, split_with({20: 9}, settings.estimator)) == {}


def test_full_balance_gives_every_class_the_same_sum():
    estimator = EstimatorSettings.model_validate({"age": {"edges": [30, 60], "loss": "cross_entropy"}})
    settings = Settings(estimator=estimator, train=TrainSettings(balance=1))
    weights = example_weights(settings, split_with({20: 30, 40: 6, 80: 4}, estimator))
    np.testing.assert_allclose(weights["age_class"] * [30, 6, 4], [40 / 3] * 3, rtol=1e-5)
    np.testing.assert_allclose(weights["female"] * [10, 30], [20, 20], rtol=1e-5)


def test_half_balance_lies_between_and_keeps_the_mean_at_1():
    estimator = EstimatorSettings.model_validate({"age": {"edges": [30], "loss": "cross_entropy"}})
    settings = Settings(estimator=estimator, train=TrainSettings(balance=0.5))
    young, old = example_weights(settings, split_with({20: 36, 40: 4}, estimator))["age_class"]
    assert old / young == pytest.approx(3)
    assert (36 * young + 4 * old) / 40 == pytest.approx(1)


def test_a_rare_age_among_many_neighbours_is_no_rarity():
    settings = recipe(balance=1)
    counts = dict.fromkeys(range(20, 41), 10) | {30: 1, 90: 1}
    weights = example_weights(settings, split_with(counts, settings.estimator))["age_class"]
    assert weights[30] < 2 * weights[31]
    assert weights[90] > 5 * weights[30]
