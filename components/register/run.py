"""What the register step does: log the model, make it a version, give the version its alias."""

import base64
import contextlib
import io
import json
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from components import registry
from components.photo import PhotoSettings
from components.register import card, description, persons, served_files
from components.register.settings import Settings
from components.registry import ModelVersion, datasets, learned_from
from components.registry.learned_from import LearnedFrom
from components.registry.mlflow_server import client, explaining_mlflow_errors
from components.report import page, surround
from components.step import StepContext, identity
from schemas.artifact import Manifest, read_manifest
from schemas.error import VisageError
from schemas.record import TEST

log = logging.getLogger("visage.register")

FINGERPRINT = "visage.fingerprint"
"""Tag of a version: the artifact that registered it. A step that is run again finds its version by it."""

DECIDED = "visage.decided"
"""Tag of a version whose alias has been given once: from then on people move it."""


def run(settings: Settings, context: StepContext) -> Mapping[str, Any]:
    """Register the trained model.

    Raises:
        VisageError: an input lacks a file, or the registry does not answer.
    """
    name = settings.registry.name
    manifests = {step: read_manifest(folder) for step, folder in context.inputs.items()}
    metrics = _read_json(context.inputs["evaluate"] / "metrics.json")
    best = {f"{registry.BEST}{figure}": number for figure, number in metrics.get("best", {}).items()}
    lineage = _lineage(context, manifests)
    blessed = {registry.BLESSED: str(bool(metrics.get("blessed"))).lower()}
    tags = _figures(metrics) | blessed | lineage | best  # MLflow lists them in this order
    counts = {step: manifest.counts for step, manifest in manifests.items()}
    source = manifests["ingest"].settings.get("source") or {}
    estimator = manifests["train"].settings.get("estimator") or {}
    origin = card.Origin(source, counts, lineage, _command(context), estimator)

    version = registry.find(name, FINGERPRINT, context.fingerprint) if context.fingerprint else None
    with _mlflow_run() as run_id:
        if version is None:
            with tempfile.TemporaryDirectory() as scratch:
                files = _files(Path(scratch), name, context.inputs, manifests["ingest"], metrics, origin)
                persons.write(context.inputs["ingest"] / "examples.parquet", Path(scratch) / registry.PERSONS)
                version = _register(name, files, metrics, tags, origin, context, manifests["ingest"], run_id)
                shutil.copyfile(files / "card.md", context.output / "card.md")
        else:
            log.info("this artifact is registered already, as %s", version)
            shutil.copyfile(registry.download(version) / "card.md", context.output / "card.md")
    around = surround.of_step("register", settings, context)
    parts = card.blocks(metrics, origin)
    card.write_page(context.output / "report.html", f"{version}: model card", parts, context.inputs["evaluate"], around)
    version = _decide(version, metrics)

    champion = registry.champion(name)
    alias = next((alias for alias in (registry.CHAMPION, registry.CHALLENGER) if alias in version.aliases), None)
    registered = {
        "name": name,
        "version": version.version,
        "alias": alias,
        "champion_version": champion.version if champion else None,
        "scoring_version": champion.version if champion else version.version,
        "model_uri": version.uri,
        "run_id": version.run_id or run_id,
    }
    (context.output / "registered.json").write_text(json.dumps(registered, indent=1) + "\n")
    context.tracker.tag("visage.model_version", str(version))
    return {
        "name": name,
        "version": version.version,
        "alias": alias or "none",
        "champion": champion.version if champion else "none",
    }


def _command(context: StepContext) -> str:
    """What makes such a model again: the command of the run, or the recipe alone where steps are run one by one."""
    return context.command or (f"visage run --recipe {context.recipe}" if context.recipe else "")


def _register(
    name: str,
    files: Path,
    metrics: Mapping[str, Any],
    tags: Mapping[str, str],
    origin: card.Origin,
    context: StepContext,
    ingested: Manifest,
    run_id: str,
) -> ModelVersion:
    """Log the model into the active run and make it a version, its tags with it in one request."""
    import mlflow
    from mlflow.entities import Metric

    turn_faces = _photo(ingested).turn_faces
    with explaining_mlflow_errors():
        # With the run and not among the model's files: who was photographed is nothing to hand out with each copy of the model.
        mlflow.log_artifact(str(files.parent / registry.PERSONS))
        with _path_of_modules_kept():
            logged = mlflow.pyfunc.log_model(
                name=name,
                python_model=str(served_files.MODEL),
                code_paths=served_files.copy_code(files.parent / "code", turn_faces),
                artifacts={path.stem: str(path) for path in sorted(files.iterdir())},
                signature=_signature(),
                input_example=_example(),
                pip_requirements=served_files.requirements(turn_faces),
                tags=dict(tags),
            )
        logged_at = int(time.time() * 1000)
        tested_on = datasets.of_splits(ingested, (TEST,))
        client().log_inputs(run_id, tested_on)
        link = {"model_id": logged.model_id, "run_id": run_id}
        if tested_on:
            link |= {"dataset_name": tested_on[0].dataset.name, "dataset_digest": tested_on[0].dataset.digest}
        numbers = {key: float(value) for key, value in metrics.items() if card.is_figure(value)}
        client().log_batch(run_id, [Metric(key, value, logged_at, 0, **link) for key, value in numbers.items()])
        for plot in (context.inputs["evaluate"] / plot for plot in ("report.html", *card.PLOTS)):
            if plot.is_file():
                mlflow.log_artifact(str(plot), "evaluation")
        entry = mlflow.register_model(logged.model_uri, name, tags={**tags, FINGERPRINT: context.fingerprint})
        location = description.CardLocation(client().get_run(run_id).info.experiment_id, logged.model_id, run_id)
        description_text = description.text(metrics, origin, location)
        client().update_model_version(name, entry.version, description=description_text)
        client().update_registered_model(name, description=card.PURPOSE)
    version = registry.resolve(f"{name}/{entry.version}")
    if context.fingerprint:
        registry.delete_doubles(version, FINGERPRINT)
    return version


