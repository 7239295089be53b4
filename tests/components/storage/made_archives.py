"""Archives as other systems write them, made byte by byte where Python's own modules do not."""

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

HOLES = [(1024, b"a" * 700), (8192, b"b" * 512), (20_000, b"c" * 1000)]
"""The pieces of a file with holes, and where they are."""


def with_holes(pieces: Sequence[tuple[int, bytes]], size: int) -> bytes:
    """The file that these pieces are of."""
    data = bytearray(size)
    for offset, piece in pieces:
        data[offset : offset + len(piece)] = piece
    return bytes(data)


def _blocks(data: bytes) -> bytes:
    return data + bytes(-len(data) % tarfile.BLOCKSIZE)


def summed(header: bytearray) -> bytes:
    """A header of a tar with the checksum that it has to have."""
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    return bytes(header)


def gnu_sparse(name: str, pieces: Sequence[tuple[int, bytes]], size: int) -> bytes:
    """A member as GNU tar's old format has it: four pieces in the header, others in blocks behind it."""
    info = tarfile.TarInfo(name)
    info.type, info.size = tarfile.GNUTYPE_SPARSE, sum(len(piece) for _, piece in pieces)
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    numbers = [b"%011o\0%011o\0" % (offset, len(piece)) for offset, piece in pieces]
    header[386:482] = b"".join(numbers[:4]).ljust(96, b"\0")
    header[482] = len(numbers) > 4
    header[483:495] = b"%011o\0" % size
    further = b"".join(
        b"".join(numbers[first : first + 21]).ljust(504, b"\0") + bytes([first + 21 < len(numbers)]) + bytes(7)
        for first in range(4, len(numbers), 21)
    )
    return summed(header) + further + _blocks(b"".join(piece for _, piece in pieces))


def pax_sparse(name: str, pieces: Sequence[tuple[int, bytes]], size: int, version: str = "1.0") -> bytes:
    """A member as GNU tar's PAX formats have it: with the map before the data (1.0) or in the header (0.1)."""
    data = b"".join(piece for _, piece in pieces)
    fields = {"GNU.sparse.name": name}
    if version == "1.0":
        numbers = [len(pieces), *(number for offset, piece in pieces for number in (offset, len(piece)))]
        data = _blocks("".join(f"{number}\n" for number in numbers).encode()) + data
        fields |= {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(size)}
    else:
        mapped = ",".join(f"{offset},{len(piece)}" for offset, piece in pieces)
        fields |= {"GNU.sparse.size": str(size), "GNU.sparse.map": mapped, "GNU.sparse.numblocks": str(len(pieces))}
    info = tarfile.TarInfo(f"GNUSparseFile.1/{name}")
    info.size, info.pax_headers = len(data), fields
    return info.tobuf(tarfile.PAX_FORMAT) + _blocks(data)


def member(
    name: str, data: bytes = b"", link: str = "", kind: bytes = tarfile.REGTYPE, encoding: str = "utf-8"
) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.linkname, info.type = len(data), link, kind
    return info.tobuf(tarfile.GNU_FORMAT, encoding, "surrogateescape") + _blocks(data)


def hard(name: str, target: str) -> bytes:
    return member(name, link=target, kind=tarfile.LNKTYPE)


def soft(name: str, target: str) -> bytes:
    return member(name, link=target, kind=tarfile.SYMTYPE)


END = bytes(2 * tarfile.BLOCKSIZE)


def tar(path: Path, members: Iterable[bytes], end: bytes = END) -> Path:
    path.write_bytes(b"".join(members) + end)
    return path


def raw_zip(
    path: Path, files: Mapping[bytes, bytes], flags: int = 0, extra: Mapping[bytes, bytes] | None = None
) -> Path:
    """A zip whose names are these bytes, whatever they are said to be."""
    local, directory = b"", b""
    for name, data in files.items():
        field = (extra or {}).get(name, b"")
        common = struct.pack(
            "<5H3L2H", 20, flags, 0, 0, 0, zlib.crc32(data), len(data), len(data), len(name), len(field)
        )
        directory += b"PK\1\2" + struct.pack("<H", 20) + common
        directory += struct.pack("<3H2L", 0, 0, 0, 0, len(local)) + name + field
        local += b"PK\3\4" + common + name + field + data
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, len(files), len(files), len(directory), len(local), 0)
    path.write_bytes(local + directory + end)
    return path


def unicode_path(raw: bytes, name: str, checksum: int | None = None) -> bytes:
    """Info-ZIP's extra field with the name in UTF-8 (APPNOTE 4.6.9)."""
    content = b"\1" + struct.pack("<L", zlib.crc32(raw) if checksum is None else checksum) + name.encode()
    return struct.pack("<HH", 0x7075, len(content)) + content


class Unseekable(io.RawIOBase):
    """A pipe: a zip written to it has its sizes behind the data (data descriptors)."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        return self._file.write(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def piped_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    with Unseekable(path) as pipe, zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def linked_zip(path: Path, files: Mapping[str, bytes], links: Mapping[str, str]) -> Path:
    """A zip with symbolic links, as `zip -y` stores them."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        for name, target in links.items():
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, 0o120777 << 16
            archive.writestr(info, target)
    return path
