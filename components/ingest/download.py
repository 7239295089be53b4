"""IMDB-WIKI from the place where it is published: fetched, checked, unpacked."""

import difflib
import errno
import shlex
import shutil
import tarfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from components.ingest.transfer import Progress, fetch, matches
from components.storage.names import way_out
from schemas.error import VisageError

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

PUBLISHED = "https://data.vision.ee.ethz.ch/cvl/rrothe/imdb-wiki/static"

TERMS = """\
IMDB-WIKI (Rothe, Timofte, Van Gool; https://data.vision.ee.ethz.ch/cvl/rrothe/imdb-wiki/) comes with these terms:

  "Please notice that this dataset is made available for academic research purpose only. All the images are collected from
  the Internet, and the copyright belongs to the original owners. If any of the images belongs to you and you would like it
  removed, please kindly inform us, we will remove it from our dataset immediately."
"""


@dataclass(frozen=True)
class Archive:
    """An archive of the data set.

    Attributes:
        file: its name on the server.
        md5: hex digest. The publishers state none; these are what others who use the archives quote.
        folder: the folder it unpacks to.
        holds: what is in it, for people.
    """

    file: str
    md5: str
    folder: str
    holds: str


ARCHIVES = {
    "wiki-crop": Archive(
        "wiki_crop.tar", "f536eb7f5eae229ae8f286184364b42b", "wiki_crop", "WIKI, cropped faces and labels"
    ),
    "imdb-crop": Archive(
        "imdb_crop.tar", "44b7548f288c14397cb7a7bab35ebe14", "imdb_crop", "IMDB, cropped faces and labels"
    ),
    "wiki": Archive("wiki.tar.gz", "6d4b8474b832f13f7f07cfbd3ed79522", "wiki", "WIKI, whole photos and labels"),
    "imdb-meta": Archive("imdb_meta.tar", "469433135f1e961c9f4c0304d0b5db1e", "imdb", "IMDB, labels alone"),
}


def download(name: str, out: Path, accept_terms: bool, mirror: str = PUBLISHED) -> Path:
    """Fetch an archive of IMDB-WIKI and unpack it; gives the folder. Prints the terms, and how far it is.

    A transfer that broke off is gone on with by the same call. What was fetched is deleted once it is unpacked; an archive
    that already lies in `out` is used and kept.

    Args:
        name: a key of `ARCHIVES`.
        out: folder in which the archive's own folder appears when it is whole.
        accept_terms: whether the person accepts the terms of the data set.
        mirror: URL of the folder on the server.

    Raises:
        VisageError: unknown name, terms not accepted, too little space, or the archive cannot be fetched or unpacked.
    """
    if name not in ARCHIVES:
        near = difflib.get_close_matches(name, ARCHIVES, n=1)
        suggestion = f"Did you mean {near[0]}? " if near else ""
        choices = "; ".join(f"{key} ({archive.holds})" for key, archive in ARCHIVES.items())
        raise VisageError(f"There is no data set {name} to download.", f"{suggestion}There are: {choices}.", usage=True)
    print(TERMS)
    if not accept_terms:
        raise VisageError("The terms above must be accepted.", "If you do, give --accept-terms.", usage=True)
    archive = ARCHIVES[name]
    folder, work = out / archive.folder, out / ".download"
    if folder.exists():
        print(f"{folder} is there already.")
        return folder
    try:
        work.mkdir(parents=True, exist_ok=True)
        packed = _packed(archive, out, work, mirror)
        with _shown("unpacking") as (progress,):
            unpack(packed, folder, work / archive.folder, progress)
        shutil.rmtree(work)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        hint = "Make room, then the same command goes on from there." if full else ""
        raise VisageError(f"{error.filename or out} cannot be written: {error.strerror or error}.", hint) from error
    print(f"{folder}: {archive.holds}.\nNext: visage run --set source.path={shlex.quote(str(folder))}")
    return folder


def _packed(archive: Archive, out: Path, work: Path, mirror: str) -> Path:
    """The archive, whole and checked: one that a person has put into `out`, else fetched into `work`."""
    local_file, fetched = out / archive.file, work / archive.file
    if local_file.is_file():
        with _shown("MD5") as (checked,):
            published = not archive.md5 or matches(local_file, archive.md5, checked)
        if not published:
            raise VisageError(f"{local_file} is not the published archive: its MD5 is not {archive.md5}.", "Delete it.")
        return local_file
    if not fetched.is_file():
        with _shown(archive.file, "MD5") as (fetching, checked):
            url = f"{mirror.rstrip('/')}/{archive.file}"
            fetch(url, fetched, archive.md5, fetching, lambda size: _check_space(out, size), checked=checked)
    return fetched


