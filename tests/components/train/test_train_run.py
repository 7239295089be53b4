"""The train step as a whole, on drawn faces."""

import csv
import json
import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from components.estimator import saved
from components.step import StepContext, Tracker
from components.step.command import main
from components.train import STEP, dataset
from components.train.learner import Learner
from schemas.artifact import MANIFEST, Manifest, partial_folder, publish, read_manifest
from schemas.error import VisageError
from tests import preloaded
from tests.components.train.drawn_faces import drawn, write_examples

QUICK = {
    "estimator": {"size": 32, "backbone": {"width": 8, "blocks": [1, 1]}},
    "train": {
        "epochs": 3,
        "batch_size": 32,
        "optimizer": {"learning_rate": 5e-3},
        "augment": {"rotation": 0, "zoom": 0, "shift": 0},
    },
}


TINY = {"size": 16, "backbone": {"kind": "stack", "layers": [{"filters": 4, "pool": 4}]}}


def quick(**train):
    """Learns the drawings in a few epochs."""
    return STEP.settings.model_validate(QUICK | {"train": QUICK["train"] | train})


def tiny(estimator=None, **train):
    """Learns next to nothing, but does so at once."""
    return STEP.settings.model_validate(
        {"estimator": TINY | (estimator or {}), "train": QUICK["train"] | {"augment": {"flip": False}} | train}
    )


class Recorder(Tracker):
    def __init__(self, stop_after: int | None = None) -> None:
        self.metrics: list[tuple[str, float, int]] = []
        self.steps: list[tuple[int, int]] = []
        self.stop_after = stop_after

    def metric(self, name, value, step=None):
        self.metrics.append((name, value, step))

    def progress(self, done, total, unit):
        if self.stop_after is not None and done > self.stop_after:
            raise KeyboardInterrupt
        self.steps.append((done, total))


def train(examples: Path, output: Path, settings=None, tracker=None):
    output.mkdir(exist_ok=True)
    job = StepContext({"ingest": examples}, output, tracker=tracker or Recorder())
    return STEP.run(settings or tiny(), job)


@pytest.fixture(scope="module")
def trained(examples, tmp_path_factory):
    output, tracker = tmp_path_factory.mktemp("train") / "out", Recorder()
    return train(examples, output, quick(epochs=8), tracker), output, tracker


def test_the_estimator_has_learned_what_the_drawings_show(trained):
    estimator = saved.load(trained[1] / "estimator")
    rng = np.random.default_rng(7)
    ages = [5, 25, 45, 65, 85] * 8
    predictions = estimator.predict_jpegs([drawn(age, "female", rng) for age in ages])
    baseline = np.abs(np.subtract(ages, np.median(ages))).mean()
    assert np.abs(predictions.age - ages).mean() < 0.5 * baseline
    assert (predictions.female > 0.5).mean() > 0.9


def test_counts_say_what_was_trained_and_how_well(trained):
    counts = trained[0]
    assert counts["examples"] == 512
    assert counts["steps"] == counts["epochs"] * 512 // 32
    assert 1 <= counts["best_epoch"] <= counts["epochs"]
    assert counts["val_gender_accuracy"] > 0.9
    assert 0 <= counts["input_wait"] <= 1


