"""Speed and memory of ingest: the Beam job beside a bare loop, the whole command beside the usual script, the large .mat.

    python tests/benchmarks/ingest.py                                 everything, some minutes on two cores
    python tests/benchmarks/ingest.py --photos 2000 --large 4000 --mat-rows 20000 --rounds 1
    python tests/benchmarks/ingest.py --only job incremental

Photos are UTKFace's 200x200 faces if utkface_10k.zip is in ../shared/data or where VISAGE_SHARED_DATA says, else pictures made
up. Each is opened once before anything is timed, so all read from the system's cache. Rates are photos a second; of several
rounds the median is told. Times of one run on one machine can be compared with each other, and with nothing else.
"""

import argparse
import io
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import psutil
from PIL import Image, ImageOps

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT))
SIDE = 128
PARTS = ("job", "portable", "command", "memory", "mat", "incremental")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--photos", type=int, default=10_000, help="photos for the Beam job, and for the smaller memory figure"
    )
    parser.add_argument("--large", type=int, default=50_000, help="photos for the whole commands")
    parser.add_argument("--mat-rows", type=int, default=460_723, help="rows of the .mat")
    parser.add_argument("--growing", type=int, default=20_000, help="photos of the incremental part")
    parser.add_argument("--side", type=int, default=500, help="pixels of the photos of the incremental part")
    parser.add_argument("--rounds", type=int, default=3, help="how often the loop and the job are timed, in turn")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to run")
    arguments = parser.parse_args()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder_name:
        folder = Path(folder_name)
        if "job" in arguments.only:
            figures |= job(write_photos(folder / "small", arguments.photos), folder, arguments.rounds)
        if "portable" in arguments.only:
            figures |= portable(write_photos(folder / "small", arguments.photos), folder, arguments.rounds)
        if {"command", "memory"} & set(arguments.only):
            large = write_photos(folder / "large", arguments.large)
            figures |= commands(large, folder, "command" in arguments.only)
        if "memory" in arguments.only:
            small = write_photos(folder / "small", arguments.photos)
            figures["rss_10k"] = visage(folder / "out", f"source.path={small}").peak_mb
        if "mat" in arguments.only:
            figures |= mat(folder, arguments.mat_rows)
        if "incremental" in arguments.only:
            figures |= incremental(folder, arguments.growing, arguments.side)
    for name, figure in figures.items():
        print(f"{name:24} {figure:12,.2f}")
    print(json.dumps({name: round(figure, 3) for name, figure in figures.items()}))


# The Beam job beside a bare loop


def job(photos: Path, folder: Path, rounds: int) -> dict[str, float]:
    """Rates of the same work by one bare loop and by two, and by the Beam job with one and two workers.

    The job counts from its start to the whole listing. The processes of its second worker are started within that time.
    """
    from components.ingest.settings import Settings
    from components.step.settings import build as build_settings

    logging.disable(logging.INFO)
    values = {"source": {"kind": "utkface", "path": str(photos)}, "photo": {"size": SIDE}}
    rates: dict[str, list[float]] = {"loop_1": [], "loop_2": [], "beam_1": [], "beam_2": []}
    read_all(photos)
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        loops(pool, photos, 2)  # imports are not counted
        for _ in range(rounds):
            rates["loop_1"].append(loops(pool, photos, 1))
            rates["loop_2"].append(loops(pool, photos, 2))
            for workers in (1, 2):
                settings = build_settings(Settings, values | {"beam": {"workers": workers}})
                rates[f"beam_{workers}"].append(beam_job(settings, folder / "job"))
    figures = {name: statistics.median(values) for name, values in rates.items()}
    for name in ("loop_2", "beam_1", "beam_2"):
        ratios = (rate / alone for rate, alone in zip(rates[name], rates["loop_1"], strict=True))
        figures[f"{name}_to_loop"] = statistics.median(ratios)
    return figures


def loops(pool: ProcessPoolExecutor, photos: Path, count: int) -> float:
    """The rate of so many bare loops beside each other, each in a process of its own with its share of the photos."""
    spans = list(pool.map(loop, [photos] * count, range(count), [count] * count))
    return len(list(photos.iterdir())) / (max(end for _, end in spans) - min(start for start, _ in spans))


def loop(photos: Path, first: int, step: int) -> tuple[float, float]:
    """Decodes, crops, resizes and encodes, with the function that the job uses; gives when it began and ended."""
    from components.photo import PhotoSettings, face_of

    settings = PhotoSettings(size=SIDE)
    files = sorted(photos.iterdir())[first::step]
    started = time.monotonic()
    for file in files:
        face_of(file.read_bytes(), None, settings)
    return started, time.monotonic()


def beam_job(settings: "Settings", output: Path) -> float:  # type: ignore[name-defined]  # noqa: F821
    import shutil

    import apache_beam.runners.portability.fn_api_runner  # noqa: F401 - imports are not counted

    from components.beam_job import pipeline, run
    from components.ingest.assemble import assemble
    from components.ingest.job import build
    from components.ingest.processes import processes

    staging = str(output / "staging")
    started = time.perf_counter()
    with processes(settings, staging):
        work = pipeline(settings.beam)
        build(work, settings, staging)
        run(work)
        rows = assemble(staging, output, settings.photo).rows
        seconds = time.perf_counter() - started
    shutil.rmtree(output)
    return rows / seconds


