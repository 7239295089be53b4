"""What the score step does, in the pipeline and for `visage score` alike."""

import io
import json
import logging
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components import beam_job, registry
from components.registry import ModelVersion
from components.registry.mlflow_server import client, explaining_mlflow_errors
from components.score import parts, pinned
from components.score import plan as plans
from components.score.pinned import Pinned
from components.score.plan import Plan
from components.score.settings import ScoreSettings, Settings
from components.step import StepContext, Tracker
from components.step.resources import cores
from components.storage import files
from components.storage.listing import Listing
from components.storage.names import absolute, is_remote, joined, shown
from schemas.artifact import MANIFEST
from schemas.error import VisageError
from schemas.redaction import redacted

if TYPE_CHECKING:
    from components.report.page import Surround

log = logging.getLogger("visage.score")

SUMMARY = "summary.json"
"""Written when all scores are in their place; what the work needed is removed after it."""

_PAGE, _STAGING = "summary.html", "staging"
_COUNTS = (
    "photos",
    "scored",
    "without_face",
    "rejected",
    "faces",
    "age_mean",
    "photos_per_second",
    "model",
    "precision",
)


def run(settings: Settings, context: StepContext) -> Mapping[str, Any]:
    """Score the photos that the settings name; goes on from what an interrupted run left.

    Raises:
        VisageError: photos, model or registry are not there, or the output cannot be written.
    """
    counts = score(str(context.output), settings, context)
    clear_up(str(context.output), settings)
    return counts


def score(
    output: str, settings: Settings, context: StepContext, before_replacing: Callable[[], None] = lambda: None
) -> Mapping[str, Any]:
    """Score the photos that the settings name; what the work needed stays until `clear_up`.

    Args:
        output: folder or URL that the scores go to.
        settings: of the step.
        context: of the step; its own output is not written to.
        before_replacing: called before what lies at the output is replaced by the scores; may raise.

    Returns:
        Counts and figures for a manifest.

    Raises:
        VisageError: photos, model or registry are not there, or the output cannot be written.
    """
    with explaining_errors(output):
        if not _is_scored(output):
            _score(output, settings, context, before_replacing)
        summary = json.loads(files.read_bytes(joined(output, SUMMARY)))
    counts = {name: summary[name] for name in _COUNTS if summary[name] is not None}
    return counts | {"warnings": len(summary["warnings"])}


def _is_scored(output: str) -> bool:
    """Whether the job that was begun at an output has its summary there, and so all its scores."""
    try:
        begun = pinned.read(output)
        summary = json.loads(files.read_bytes(joined(output, SUMMARY)))
    except (FileNotFoundError, ValueError):
        return False
    if begun is None:  # in a folder all may be cleared up already; what lies at a URL is of an earlier job
        return not is_remote(output)
    return summary.get("job") == begun.key


def clear_up(output: str, settings: Settings) -> None:
    """Remove what the work needed and nobody else does.

    Raises:
        VisageError: it cannot be removed.
    """
    with explaining_errors(output):
        begun = pinned.read(output)
        if begun:
            files.remove_folder(_room(output, settings, begun))
        files.remove_folder(joined(output, _STAGING))
        pinned.remove(output)


@contextmanager
def explaining_errors(output: str) -> Iterator[None]:
    """Around work at an output: what cannot be read or written there is one message.

    Raises:
        VisageError: it cannot.
    """
    try:
        yield
    except OSError as error:
        raise VisageError(
            f"{error.filename or output} cannot be read or written: {error.strerror or error}.",
            "See to it, then give the same command again: it goes on from here.",
        ) from error


def _score(output: str, settings: Settings, context: StepContext, before_replacing: Callable[[], None]) -> None:
    with redirect_stderr(io.StringIO()):  # TFDV says there, at every import, that there is no IPython
        from components.score import drift
    from components.beam_job.counters import counters
    from components.beam_job.first_look import start
    from components.report import surround
    from components.score import job, staged_model, summary
    from components.score.work import Work

    score_settings, clock = settings.score, time.monotonic()
    pipeline = beam_job.pipeline(settings.beam)  # first of all: what the runner lacks is told before photos are listed
    begun, version = _begun(output, settings, context)
    log.info("scoring with %s in %s", version, begun.precision)
    model = registry.download(version)
    room = _room(output, settings, begun)
    plan = _plan(score_settings, joined(room, "plan"), context.tracker)
    log.info("%d photos in %d parts", plan.files, plan.parts)

    places = job.Places(plan.folder, staged_model.stage(model / "estimator", room), joined(room, "parts"))
    done = parts.done(places.parts)
    if done:
        log.info("%d of %d parts are done already", len(done), plan.parts)
    counted: Mapping[str, Any] = {}
    if len(done) < plan.parts:
        started = datetime.fromisoformat(begun.started)
        work = Work.of(score_settings, version, model, begun.precision, started, plan.parts)
        workers = settings.beam.workers or cores()
        if settings.beam.runner == "local":
            job.share_cores(workers)
        begin = pipeline | "start" >> start(settings.beam, "score", room, _must_be_reached(plan, score_settings.photos))
        job.build(begin, work, places, plan, done, workers)
        with _progress(places.parts, plan, context.tracker):
            counted = counters(beam_job.run(pipeline), "score")
    seconds = time.monotonic() - clock

    before_replacing()
    for name in (MANIFEST, SUMMARY):  # of an earlier job at a URL, whose scores are replaced now
        files.remove(joined(output, name))
    collected = summary.collect(
        places.parts, plan, output, lambda count: context.tracker.progress(count, plan.parts, "parts collected")
    )
    drifts = drift.measure(collected.population.sample.table(), model / "statistics" / "train.pb", score_settings)
    warnings = [str(feature_drift) for feature_drift in drifts if feature_drift.exceeded]
    for warning in warnings:
        log.warning(warning)
    figures = {
        "job": begun.key,
        "model": str(version),
        "model_run": version.run_id,
        "precision": begun.precision,
        "started": begun.started,
        "inputs": redacted([shown(place) for place in score_settings.photos]),
        **summary.figures(collected),
        "seconds": round(seconds, 1),
        "photos_per_second": round((plan.files - plan.files_in(done)) / seconds, 1),
        "beam": counted,
        "drift": [asdict(feature_drift) for feature_drift in drifts],
        "warnings": warnings,
    }
    _write_page(output, figures, collected.pictures, surround.of_step("score", settings, context))
    _link(version, figures, context.tracker)
    files.write_bytes(joined(output, SUMMARY), (json.dumps(figures, indent=1, ensure_ascii=False) + "\n").encode())


