"""The compiled pipeline of the bucket's example, without what two versions of kfp write differently and mean the same by.

python -m tests.pipeline.kubeflow.compiled      renews compiled.yaml, after a change that is meant
"""

import tempfile
from pathlib import Path
from typing import Any

import yaml

from pipeline import recipe
from pipeline.kubeflow import cluster_profile
from pipeline.kubeflow.compile import compile_pipeline
from tests.documented import PROJECT

FILE = Path(__file__).with_suffix(".yaml")


def compiled() -> list[Any]:
    """Both documents of the pipeline as this machine's kfp writes it."""
    profile = cluster_profile.load(PROJECT / "infra" / "kubeflow" / "bucket.yaml", {})
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "visage.yaml"
        compile_pipeline(recipe.load("default", ["source.path=s3://photos/imdb_crop"]), profile, out)
        return [meaning(document) for document in yaml.safe_load_all(out.read_text())]


def meaning(value: Any) -> Any:
    """Without the version of kfp, and without a false `optional`, which is what a secret that does not say so has."""
    if isinstance(value, dict):
        dropped = {"sdkVersion"} | ({"optional"} if value.get("optional") is False else set())
        return {key: meaning(item) for key, item in value.items() if key not in dropped}
    return [meaning(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    FILE.write_text(yaml.safe_dump_all(compiled(), sort_keys=True, width=120))
