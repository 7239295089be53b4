"""The recipes on drawn faces in the layout that they read, by the real runner: to a model, and one of each kind to scores."""

import csv
import io
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient
from rich.console import Console

from components.estimator import saved
from components.ingest.labels import FilterSettings, reject_of
from components.ingest.sources import records
from components.ingest.sources.settings import SourceSettings
from pipeline import recipe, tracking
from pipeline.dag import STEPS
from pipeline.demo.archive import draw_archive
from pipeline.local import runner
from pipeline.local.display import Display
from pipeline.local.process import WorkerProcess
from pipeline.local.runner import Outcome
from schemas.record import FEMALE

pytestmark = pytest.mark.slow

SCALED = [
    "photo.size=48",
    "ingest.split.validation=0.2",
    "ingest.split.test=0.2",
    "estimator.size=32",
    "train.epochs=1",
    "train.batch_size=64",
    "evaluate.resamples=100",
    "evaluate.blessing.fresh_process=false",
]
"""Few small faces, one epoch of one or two steps, and no process more than there is (tests of evaluate have one)."""

WHOLE = ("age_class_plain", "dex_ensemble", "utkface_two_branch")
"""Recipes that, with `default`, differ in what comes after training: classes without ages, an average of models without gender,
a regression. The demo's way from photos to scores is described by test_whole_run."""

FIVE_POOLINGS = ["estimator.size=96"]
PUBLISHED = ["estimator.backbone.weights=none"]
SMALL_BACKBONE = "estimator.backbone={kind: stack, layers: [{filters: 8, pool: 4}]}"
NARROW = ["estimator.trunk.dense=[32]"]
FURTHER = {
    "age_class_augmented": FIVE_POOLINGS,
    "age_class_plain": FIVE_POOLINGS,
    "age_class_regularised": FIVE_POOLINGS,
    "age_class_vgg16_frozen": PUBLISHED,
    "age_class_vgg16_trainable": PUBLISHED,
    "dex_ensemble": [SMALL_BACKBONE, *NARROW, "ingest.split.folds=2", "train.folds=2"],
    "face2age_vgg16": PUBLISHED + NARROW,
    "faceres_mobilenet": [*PUBLISHED, "train.average=0"],
    "strong": [*PUBLISHED, "estimator.backbone.variant=b0", "estimator.mirror=false", "train.average=0"],
}
"""What a recipe needs besides: weights without a network, layers that are not as wide, a size that its layers leave some of.

Of the ensemble it is the average that is tried here; its backbone is that of other recipes, which are trained with it.
"""


