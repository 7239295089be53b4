"""Memory of ingest by the number of rows: of a worker of the Beam job, of the driver's last part, and of the face cache.

    python tests/benchmarks/ingest_scale.py                          100,000 and 1,000,000 rows, some minutes
    python tests/benchmarks/ingest_scale.py --rows 10000 50000

Rows are of a made-up table. No photo is opened: faces of some ten bytes take their places, one in twenty of them a picture
that is there already, one in fifty on a photo with another person. One process does the work of every stage of the job, in
bundles, with a database on disk for the shuffle: what it holds is what the stages hold, and nothing of a runner. (Beam's local
runner would hand a worker all of a stage's input in one message.) Shards are of 0.5 MB, so that there are as many as of real
faces. Peaks are MB, as the kernel tells them (VmHWM).
"""

import argparse
import hashlib
import json
import os
import pickle
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from components.ingest.faces import Extraction
from components.ingest.labels import SplitSettings
from components.ingest.settings import Settings
from components.step.settings import build as build_settings
from schemas.record import FaceRecord


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000], help="rows of the table")
    arguments = parser.parse_args()
    figures: dict[str, float] = {}
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            write_table(folder / "labels.csv", rows)
            figures[f"worker_{rows}"], examples = alone(run_job, folder)
            figures[f"driver_{rows}"], counted = alone(run_driver, folder)
            figures[f"cache_{rows}"], known = alone(run_cache, folder)
            assert examples == counted, (examples, counted)
            figures |= {f"examples_{rows}": examples, f"known_{rows}": known}
            for name in (name for name in figures if name.endswith(f"_{rows}")):
                print(f"{name:24} {figures[name]:12,.1f}", flush=True)
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
    }
    return build_settings(Settings, values)


# The job


def ExtractMadeUpFaces(*arguments: Any) -> Any:  # noqa: N802 - it stands for a class
    """The stage that takes faces from photos, with made-up ones."""
    from components.ingest.face_cache import FaceCache
    from components.ingest.job import ExtractFaces

    class Made(ExtractFaces):
        def setup(self) -> None:
            self._extractor = MadeUpFaces(self._settings.ingest.split)  # type: ignore[assignment]
            self._cache, self._processes = FaceCache(""), None

    return Made(*arguments)


class MadeUpFaces:
    """Stands for a FaceExtractor, without photos."""

    photos = None

    def __init__(self, split: SplitSettings) -> None:
        self.split = split

    def take(self, records: list[FaceRecord]) -> Extraction:
        from components.ingest.extract import example_of
        from components.ingest.faces import labels_of
        from components.photo import Face
        from schemas.example import encode

        extraction = Extraction([], [], [])
        for record in records:
            number = record.row - 1 if record.row % 20 == 1 else record.row
            pixels = hashlib.sha256(b"picture %d" % number).digest()
            photo = record.row // 50 if record.row % 50 < 2 else -record.row
            sha256 = hashlib.sha256(b"photo %d" % photo).hexdigest()
            labels = labels_of(record, self.split)
            extraction.rows.append((*labels, sha256, f"{record.row}-0", pixels, 8, 8))
            extraction.examples.append(encode(example_of(record, Face(pixels[:10], 8, 8, pixels), sha256, labels[-1])))
        return extraction


class Shuffle:
    """What goes from one stage to the next, by key, on disk."""

    def __init__(self, file: Path) -> None:
        self._database = sqlite3.connect(file, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=OFF")
        self._database.execute("PRAGMA synchronous=OFF")
        self._database.execute("CREATE TABLE elements (stage TEXT, key BLOB, value BLOB)")
        self._database.execute("CREATE INDEX by_key ON elements (stage, key)")

    def put(self, stage: str, key: Any, value: Any) -> None:
        self._database.execute("INSERT INTO elements VALUES (?, ?, ?)", (stage, pickle.dumps(key), pickle.dumps(value)))

    def groups(self, stage: str) -> Iterator[tuple[Any, Iterator[Any]]]:
        for (key,) in self._database.execute("SELECT DISTINCT key FROM elements WHERE stage = ?", (stage,)):
            values = self._database.execute("SELECT value FROM elements WHERE stage = ? AND key = ?", (stage, key))
            yield pickle.loads(key), (pickle.loads(value) for (value,) in values)


def run_job(folder: Path) -> tuple[float, int]:
    """The peak of a process that does all that workers do, and the number of examples."""
    from components.ingest import job, pieces

    settings, staging = settings_of(folder), str(folder / "staging")
    shuffle = Shuffle(folder / "shuffle")
    kept_rows = 0
    for tag, output in done(job.ReadRecords(settings, staging), [b""]):
        if tag == job.COUNTED:
            kept_rows = output[1]
            shuffle.put("written", "", output)
        else:
            shuffle.put(tag or "batches", *output)
    batches = shuffle.groups("batches")
    while bundle := list(islice(batches, _BUNDLE)):
        outputs = done(ExtractMadeUpFaces("", settings, staging, False), bundle)
        blocks = (output for tag, output in outputs if not tag or shuffle.put(tag, *output))  # type: ignore[func-returns-value]
        for _, output in done(job.ByPicture(), blocks, kept_rows):
            shuffle.put("pictures", *output)
    sizes: dict[str, int] = {}
    for fn, stage, sides in (
        (job.KeepOne(settings.ingest), "pictures", (kept_rows,)),
        (job.KeepOneSplit(), "photos", ()),
    ):
        for tag, output in done(fn, shuffle.groups(stage), *sides):
            if tag == job.REJECTS:
                shuffle.put(tag, *output)
            elif tag == job.LEFT or stage == "photos":
                sizes[output[0]] = sizes.get(output[0], 0) + output[1]
                shuffle.put("dealt", "", output)
            else:
                shuffle.put("photos", *output)
    for _, parts in shuffle.groups("dealt"):
        for _, output in done(job.IntoShards(settings.ingest), parts, sizes):
            shuffle.put("shards", *output)
    for fn, stage in ((job.WriteShard(staging), "shards"), (job.WriteRejects(staging), job.REJECTS)):
        for _, output in done(fn, shuffle.groups(stage)):
            shuffle.put("written", *output)
    list(done(job.WriteContents(staging), shuffle.groups("written")))
    by_split = pieces.read_contents(staging).pieces
    shards = [piece for split in ("train", "validation", "test") for piece in by_split[split]]
    return peak(os.getpid()), sum(pieces.read_shard(staging, piece)[0].examples for piece in shards)


_BUNDLE = 64
"""Batches of records in a bundle."""


def done(fn: Any, elements: Iterable[Any], *sides: Any) -> Iterator[tuple[str, Any]]:
    """What a stage gives for a bundle of elements, each with the tag of its output."""
    fn.setup()
    fn.start_bundle()
    for element in elements:
        for output in fn.process(element, *sides):
            yield (output.tag, output.value) if hasattr(output, "tag") else ("", output)
    yield from (("", output.value) for output in fn.finish_bundle() or ())


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
    main()
