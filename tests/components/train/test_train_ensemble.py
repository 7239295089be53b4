"""An ensemble: a model a fold, and one estimator that is their average."""

import json
import logging
import shutil

import numpy as np
import pytest

from components.estimator import saved
from components.estimator.settings import EstimatorSettings
from components.step import StepContext, Tracker
from components.train import STEP, dataset
from components.train.settings import AugmentSettings
from schemas.error import VisageError
from tests.components.train.drawn_faces import drawn, write_examples

FOLDS = 3
OFF = dict.fromkeys(AugmentSettings.model_fields, 0) | {"flip": False}
TINY = {"size": 16, "backbone": {"kind": "stack", "layers": [{"filters": 4, "pool": 4}]}}


class Recorder(Tracker):
    """Stops as a killed run does once so many images were seen."""

    def __init__(self, stop_after: float = float("inf")) -> None:
        self.stop_after = stop_after
        self.names: list[str] = []
        self.done: list[tuple[int, int]] = []

    def metric(self, name, value, step=None):
        self.names.append(name)

    def progress(self, done, total, unit):
        self.done.append((done, total))
        if done > self.stop_after:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    return write_examples(tmp_path_factory.mktemp("folds"), {"train": 120, "validation": 30, "test": 30}, folds=FOLDS)


def recipe(estimator=None, **train):
    return STEP.settings.model_validate(
        {
            "estimator": TINY | (estimator or {}),
            "train": {"epochs": 2, "batch_size": 20, "folds": FOLDS, "augment": OFF} | train,
        }
    )


def train(examples, output, settings=None, tracker=None):
    output.mkdir(exist_ok=True)
    return STEP.run(settings or recipe(), StepContext({"ingest": examples}, output, tracker=tracker or Recorder()))


def average_watched(monkeypatch):
    """The networks that go into an average: they leave no other trace."""
    members: list = []
    average = saved.save_average

    def watched(networks, *arguments):
        members.extend(networks)
        average(networks, *arguments)

    monkeypatch.setattr(saved, "save_average", watched)
    return members


@pytest.fixture(scope="module")
def trained(examples, tmp_path_factory):
    """Counts, folder, tracker, and the networks that were averaged."""
    output, tracker = tmp_path_factory.mktemp("ensemble") / "out", Recorder()
    with pytest.MonkeyPatch.context() as patch:
        members = average_watched(patch)
        return train(examples, output, tracker=tracker), output, tracker, members


def test_one_artifact_tells_the_mean_of_what_the_models_tell(trained):
    counts, output, _, members = trained
    assert counts["models"] == len(members) == FOLDS
    estimator = saved.load(output / "estimator")
    rng = np.random.default_rng(7)
    faces = [drawn(40, "male", rng, side=16) for _ in range(9)]
    pixels = estimator._decoded(faces).numpy().astype("float32")
    for name, output in estimator.network(pixels).items():
        member_outputs = np.stack([member(pixels)[name] for member in members])
        assert np.ptp(member_outputs, axis=0).max() > 1e-4, "models of other folds are others"
        np.testing.assert_allclose(output, member_outputs.mean(axis=0), rtol=1e-4, atol=1e-6)
    predicted = estimator.predict_jpegs(faces)
    assert np.isfinite([predicted.age, predicted.age_low, predicted.age_high, predicted.female]).all()


def test_the_artifact_holds_one_estimator_and_how_each_model_was_trained(trained):
    output = trained[1]
    assert [path.parent.name for path in output.rglob("*.keras")] == ["estimator"]
    assert sorted(path.name for path in output.iterdir()) == ["estimator", "fold0", "fold1", "fold2", "report.html"]
    assert {path.name for path in (output / "fold1").iterdir()} >= {"history.csv", "curves.png", "tensorboard"}


def test_ages_in_years_are_averaged_with_the_errors_of_their_models(examples, tmp_path):
    age = {"head": "regression", "loss": "squared_error"}
    train(examples, tmp_path / "out", recipe({"age": age}, epochs=1))
    fold_counts = [json.loads(file.read_text()) for file in (tmp_path / "out").glob("fold*/counts.json")]
    face = saved.load(tmp_path / "out" / "estimator").predict_images([np.zeros((16, 16, 3), np.uint8)])
    assert face.age_std[0] == pytest.approx(np.sqrt(np.mean([counts["val_age_rmse"] ** 2 for counts in fold_counts])))


