"""Memory of ingest by the number of rows: of a worker of the Beam job, of the driver's last part, and of the face cache.

    python tests/benchmarks/ingest_scale.py                          100,000 and 1,000,000 rows, some ten minutes
    python tests/benchmarks/ingest_scale.py --rows 10000 50000

Rows are of a made-up table. No photo is opened: faces of some ten bytes take their places, one in twenty of them a picture
that is there already, one in fifty on a photo with another person. The job runs on Beam's local runner with its one worker in a
process of its own; what the runner itself keeps between two stages, on a cluster the shuffle, is in the process beside it and
not counted. Shards are of 0.5 MB, so that there are as many as of real faces. Peaks are MB, as the kernel tells them (VmHWM).
"""

import argparse
import hashlib
import json
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil

from components.ingest.faces import Taken
from components.ingest.labels import SplitSettings
from components.ingest.settings import Settings
from components.step.settings import build as build_settings
from schemas.record import FaceRecord

PROJECT = Path(__file__).resolve().parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000], help="rows of the table")
    arguments = parser.parse_args()
    os.environ["PYTHONPATH"] = str(PROJECT)  # for the worker
    figures: dict[str, float] = {}
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory() as held:
            folder = Path(held)
            write_table(folder / "labels.csv", rows)
            figures[f"worker_{rows}"], examples = alone(run_job, folder)
            figures[f"driver_{rows}"], counted = alone(run_driver, folder)
            figures[f"cache_{rows}"], known = alone(run_cache, folder)
            assert examples == counted, (examples, counted)
            figures |= {f"examples_{rows}": examples, f"known_{rows}": known}
    for name, figure in figures.items():
        print(f"{name:24} {figure:12,.1f}")
    print(json.dumps({name: round(figure, 1) for name, figure in figures.items()}))


def alone(work: Callable[[Path], Any], folder: Path) -> Any:
    """What a function gives in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(work, folder).result()


def write_table(file: Path, rows: int) -> None:
    with file.open("w") as table:
        table.write("path,age,gender,person\n")
        for row in range(rows):
            age = "" if row % 10 == 9 else row % 100
            table.write(f"{row % 1000:03d}/photo-{row}.jpg,{age},{'fm'[row // 2 % 2]},person-{row // 7}\n")


def settings_of(folder: Path) -> Settings:
    values = {
        "source": {"kind": "table", "path": str(folder / "labels.csv")},
        "ingest": {"shard_mb": 0.5, "age_tolerance": 100},
        "beam": {"workers": 1, "options": ["--direct_running_mode=multi_processing"]},
    }
    return build_settings(Settings, values)


# The job


class MadeUpFaces:
    """Stands for a FaceExtractor, without photos."""

    photos = None

    def __init__(self, split: SplitSettings) -> None:
        self.split = split

    def take(self, records: list[FaceRecord]) -> Taken:
        from components.ingest.extract import example_of
        from components.ingest.face_tables import NO_PLACE
        from components.ingest.faces import labels_of
        from components.photo import Face
        from schemas.example import encode

        taken = Taken([], [], [])
        for record in records:
            number = record.row - 1 if record.row % 20 == 1 else record.row
            pixels = hashlib.sha256(b"picture %d" % number).digest()
            photo = record.row // 50 if record.row % 50 < 2 else -record.row
            sha256 = hashlib.sha256(b"photo %d" % photo).hexdigest()
            labels = labels_of(record, self.split)
            taken.rows.append((*labels, sha256, f"{record.row}-0", pixels, 8, 8, *NO_PLACE))
            taken.examples.append(encode(example_of(record, Face(pixels[:10], 8, 8, pixels), sha256, labels[-1])))
        return taken


def run_job(folder: Path) -> tuple[float, int]:
    """The largest peak of a worker, and the number of examples that the job wrote."""
    from components.beam_job import pipeline, run
    from components.ingest import job, pieces
    from tests.benchmarks.ingest_scale_job import ExtractMadeUpFaces

    logging.disable(logging.WARNING)
    settings, staging = settings_of(folder), str(folder / "staging")
    job.ExtractFaces = ExtractMadeUpFaces  # type: ignore[misc]
    with watched_children() as peaks:
        work = pipeline(settings.beam)
        job.build(work, settings, staging)
        run(work)
    found = pieces.read_contents(staging).pieces
    kept = [piece for split in ("train", "validation", "test") for piece in found[split]]
    return max(peaks.values()), sum(pieces.read_shard(staging, piece)[0].examples for piece in kept)


@contextmanager
def watched_children() -> Iterator[dict[int, float]]:
    """Peaks of all processes that this one starts meanwhile."""
    peaks: dict[int, float] = {}
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.2):
            for child in psutil.Process().children(recursive=True):
                peaks[child.pid] = peak(child.pid) or peaks.get(child.pid, 0)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    yield peaks
    ended.set()
    thread.join()


def peak(process: int) -> float:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM")), 0)


# What comes after it


def run_driver(folder: Path) -> tuple[float, int]:
    """The peak of a process that makes an artifact of the pieces, counts, checks and describes it; and its examples."""
    from components.ingest import summary, tally
    from components.ingest.assemble import assemble
    from components.ingest.run import check

    settings, output = settings_of(folder), folder / "artifact"
    rows = assemble(str(folder / "staging"), output, settings.photo).rows
    counted = tally.count(output)
    check(output, counted, rows, settings)
    figures = summary.describe(output, counted, output)
    assert figures["photos_new"] == 0
    return peak(os.getpid()), counted.examples


def run_cache(folder: Path) -> tuple[float, int]:
    """The peak of a process that knows all these faces, and how many they are."""
    from components.ingest.examples_index import making
    from components.ingest.face_cache import FaceCache, stage_known

    staging = str(folder / "next")
    stage_known(folder / "artifact", staging, making(settings_of(folder).photo), copied=False)
    return peak(os.getpid()), len(FaceCache(staging))


if __name__ == "__main__":
    sys.path.insert(0, str(PROJECT))
    main()
