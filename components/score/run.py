"""What the score step does, in the pipeline and for `visage score` alike."""

import fcntl
import io
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components import beam_job, registry
from components.registry import ModelVersion
from components.registry.mlflow_server import client, explaining_mlflow_errors
from components.score import plan as plans
from components.score.plan import Plan
from components.score.settings import ScoreSettings, Settings
from components.step import StepContext, Tracker
from components.step.resources import cores
from components.storage.listing import Listing
from schemas.error import VisageError
from schemas.redaction import redacted

log = logging.getLogger("visage.score")

SUMMARY = "summary.json"
"""Written when all scores are in their place; what the work needed is removed after it."""

_PLAN, _PARTS, _JOB = "plan", "parts", "job.json"


def run(settings: Settings, context: StepContext) -> Mapping[str, Any]:
    """Score the photos that the settings name; goes on from what an interrupted run left.

    Raises:
        VisageError: photos, model or registry are not there, or the output cannot be written.
    """
    output = context.output
    try:
        with _alone(output):
            if not (output / SUMMARY).is_file():
                _score(settings, context)
            for leftover in (_PLAN, _PARTS):
                shutil.rmtree(output / leftover, ignore_errors=True)
            (output / _JOB).unlink(missing_ok=True)
    except OSError as error:
        raise VisageError(
            f"{error.filename or output} cannot be read or written: {error.strerror or error}.",
            "See to it, then give the same command again: it goes on from here.",
        ) from error
    summary = json.loads((output / SUMMARY).read_text())
    kept = ("photos", "scored", "without_face", "rejected", "faces", "age_mean", "photos_per_second", "model")
    return {name: summary[name] for name in kept if summary[name] is not None} | {"warnings": len(summary["warnings"])}


def _score(settings: Settings, context: StepContext) -> None:
    with redirect_stderr(io.StringIO()):  # TFDV says there, at every import, that there is no IPython
        from components.score import drift
    from components.report import surround
    from components.score import report, summary
    from components.score.job import build, share_cores
    from components.score.parts import Work

    output, wanted, clock = context.output, settings.score, time.monotonic()
    version, started = _pinned(wanted.model, context)
    log.info("scoring with %s", version)
    model = registry.download(version)
    plan = _plan(wanted, output, context.tracker)
    log.info("%d photos in %d parts", plan.files, plan.parts)

    work = Work.of(wanted, output, plan, version, model, started)
    done = _done(output)
    left = [number for number in range(plan.parts) if number not in done]
    if done:
        log.info("%d of %d parts are done already", len(done), plan.parts)
    if left:
        pipeline = beam_job.pipeline(settings.beam)
        workers = settings.beam.workers or cores()
        if settings.beam.runner == "local":
            share_cores(workers)
        build(pipeline, work, plan.work_units(left, workers))
        with _progress(output, plan, context.tracker):
            beam_job.run(pipeline)
    seconds = time.monotonic() - clock

    tally = summary.total(output, plan.parts, plan.files)
    population = summary.collect(
        output, plan.parts, tally, lambda parts: context.tracker.progress(parts, plan.parts, "parts collected")
    )
    drifts = drift.measure(population.sampled(), model / "statistics" / "train.pb", wanted)
    warnings = [str(held) for held in drifts if held.exceeded]
    for warning in warnings:
        log.warning(warning)
    held = {
        "model": str(version),
        "model_run": version.run_id,
        "started": started.isoformat(timespec="seconds"),
        "inputs": redacted(wanted.photos),
        **summary.figures(tally, population),
        "seconds": round(seconds, 1),
        "photos_per_second": round(plan.files_in(left) / seconds, 1),
        "drift": [asdict(entry) for entry in drifts],
        "warnings": warnings,
    }
    around = surround.of_step("score", settings, context)
    report.write(output / "summary.html", held, summary.pictures(output), around)
    _link(version, held, context.tracker)
    written = output / f".{SUMMARY}"
    written.write_text(json.dumps(held, indent=1, ensure_ascii=False) + "\n")
    written.rename(output / SUMMARY)


def _pinned(reference: str, context: StepContext) -> tuple[ModelVersion, datetime]:
    """The model's version and the job's start: those of the first try, for an interrupted job that goes on."""
    note = context.output / _JOB
    if note.is_file():
        held = json.loads(note.read_text())
        return registry.resolve(held["model"]), datetime.fromisoformat(held["started"])
    if not reference:
        reference = _registered(context)
    version, started = registry.resolve(reference), datetime.now(UTC).replace(microsecond=0)
    written = note.with_name(f".{_JOB}")
    written.write_text(json.dumps({"model": str(version), "started": started.isoformat()}))
    written.rename(note)
    return version, started


def _registered(context: StepContext) -> str:
    if "register" not in context.inputs:
        raise VisageError(
            "No model to score with is named.",
            "Give --set score.model=NAME@ALIAS, for instance visage@champion.",
            usage=True,
        )
    held = json.loads((context.inputs["register"] / "registered.json").read_text())
    return f"{held['name']}/{held['scoring_version']}"


def _plan(settings: ScoreSettings, output: Path, tracker: Tracker) -> Plan:
    folder = output / _PLAN
    try:
        return plans.read(folder)
    except FileNotFoundError:
        listing = Listing(settings.photos, settings.names_encoding)
        size = plans.part_size(settings.looks_with)
        plan = plans.write(
            folder, listing, listing.sources, size, lambda files: tracker.progress(files, None, "photos listed")
        )
    if not plan.files:
        raise VisageError(
            f"There is no photo in {', '.join(settings.photos)}.", "Name a place that holds photos.", usage=True
        )
    return plan


def _done(output: Path) -> set[int]:
    """Numbers of the parts that are done."""
    folder = output / _PARTS
    folder.mkdir(exist_ok=True)
    with os.scandir(folder) as listing:
        return {int(entry.name[:-5]) for entry in listing if entry.name.endswith(".json")}


@contextmanager
def _progress(output: Path, plan: Plan, tracker: Tracker) -> Iterator[None]:
    """Tells the tracker every second how many parts are done, wherever the workers are."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(1.0):
            tracker.progress(plan.files_in(_done(output)), plan.files, "photos")

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
    tracker.progress(plan.files, plan.files, "photos")


@contextmanager
def _alone(output: Path) -> Iterator[None]:
    """Hold the output folder, so that no second job writes to it meanwhile."""
    descriptor = os.open(output, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise VisageError(
                f"Another job is writing to {output}.", "Wait for it, or choose another folder."
            ) from error
        yield
    finally:
        os.close(descriptor)


def _link(version: ModelVersion, summary: Mapping[str, Any], tracker: Tracker) -> None:
    """Link the active MLflow run, if there is one, to the version that scored."""
    import mlflow
    from mlflow.entities import LoggedModelInput

    tracker.tag("visage.model_version", str(version))
    with explaining_mlflow_errors():
        active = mlflow.active_run()
        if active and version.model_id:
            client().log_inputs(active.info.run_id, models=[LoggedModelInput(version.model_id)])
    for held in summary["drift"]:
        tracker.metric(f"drift_{held['feature'].rpartition('/')[2]}", held["distance"])
