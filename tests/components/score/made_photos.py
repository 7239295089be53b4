"""Made-up photos, and archives that are not what they say."""

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image


def jpeg(seed: int, side: int = 48) -> bytes:
    """A picture of coloured noise, another one for every seed."""
    noise = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).resize((side, side)).save(buffer, "JPEG")
    return buffer.getvalue()


def folder(path: Path, count: int, first: int = 0) -> Path:
    """A folder with photos in two levels."""
    for number in range(first, first + count):
        file = path / f"{number % 3}" / f"{number:04d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(jpeg(number))
    return path


def zipped(path: Path, files: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, files: Mapping[str, bytes], packing: str = "") -> Path:
    with tarfile.open(path, f"w:{packing}") as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def overlapping_zip(path: Path, names: int, unpacked: int) -> Path:
    """A bomb: many names for one block of zeros."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = deflate.compress(bytes(unpacked)) + deflate.flush()
    crc = zlib.crc32(bytes(unpacked))
    local = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 8, 0, 0, crc, len(block), unpacked, 1, 0) + b"a" + block
    directory = b"".join(
        struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 8, 0, 0, crc, len(block), unpacked, 8, 0, 0, 0, 0, 0, 0)
        + f"{name:04d}.jpg".encode()
        for name in range(names)
    )
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, names, names, len(directory), len(local), 0)
    path.write_bytes(local + directory + end)
    return path


def lying_zip(path: Path, declared_size: int, actual_size: int) -> Path:
    """A zip whose only file is said to be small, but unpacks to much."""
    zipped(path, {"photo.jpg": bytes(actual_size)}, zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.index(mark) + place
        data[at : at + 4] = struct.pack("<L", declared_size)
    path.write_bytes(data)
    return path
