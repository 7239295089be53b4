"""The ingest step: run the job, watch it, and see at the end that nothing was lost and nothing leaks."""

import logging
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.beam_job import pipeline, staging_place
from components.beam_job import run as run_pipeline
from components.beam_job.counters import counters
from components.ingest import labels
from components.ingest.faces import read_rows
from components.ingest.processes import processes
from components.ingest.settings import Settings
from components.ingest.sources import photos_root
from components.step import StepContext, Tracker
from components.storage import files, names
from schemas.error import VisageError
from schemas.record import SPLITS, TEST, TRAIN, VALIDATION
from schemas.reject import REASONS
from schemas.shard import INDEX, read_index

if TYPE_CHECKING:
    from apache_beam import Pipeline

    from components.ingest.tally import Tally

log = logging.getLogger("visage.ingest")


def run(settings: Settings, context: StepContext) -> Mapping[str, Any]:
    """Write the examples of a source as shards, with index, listing, rejects and a summary; gives the figures.

    Raises:
        VisageError: the source is not there or not of its kind; no photo was found; every row was rejected; a split got no
            example; a person or a picture is in two splits; the output cannot be written.
    """
    from components.ingest import summary, tally
    from components.ingest.assemble import assemble
    from components.ingest.spool import scratch_folder
    from components.report import surround
    from components.storage.by_name import open_files

    clock = time.monotonic()
    settings = _with_absolute_paths(settings)
    work = pipeline(settings.beam)  # first of all: what the runner lacks is told before anything is staged
    with _staging(settings, context) as staging:
        beams = _run_job(work, settings, context, staging)
        rows = assemble(staging, context.output, settings.photo, settings.source.own_labels).rows
        counted = tally.count(context.output)
        check(context.output, counted, rows, settings)
        figures = summary.describe(context.output, counted, context.previous)
        figures["seconds"] = round(time.monotonic() - clock, 2)
        figures["photos_per_second"] = round(figures["photos"] / figures["seconds"], 1)
        figures["beam"] = beams
        source = settings.source
        scratch = scratch_folder(staging)
        photos = open_files(photos_root(source), settings.photo.max_bytes, source.names_encoding, scratch)
        summary.write(context.output, figures, photos, surround.of_step("ingest", settings, context))
    for line in _table(figures):
        log.info(line)
    return {name: value for name, value in figures.items() if name not in ("splits", "ages", "sides", "beam")}


def _with_absolute_paths(settings: Settings) -> Settings:
    """The settings with paths that mean the same in any folder: workers may have been started in another one."""
    source, ingest = settings.source, settings.ingest
    source_paths = {name: _absolute(place) for name in ("path", "photos") if (place := getattr(source, name))}
    ingest_paths = {"exclude_list": _absolute(ingest.exclude_list)} if ingest.exclude_list else {}
    return settings.model_copy(
        update={"source": source.model_copy(update=source_paths), "ingest": ingest.model_copy(update=ingest_paths)}
    )


def _absolute(place: str) -> str:
    place = names.local(place)
    return place if names.is_remote(place) else str(Path(place).absolute())


@contextmanager
def _staging(settings: Settings, context: StepContext) -> Iterator[str]:
    """A staging place that only this start of the job uses; what lies there is gone at the end.

    Raises:
        VisageError: it cannot be written to.
    """
    job = staging_place(settings.beam, context.output, f"ingest-{context.fingerprint[:16] or 'alone'}")
    staging = names.joined(job, uuid.uuid4().hex[:8])
    try:
        has_leftovers = next(files.file_names(job), None) is not None
        files.write_bytes(names.joined(staging, "started"), b"")
    except OSError as error:
        raise VisageError(
            f"{staging} cannot be written to: {error.strerror or error}.",
            "Name a folder or URL as beam.staging to which this machine and all workers can write.",
        ) from error
    if has_leftovers:
        log.warning("an earlier start of this job has left files in %s; remove them if it runs no more", job)
    try:
        yield staging
    finally:
        with suppress(OSError):
            files.remove_folder(staging)
        if not names.is_remote(job):
            with suppress(OSError):
                Path(job).rmdir()


def _run_job(work: "Pipeline", settings: Settings, context: StepContext, staging: str) -> Mapping[str, Any]:
    """Run the Beam job; gives what Beam counted meanwhile."""
    from components.ingest import job as beam_job
    from components.ingest.examples_index import making
    from components.ingest.face_cache import stage_known

    again = False
    if context.previous is not None:
        apart = settings.beam.runner != "local" and bool(settings.beam.staging)
        again = stage_known(context.previous, staging, making(settings.photo), copied=apart)
    with processes(settings, staging, again), _watched(staging, context.tracker):
        beam_job.build(work, settings, staging, again)
        return counters(run_pipeline(work), "ingest")


