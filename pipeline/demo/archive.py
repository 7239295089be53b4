"""Writes the demo archive: photos, imdb.mat, album.zip, and expected.json for those who check an ingest."""

import contextlib
import errno
import fcntl
import io
import json
import os
import shutil
import signal
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.error import VisageError
from schemas.record import FEMALE

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from pipeline.demo.plan import AlbumPhoto, Plan
    from pipeline.demo.scene import Shot

VERSION = 1
"""Of the drawings: raised whenever the same seed gives other bytes than before."""

MOST_PHOTOS = 1_000_000

Progress = Callable[[int, int], None]
"""Told how many photos of how many are drawn."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What stands in an archive.

    Attributes:
        folder: the archive.
        photos: rows of imdb.mat with a photo.
        rows: of imdb.mat; those whose photo is missing or whose path is unsafe come on top of `photos`.
        persons: of imdb.mat.
        examples: rows that the usual filter leaves.
        rejects: rows that it does not, by reason.
        album: number of `photos` in album.zip, and how many of them are `broken`.
        reused: the archive was there already.
    """

    folder: Path
    photos: int
    rows: int
    persons: int
    examples: int
    rejects: dict[str, int]
    album: dict[str, int]
    reused: bool


def draw_archive(
    out: Path, photos: int, seed: int, progress: Progress | None = None, workers: int | None = None
) -> Summary:
    """Draw an archive in the layout of IMDB-WIKI's `imdb_crop`; an archive of the same arguments is reused.

    OUT appears when all of it is written, so that a killed run leaves nothing half-made, and the same command starts afresh.

    Args:
        out: the archive's folder; it must not exist, be empty, or hold this very archive.
        photos: rows of imdb.mat that have a photo, truncated ones and copies included.
        seed: the same seed gives the same bytes, whatever the number of workers.
        progress: called now and then from this thread.
        workers: processes; all cores unless told.

    Raises:
        VisageError: wrong arguments; OUT holds something else; it cannot be written.
    """
    if not 1 <= photos <= MOST_PHOTOS:
        raise VisageError(f"--photos must be from 1 to {MOST_PHOTOS:,} (given: {photos}).", usage=True)
    if seed < 0:
        raise VisageError(f"--seed must not be negative (given: {seed}).", usage=True)
    out = Path(out).absolute()
    drawn = {"photos": photos, "seed": seed, "version": VERSION}
    try:
        if held := _held(out, drawn):
            return held
        out.parent.mkdir(parents=True, exist_ok=True)
        with _claimed(out.with_name(f".{out.name}.partial")) as partial:
            _write(partial, drawn, progress, workers or len(os.sched_getaffinity(0)))
            partial.rename(out)
    except OSError as error:
        raise _unwritable(out, error) from error
    return _summary(out, reused=False)


def _held(out: Path, drawn: dict[str, int]) -> Summary | None:
    """The archive of these arguments, if OUT holds it whole; None if there is room for it.

    Raises:
        VisageError: something else is there.
    """
    other = "Give another folder, or delete this one if nobody needs it."
    if not out.is_dir():
        if out.exists() or out.is_symlink():
            raise VisageError(f"{out} is not a folder.", "Give the name of a new folder.", usage=True)
        return None
    if not any(out.iterdir()):
        return None
    try:
        found = json.loads((out / "expected.json").read_text())["drawn"]
        summary = _summary(out, reused=True)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        raise VisageError(f"{out} holds something else than a demo archive.", other, usage=True) from None
    if found != drawn:
        told = ", ".join(f"{name} {value}" for name, value in found.items())
        raise VisageError(f"{out} holds a demo archive of {told}.", other, usage=True)
    files = sum(len(os.listdir(folder)) for folder in os.scandir(out) if folder.is_dir())  # noqa: PTH208
    if files != summary.photos or not ((out / "imdb.mat").is_file() and (out / "album.zip").is_file()):
        raise VisageError(f"{out} holds a demo archive that files were taken from or added to.", other, usage=True)
    return summary


def _summary(out: Path, *, reused: bool) -> Summary:
    held = json.loads((out / "expected.json").read_text())
    counts = {name: held[name] for name in ("rows", "persons", "examples", "rejects", "album")}
    return Summary(folder=out, photos=held["drawn"]["photos"], reused=reused, **counts)


