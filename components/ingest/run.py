"""The ingest step: run the job, watch it, and see at the end that nothing was lost and nothing leaks."""

import logging
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.beam_job import pipeline
from components.beam_job import run as run_pipeline
from components.ingest import labels
from components.ingest.faces import SPOOL, read_rows, spooled_rows
from components.ingest.processes import processes
from components.ingest.settings import Settings
from components.ingest.sources import photos_root
from components.step import StepContext, Tracker
from schemas.error import VisageError
from schemas.record import SPLITS, TEST, TRAIN, VALIDATION
from schemas.reject import REASONS, Reject, read_rejects
from schemas.shard import INDEX, read_index

log = logging.getLogger("visage.ingest")


def run(settings: Settings, context: StepContext) -> Mapping[str, Any]:
    """Write the examples of a source as shards, with index, listing, rejects and a summary; gives the figures.

    Raises:
        VisageError: the source is not there or not of its kind; no photo was found; every row was rejected; a split got no
            example; a person or a picture is in two splits; the output cannot be written.
    """
    from components.ingest import job as beam_job
    from components.ingest import summary
    from components.report import surround
    from components.storage.by_name import open_files

    clock = time.monotonic()
    spool = context.output / SPOOL
    spool.mkdir(parents=True)
    with processes(settings, context.output, context.previous is not None), _watched(spool, context.tracker):
        work = pipeline(settings.beam)
        beam_job.build(work, settings, context.output, context.previous)
        run_pipeline(work)
    counted = read_rows(spool)
    rejects = read_rejects(context.output / "rejects.parquet")
    check(context.output, counted.rows if counted else 0, rejects, settings)
    figures = summary.describe(context.output, rejects, context.previous)
    figures["seconds"] = round(time.monotonic() - clock, 2)
    figures["photos_per_second"] = round(figures["photos"] / figures["seconds"], 1)
    source = settings.source
    photos = open_files(photos_root(source), settings.photo.max_bytes, source.names_encoding, scratch=spool)
    summary.write(context.output, figures, rejects, photos, surround.of_step("ingest", settings, context))
    shutil.rmtree(spool)
    for line in _table(figures):
        log.info(line)
    return {name: value for name, value in figures.items() if name not in ("splits", "ages", "sides")}


def _table(figures: Mapping[str, Any]) -> Iterator[str]:
    """What became of every row, a line each."""
    yield f"{figures['rows']:>9,} rows"
    for split in SPLITS:
        yield f"{figures[split]:>9,} examples for {split}"
    for reason, count in figures["rejects"].items():
        yield f"{count:>9,} rejects: {reason}, {REASONS[reason]}"
    yield f"{figures['photos_new']:>9,} photos were new, of {figures['photos']:,} that were opened"


def check(folder: Path, rows: int, rejects: list[Reject], settings: Settings) -> None:
    """See that every row is accounted for, that there is enough to learn from, and that no split knows another.

    Args:
        folder: the artifact in the making.
        rows: number of rows that were read.
        rejects: the rows that were left out.
        settings: of the step.

    Raises:
        VisageError: it is not so.
    """
    index = read_index(folder) if (folder / INDEX).exists() else {}
    examples = {split: sum(shard.examples for shard in index.get(split, [])) for split in SPLITS}
    if sum(examples.values()) + len(rejects) != rows:
        raise VisageError(
            f"{rows} rows were read, but {sum(examples.values())} examples and {len(rejects)} rejects came out.", _FAULT
        )
    _check_enough(folder, settings, examples, rejects)
    _check_apart(folder, sum(examples.values()), settings)


_FAULT = "This is a fault of ingest, not of the data: please report it, with the log."
_OF_PHOTOS = [reason for reason in REASONS if reason.startswith("photo_") or reason == "not_a_photo"]


def _check_enough(folder: Path, settings: Settings, examples: Mapping[str, int], rejects: list[Reject]) -> None:
    from components.ingest.examples_index import read_columns

    where = settings.source.path
    if not rejects and not any(examples.values()):
        raise VisageError(f"{where} holds no rows.", "Name the data set's own folder or label file as source.path.")
    if not any(examples.values()):
        reasons = Counter(reject.reason for reject in rejects)
        missing = next((reject for reject in rejects if reject.reason == "photo_missing"), None)
        if missing and reasons["photo_missing"] == sum(reasons[reason] for reason in _OF_PHOTOS):
            raise VisageError(
                f"No photo was found under {photos_root(settings.source)}: {reasons['photo_missing']} are missing, "
                f"the first is {missing.path}.",
                "Say where the photos are with source.photos.",
            )
        listed = ", ".join(f"{count} {reason} ({REASONS[reason]})" for reason, count in reasons.most_common(5))
        details = {reject.reason: reject.detail for reject in sorted(rejects, key=lambda held: -held.row)}
        raise VisageError(
            f"Every one of the {len(rejects)} rows of {where} was rejected: {listed}.",
            f"{labels.advice(reasons, details)} Do source.kind and source.path belong together?",
        )
    split = settings.ingest.split
    by_fold = split.test_fold is not None
    wanted = {TRAIN: True, VALIDATION: by_fold or split.validation > 0, TEST: by_fold or split.test > 0}
    empty = [name for name in SPLITS if wanted[name] and not examples[name]]
    given = set(read_columns(folder, "given_split")["given_split"].to_pylist()) if split.given else {None}
    if empty and None not in given and TRAIN in given and TRAIN not in empty:
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


def _check_apart(folder: Path, examples: int, settings: Settings) -> None:
    import pyarrow.compute as pc

    from components.ingest.examples_index import read_columns

    listing = read_columns(folder, "split", "person", "given_split", "sha256", "pixels")
    for thing, column in (("person", "person"), ("photo", "sha256")):
        counted = listing.group_by(column).aggregate([("split", "count_distinct")])
        torn = counted.filter(pc.field("split_count_distinct") > 1)[column].to_pylist()
        if torn and settings.ingest.split.given and listing["given_split"].null_count < len(listing):
            raise VisageError(
                f"By the source's own split, {len(torn)} {thing}s are in more than one split, for instance {torn[0]}. "
                "Figures from such a split flatter.",
                "Set ingest.split.given=false to split by person.",
            )
        if torn:
            raise VisageError(f"{len(torn)} {thing}s are in more than one split, for instance {torn[0]}.", _FAULT)
    if not len(listing) == len(listing["pixels"].unique()) == examples:
        raise VisageError(
            f"Of {examples} examples {len(listing)} are listed, with {len(listing['pixels'].unique())} pictures.",
            _FAULT,
        )


_EVERY = 1.0
"""Seconds between two looks at how far the photos are."""


@contextmanager
def _watched(spool: Path, tracker: Tracker) -> Iterator[None]:
    """Tell the tracker how many photos have been opened, by the spool files that lie there."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_EVERY):
            counted = read_rows(spool)
            if counted:
                tracker.progress(spooled_rows(spool), counted.kept, "photos")

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