def _decide(version: ModelVersion, metrics: Mapping[str, Any]) -> ModelVersion:
    """Give a new version its alias: champion if it was blessed against the champion of this moment, else challenger."""
    if DECIDED in version.tags:
        return version
    champion = registry.champion(version.name)
    reason = _objection(version, metrics, champion)
    if not reason:
        version = registry.promote(str(version), "it was blessed", instead_of=champion.version if champion else "")
        if registry.CHAMPION not in version.aliases:  # somebody was faster
            reason = _objection(version, metrics, registry.champion(version.name)) or "another version became champion"
    if reason:
        log.info("%s stays a challenger: %s", version, reason)
        version = registry.challenge(version)
    else:
        log.info("%s is champion", version)
    with explaining_mlflow_errors():
        client().set_model_version_tag(version.name, version.version, DECIDED, reason or registry.CHAMPION)
    return version


def _objection(version: ModelVersion, metrics: Mapping[str, Any], champion: ModelVersion | None) -> str:
    if not metrics.get("blessed"):
        return " ".join(metrics.get("reasons") or ()) or "it was not blessed"
    evaluated_against = str((metrics.get("champion") or {}).get("version") or "")
    if champion and evaluated_against != champion.version and champion.version != version.version:
        opponent = f"version {evaluated_against}" if evaluated_against else "no champion"
        return f"it was evaluated against {opponent}, but the champion is now {champion}"
    return ""


def _files(
    scratch: Path,
    name: str,
    inputs: Mapping[str, Path],
    ingested: Manifest,
    metrics: Mapping[str, Any],
    origin: card.Origin,
) -> Path:
    """The files that make up a model, in one folder."""
    files = scratch / "files"
    (files / "statistics").mkdir(parents=True)
    try:
        shutil.copytree(inputs["train"] / "estimator", files / "estimator")
        shutil.copyfile(inputs["validate"] / "statistics" / "train.pb", files / "statistics" / "train.pb")
    except (OSError, shutil.Error) as error:
        raise VisageError(
            f"An input of register cannot be used: {error}", "Run the step that makes it again."
        ) from error
    LearnedFrom.of(inputs["ingest"]).write(files / learned_from.FILE)
    (files / "photo.json").write_text(_photo(ingested).model_dump_json(indent=1) + "\n")
    (files / "card.md").write_text(card.text(name, metrics, origin))
    card.write_page(files / "report.html", name, card.blocks(metrics, origin), inputs["evaluate"], page.Surround())
    return files


def _photo(ingested: Manifest) -> PhotoSettings:
    """How the faces were taken that the model learned from."""
    return PhotoSettings.model_validate(ingested.settings.get("photo", {}))


def _lineage(context: StepContext, manifests: Mapping[str, Manifest]) -> dict[str, str]:
    lineage = {
        "visage.data_fingerprint": manifests["ingest"].fingerprint,
        "visage.git_commit": context.commit,
        "visage.lock": identity.of_lock(),
        "visage.recipe": context.recipe,
    }
    return lineage | {f"visage.input.{step}": manifest.fingerprint for step, manifest in manifests.items()}


def _figures(metrics: Mapping[str, Any]) -> dict[str, str]:
    """The figures that a list of versions shows, under their names among the metrics; all are the model's metrics."""
    return {name: f"{metrics[name]:.6g}" for name in _OF_LISTS if card.is_figure(metrics.get(name))}


_OF_LISTS = ("examples", "age_mae", "age_cs5", "age_class_accuracy", "gender_accuracy", "gender_auc")


@contextlib.contextmanager
def _path_of_modules_kept() -> Iterator[None]:
    """MLflow tries a model that it logs, and leaves the model's copy of this code before the code itself on the path."""
    before = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = before


@contextlib.contextmanager
def _mlflow_run() -> Iterator[str]:
    """The active MLflow run, or one of this step's own."""
    import mlflow

    active = mlflow.active_run()
    if active:
        yield active.info.run_id
        return
    with explaining_mlflow_errors():
        client()  # sets how long a server that is away is waited for
        own = mlflow.start_run(run_name="register")
    try:
        yield own.info.run_id
    except BaseException:
        mlflow.end_run("FAILED")
        raise
    mlflow.end_run()


def _signature() -> Any:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    figures = ("age", "age_std", "age_low", "age_high")
    return ModelSignature(
        inputs=Schema([ColSpec(DataType.string, "image")]),
        outputs=Schema(
            [
                *(ColSpec(DataType.float, column) for column in figures),
                ColSpec(DataType.string, "age_class", required=False),
                ColSpec(DataType.string, "gender"),
                ColSpec(DataType.float, "gender_probability"),
                ColSpec(DataType.string, "reject", required=False),
            ]
        ),
    )


def _example() -> Any:
    """A drawn picture: nobody's face goes into the registry."""
    import pandas as pd
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (128, 128), (196, 178, 160))
    ImageDraw.Draw(picture).ellipse((28, 14, 100, 118), fill=(224, 188, 164))
    jpeg = io.BytesIO()
    picture.save(jpeg, "JPEG")
    return pd.DataFrame({"image": [base64.b64encode(jpeg.getvalue()).decode()]})


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise VisageError(f"{path} cannot be read: {error}", "Run the evaluate step again.") from error
