"""A champion in a real registry of its own."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from components import registry
from components.registry import ModelVersion
from components.registry.learned_from import LearnedFrom


@contextmanager
def champion_of(files: Mapping[str, Path | None], folder: Path, empty_registry: Path) -> Iterator[ModelVersion]:
    """While this lasts, a model of these files is the champion `visage`, in a registry under the folder; gives it.

    The registry begins as a copy of the empty one. The model's photo settings are the defaults, and it learned
    from nobody, unless files say otherwise.
    """
    shutil.copyfile(empty_registry, folder / "mlflow.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'mlflow.db'}")
        version = register(files, folder)
        yield registry.promote(str(version))


def register(files: Mapping[str, Path | None], folder: Path, **tags: str) -> ModelVersion:
    """Register one more version; a file that is None is left out."""
    import mlflow
    from mlflow.pyfunc.model import PythonModel

    class Silent(PythonModel):
        def predict(self, context, model_input, params=None):
            return model_input

    (folder / "photo.json").write_text("{}")
    LearnedFrom(frozenset()).write(folder / "learned_from.npy")
    usual = {name: folder / f"{name}{end}" for name, end in (("photo", ".json"), ("learned_from", ".npy"))}
    experiment = mlflow.get_experiment_by_name("made up")
    experiment_id = (
        experiment.experiment_id if experiment else mlflow.create_experiment("made up", (folder / "store").as_uri())
    )
    with mlflow.start_run(experiment_id=experiment_id):
        logged = mlflow.pyfunc.log_model(
            name="visage",
            python_model=Silent(),
            artifacts={name: str(path) for name, path in (usual | dict(files)).items() if path},
            pip_requirements=[],
        )
    entry = mlflow.register_model(logged.model_uri, "visage", tags=tags)
    return registry.resolve(f"visage/{entry.version}")