def _begun(output: str, settings: Settings, context: StepContext) -> tuple[Pinned, ModelVersion]:
    """The job, as it was begun if it was interrupted, and its model."""
    from components.estimator import precision

    score_settings = settings.score
    try:
        begun = pinned.read(output)
    except ValueError as error:
        log.warning("%s: all is done anew", error)
        begun = None
    if begun and begun.fingerprint != context.fingerprint:
        log.warning(
            "the job that was begun at %s is of other photos, settings or code: all is done anew", begun.started
        )
        files.remove_folder(_room(output, settings, begun))
        begun = None
    if begun and begun.staging != settings.beam.staging:
        log.warning(
            "beam.staging was %r when this job was begun, and what was scored lies there: all is done anew",
            begun.staging,
        )
        begun = None
    if begun:
        return begun, registry.resolve(begun.model)
    version = registry.resolve(score_settings.model or _registered(context))
    started = datetime.now(UTC).isoformat(timespec="seconds")
    begun = Pinned(
        str(version), started, precision.chosen(score_settings.precision), settings.beam.staging, context.fingerprint
    )
    pinned.write(output, begun)
    return begun, version


def _room(output: str, settings: Settings, begun: Pinned) -> str:
    """Folder or URL of the job's own, which its workers read and write.

    Beside an output at a URL, which all workers reach in any case; else in `beam.staging`, if that is set.
    """
    if is_remote(output):
        return joined(joined(output, _STAGING), begun.key)
    return joined(beam_job.staging_place(settings.beam, Path(output), "score"), begun.key)


def _registered(context: StepContext) -> str:
    if "register" not in context.inputs:
        raise VisageError(
            "No model to score with is named.",
            "Give --set score.model=NAME@ALIAS, for instance visage@champion.",
            usage=True,
        )
    registration = json.loads((context.inputs["register"] / "registered.json").read_text())
    return f"{registration['name']}/{registration['scoring_version']}"


def _plan(settings: ScoreSettings, folder: str, tracker: Tracker) -> Plan:
    try:
        plan = plans.read(folder)
    except FileNotFoundError:
        listing = Listing(settings.photos, settings.names_encoding)
        size = plans.part_size(settings.looks_with)
        plan = plans.write(
            folder, listing, listing.sources, size, lambda count: tracker.progress(count, None, "photos listed")
        )
    if not plan.files:
        raise VisageError(
            f"There is no photo in {', '.join(settings.photos)}.", "Name a place that holds photos.", usage=True
        )
    return plan


def _must_be_reached(plan: Plan, photos: Sequence[str]) -> list[str]:
    """Archives and folders without which a worker could score nothing; of very many, some.

    What a list names is none of them: a folder in it that is not there is a reject for each of its photos.
    """
    named = {absolute(photo).rstrip("/") for photo in photos}
    places = (
        source.place
        for source in plan.sources
        if source.kind != "folder"
        or source.place in named
        or (not is_remote(source.place) and Path(source.place).is_dir())
    )
    return list(islice(places, 100))


@contextmanager
def _progress(folder: str, plan: Plan, tracker: Tracker) -> Iterator[None]:
    """Tells the tracker how many parts are done, wherever the workers are: every second, or as often as costs little."""
    over = threading.Event()

    def watch() -> None:
        pause = 1.0
        while not over.wait(pause):
            started = time.monotonic()
            try:
                done = plan.files_in(parts.done(folder))
            except OSError:
                continue  # what the store says next time is early enough; the workers tell if it stays away
            tracker.progress(done, plan.files, "photos")
            pause = max(1.0, 20 * (time.monotonic() - started))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
    tracker.progress(plan.files, plan.files, "photos")


def _write_page(output: str, figures: Mapping[str, Any], pictures: Sequence[bytes], surround: "Surround") -> None:
    from components.score import report

    with tempfile.TemporaryDirectory(prefix="visage-") as folder:
        page = Path(folder, _PAGE)
        report.write(page, figures, pictures, surround)
        files.copy(str(page), joined(output, _PAGE))


def _link(version: ModelVersion, summary: Mapping[str, Any], tracker: Tracker) -> None:
    """Link the active MLflow run, if there is one, to the version that scored."""
    import mlflow
    from mlflow.entities import LoggedModelInput

    tracker.tag("visage.model_version", str(version))
    with explaining_mlflow_errors():
        active = mlflow.active_run()
        if active and version.model_id:
            client().log_inputs(active.info.run_id, models=[LoggedModelInput(version.model_id)])
    for feature_drift in summary["drift"]:
        tracker.metric(f"drift_{feature_drift['feature'].rpartition('/')[2]}", feature_drift["distance"])