BLESSED = (
    "evaluate.blessing={min_examples: 1, max_baseline_ratio: 100, min_gender_accuracy: 0, beat_baseline: false, "
    "fresh_process: false}"
)
"""The default's model is champion in any case, so that the others are held against one."""


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> dict[str, Path]:
    """The same drawn faces, some hundred, as every kind of source that a recipe names; and an album of five to score."""
    folder = tmp_path_factory.mktemp("sources")
    folders = {kind: folder / kind for kind in ("imdb_wiki", "utkface", "table", "album")}
    draw_archive(folders["imdb_wiki"], photos=200, seed=3)
    drawn = [
        record
        for record in records(SourceSettings(path=str(folders["imdb_wiki"])))
        if reject_of(record, FilterSettings()) is None and (folders["imdb_wiki"] / record.path).is_file()
    ]
    folders["utkface"].mkdir()
    folders["table"].mkdir()
    folders["album"].mkdir()
    for number, face in enumerate(drawn[:5]):
        os.link(folders["imdb_wiki"] / face.path, folders["album"] / f"{number}.jpg")
    with (folders["table"] / "faces.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "age_class", "person"])
        for number, face in enumerate(drawn):
            age = face.age or 0
            name = f"{age}_{int(face.gender == FEMALE)}_0_{number:017d}.jpg.chip.jpg"
            os.link(folders["imdb_wiki"] / face.path, folders["utkface"] / name)
            os.link(folders["imdb_wiki"] / face.path, folders["table"] / f"{number}.jpg")
            age_class = "YOUNG" if age < 30 else "MIDDLE" if age < 50 else "OLD"
            rows.writerow([f"{number}.jpg", age_class, face.person])
    return folders | {"file_names": folders["imdb_wiki"], "table": folders["table"] / "faces.csv"}


@pytest.fixture(scope="module")
def root(tmp_path_factory, empty_registry) -> Path:
    """One root, so that the recipes share the store, and those that read alike the examples."""
    root = tmp_path_factory.mktemp("root")
    shutil.copyfile(empty_registry, root / "mlflow.db")
    return root


@pytest.fixture(scope="module")
def process(root, tmp_path_factory) -> Iterator[WorkerProcess]:
    """The one process in which the steps of all recipes run, so that TensorFlow is imported once and not for every recipe."""
    environment = tracking.environment(root) | {"MLFLOW_TRACKING_URI": tracking.local_store(root)}
    with WorkerProcess(environment, tmp_path_factory.mktemp("alive") / "worker") as process:
        yield process


@pytest.fixture(scope="module")
def settings_of(sources) -> Callable[[str], list[str]]:
    """What a recipe is given here."""
    kinds = {name: recipe.load(name).settings.source.kind for name in recipe.names()}
    return lambda name: [f"source.path={sources[kinds[name]]}", *SCALED, *FURTHER.get(name, [])]


@pytest.fixture(scope="module")
def run(root, process) -> Callable[..., Outcome]:
    """Runs a recipe with settings up to a step."""

    def run(name: str, settings: list[str], last: str = "register") -> Outcome:
        chosen = recipe.load(name, settings)
        steps = STEPS[: [step.name for step in STEPS].index(last) + 1]
        return runner.run(chosen, root, Display(Console(file=io.StringIO())), steps=steps, process=process)

    return run


@pytest.fixture(scope="module")
def champion(run, settings_of) -> Outcome:
    """The run of `default`, whose model is the champion of the root."""
    return run("default", [*settings_of("default"), BLESSED])


def trained_alone() -> list[str]:
    """Recipes that no other one extends; less those that go further, and the demo.

    What is extended differs by a few settings from what is trained here; test_train_recipes builds every recipe.
    """
    files = {name: yaml.safe_load((recipe.FOLDER / f"{name}.yaml").read_text()) for name in recipe.names()}
    extended = {values.get("extends", "default") for values in files.values()}
    return sorted({*files} - extended - {*WHOLE, "demo"})


@pytest.mark.parametrize("name", trained_alone())
def test_a_recipe_reads_its_kind_of_source_and_trains(name, run, settings_of, champion):
    outcome = run(name, settings_of(name), last="train")

    assert list(outcome.manifests) == ["ingest", "validate", "train"]
    counts = outcome.manifests["train"].counts
    estimator = recipe.load(name).settings.estimator
    assert counts["examples"] > 50
    assert math.isfinite(counts["val_loss"])
    assert ("val_gender_accuracy" in counts) == (estimator.gender.head != "none")
    assert ("val_age_class_accuracy" in counts) == bool(estimator.age.edges)
    metadata = json.loads((outcome.artifacts["train"] / "estimator" / saved.METADATA).read_text())
    assert metadata["settings"]["backbone"]["kind"] == estimator.backbone.kind


def test_the_first_model_becomes_champion(champion):
    assert json.loads((champion.artifacts["register"] / "registered.json").read_text())["alias"] == "champion"


@pytest.mark.parametrize("name", WHOLE)
def test_one_recipe_of_each_kind_goes_from_photos_to_a_registered_version_and_its_scores(
    name, sources, run, settings_of, root, champion
):
    settings = settings_of(name)
    outcome = run(name, settings)

    assert list(outcome.manifests) == ["ingest", "validate", "train", "evaluate", "register"]
    metrics = json.loads((outcome.artifacts["evaluate"] / "metrics.json").read_text())
    chosen = recipe.load(name, settings).settings
    assert (metrics["gender_accuracy"] is None) == (chosen.estimator.gender.head == "none")
    assert (metrics["age_class_accuracy"] is None) == (not chosen.estimator.age.edges)
    assert (metrics["age_mae"] is None) == (chosen.source.kind == "table")
    assert metrics["champion"]["version"] == "1"
    registered = json.loads((outcome.artifacts["register"] / "registered.json").read_text())
    client = MlflowClient(tracking.local_store(root))
    version = client.get_model_version(registered["name"], registered["version"])
    assert version.status == "READY"

    album = [f"score.photos=[{sources['album']}]", "score.faces=whole", f"score.model=visage/{version.version}"]
    scored = run(name, [*settings, *album], last="score")

    assert scored.reused == list(outcome.manifests)
    scores = pd.read_parquet(scored.artifacts["score"] / "scores")
    assert len(scores) == 5 and set(scores["model_version"]) == {str(version.version)}
    assert scores["age"].between(0, 100).all()
    assert scores["age_class"].notna().all() == bool(chosen.estimator.age.edges)
    assert scores["gender"].notna().all() == (chosen.estimator.gender.head != "none")