# The same job on job servers


def portable(photos: Path, folder: Path, rounds: int) -> dict[str, float]:
    """Rates of the job on one worker of Prism and on two of Beam's own job server, over a bare loop's; none without Go.

    The job counts with the start of its workers, each a process that imports Beam. Prism has one of them a job, so two are had
    from the job server in Python.
    """
    from components.ingest.settings import Settings
    from components.step.settings import build as build_settings
    from tests.cluster.go_servers import Unavailable, free_port, prism, serving

    logging.disable(logging.INFO)
    environment = os.environ | {
        "PYTHONPATH": str(PROJECT),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",  # the pool starts `python`
    }
    pool_port, server_port = free_port(), free_port()
    pool = [sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={pool_port}"]
    server = [sys.executable, "-m", "tests.cluster.python_job_server", str(server_port)]
    rates: dict[str, list[float]] = {"loop_1": [], "portable_1": [], "portable_2": []}
    read_all(photos)
    try:
        with (
            prism(folder) as prism_server,
            serving(server, server_port, folder / "job-server.log", environment, 120) as python_server,
            serving(pool, pool_port, folder / "pool.log", environment, 120),
            ProcessPoolExecutor(2, get_context("spawn")) as loops_pool,
        ):
            loops(loops_pool, photos, 2)  # imports are not counted
            for _ in range(rounds):
                rates["loop_1"].append(loops(loops_pool, photos, 1))
                for workers, address in ((1, prism_server.address), (2, python_server.address)):
                    options = (
                        f"--job_endpoint={address}",
                        "--environment_type=EXTERNAL",
                        f"--environment_config=localhost:{pool_port}",
                    )
                    beam = {"runner": "portable", "workers": workers, "options": options}
                    settings = build_settings(
                        Settings,
                        {
                            "source": {"kind": "utkface", "path": str(photos)},
                            "photo": {"size": SIDE},
                            "beam": beam,
                        },
                    )
                    rates[f"portable_{workers}"].append(beam_job(settings, folder / "job"))
    except Unavailable as why:
        print(f"portable_1 and portable_2 are not measured: {why}")
        return {}
    figures = {name: statistics.median(values) for name, values in rates.items() if name != "loop_1"}
    for name in ("portable_1", "portable_2"):
        ratios = (rate / alone for rate, alone in zip(rates[name], rates["loop_1"], strict=True))
        figures[f"{name}_to_loop"] = statistics.median(ratios)
    return figures


# Whole commands


def commands(photos: Path, folder: Path, with_script: bool) -> dict[str, float]:
    """Rates of whole processes, imports counted: the ingest step, and the usual script; both make faces of up to 224."""
    read_all(photos)
    count = len(list(photos.iterdir()))
    ours = visage(folder / "out", f"source.path={photos}")
    figures = {"visage_whole": count / ours.seconds, "rss_50k": ours.peak_mb}
    if not with_script:
        return {"rss_50k": ours.peak_mb}
    script = measured([sys.executable, "-c", SCRIPT, str(photos), str(folder / "script")])
    figures["script_whole"] = count / script.seconds
    figures["visage_to_script"] = figures["visage_whole"] / figures["script_whole"]
    return figures


SCRIPT = """
import pathlib, sys, cv2
cv2.setNumThreads(1)
source, target = map(pathlib.Path, sys.argv[1:])
target.mkdir()
for file in sorted(source.iterdir()):
    cv2.imwrite(str(target / file.name), cv2.resize(cv2.imread(str(file)), (224, 224)))
"""
"""The script that everybody writes."""


@dataclass(frozen=True)
class Measured:
    """A process that was run: its seconds, and the largest memory of its tree in MB."""

    seconds: float
    peak_mb: float


def measured(command: list[str]) -> Measured:
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    started = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        with subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL, stderr=errors) as run:
            peak = 0
            while run.poll() is None:
                peak = max(peak, memory(run.pid))
                time.sleep(0.05)
        seconds = time.perf_counter() - started
        errors.seek(0)
        if run.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{errors.read().decode()}")
    return Measured(seconds, peak / 1e6)


def memory(process: int) -> int:
    """Resident bytes of a process and all its children."""
    total = 0
    try:
        root = psutil.Process(process)
        for one in (root, *root.children(recursive=True)):
            total += one.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total


def visage(output: Path, *settings: str) -> Measured:
    """`visage step ingest` on photos with UTKFace's names."""
    import shutil

    shutil.rmtree(output, ignore_errors=True)
    pairs = [part for pair in ("source.kind=utkface", "photo.size=224", *settings) for part in ("--set", pair)]
    return measured([sys.executable, "-m", "pipeline.cli", "step", "ingest", *pairs, "--out", str(output)])


# The labels of IMDB


