"""Writes the demo archive: photos, imdb.mat, album.zip, and expected.json for those who check an ingest."""

import contextlib
import fcntl
import io
import itertools
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

from pipeline.demo.plan import Row, expected, plan_album, plan_rows
from pipeline.demo.scene import take
from schemas.error import VisageError
from schemas.record import MALE

MOST_PHOTOS = 1_000_000
VERSION = 2  # of the drawings: raised whenever the same seed gives other bytes than before


def draw_archive(
    out: Path, photos: int, seed: int, progress: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, Any]:
    """Draw an archive in the layout of IMDB-WIKI's `imdb_crop`; an archive of the same arguments is reused.

    OUT appears when all of it is written, so that a killed run leaves nothing half-made, and the same command starts afresh.
    One process draws some 200 photos a second.

    Args:
        out: the archive's folder; it must not exist, be empty, or hold this very archive.
        photos: rows of imdb.mat that have a photo, truncated ones and copies included.
        seed: the same seed gives the same bytes.
        progress: told after each photo how many of how many are drawn.

    Returns:
        The contents of expected.json: what it was `drawn` with, `plan.expected`, how many `photos` the `album` has and how many
        of them are `broken`; and whether the archive was `reused`.

    Raises:
        VisageError: wrong arguments; OUT holds something else; it cannot be written.
    """
    if not 1 <= photos <= MOST_PHOTOS:
        raise VisageError(f"--photos must be from 1 to {MOST_PHOTOS:,} (given: {photos}).", usage=True)
    if seed < 0:
        raise VisageError(f"--seed must not be negative (given: {seed}).", usage=True)
    out = Path(out).absolute()
    arguments = {"photos": photos, "seed": seed, "version": VERSION}
    try:
        reused = out.exists() and not (out.is_dir() and not any(out.iterdir()))
        if not reused:
            with _partial(out) as partial:
                _write(partial, arguments, progress)
                partial.rename(out)
        elif not _is_whole(out, arguments):
            message = f"{out} is not this version's demo archive of {photos} photos and seed {seed}, or not all of it."
            raise VisageError(message, "Give another folder, or delete this one if nobody needs it.", usage=True)
        return {**json.loads((out / "expected.json").read_text()), "reused": reused}
    except OSError as error:
        message = f"{out} cannot be written: {error.strerror or error}."
        raise VisageError(message, "Give a folder that you may write to, with some 10 kB for each photo.") from error


def _is_whole(out: Path, arguments: dict[str, int]) -> bool:
    """Whether OUT holds the archive of these arguments with all its files."""
    try:
        is_same = json.loads((out / "expected.json").read_text())["drawn"] == arguments
    except (OSError, ValueError, KeyError, TypeError):
        return False
    files = [len(list(out.glob(pattern))) for pattern in ("*/*", "imdb.mat", "album.zip")]
    return is_same and files == [arguments["photos"], 1, 1]


@contextlib.contextmanager
def _partial(out: Path) -> Iterator[Path]:
    """An empty folder beside OUT that no other process works in; gone afterwards, unless it was renamed."""
    partial = out.with_name(f".{out.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    lock = os.open(partial, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for entry in partial.iterdir():  # what a killed run left behind
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        try:
            yield partial
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except BlockingIOError:
        raise VisageError(f"Another command is drawing {out} at this moment.", "Wait for it.") from None
    finally:
        os.close(lock)


def _write(folder: Path, arguments: dict[str, int], progress: Callable[[int, int], None]) -> None:
    rows, album = plan_rows(arguments["photos"], arguments["seed"]), plan_album(arguments["photos"], arguments["seed"])
    total, drawn_count = arguments["photos"] + len(album), itertools.count(1)
    for row in rows:
        if row.has_photo:
            path, jpeg = folder / row.path, take(row.shot)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(jpeg[: len(jpeg) // 2] if "photo_unreadable" in row.defects else jpeg)
            progress(next(drawn_count), total)
    broken = 0
    with zipfile.ZipFile(folder / "album.zip", "w") as file:
        for index, shot in enumerate(album):
            jpeg = take(shot)
            content = {4: jpeg[: len(jpeg) // 2], 10: b"This was a photo once.\n", 16: b""}.get(index % 100, jpeg)
            broken += content is not jpeg
            name = f"box_{index // 50 + 1}/{index:04d}.jpg"
            file.writestr(zipfile.ZipInfo(name, date_time=(2016, 1, 16, 12, 0, 0)), content)
            progress(next(drawn_count), total)
    (folder / "imdb.mat").write_bytes(_mat(rows))
    counts = {"drawn": arguments, **expected(rows), "album": {"photos": len(album), "broken": broken}}
    (folder / "expected.json").write_text(json.dumps(counts, indent=1) + "\n")


def _mat(rows: list[Row]) -> bytes:
    """The rows as MATLAB 5: one struct `imdb` with the ten fields and types of the published file."""

    def column(values: Iterable[Any], kind: type = np.float64) -> np.ndarray:
        return np.fromiter(values, kind)[np.newaxis]

    fields = {
        "dob": column((row.person.birth.toordinal() + 366 for row in rows), np.int32),
        "photo_taken": column((row.year for row in rows), np.uint16),
        "full_path": column((row.path for row in rows), object),
        "gender": column(np.nan if "gender_unknown" in row.defects else row.person.gender == MALE for row in rows),
        "name": column((row.person.name for row in rows), object),
        "face_location": column((np.array([[1.0, 1.0, *row.shot.size]]) for row in rows), object),
        "face_score": column(row.face_score for row in rows),
        "second_face_score": column(row.second_face_score for row in rows),
        "celeb_names": column({row.person.number: row.person.name for row in rows}.values(), object),
        "celeb_id": column(row.person.number for row in rows),
    }
    file = io.BytesIO()
    savemat(file, {"imdb": fields}, do_compression=True)
    # The first 116 bytes are free text, into which scipy writes the date.
    return b"MATLAB 5.0 MAT-file, Visage demo data".ljust(116) + file.getvalue()[116:]
