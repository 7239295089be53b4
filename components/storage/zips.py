"""The directory of a zip, read piece by piece: a million entries take no more memory than one.

Python's zipfile holds the whole directory in memory (0.9 GB for a million) and takes what it says on trust. The layout is that
of PKWARE's APPNOTE 6.3.10, section 4.3.
"""

import stat
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from components.storage.entry import DamagedArchive

STORED, DEFLATED = 0, 8
LOCAL_HEADER = 30

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LONGEST_COMMENT = 0xFFFF
_UTF8 = 0x800
_ENCRYPTED = 0x1
_STRONGLY = 0x40
_AES = 99
_IN_64_BITS = 0xFFFFFFFF
_SIZES_64, _UNICODE_PATH = 0x0001, 0x7075

METHODS = {
    1: "Shrink",
    **dict.fromkeys(range(2, 6), "Reduce"),
    6: "Implode",
    9: "Deflate64",
    10: "PKWARE's Implode",
    12: "bzip2",
    14: "LZMA",
    16: "IBM's CMPSC",
    18: "IBM's TERSE",
    19: "LZ77",
    20: "Zstandard",
    93: "Zstandard",
    94: "MP3",
    95: "xz",
    96: "a variant of JPEG",
    97: "WavPack",
    98: "PPMd",
}
"""Methods of compression by their numbers (APPNOTE 4.4.5)."""


class ZipEntry(NamedTuple):
    """One file in a zip.

    Attributes:
        name: as bytes, UTF-8.
        offset: of its local header.
        size: bytes, as the directory says.
        packed: bytes in the zip.
        method: of compression.
        crc: CRC-32 of the file.
        is_folder: whether it is a folder.
        is_link: whether it is a symbolic link.
        encrypted: by what it is encrypted; empty if it is not.
    """

    name: bytes
    offset: int
    size: int
    packed: int
    method: int
    crc: int
    is_folder: bool
    is_link: bool
    encrypted: str


def entries(file: BinaryIO, encoding: str = "") -> Iterator[ZipEntry]:
    """The files of a zip in the order of its directory.

    A name is UTF-8 where the zip says so, or has a Unicode Path field beside it (APPNOTE 4.6.9). Of others one that is valid
    UTF-8 is taken for it, as macOS writes them, and the rest are in code page 437, the format's default. Where an encoding is
    given, they are in that, unless all of them are valid UTF-8: short names in some encodings are by chance.

    Raises:
        DamagedArchive: before the first entry, if the directory is damaged, or its entries overlap, as in a bomb that packs
            one block of data under many names (Fifield, "A better zip bomb", WOOT 2019).
    """
    start, length, shift = _directory(file, file.seek(0, 2))
    claimed, is_utf8 = 0, True
    for record in _records(file, start, length):
        claimed += LOCAL_HEADER + _sizes(record)[1]
        is_utf8 = is_utf8 and (
            record.name.isascii() or bool(record.flags & _UTF8) or _is_utf8(_unicode_path(record) or record.name)
        )
    if claimed > start:
        raise DamagedArchive(f"its entries overlap: they claim {claimed:,} bytes of {start:,}")
    encoding = "utf-8" if is_utf8 else encoding
    for record in _records(file, start, length):
        size, packed, offset = _sizes(record)
        name = record.name if record.name.isascii() or record.flags & _UTF8 else _decoded(record, encoding)
        mode = (
            record.attributes >> 16 if record.made_by >> 8 == 3 else 0
        )  # 3: made on Unix, where the upper half is the file's mode
        yield ZipEntry(
            # Some programs of Windows write backslashes, whatever the format says (APPNOTE 4.4.17).
            name=name.replace(b"\\", b"/"),
            offset=offset + shift,
            size=size,
            packed=packed,
            method=record.method,
            crc=record.crc,
            is_folder=record.name.endswith((b"/", b"\\")),
            is_link=stat.S_ISLNK(mode),
            encrypted=_encryption(record.flags, record.method),
        )


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
    record = file.read(_END_64.size)
    if len(record) < _END_64.size or record[:4] != b"PK\x06\x06":
        raise DamagedArchive("its 64-bit directory is damaged")
    *_, length, start = _END_64.unpack(record)
    return length, start, place


class _Record(NamedTuple):
    """An entry of the directory as it is written."""

    made_by: int
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    attributes: int
    offset: int
    name: bytes
    extra: bytes


def _records(file: BinaryIO, start: int, length: int) -> Iterator[_Record]:
    file.seek(start)
    remaining = length
    while remaining > 0:
        header = file.read(_ENTRY.size)
        if len(header) < _ENTRY.size or header[:4] != b"PK\x01\x02":
            raise DamagedArchive("its directory is damaged")
        (_, made_by, _, flags, method, _, _, crc, packed, size, name, extra, comment, _, _, attributes, offset) = (
            _ENTRY.unpack(header)
        )
        rest = file.read(name + extra + comment)
        if len(rest) < name + extra + comment:
            raise DamagedArchive("its directory is cut short")
        remaining -= _ENTRY.size + len(rest)
        yield _Record(
            made_by, flags, method, crc, packed, size, attributes, offset, rest[:name], rest[name : name + extra]
        )


def _encryption(flags: int, method: int) -> str:
    if method == _AES:
        return "AES"
    if flags & _STRONGLY:
        return "PKWARE's strong encryption"
    return "ZipCrypto" if flags & _ENCRYPTED else ""


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def _unicode_path(record: _Record) -> bytes:
    """The name in an entry's Unicode Path field; empty if it has none, or one of another name."""
    for kind, content in _fields(record.extra):
        # One byte of version, and the checksum of the name that it stands for.
        if (
            kind == _UNICODE_PATH
            and content[:1] == b"\1"
            and content[1:5] == zlib.crc32(record.name).to_bytes(4, "little")
        ):
            return content[5:]
    return b""


def _decoded(record: _Record, encoding: str) -> bytes:
    """A name that is not said to be UTF-8, as UTF-8; bytes that are none in its encoding stay as they are."""
    if path := _unicode_path(record):
        return path
    if encoding == "utf-8" or (not encoding and _is_utf8(record.name)):
        return record.name
    return record.name.decode(encoding or "cp437", "surrogateescape").encode("utf-8", "surrogateescape")


def _fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    """The extra fields of an entry (APPNOTE 4.5.1): kind and content."""
    place = 0
    while place + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, place)
        yield kind, extra[place + 4 : place + 4 + length]
        place += 4 + length


def _sizes(record: _Record) -> tuple[int, int, int]:
    """Size, packed size and offset, from the 64-bit extra field where they do not fit into 32 bits (APPNOTE 4.5.3)."""
    size, packed, offset = record.size, record.packed, record.offset
    if _IN_64_BITS not in (size, packed, offset):
        return size, packed, offset
    for kind, content in _fields(record.extra):
        if kind == _SIZES_64:
            values = iter(struct.unpack(f"<{len(content) // 8}Q", content[: len(content) // 8 * 8]))
            size, packed, offset = (next(values, v) if v == _IN_64_BITS else v for v in (size, packed, offset))
            break
    return size, packed, offset