def mat(folder: Path, rows: int) -> dict[str, float]:
    """Seconds and MB to make records of an imdb.mat with as many rows as the published one."""
    write_mat(folder / "imdb", rows)
    code = (
        "import sys; from components.ingest.sources import records; "
        "from components.ingest.sources.settings import SourceSettings; "
        "rows = sum(1 for _ in records(SourceSettings(path=sys.argv[1]))); assert rows == int(sys.argv[2]), rows"
    )
    run = measured([sys.executable, "-c", code, str(folder / "imdb"), str(rows)])
    return {"mat_seconds": run.seconds, "mat_mb": run.peak_mb}


def write_mat(folder: Path, rows: int) -> None:
    from scipy.io import savemat

    random = np.random.default_rng(0)
    people = 20_284
    who = random.integers(0, people, rows)
    paths = [f"{person % 100:02d}/nm{person:07d}_rm{row:010d}_1970-3-12_2009.jpg" for row, person in enumerate(who)]
    boxes = random.uniform(1, 500, (rows, 1, 4))

    def cells(values: Iterable[object], count: int) -> np.ndarray:
        array = np.empty((1, count), dtype=object)
        for column, value in enumerate(values):
            array[0, column] = value
        return array

    folder.mkdir()
    fields = {
        "dob": random.integers(690_000, 730_000, (1, rows)).astype(np.int32),
        "photo_taken": random.integers(1950, 2015, (1, rows)).astype(np.uint16),
        "full_path": cells(paths, rows),
        "gender": random.choice([0.0, 1.0, np.nan], (1, rows)),
        "name": cells((f"Person {person}" for person in who), rows),
        "face_location": cells(boxes, rows),
        "face_score": random.uniform(-1, 6, (1, rows)),
        "second_face_score": np.where(random.random((1, rows)) < 0.3, 2.0, np.nan),
        "celeb_names": cells((f"Person {person}" for person in range(people)), people),
        "celeb_id": (who + 1.0).reshape(1, rows),
    }
    savemat(folder / "imdb.mat", {"imdb": fields})


# A later ingest of a grown source


def incremental(folder: Path, count: int, side: int) -> dict[str, float]:
    """Seconds of an ingest of large photos, and of the next one when 1 % more have come; imports not counted."""
    from components.ingest import STEP
    from components.ingest.settings import Settings
    from components.step import Tracker, execute
    from components.step.settings import build

    photos = write_photos(folder / "growing", count, side)
    settings = build(Settings, {"source": {"kind": "utkface", "path": str(photos)}})
    import apache_beam.runners.portability.fn_api_runner  # noqa: F401 - imports are not counted

    import components.ingest.job
    import components.ingest.summary  # noqa: F401

    seconds = []
    for name in ("first", "second"):
        read_all(photos)
        started = time.perf_counter()
        manifest = execute(STEP, settings, {}, folder / "artifacts" / name, Tracker())
        seconds.append(time.perf_counter() - started)
        if name == "first":
            write_photos(photos, count + count // 100, side, first=count)
    figures = {"full_seconds": seconds[0], "added_seconds": seconds[1], "added_to_full": seconds[1] / seconds[0]}
    return figures | {"added_new": manifest.counts["photos_new"]}


# Photos


def write_photos(folder: Path, count: int, side: int = 0, first: int = 0) -> Path:
    """Photos with UTKFace's names: each different, the given ones again and again with other pixels, `side` pixels or as is."""
    if folder.exists() and not first:
        return folder
    folder.mkdir(exist_ok=True)
    originals = list(given_photos(min(count, 10_000)))
    for number in range(first, count):
        data, variant = originals[number % len(originals)], number // len(originals)
        if variant or side:
            data = varied(data, variant, side or 200)
        (folder / f"{number % 90 + 1}_{number % 2}_0_{number:017d}.jpg.chip.jpg").write_bytes(data)
    return folder


def given_photos(count: int) -> Iterator[bytes]:
    archive = Path(os.environ.get("VISAGE_SHARED_DATA", PROJECT.parent / "shared" / "data")) / "utkface_10k.zip"
    if archive.exists():
        with zipfile.ZipFile(archive) as photos:
            names = [name for name in photos.namelist() if name.endswith(".jpg")]
            yield from (photos.read(name) for name in names[:count])
        return
    print(f"There is no {archive}: pictures are made up.", file=sys.stderr)
    random = np.random.default_rng(0)
    for _ in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (25, 25, 3), dtype=np.uint8))
        yield jpeg(coarse.resize((200, 200), Image.Resampling.BICUBIC))


def varied(data: bytes, variant: int, side: int) -> bytes:
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    if variant % 2:
        picture = ImageOps.mirror(picture)
    picture = picture.point([min(255, value + 3 * variant) for value in range(256)] * 3)
    return jpeg(picture.resize((side, side), Image.Resampling.BICUBIC) if picture.width != side else picture)


def jpeg(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def read_all(folder: Path) -> None:
    for file in folder.iterdir():
        file.read_bytes()


if __name__ == "__main__":
    main()