def test_a_model_learns_from_all_folds_but_its_own_and_is_validated_on_that(examples):
    validated = []
    for training, validation in dataset.open_folds(examples, FOLDS, EstimatorSettings.model_validate(TINY), "never"):
        assert (training.examples, validation.examples) == (100, 50)
        pictures = [
            {image.numpy().tobytes() for images, _ in batches for image in images}
            for batches in (dataset.validation_batches(split, recipe().train) for split in (training, validation))
        ]
        assert [len(split_pictures) for split_pictures in pictures] == [100, 50]
        assert pictures[0].isdisjoint(pictures[1])
        batches = list(dataset.training_batches(training, recipe().train, 1))
        assert {image.numpy().tobytes() for images, _ in batches for image in images} == pictures[0]
        assert sum(training.ages.values()) == 100
        assert training.genders["female"] + validation.genders["female"] == sum(
            float(labels["female"].numpy().sum())
            for split in (training, validation)
            for _, labels in dataset.validation_batches(split, recipe().train)
        )
        validated.append(pictures[1])
    assert len(set.union(*validated)) == 150, "every example that is not for testing is in one fold"


def test_kept_in_memory_or_read_anew_a_fold_is_the_same(examples):
    def labels(cache):
        _, (_, validation), _ = dataset.open_folds(examples, FOLDS, EstimatorSettings.model_validate(TINY), cache)
        return [age for _, labels in dataset.validation_batches(validation, recipe().train) for age in labels["age"]]

    assert labels("always") == labels("never")


def test_killed_after_a_model_it_goes_on_with_the_next(examples, tmp_path, caplog):
    output, tracker = tmp_path / "out", Recorder()
    with pytest.raises(KeyboardInterrupt):
        train(examples, output, tracker=Recorder(stop_after=2 * 100 + 100 + 50))
    assert (output / "fold0" / "counts.json").exists()
    assert not (output / "fold1" / "counts.json").exists()
    assert not (output / "estimator").exists()
    with caplog.at_level(logging.INFO, "visage.train"):
        counts = train(examples, output, tracker=tracker)
    assert "was trained before" in caplog.text
    assert "goes on after epoch 1" in caplog.text, "the second model goes on too"
    assert {name.split("/")[0] for name in tracker.names} == {"fold0", "fold1", "fold2"}, "the first is told of again"
    assert counts["steps"] == FOLDS * 2 * 5
    assert saved.load(output / "estimator").predict_images([np.zeros((16, 16, 3), np.uint8)]).age.shape == (1,)


def test_killed_while_the_models_go_it_ends_with_their_average(examples, trained, tmp_path):
    counts, whole, *_ = trained
    shutil.copytree(whole, tmp_path / "out")
    shutil.copytree(whole / "estimator", tmp_path / "out" / "fold2" / "estimator")
    assert train(examples, tmp_path / "out") == counts
    assert not list((tmp_path / "out").glob("fold*/estimator"))


def test_figures_are_means_over_the_folds_and_progress_rises_to_the_whole(trained):
    counts, output, tracker, _ = trained
    fold_counts = [json.loads(file.read_text()) for file in sorted(output.glob("fold*/counts.json"))]
    assert counts["val_age_mae"] == pytest.approx(np.mean([of_fold["val_age_mae"] for of_fold in fold_counts]))
    assert counts["parameters"] == sum(of_fold["parameters"] for of_fold in fold_counts)
    assert tracker.done == sorted(tracker.done)
    assert tracker.done[-1] == (FOLDS * 2 * 100, FOLDS * 2 * 100)


def test_examples_of_other_folds_are_named_with_the_way_out(examples, tmp_path):
    with pytest.raises(VisageError, match=r"train.folds is 4, but .* of the folds \[0, 1, 2\]") as caught:
        train(examples, tmp_path / "out", recipe(folds=4))
    assert "ingest.split.folds=4" in caught.value.hint
