"""What a scoring job is made of: sources, and the files in them."""

from dataclasses import dataclass
from typing import Literal

UNKNOWN = -1
ARCHIVES = (b".zip", b".tar", b".tgz", b".tbz2", b".txz", b".gz", b".bz2", b".xz", b".7z", b".rar")


@dataclass(frozen=True, slots=True)
class Source:
    """A folder or an archive.

    Attributes:
        kind: `folder` for files by their names, else the kind of archive.
        place: absolute path or URL; of a folder without a slash at its end.
        packing: compression around a tar: `gz`, `bz2`, `xz` or none.
    """

    kind: Literal["folder", "zip", "tar"]
    place: str
    packing: Literal["", "gz", "bz2", "xz"] = ""

    @property
    def is_stream(self) -> bool:
        """Whether what comes later can only be reached by reading what comes before."""
        return bool(self.packing)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file to be scored, and where its bytes are.

    Attributes:
        name: path within its source as bytes, for names need not be text.
        offset: of its data in the (unpacked) tar, of its header in a zip; `UNKNOWN` for a file by itself.
        size: bytes; `UNKNOWN` for a file by itself.
        packed: bytes it takes up in a zip.
        method: of compression in a zip.
        crc: checksum in a zip.
        reason: why it is rejected without being opened, a key of `schemas.reject.REASONS`; empty if it is not.
        detail: of the reason.
        source: index of its source in the listing.
    """

    name: bytes
    offset: int = UNKNOWN
    size: int = UNKNOWN
    packed: int = 0
    method: int = 0
    crc: int = 0
    reason: str = ""
    detail: str = ""
    source: int = UNKNOWN


def shown(name: bytes) -> str:
    """A name as text; bytes that are not UTF-8 are written as backslash, x and two hex digits."""
    return name.decode("utf-8", "backslashreplace")


def objection(name: bytes) -> tuple[str, str] | None:
    """Why a file is not opened, judged by its name alone: reason and detail; None if it may be."""
    parts = name.replace(b"\\", b"/").split(b"/")
    if name.startswith(b"/") or b".." in parts or b"\0" in name:
        return "unsafe_path", "the name leads out of where it stands"
    if any(part == b"__MACOSX" or (part.startswith(b".") and part != b".") for part in parts):
        return "excluded", "a hidden file"
    if parts[-1].lower().endswith(ARCHIVES):
        return "not_a_photo", "an archive within another place is not opened; name it by itself"
    return None