@contextlib.contextmanager
def _claimed(partial: Path) -> Iterator[Path]:
    """An empty folder that no other process works in; gone afterwards, unless it was renamed."""
    partial.mkdir(exist_ok=True)
    lock = os.open(partial, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            ours = partial.exists() and os.path.samestat(partial.stat(), os.fstat(lock))
        except BlockingIOError:
            ours = False
        if not ours:
            raise VisageError(
                f"Another command is drawing {partial.name[1:].removesuffix('.partial')} at this moment.",
                "Wait for it.",
            )
        # What a killed run left behind.
        for entry in partial.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        try:
            yield partial
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    finally:
        os.close(lock)


def _write(folder: Path, drawn: dict[str, int], progress: Progress | None, workers: int) -> None:
    from pipeline.demo.plan import plan

    made = plan(drawn["photos"], drawn["seed"])
    files: dict[Shot, list[tuple[Path, bool]]] = {}
    for row in made.rows:
        if row.shot:
            files.setdefault(row.shot, []).append((folder / made.path(row), "photo_unreadable" in row.defects))
    shots = [*files, *(photo.shot for photo in made.album)]
    album = []
    with _taken(shots, workers) as taken:
        for done, (shot, jpeg) in enumerate(zip(shots, taken, strict=True), start=1):
            for path, cut in files.get(shot, ()):
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(jpeg[: len(jpeg) // 2] if cut else jpeg)
            if shot not in files:
                album.append(jpeg)
            if progress and (done % 10 == 0 or done == len(shots)):
                progress(done, len(shots))
    _write_album(folder / "album.zip", made.album, album)
    (folder / "imdb.mat").write_bytes(_mat(made, drawn))
    (folder / "expected.json").write_text(json.dumps({**made.expected(), "drawn": drawn}, indent=1) + "\n")


@contextlib.contextmanager
def _taken(shots: "list[Shot]", workers: int) -> Iterator[Iterator[bytes]]:
    """The photos in the order of the shots, drawn by as many processes."""
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    from pipeline.demo.scene import take

    if workers == 1 or len(shots) < 100:
        yield map(take, shots)
        return
    # Spawned, not forked: the caller may have threads, and a fork would hold the lock on after the caller's end.
    context = get_context("spawn")
    held, leash = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_on_leash, initargs=(held,))
    try:
        yield pool.map(take, shots, chunksize=16)
    except BrokenProcessPool as error:
        message = "A process that drew photos was killed, perhaps for want of memory."
        raise VisageError(message, "Run the command again.") from error
    finally:
        # The processes end by the leash, because a second Ctrl-C during an orderly shutdown makes the pool wait for ever.
        leash.close()
        held.close()
        pool.shutdown(cancel_futures=True)


def _on_leash(held: "Connection") -> None:
    """Leave Ctrl-C to the parent, and end when it lets go of the other end of this pipe, or is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        held.poll(None)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def _mat(made: "Plan", drawn: dict[str, int]) -> bytes:
    """imdb.mat: MATLAB 5, one struct `imdb` with the ten fields and types of the published file."""
    import numpy as np
    from scipy.io import savemat

    def cells(values: list[Any]) -> np.ndarray:
        held = np.empty((1, len(values)), dtype=object)
        held[0, :] = values
        return held

    def column(values: list[Any], kind: type) -> np.ndarray:
        return np.array([values], dtype=kind)

    people = [made.people[row.person] for row in made.rows]
    genders = [
        np.nan if "gender_unknown" in row.defects else float(person.gender != FEMALE)
        for row, person in zip(made.rows, people, strict=True)
    ]
    boxes = np.empty((1, len(made.rows)), dtype=object)
    for index, row in enumerate(made.rows):
        side = (row.shot.width, row.shot.height) if row.shot else (1, 1)
        boxes[0, index] = np.array([[1.0, 1.0, *side]])
    struct = {
        "dob": column([person.birth.toordinal() + 366 for person in people], np.int32),
        "photo_taken": column([row.year for row in made.rows], np.uint16),
        "full_path": cells([made.path(row) for row in made.rows]),
        "gender": column(genders, np.float64),
        "name": cells([person.name for person in people]),
        "face_location": boxes,
        "face_score": column([row.face_score for row in made.rows], np.float64),
        "second_face_score": column([row.second_face_score for row in made.rows], np.float64),
        "celeb_names": cells([person.name for person in made.people]),
        "celeb_id": column([row.person + 1 for row in made.rows], np.float64),
    }
    file = io.BytesIO()
    savemat(file, {"imdb": struct}, do_compression=True)
    # The first 116 bytes are free text, into which scipy writes the date.
    told = " ".join(f"{name} {value}" for name, value in drawn.items())
    header = f"MATLAB 5.0 MAT-file, Visage demo data: {told}".encode("ascii").ljust(116)
    return header[:116] + file.getvalue()[116:]


def _write_album(path: Path, photos: "list[AlbumPhoto]", jpegs: list[bytes]) -> None:
    """The album, with fixed times and modes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as album:
        for photo, jpeg in zip(photos, jpegs, strict=True):
            content = {"": jpeg, "truncated": jpeg[: len(jpeg) // 2], "text": b"This was a photo once.\n", "empty": b""}
            entry = zipfile.ZipInfo(photo.name, date_time=(2016, 1, 16, 12, 0, 0))
            entry.external_attr = 0o644 << 16
            album.writestr(entry, content[photo.broken])


def _unwritable(out: Path, error: OSError) -> VisageError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return VisageError(f"The disk is full: {out} was not made.", "Some 10 kB are needed for each photo.")
    if isinstance(error, FileExistsError | NotADirectoryError):
        return VisageError(
            f"{out} cannot be made: a file is in the way, {error.filename}.", "Give another name.", usage=True
        )
    return VisageError(f"{out} cannot be written: {error.strerror or error}.", "Give a folder that you may write to.")
