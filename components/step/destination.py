"""Where a step's artifact goes, as `--out` names it: a folder of this machine, or of a store."""

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from pathlib import Path

from components.storage import files, names, remote
from schemas.artifact import MANIFEST
from schemas.error import VisageError

_HALF = ".partial"
"""File that stands in a store while an artifact is brought there."""

_AT_ONCE = 8


@contextmanager
def folder_for(out: str) -> Iterator[Path]:
    """The folder in which to make the artifact that is to be `out`.

    That is `out` itself, or where `out` is a URL a temporary one: at the end, if all went well, its files are brought there, the
    manifest last. Whoever sees a manifest there sees a whole artifact. An older artifact gives way to it; if none was made, it
    stays.

    Raises:
        VisageError: the URL holds something that no step made; the store cannot be reached, or refuses.
    """
    if not names.is_remote(out):
        yield Path(names.local(out)).absolute()
        return
    out = out.rstrip("/")
    half = names.joined(out, _HALF)
    with remote.explaining(out):
        was_half = files.exists(half)
        is_ours = was_half or files.exists(names.joined(out, MANIFEST))
        if not is_ours and next(files.file_names(out), None) is not None:
            raise VisageError(
                f"{out} holds something that no step made.", "Name a place that is new or empty.", usage=True
            )
        files.write_bytes(half, b"")  # before hours of work: can this be written to?
    with tempfile.TemporaryDirectory(prefix="visage-") as temporary:
        folder, is_made = Path(temporary) / names.basename(out), False
        try:
            yield folder
            is_made = (folder / MANIFEST).is_file()
        finally:
            if not is_made and not was_half:  # else the file says whose the rest is that an earlier try has left
                with suppress(OSError):
                    files.remove(half)
        if not is_made:
            return
        try:
            _bring(folder, out)
        except OSError as error:
            raise VisageError(
                f"The artifact cannot be brought to {out}: {error.strerror or error}.",
                "See that the store answers and lets you write, then run it again.",
            ) from error


def _bring(folder: Path, out: str) -> None:
    files.remove(names.joined(out, MANIFEST))  # what was there is whole no more
    artifact_files = sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(partial(_bring_one, folder, out), (name for name in artifact_files if name != MANIFEST)))
        others = (name for name in files.file_names(out) if name not in {*artifact_files, _HALF})
        while some := list(islice(others, 1000)):
            list(pool.map(files.remove, (names.joined(out, name) for name in some)))
    _bring_one(folder, out, MANIFEST)
    files.remove(names.joined(out, _HALF))


def _bring_one(folder: Path, out: str, name: str) -> None:
    files.copy(str(folder / name), names.joined(out, name))