def _table(figures: Mapping[str, Any]) -> Iterator[str]:
    """What became of every row, a line each."""
    yield f"{figures['rows']:>9,} rows"
    for split in SPLITS:
        yield f"{figures[split]:>9,} examples for {split}"
    for reason, count in figures["rejects"].items():
        yield f"{count:>9,} rejects: {reason}, {REASONS[reason]}"
    yield f"{figures['photos_new']:>9,} photos were new, of {figures['photos']:,} that were opened"


def check(folder: Path, counted: "Tally", rows: int, settings: Settings) -> None:
    """See that every row is accounted for, that there is enough to learn from, and that no split knows another.

    Args:
        folder: the artifact in the making.
        counted: what it holds.
        rows: number of rows that were read.
        settings: of the step.

    Raises:
        VisageError: it is not so.
    """
    index = read_index(folder) if (folder / INDEX).exists() else {}
    examples = {split: sum(shard.examples for shard in index.get(split, [])) for split in SPLITS}
    if sum(examples.values()) + counted.rejects.total() != rows:
        raise VisageError(
            f"{rows} rows were read, but {sum(examples.values())} examples and {counted.rejects.total()} rejects came out.",
            _FAULT,
        )
    _check_enough(counted, settings, examples)
    _check_apart(counted, sum(examples.values()), settings)


_FAULT = "This is a fault of ingest, not of the data: please report it, with the log."
_OF_PHOTOS = [reason for reason in REASONS if reason.startswith("photo_") or reason == "not_a_photo"]


def _check_enough(counted: "Tally", settings: Settings, examples: Mapping[str, int]) -> None:
    where, rejects = settings.source.path, counted.rejects
    if not rejects and not any(examples.values()):
        raise VisageError(f"{where} holds no rows.", "Name the data set's own folder or label file as source.path.")
    if not any(examples.values()):
        missing = counted.first.get("photo_missing")
        if missing and rejects["photo_missing"] == sum(rejects[reason] for reason in _OF_PHOTOS):
            raise VisageError(
                f"No photo was found under {photos_root(settings.source)}: {rejects['photo_missing']} are missing, "
                f"the first is {missing.path}.",
                "Say where the photos are with source.photos.",
            )
        listed = ", ".join(f"{count} {reason} ({REASONS[reason]})" for reason, count in rejects.most_common(5))
        details = {reason: reject.detail for reason, reject in counted.first.items()}
        raise VisageError(
            f"Every one of the {rejects.total()} rows of {where} was rejected: {listed}.",
            f"{labels.advice(rejects, details)} Do source.kind and source.path belong together?",
        )
    split = settings.ingest.split
    by_fold = split.test_fold is not None
    required = {TRAIN: True, VALIDATION: by_fold or split.validation > 0, TEST: by_fold or split.test > 0}
    empty = [name for name in SPLITS if required[name] and not examples[name]]
    source_splits = set(counted.given) if split.given else {None}
    if empty and None not in source_splits and TRAIN in source_splits and TRAIN not in empty:
        raise VisageError(
            f"The source gives every row a split, and none is {' or '.join(empty)}.",
            f"Take persons from train: ingest.split.cut_from_train=[{', '.join(empty)}], or from all rows: "
            "ingest.split.given=false.",
            usage=True,
        )
    if empty:
        raise VisageError(
            f"No example fell into the split {' or '.join(empty)}: there are {sum(examples.values())} in all.",
            "Take more photos of more persons, change ingest.split.validation and ingest.split.test, or give the source's "
            "own split.",
        )


def _check_apart(counted: "Tally", examples: int, settings: Settings) -> None:
    for kind, column in (("person", "person"), ("photo", "sha256")):
        torn = counted.torn[column]
        if torn and settings.ingest.split.given and set(counted.given) != {None}:
            raise VisageError(
                f"By the source's own split, {len(torn)} {kind}s are in more than one split, for instance {torn[0]}. "
                "Figures from such a split flatter.",
                "Set ingest.split.given=false to split by person.",
            )
        if torn:
            raise VisageError(f"{len(torn)} {kind}s are in more than one split, for instance {torn[0]}.", _FAULT)
    if not counted.examples == counted.pictures == examples:
        raise VisageError(
            f"Of {examples} examples {counted.examples} are listed, with {counted.pictures} pictures.", _FAULT
        )


_EVERY = 1.0
"""Seconds between two looks at how far the photos are, at least; a look may take a twentieth of the time."""


@contextmanager
def _watched(staging: str, tracker: Tracker) -> Iterator[None]:
    """Tell the tracker how many photos have been opened, by the spool files that lie there: no runner need tell it."""
    from components.ingest.spool import spooled_records

    ended = threading.Event()

    def watch() -> None:
        wait = _EVERY
        while not ended.wait(wait):
            clock = time.monotonic()
            with suppress(OSError):  # it is but a look; whoever works there will hear of it
                counted = read_rows(staging)
                if counted:
                    tracker.progress(min(spooled_records(staging), counted.kept), counted.kept, "photos")
            wait = max(_EVERY, 20 * (time.monotonic() - clock))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
