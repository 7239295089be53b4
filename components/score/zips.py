"""The directory of a zip, read piece by piece: a million entries take no more memory than one.

Python's zipfile holds the whole directory in memory and takes what it says on trust. The layout is that of PKWARE's APPNOTE
6.3.10, section 4.3.
"""

import stat
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

STORED, DEFLATED = 0, 8
LOCAL_HEADER = 30

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LONGEST_COMMENT = 0xFFFF
_UTF8 = 0x800
_ENCRYPTED = 0x1


class DamagedArchive(Exception):
    """An archive that cannot be read, or is not what it says; the text says why."""


class ZipEntry(NamedTuple):
    """One file in a zip.

    Attributes:
        name: as bytes: UTF-8 where the zip says so, else code page 437 turned into UTF-8, which is the format's default.
        offset: of its local header.
        size: bytes, as the directory says.
        packed: bytes in the zip.
        method: of compression.
        crc: CRC-32 of the file.
        is_folder: whether it is a folder.
        is_link: whether it is a symbolic link.
        is_encrypted: whether it takes a password.
    """

    name: bytes
    offset: int
    size: int
    packed: int
    method: int
    crc: int
    is_folder: bool
    is_link: bool
    is_encrypted: bool


def entries(file: BinaryIO) -> Iterator[ZipEntry]:
    """The files of a zip in the order of its directory.

    Raises:
        DamagedArchive: before the first entry, if the directory is damaged, or its entries overlap, as in a bomb that packs
            one block of data under many names (Fifield, "A better zip bomb", WOOT 2019).
    """
    size = file.seek(0, 2)
    start, length, shift = _directory(file, size)
    taken = sum(LOCAL_HEADER + entry.packed for entry in _read(file, start, length, shift))
    if taken > start:
        raise DamagedArchive(f"its entries overlap: they claim {taken:,} bytes of {start:,}")
    yield from _read(file, start, length, shift)


def _directory(file: BinaryIO, size: int) -> tuple[int, int, int]:
    """Start and length of the directory, and by how much all offsets are to be shifted (data before the zip)."""
    file.seek(max(0, size - _LONGEST_COMMENT - _END.size))
    base = file.tell()
    tail = file.read()
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or place + _END.size > len(tail):
        raise DamagedArchive("it has no directory: it is cut short, or no zip")
    _, disk, _, _, _, length, start, _ = _END.unpack_from(tail, place)
    if disk not in (0, 0xFFFF):
        raise DamagedArchive("it is one part of a zip in several files")
    length, start, end = _directory_64(file, base + place) or (length, start, base + place)
    shift = end - length - start
    if shift < 0 or length < 0:
        raise DamagedArchive("its directory lies outside the file")
    return start + shift, length, shift


def _directory_64(file: BinaryIO, end: int) -> tuple[int, int, int] | None:
    """Length, start and end of the directory as its 64-bit record says; None where a zip has no such record."""
    if end < _LOCATOR_64.size:
        return None
    file.seek(end - _LOCATOR_64.size)
    signature, _, place, _ = _LOCATOR_64.unpack(file.read(_LOCATOR_64.size))
    if signature != b"PK\x06\x07":
        return None
    # Data before the zip shifts this record too: it stands right before its locator.
    place = max(place, end - _LOCATOR_64.size - _END_64.size)
    file.seek(place)
    held = file.read(_END_64.size)
    if len(held) < _END_64.size or held[:4] != b"PK\x06\x06":
        raise DamagedArchive("its 64-bit directory is damaged")
    *_, length, start = _END_64.unpack(held)
    return length, start, place


def _read(file: BinaryIO, start: int, length: int, shift: int) -> Iterator[ZipEntry]:
    file.seek(start)
    left = length
    while left > 0:
        held = file.read(_ENTRY.size)
        if len(held) < _ENTRY.size or held[:4] != b"PK\x01\x02":
            raise DamagedArchive("its directory is damaged")
        (_, made, _, flags, method, _, _, crc, packed, size, name, extra, comment, _, _, attributes, offset) = (
            _ENTRY.unpack(held)
        )
        rest = file.read(name + extra + comment)
        if len(rest) < name + extra + comment:
            raise DamagedArchive("its directory is cut short")
        left -= _ENTRY.size + len(rest)
        size, packed, offset = _sizes_64(rest[name : name + extra], size, packed, offset)
        raw = rest[:name]
        mode = attributes >> 16 if made >> 8 == 3 else 0  # 3: made on Unix, where the upper half is the file's mode
        yield ZipEntry(
            name=raw if flags & _UTF8 or raw.isascii() else raw.decode("cp437").encode(),
            offset=offset + shift,
            size=size,
            packed=packed,
            method=method,
            crc=crc,
            is_folder=raw.endswith(b"/"),
            is_link=stat.S_ISLNK(mode),
            is_encrypted=bool(flags & _ENCRYPTED),
        )


def _sizes_64(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """Sizes and offset, from the 64-bit extra field where they do not fit into 32 bits (APPNOTE 4.5.3)."""
    place = 0
    while place + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, place)
        if kind == 1:
            held = extra[place + 4 : place + 4 + length]
            values = iter(struct.unpack(f"<{len(held) // 8}Q", held[: len(held) // 8 * 8]))
            limit = 0xFFFFFFFF
            size, packed, offset = (next(values, v) if v == limit else v for v in (size, packed, offset))
            break
        place += 4 + length
    return size, packed, offset