def test_every_epoch_is_in_the_table_and_was_reported_when_it_came(trained):
    counts, output, tracker = trained
    rows = list(csv.DictReader((output / "history.csv").open()))
    assert [int(row["epoch"]) for row in rows] == list(range(1, counts["epochs"] + 1))
    *reported, _ = [(value, step) for name, value, step in tracker.metrics if name == "val_age_mae"]
    assert reported == [(float(row["val_age_mae"]), int(row["epoch"])) for row in rows]
    assert (output / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_progress_rises_to_the_total(trained):
    done = [done for done, _ in trained[2].steps]
    assert done == sorted(done)
    assert {total for _, total in trained[2].steps} == {8 * 512}
    assert done[-1] == trained[0]["epochs"] * 512


def test_no_checkpoint_is_left_in_the_artifact(trained):
    assert sorted(path.name for path in trained[1].iterdir()) == [
        "counts.json",
        "curves.png",
        "estimator",
        "history.csv",
        "report.html",
        "tensorboard",
    ]


def test_a_run_that_was_stopped_goes_on_where_it_was_and_ends_the_same(examples, tmp_path):
    whole = train(examples, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(examples, tmp_path / "halves", tracker=Recorder(stop_after=512 + 200))
    tracker = Recorder()
    halves = train(examples, tmp_path / "halves", tracker=tracker)
    assert [step for name, _, step in tracker.metrics if name == "val_loss"] == [1, 2, 3, 3], (
        "the epochs before are told too"
    )
    assert halves["steps"] == whole["steps"]
    assert halves["val_loss"] == pytest.approx(whole["val_loss"], rel=0.02)


WORSE = {"epochs": 4, "average": 0, "stop": {"patience": 9}, "optimizer": {"learning_rate": 5e-2, "warmup_epochs": 0}}
"""Steps so large that the last epoch is not the best one."""


def last_metrics(tracker: Recorder) -> dict[str, float]:
    """What MLflow shows as a run's metrics: of the highest step the value that came last."""
    return {name: value for name, value, step in sorted(tracker.metrics, key=lambda metric: metric[2])}


@pytest.fixture(scope="module")
def worse_in_the_end(examples, tmp_path_factory):
    output, tracker = tmp_path_factory.mktemp("worse") / "out", Recorder()
    counts = train(examples, output, tiny(**WORSE), tracker)
    assert counts["best_epoch"] < counts["epochs"] == 4
    return counts, output, tracker


def test_the_runs_own_figures_are_those_of_the_weights_that_were_kept(worse_in_the_end):
    counts, output, tracker = worse_in_the_end
    best = list(csv.DictReader((output / "history.csv").open()))[counts["best_epoch"] - 1]
    for name in ("loss", "val_loss", "val_age_mae", "val_gender_accuracy"):
        assert counts[name] == last_metrics(tracker)[name] == float(best[name])


def test_killed_between_the_best_weights_and_the_checkpoint_it_keeps_the_weights_that_the_history_names(
    examples, worse_in_the_end, tmp_path, monkeypatch
):
    """Epoch 2 is trained, its weights are written, and the run is killed before the history knows. Then it ends early."""
    save, stop = Learner.save, KeyboardInterrupt

    def killed_in_epoch_2(self, path, history):
        if len(history) == 2:
            raise stop
        save(self, path, history)

    settings = tiny(**WORSE | {"optimizer": {"learning_rate": 1e-3}, "epochs": 2})
    with monkeypatch.context() as patch:
        patch.setattr(Learner, "save", killed_in_epoch_2)
        with pytest.raises(KeyboardInterrupt):
            train(examples, tmp_path / "out", settings)
    work = tmp_path / "out" / "checkpoint"
    assert {file.name for file in work.iterdir()} == {"last.npz", "weights-1.npz", "weights-2.npz"}
    with np.load(work / "last.npz") as last, np.load(work / "weights-1.npz") as best_weights:
        assert len(json.loads(last["state"].tobytes())["history"]) == 1
        np.testing.assert_array_equal(best_weights["model/0"], last["model/0"])
    counts = train(examples, tmp_path / "out", tiny(**WORSE | {"optimizer": {"learning_rate": 1e-3}, "epochs": 1}))
    assert (counts["epochs"], counts["best_epoch"]) == (1, 1)
    validation = dataset.open_split(examples, "validation", settings.estimator, "never")
    ages = [
        age for _, labels in dataset.validation_batches(validation, settings.train) for age in labels["age"].numpy()
    ]
    images = [image for images, _ in dataset.validation_batches(validation, settings.train) for image in images.numpy()]
    predictions = saved.load(tmp_path / "out" / "estimator").predict_images(images)
    assert np.abs(predictions.age - ages).mean() == pytest.approx(counts["val_age_mae"], rel=1e-3)


def test_a_run_that_was_stopped_after_training_tells_it_all_again_and_trains_nothing(
    examples, worse_in_the_end, tmp_path
):
    counts, output, tracker = worse_in_the_end
    shutil.copytree(output, tmp_path / "out")
    again = Recorder()
    assert train(examples, tmp_path / "out", tiny(**WORSE), again) == counts
    assert again.metrics == tracker.metrics
    assert not again.steps


def test_kept_weights_that_are_gone_are_named(examples, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(examples, tmp_path / "out", tracker=Recorder(stop_after=3 * 512 - 100))
    (weights,) = (tmp_path / "out" / "checkpoint").glob("weights-*.npz")
    weights.unlink()
    with pytest.raises(VisageError, match=r"weights-\d\.npz is missing"):
        train(examples, tmp_path / "out", tiny(epochs=2))


def test_a_damaged_checkpoint_is_named(examples, tmp_path):
    checkpoint = tmp_path / "out" / "checkpoint" / "last.npz"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(VisageError, match=r"last\.npz cannot be read"):
        train(examples, tmp_path / "out")


def test_training_stops_when_it_gets_no_better(examples, tmp_path):
    counts = train(
        examples, tmp_path / "out", tiny(epochs=9, average=0, optimizer={"learning_rate": 1e-12}, stop={"patience": 2})
    )
    assert counts["epochs"] < 9


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_step(examples, tmp_path):
    wild = {"learning_rate": 1e30, "warmup_epochs": 0, "clip_norm": 0, "name": "sgd"}
    with pytest.raises(VisageError, match=r"not a number any more at step [1-9]\d* \(epoch \d\)") as caught:
        train(examples, tmp_path / "out", tiny(optimizer=wild))
    assert "learning_rate" in caught.value.hint


def test_examples_with_one_label_missing_are_used_for_the_other(tmp_path):
    examples = write_examples(
        tmp_path / "examples", {"train": 512, "validation": 64}, known=lambda row: (row % 2 == 0, row % 2 == 1)
    )
    counts = train(examples, tmp_path / "out", quick(epochs=8))
    assert counts["val_gender_accuracy"] > 0.9
    assert counts["val_age_mae"] < 15


def test_without_a_gender_head_unknown_genders_do_not_matter(tmp_path):
    examples = write_examples(tmp_path / "examples", {"train": 64, "validation": 32}, known=lambda row: (True, False))
    counts = train(examples, tmp_path / "out", tiny({"gender": {"head": "none"}}))
    assert "val_gender_accuracy" not in counts
    predictions = saved.load(tmp_path / "out" / "estimator").predict_images([np.zeros((40, 40, 3), np.uint8)])
    assert np.isnan(predictions.female).all()


@pytest.mark.parametrize(
    ("counts", "known", "message"),
    [
        ({"train": 0, "validation": 8}, (True, True), "train split of .* has no examples"),
        ({"train": 8, "validation": 0}, (True, True), "validation split of .* has no examples"),
        ({"train": 8, "validation": 8}, (True, False), "No example of the train split has a gender"),
        ({"train": 8, "validation": 8}, (False, True), "No example of the train split has an age"),
    ],
)
def test_examples_that_cannot_be_learned_from_are_a_clear_error(tmp_path, counts, known, message):
    examples = write_examples(tmp_path / "examples", counts, known=lambda row: known)
    with pytest.raises(VisageError, match=message):
        train(examples, tmp_path / "out")


def test_fewer_examples_than_a_batch_still_train(tmp_path):
    examples = write_examples(tmp_path / "examples", {"train": 5, "validation": 2})
    assert train(examples, tmp_path / "out")["steps"] == 3


@pytest.mark.slow
def test_killed_and_started_again_it_ends_with_the_same_number_of_steps(examples, tmp_path):
    inputs = []
    for name in STEP.inputs:
        folder = tmp_path / name
        partial_folder(folder).mkdir()
        if name == "ingest":
            for path in examples.rglob("*.*"):
                copy = partial_folder(folder) / path.relative_to(examples)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(path.read_bytes())
        publish(partial_folder(folder), folder, Manifest(name, name, {}))
        inputs += ["--input", name, str(folder)]
    final = tmp_path / "artifact"
    arguments = [*inputs, "--out", str(final)]
    for setting in (
        "estimator={size: 16, backbone: {kind: stack, layers: [{filters: 4, pool: 4}]}}",
        "train={epochs: 4, batch_size: 16, stop: {patience: 4}}",
    ):
        arguments += ["--set", setting]

    def started(killed_after: int | None) -> int:
        process = preloaded.start(_train, (arguments, killed_after), tmp_path, os.environ, tmp_path / "said")
        process.join()
        return process.exitcode

    assert started(killed_after=2) == -signal.SIGKILL, (tmp_path / "said").read_text()
    assert not (final / MANIFEST).exists()
    assert started(killed_after=None) == 0, (tmp_path / "said").read_text()
    assert "goes on after epoch 2" in (tmp_path / "said").read_text()
    assert read_manifest(final).counts["steps"] == 4 * 512 // 16


def _train(arguments: list[str], killed_after: int | None) -> None:
    """`python -m components.train`; killed with kill -9 once it has written the checkpoint of an epoch."""
    save = Learner.save

    def killed(self: Learner, path: Path, history: list) -> None:
        save(self, path, history)
        if len(history) == killed_after:
            os.kill(os.getpid(), signal.SIGKILL)

    Learner.save = killed  # type: ignore[method-assign]
    sys.exit(main(STEP, arguments))
