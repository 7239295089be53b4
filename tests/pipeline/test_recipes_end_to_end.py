"""Every recipe from photos to scores: the real runner, on drawn faces in the layout that the recipe reads."""

import csv
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient
from rich.console import Console

from components.ingest.labels import FilterSettings, reject_of
from components.ingest.sources import records
from components.ingest.sources.settings import SourceSettings
from pipeline import recipe, tracking
from pipeline.dag import STEPS
from pipeline.demo.archive import draw_archive
from pipeline.local import runner
from pipeline.local.display import Display
from pipeline.local.process import WorkerProcess
from schemas.record import FEMALE

pytestmark = pytest.mark.slow

SCALED = [
    "photo.size=48",
    "ingest.split.validation=0.2",
    "ingest.split.test=0.2",
    "estimator.size=32",
    "train.epochs=1",
    "train.batch_size=16",
    "evaluate.resamples=100",
]
"""Few small faces, one epoch."""

FIVE_POOLINGS = ["estimator.size=96"]
PUBLISHED = ["estimator.backbone.weights=none"]
NARROW = ["estimator.trunk.dense=[32]"]
FURTHER = {
    "age_class_augmented": FIVE_POOLINGS,
    "age_class_plain": FIVE_POOLINGS,
    "age_class_regularised": FIVE_POOLINGS,
    "age_class_vgg16_frozen": PUBLISHED,
    "age_class_vgg16_trainable": PUBLISHED,
    "default": [
        "evaluate.blessing={min_examples: 1, max_baseline_ratio: 100, min_gender_accuracy: 0, beat_baseline: false}"
    ],
    "dex": PUBLISHED + NARROW,
    "dex_ensemble": [*PUBLISHED, *NARROW, "ingest.split.folds=2", "train.folds=2"],
    "face2age_vgg16": PUBLISHED + NARROW,
    "strong": [*PUBLISHED, "estimator.backbone.variant=b0", "train.average=0"],
}
"""What a recipe needs besides: weights without a network, layers that are not as wide, a size that its layers leave some of.

The first one, `default`, is blessed in any case: the others are held against a champion.
"""


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> dict[str, Path]:
    """The same drawn faces, some hundred, as every kind of source that a recipe names; and an album of five to score."""
    folder = tmp_path_factory.mktemp("sources")
    held = {kind: folder / kind for kind in ("imdb_wiki", "utkface", "table", "album")}
    draw_archive(held["imdb_wiki"], photos=200, seed=3)
    drawn = [
        record
        for record in records(SourceSettings(path=str(held["imdb_wiki"])))
        if reject_of(record, FilterSettings()) is None and (held["imdb_wiki"] / record.path).is_file()
    ]
    held["utkface"].mkdir()
    held["table"].mkdir()
    held["album"].mkdir()
    for number, face in enumerate(drawn[:5]):
        os.link(held["imdb_wiki"] / face.path, held["album"] / f"{number}.jpg")
    with (held["table"] / "faces.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "age_class", "person"])
        for number, face in enumerate(drawn):
            age = face.age or 0
            name = f"{age}_{int(face.gender == FEMALE)}_0_{number:017d}.jpg.chip.jpg"
            os.link(held["imdb_wiki"] / face.path, held["utkface"] / name)
            os.link(held["imdb_wiki"] / face.path, held["table"] / f"{number}.jpg")
            age_class = "YOUNG" if age < 30 else "MIDDLE" if age < 50 else "OLD"
            rows.writerow([f"{number}.jpg", age_class, face.person])
    return held | {"file_names": held["imdb_wiki"], "table": held["table"] / "faces.csv"}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """One root, so that the recipes share the store, and those that read alike the examples."""
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module")
def process(root, tmp_path_factory) -> Iterator[WorkerProcess]:
    """The one process in which the steps of all recipes run, so that TensorFlow is imported once and not for every recipe."""
    environment = tracking.environment(root) | {"MLFLOW_TRACKING_URI": tracking.local_store(root)}
    with WorkerProcess(environment, tmp_path_factory.mktemp("alive") / "worker") as process:
        yield process


@pytest.mark.parametrize("name", recipe.names())
def test_a_recipe_goes_from_photos_to_a_registered_version_and_its_scores(name, sources, root, process):
    kind = recipe.load(name).settings.source.kind
    changes = [f"source.path={sources[kind]}", *SCALED, *FURTHER.get(name, [])]
    scaled = recipe.load(name, changes)
    steps = [step for step in STEPS if step.name != "score"]
    client = MlflowClient(tracking.local_store(root))
    champion = next((held.aliases.get("champion") for held in client.search_registered_models()), None)

    outcome = runner.run(scaled, root, Display(Console(file=io.StringIO())), steps=steps, process=process)

    assert list(outcome.manifests) == ["ingest", "validate", "train", "evaluate", "register"]
    metrics = json.loads((outcome.artifacts["evaluate"] / "metrics.json").read_text())
    asked = scaled.settings.estimator
    assert (metrics["gender_accuracy"] is None) == (asked.gender.head == "none")
    assert (metrics["age_class_accuracy"] is None) == (not asked.age.edges)
    assert (metrics["age_mae"] is None) == (kind == "table")
    registered = json.loads((outcome.artifacts["register"] / "registered.json").read_text())
    version = client.get_model_version(registered["name"], registered["version"])
    assert version.status == "READY"
    assert str((metrics["champion"] or {"version": None})["version"]) == str(champion)

    scoring = [f"score.photos=[{sources['album']}]", "score.faces=whole", f"score.model=visage/{version.version}"]
    scored = recipe.load(name, [*changes, *scoring])
    outcome = runner.run(scored, root, Display(Console(file=io.StringIO())), process=process)

    assert set(outcome.reused) == {step.name for step in steps}
    scores = pd.read_parquet(outcome.artifacts["score"] / "scores")
    assert len(scores) == 5 and set(scores["model_version"]) == {str(version.version)}
    assert scores["age"].between(0, 100).all()
    assert scores["age_class"].notna().all() == bool(asked.age.edges)
    assert scores["gender"].notna().all() == (asked.gender.head != "none")
