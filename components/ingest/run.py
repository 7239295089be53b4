"""The ingest step: run the job, watch it, and see at the end that nothing was lost and nothing leaks."""

import json
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.beam import pipeline
from components.beam import run as run_pipeline
from components.ingest.faces import SPOOL, spooled_rows
from components.ingest.settings import Settings
from components.ingest.sources import photos_root
from components.step import Job, Tracker
from schemas.error import VisageError
from schemas.record import SPLITS, TEST, TRAIN, VALIDATION
from schemas.reject import REASONS, Reject, read_rejects
from schemas.shard import read_index

_OF_PHOTOS = [reason for reason in REASONS if reason.startswith("photo_") or reason == "not_a_photo"]


def run(settings: Settings, job: Job) -> Mapping[str, Any]:
    """Write the examples of a source as shards, with an index, the rejects and a summary; gives the counts.

    Raises:
        VisageError: the source is not there or not of its kind; no photo was found; every row was rejected; a split got no
            example; a person or a picture is in two splits; the output cannot be written.
    """
    from components.ingest.job import build

    clock = time.monotonic()
    spool = job.output / SPOOL
    spool.mkdir(parents=True)
    work = pipeline(settings.beam)
    build(work, settings, job.output)
    with _watched(spool, job.tracker):
        run_pipeline(work)
    rows = json.loads((spool / "rows.json").read_text())["rows"]
    shutil.rmtree(spool)
    index = read_index(job.output)
    rejects = read_rejects(job.output / "rejects.parquet")
    reasons = Counter(reject.reason for reject in rejects)
    examples = {split: sum(shard.examples for shard in index.get(split, [])) for split in SPLITS}
    if sum(examples.values()) + len(rejects) != rows:
        raise VisageError(
            f"{rows} rows were read, but {sum(examples.values())} examples and {len(rejects)} rejects came out.",
            "This is a fault of ingest, not of the data: please report it with the log.",
        )
    _check_enough(settings, examples, rejects)
    counts = {
        "rows": rows,
        "examples": sum(examples.values()),
        **examples,
        "rejects": {reason: reasons[reason] for reason in REASONS if reasons[reason]},
        "seconds": round(time.monotonic() - clock, 1),
    }
    (job.output / "summary.json").write_text(json.dumps(counts, indent=1) + "\n")
    return counts


def _check_enough(settings: Settings, examples: Mapping[str, int], rejects: list[Reject]) -> None:
    """See that there is something to learn from.

    Raises:
        VisageError: no rows, no photos, no examples, or none in a split that should have some.
    """
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
        raise VisageError(
            f"Every one of the {len(rejects)} rows of {where} was rejected: {listed}.",
            "Look at the rules under ingest.filter and photo, and whether source.kind and source.path belong together.",
        )
    split = settings.ingest.split
    wanted = {TRAIN: True, VALIDATION: split.validation > 0, TEST: split.test > 0}
    empty = [name for name in SPLITS if wanted[name] and not examples[name]]
    if empty:
        raise VisageError(
            f"No example fell into the split {' or '.join(empty)}: there are {sum(examples.values())} in all.",
            "Take more photos of more persons, change ingest.split.validation and ingest.split.test, or give the source's "
            "own split.",
        )


@contextmanager
def _watched(spool: Path, tracker: Tracker) -> Iterator[None]:
    """Tell the tracker how many photos have been opened, once a second, by the spool files that lie there."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(1):
            total = spool / "rows.json"
            if total.exists():
                tracker.progress(spooled_rows(spool), json.loads(total.read_text())["kept"], "photos")

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
