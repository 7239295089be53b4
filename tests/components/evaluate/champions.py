"""A champion in a real registry of its own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from components import registry
from components.registry import ModelVersion


@contextmanager
def champion_of(files: Mapping[str, Path], folder: Path) -> Iterator[ModelVersion]:
    """While this lasts, a model of these files is the champion `visage`, in a registry under the folder; gives it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        yield _register(files, folder)


def _register(files: Mapping[str, Path], folder: Path) -> ModelVersion:
    import mlflow
    from mlflow.pyfunc.model import PythonModel

    class Silent(PythonModel):
        def predict(self, context, model_input, params=None):
            return model_input

    (folder / "photo.json").write_text("{}")
    with mlflow.start_run(experiment_id=mlflow.create_experiment("made up", (folder / "store").as_uri())):
        logged = mlflow.pyfunc.log_model(
            name="visage",
            python_model=Silent(),
            artifacts={"photo": str(folder / "photo.json"), **{name: str(path) for name, path in files.items()}},
            pip_requirements=[],
        )
    mlflow.register_model(logged.model_uri, "visage")
    return registry.promote("visage/1")
