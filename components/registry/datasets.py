"""Splits of the examples as MLflow's datasets: what a run learned from or was measured on."""

import json
from collections.abc import Iterable
from typing import Any

from schemas.artifact import Manifest
from schemas.redaction import redact

CONTEXTS = {"train": "training", "validation": "validation", "test": "testing"}
"""What MLflow calls the use of a split."""


def of_splits(ingested: Manifest, splits: Iterable[str]) -> list[Any]:
    """The splits of an examples artifact as mlflow.entities.DatasetInput; one that the manifest does not count is left out.

    Name and digest tell a data set in MLflow: the name is that of the source, the digest the artifact's fingerprint, shortened,
    with the split.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag
    from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

    source = ingested.settings.get("source") or {}
    path = redact(str(source.get("path") or ""))
    return [
        DatasetInput(
            Dataset(
                name=str(source.get("name") or source.get("kind") or "examples"),
                digest=f"{ingested.fingerprint[:16]}-{split}",
                source_type="local",
                source=json.dumps({"uri": path}),
                schema=_SCHEMA,
                profile=json.dumps({"num_rows": ingested.counts[split], "split": split}),
            ),
            [InputTag(MLFLOW_DATASET_CONTEXT, CONTEXTS.get(split, split))],
        )
        for split in splits
        if split in ingested.counts
    ]


_SCHEMA = json.dumps(
    {
        "mlflow_colspec": [
            {"type": "binary", "name": "image/encoded", "required": True},
            {"type": "long", "name": "face/age", "required": False},
            {"type": "string", "name": "face/gender", "required": False},
            {"type": "string", "name": "person/id", "required": True},
        ]
    }
)
"""The features that matter to a reader; the whole is in schemas/example_schema.pbtxt."""
