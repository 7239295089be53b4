"""Artifacts as the steps before register write them, with a small untrained estimator in them."""

import json
from pathlib import Path
from typing import Any

from components.photo import PhotoSettings
from schemas.artifact import Manifest, partial_folder, publish
from schemas.example import FaceExample, encode
from schemas.shard import Shard, file_name, write_index, write_records

SIZE = 32
"""Input size of the estimator, pixels."""


def metrics(**changed: Any) -> dict[str, Any]:
    """What evaluate says of a good model."""
    figures = {
        "examples": 200,
        "age_mae": 5.25,
        "age_cs5": 0.6,
        "gender_accuracy": 0.9,
        "gender_auc": 0.95,
        "baseline_age_mae": 12.0,
        "baseline_gender_accuracy": 0.55,
        "slices": [
            {
                "slice": "gender",
                "value": "female",
                "examples": 90,
                "age_mae": 5.0,
                "age_cs5": None,
                "gender_accuracy": 0.9,
            }
        ],
        "champion": None,
        "best": {"age_mae": "self", "age_class_accuracy": "self", "gender_accuracy": "self"},
        "blessed": True,
        "reasons": [],
    }
    return figures | changed


def artifacts(root: Path, evaluation: dict[str, Any], photo: PhotoSettings | None = None) -> dict[str, Path]:
    """The four artifacts that register reads, by step."""
    photo = photo or PhotoSettings(size=64)
    counts = {"rows": 300, "examples": 250, "train": 150, "validation": 75, "test": 25}
    ingested = _artifact(root, "ingest", settings={"photo": photo.model_dump(mode="json")}, counts=counts)
    _write_shards(ingested)
    write_examples(ingested / "examples.parquet")
    validated = _artifact(root, "validate")
    (validated / "statistics").mkdir()
    (validated / "statistics" / "train.pb").write_bytes(training_statistics())
    save_estimator(_artifact(root, "train", counts={"epochs": 3}) / "estimator")
    evaluated = _artifact(root, "evaluate")
    (evaluated / "metrics.json").write_text(json.dumps(evaluation))
    return {step: root / step for step in ("ingest", "validate", "train", "evaluate")}


def write_examples(file: Path) -> None:
    """The part of an ingest's examples.parquet that register reads: two photos of each of 125 persons."""
    import pyarrow as pa
    from pyarrow import parquet

    persons = [f"made:{number}" for number in range(125)] * 2
    splits = [("train", "train", "train", "validation", "test")[number % 5] for number in range(125)] * 2
    parquet.write_table(pa.table({"person": persons, "split": splits}), file)


PERSONS = {"train": "made:1", "validation": "made:2", "test": "made:3"}
"""The one person of every split."""


def _write_shards(folder: Path) -> None:
    index = {}
    for split, person in PERSONS.items():
        shard = Shard(file_name(split, 0, 1), 1, 0)
        write_records(folder / shard.file, [encode(FaceExample(b"", 1, 1, person, "made", f"{split}.jpg", split))])
        index[split] = [shard]
    write_index(folder, index)


def save_estimator(folder: Path, seed: int = 1) -> None:
    """An estimator with random weights."""
    import keras

    from components.estimator import model, saved
    from components.estimator.settings import EstimatorSettings, ResidualSettings

    settings = EstimatorSettings(size=SIZE, backbone=ResidualSettings(width=4, blocks=(1, 1)))
    keras.utils.set_random_seed(seed)
    saved.save(model.build(settings), settings, folder)


def training_statistics() -> bytes:
    """Statistics of 400 examples: every age from 0 to 99 four times, three quarters of them women."""
    import pandas as pd
    import tensorflow_data_validation as tfdv

    table = pd.DataFrame({"face/age": list(range(100)) * 4, "face/gender": (["female"] * 3 + ["male"]) * 100})
    return tfdv.generate_statistics_from_dataframe(table).SerializeToString()


def _artifact(root: Path, step: str, **manifest: Any) -> Path:
    partial = partial_folder(root / step)
    partial.mkdir(parents=True)
    publish(partial, root / step, Manifest(step, f"{step}-fingerprint", **{"settings": {}, **manifest}))
    return root / step