def unpack(packed: Path, folder: Path, work: Path, progress: Progress = lambda done, total: None) -> None:
    """Unpack a tar, by way of the folder `work`, whose one folder becomes `folder`; that appears when it is whole.

    Only files and folders are taken. A data set has no use for links and devices, and by links an archive could write
    where it likes.

    Raises:
        VisageError: the archive is damaged, or holds something that is no file or folder within its one folder.
    """
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    size = packed.stat().st_size
    try:
        with packed.open("rb") as file, tarfile.open(fileobj=file) as archive:
            while entry := archive.next():
                # A list of half a million entries would fill memory; typeshed does not know of it.
                archive.members.clear()  # type: ignore[attr-defined]
                _check_entry(entry, packed)
                target = work / entry.name
                if entry.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                content = archive.extractfile(entry)
                assert content is not None  # it is a file
                with content, target.open("wb") as written:
                    shutil.copyfileobj(content, written)
                progress(file.tell(), size)
        inside = sorted(work.iterdir())
        if len(inside) != 1 or not inside[0].is_dir():
            raise VisageError(f"{packed} holds {len(inside)} things where one folder is expected.", _ANEW)
        inside[0].rename(folder)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise VisageError(f"{packed} cannot be unpacked: {error}.", _ANEW) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


_ANEW = "Delete it, then the same command fetches it anew."


def _check_entry(entry: tarfile.TarInfo, packed: Path) -> None:
    """See that an entry is a file or folder that stays within.

    Raises:
        VisageError: it is not.
    """
    wrong = way_out(entry.name)
    if not (entry.isfile() or entry.isdir()):
        wrong = "it is a link" if entry.issym() or entry.islnk() else "it is neither file nor folder"
    if wrong:
        raise VisageError(f"{packed} is not unpacked: of {entry.name!r} in it, {wrong}.", "Do not trust this archive.")


def _check_space(out: Path, size: int) -> None:
    """See that what is still to come fits on the disk, packed and unpacked.

    Photos hardly shrink when packed; a tenth is added for the ends of blocks that many small files leave empty.

    Raises:
        VisageError: it does not.
    """
    needed, free = int(2.1 * size), shutil.disk_usage(out).free
    if needed > free:
        raise VisageError(
            f"{out} has {free / 1e9:,.1f} GB free, and {needed / 1e9:,.1f} GB are needed to fetch and unpack.",
            "Make room, or name another folder with --out.",
        )


@contextmanager
def _shown(*labels: str) -> Iterator[list[Progress]]:
    """Shows bytes, rate and time left, by label: bars on a terminal, elsewhere a line every five seconds."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    console = Console()
    if not console.is_terminal:
        yield [_Lines(label) for label in labels]
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console) as bars:
        yield [_bar(bars, label) for label in labels]


def _bar(bars: "Bars", label: str) -> Progress:
    tasks: list[TaskID] = []

    def progress(done: int, total: int | None) -> None:
        # What was there before is no part of the rate.
        if not tasks:
            tasks.append(bars.add_task(label, completed=done, total=total))
        bars.update(tasks[0], completed=done, total=total)

    return progress


class _Lines:
    """Progress as plain lines. The rate is that of this transfer: what was there before does not count."""

    def __init__(self, label: str, every: float = 5.0) -> None:
        self._label = label
        self._every = every
        self._last_printed = self._begun = time.monotonic()
        self._first: int | None = None

    def __call__(self, done: int, total: int | None) -> None:
        now = time.monotonic()
        self._first = done if self._first is None else self._first
        if now - self._last_printed < self._every and done != total:
            return
        self._last_printed = now
        rate = (done - self._first) / max(now - self._begun, 1e-3)
        of_total = f" of {total / 1e6:,.1f}" if total else ""
        time_left = f", {(total - done) / rate:,.0f} s left" if total and rate else ""
        print(f"{self._label}: {done / 1e6:,.1f}{of_total} MB, {rate / 1e6:,.1f} MB/s{time_left}", flush=True)
