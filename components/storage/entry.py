"""What is read: folders and archives, and the files in them."""

from dataclasses import dataclass
from typing import Literal

from components.storage import names

UNKNOWN = -1

SPARSE = -1
"""The method of a file in a tar that is stored without its holes."""


class DamagedArchive(Exception):
    """An archive that cannot be read, or is not what it says; the text says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """A folder or an archive.

    Attributes:
        kind: `folder` for files by their names, else the kind of archive.
        place: absolute path or URL; of a folder without a slash at its end, unless it is the root.
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
    """One file, and where its bytes are.

    Attributes:
        name: path within its source as bytes, for names need not be text.
        offset: of its data in the (unpacked) tar, of its header in a zip or if it is sparse; `UNKNOWN` for a file by itself.
        size: bytes; `UNKNOWN` for a file by itself.
        packed: bytes it takes up in a zip.
        method: of compression in a zip; `SPARSE` in a tar where it has holes.
        crc: checksum in a zip.
        reason: why it is rejected without being opened, a key of `schemas.reject.REASONS`; empty if it is not.
        detail: of the reason.
        source: index of its source in the listing.
        version: what is another one for other content, without reading it; empty if nothing is.
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
    version: str = ""

    def in_source(self, index: int) -> "Entry":
        """The same entry, of the source with this index; `dataclasses.replace` takes several times as long."""
        return Entry(
            self.name,
            self.offset,
            self.size,
            self.packed,
            self.method,
            self.crc,
            self.reason,
            self.detail,
            index,
            self.version,
        )


_OPENED = (".zip", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz")
NOT_OPENED = {
    ".7z": "a 7-Zip archive",
    ".rar": "a RAR archive",
    ".zst": "packed by Zstandard",
    ".tzst": "a tar packed by Zstandard",
    ".lz4": "packed by LZ4",
    ".lz": "packed by lzip",
    ".cab": "a cabinet archive",
    ".lzh": "an LHA archive",
    ".ace": "an ACE archive",
}
"""What files are that are called so; they are not opened."""

_OPENED_BYTES = tuple(suffix.encode() for suffix in _OPENED)
_NOT_OPENED_ENDINGS = tuple(suffix.encode() for suffix in NOT_OPENED)


def objection(name: bytes) -> tuple[str, str] | None:
    """Why a file is not opened, judged by its name in a folder or archive: reason and detail; None if it may be."""
    may_lead_out = b".." in name or b"\0" in name or name[:1] in (b"/", b"\\") or name[1:2] == b":"
    if may_lead_out and (why := names.way_out(name.decode("utf-8", "surrogateescape"))):
        return "unsafe_path", why
    return exclusion(name)


def exclusion(name: bytes) -> tuple[str, str] | None:
    """Why a file is left out that is called so, wherever it is: reason and detail; None if it is not."""
    slashed = b"/" + name.replace(b"\\", b"/")
    if b"/." in slashed or b"/__MACOSX/" in slashed:
        parts = slashed.split(b"/")
        if any(part == b"__MACOSX" or (part.startswith(b".") and part not in (b".", b"..")) for part in parts):
            return "excluded", "a hidden file"
    lowered = name.lower()
    if lowered.endswith(_OPENED_BYTES):
        return "not_a_photo", "an archive within another place is not opened; name it by itself"
    if lowered.endswith(_NOT_OPENED_ENDINGS):
        kind = next(kind for suffix, kind in NOT_OPENED.items() if lowered.endswith(suffix.encode()))
        return "not_a_photo", f"{kind}, which is not opened: unpack it first"
    return None
