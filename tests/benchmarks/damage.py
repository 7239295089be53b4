"""Damaged photos: what Visage finds, what other readers find, and what looking costs.

    python tests/benchmarks/damage.py                     some minutes on one core
    python tests/benchmarks/damage.py --photos 2 --places 5 --timed 200

Photos of every kind are cut short, cut and given an end marker, or lose a block to zeros, at many places of their data. What
leaves the first picture's pixels as they were is no damage and does not count. Found is what a reader raises an error over,
or warns of. Readers beside Visage's: Pillow alone, simplejpeg, OpenCV and pyvips, each where it is installed.
The photos are those of photos.zip and utkface_10k.zip in ../shared/data or where VISAGE_SHARED_DATA says, else drawn ones.
Speed is that of one core, in photos a second; figures of one run can be compared with each other, and with nothing else.
"""

import argparse
import importlib.util
import io
import json
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from PIL import Image, ImageFile

from components.photo import PhotoRejected, PhotoSettings, face_of, open_photo
from components.photo.damage import DAMAGE
from tests.benchmarks.scoring.material import face_files, photo_files

SETTINGS = PhotoSettings(min_side=1)
BLOCK = 4096
"""Bytes that a zeroed block has: a sector of a disk, a page of a memory card."""

Read = Callable[[bytes], object]
"""Decodes a photo whole; raises one of DAMAGE, or PhotoRejected, over what it finds damaged."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=6, help="photos of each kind")
    parser.add_argument("--places", type=int, default=15, help="places of each photo that are damaged")
    parser.add_argument("--timed", type=int, default=2000, help="whole 200x200 faces that are timed")
    parser.add_argument("--rounds", type=int, default=3, help="how often each reader is timed; the best counts")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    readers = installed_readers()
    figures: dict[str, float] = {}
    kinds = kinds_of_photos(list(pictures(arguments.photos)))
    print(f"{'found of damaged':34}" + "".join(f"{name:>13}" for name in readers))
    total: dict[str, int] = defaultdict(int)
    for kind, photos in kinds.items():
        for damage in (cut, cut_and_ended, zeroed) if kind in JPEGS else (cut, zeroed):
            damaged = [data for photo in photos for data in really_damaged(photo, damage, arguments.places)]
            refused = {name: sum(map(refuser(read), damaged)) for name, read in readers.items() if reads(read, photos)}
            row = "".join(f"{f'{refused[name]}/{len(damaged)}' if name in refused else '-':>13}" for name in readers)
            print(f"{kind + ', ' + damage.__name__.replace('_', ' '):34}{row}", flush=True)
            if kind in JPEGS:
                total["damaged"] += len(damaged)
                for name, count in refused.items():
                    total[name] += count
    for name in readers:
        figures[f"{name}_found"] = total[name] / total["damaged"]
    undamaged = [photo for photos in kinds.values() for photo in photos]
    figures["whole_lost"] = sum(map(refuser(open_photo_of), undamaged))
    faces, photos = face_files(), [data for data in photo_files() if data[:2] == b"\xff\xd8"]
    figures["real_lost"] = sum(map(refuser(open_photo_of), faces)) + sum(map(refuser(open_photo_of), photos))
    figures["real"] = len(faces) + len(photos)
    readers["face_of"] = lambda data: face_of(data, None, SETTINGS)
    for name, read in readers.items():
        figures[f"{name}_faces_s"] = rate(read, faces[: arguments.timed], arguments.rounds)
        figures[f"{name}_photos_s"] = rate(read, photos, arguments.rounds)
    for name, figure in figures.items():
        print(f"{name:34}{figure:13,.3f}")
    print(json.dumps({name: round(figure, 4) for name, figure in figures.items()}))


# Photos of every kind


def pictures(count: int) -> Iterator[Image.Image]:
    """Pictures of some 600x800 pixels, upright and RGB."""
    jpegs = (data for data in photo_files() if data[:2] == b"\xff\xd8")
    for data in islice(jpegs, count):
        picture = open_photo(data, SETTINGS)
        picture.thumbnail((800, 800))
        yield picture


JPEGS = (
    "baseline",
    "4:4:4",
    "optimized",
    "grey",
    "restart markers",
    "progressive",
    "CMYK",
    "MPO",
    "bytes behind the end",
)


def kinds_of_photos(images: list[Image.Image]) -> dict[str, list[bytes]]:
    """The pictures as files, by the kind of file."""
    kinds = {
        "baseline": [stored(picture) for picture in images],
        "4:4:4": [stored(picture, subsampling=0) for picture in images],
        "optimized": [stored(picture, optimize=True, quality=75) for picture in images],
        "grey": [stored(picture.convert("L")) for picture in images],
        "restart markers": [stored(picture, restart_marker_rows=1) for picture in images],
        "progressive": [stored(picture, progressive=True) for picture in images],
        "CMYK": [stored(picture.convert("CMYK")) for picture in images],
        "MPO": [
            stored(picture, "MPO", save_all=True, append_images=[picture.reduce(4)], quality=90) for picture in images
        ],
        "bytes behind the end": [stored(picture) + stored(picture.reduce(4)) for picture in images],
        "PNG": [stored(picture, "PNG") for picture in images],
        "WebP": [stored(picture, "WEBP") for picture in images],
        "WebP lossless": [stored(picture, "WEBP", lossless=True) for picture in images],
        "GIF": [stored(picture, "GIF") for picture in images],
        "TIFF, LZW": [stored(picture, "TIFF", compression="tiff_lzw") for picture in images],
        "TIFF, JPEG": [stored(picture, "TIFF", compression="jpeg") for picture in images],
        "JPEG 2000": [stored(picture, "JPEG2000", quality_layers=[20]) for picture in images],
        "AVIF": [stored(picture, "AVIF") for picture in images],
    }
    if importlib.util.find_spec("pillow_heif"):
        import pillow_heif

        kinds["HEIC"] = []
        for picture in images:
            file = io.BytesIO()
            pillow_heif.from_pillow(picture).save(file, quality=80)
            kinds["HEIC"].append(file.getvalue())
    return kinds


def stored(picture: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **({"quality": 90} if kind == "JPEG" else {}) | options)
    return file.getvalue()


# Damage


def cut(data: bytes, place: int) -> bytes:
    return data[:place]


def cut_and_ended(data: bytes, place: int) -> bytes:
    """What follows the first picture stays behind it."""
    return data[:place] + b"\xff\xd9" + data[first_end(data) :]


def zeroed(data: bytes, place: int) -> bytes:
    size = min(BLOCK, len(data) // 10)
    return data[:place] + bytes(len(data[place : place + size])) + data[place + size :]


def really_damaged(data: bytes, damage: Callable[[bytes, int], bytes], places: int) -> Iterator[bytes]:
    """The photo with damage at places of its data that changes its pixels."""
    end = first_end(data)
    whole = tolerant(data)
    start = min(0.04 * end + 700, 0.5 * end)  # behind the header
    for place in np.linspace(start, 0.99 * end, places, dtype=int).tolist():
        damaged = damage(data, place)
        if damage is not zeroed or tolerant(damaged) != whole:
            yield damaged


def first_end(data: bytes) -> int:
    """Where the first of the pictures in a file ends. Thumbnails and their end markers are not written here."""
    return data.index(b"\xff\xd9") + 2 if data[:2] == b"\xff\xd8" else len(data)


def tolerant(data: bytes) -> bytes | None:
    """What Pillow shows of a photo, however damaged; None if nothing."""
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        return Image.open(io.BytesIO(data)).convert("RGB").tobytes()
    except DAMAGE:
        return None
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


# Readers


def open_photo_of(data: bytes) -> object:
    return open_photo(data, SETTINGS)


def with_pillow(data: bytes) -> object:
    return Image.open(io.BytesIO(data)).convert("RGB")


def installed_readers() -> dict[str, Read]:
    readers: dict[str, Read] = {"visage": open_photo_of, "pillow": with_pillow}
    if importlib.util.find_spec("simplejpeg"):
        import simplejpeg

        readers["simplejpeg"] = simplejpeg.decode_jpeg
    if importlib.util.find_spec("cv2"):
        readers["opencv"] = with_opencv()
    if importlib.util.find_spec("pyvips"):
        import pyvips

        readers["pyvips"] = lambda data: raising(
            pyvips.Error, lambda: pyvips.Image.new_from_buffer(data, "", fail_on="warning").write_to_memory()
        )
    return readers


def raising(kind: type[Exception], read: Callable[[], object]) -> object:
    try:
        return read()
    except kind as error:
        raise ValueError(error) from error


def with_opencv() -> Read:
    """OpenCV's reader. It tells warnings to nobody but the process's error output."""
    import cv2

    heard = tempfile.TemporaryFile()  # noqa: SIM115

    def read(data: bytes) -> object:
        heard.truncate(0)
        before = os.dup(2)
        os.dup2(heard.fileno(), 2)
        try:
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        finally:
            os.dup2(before, 2)
            os.close(before)
        if pixels is None or os.fstat(heard.fileno()).st_size:
            raise ValueError("cut short or damaged")
        return pixels

    return read


def refuser(read: Read) -> Callable[[bytes], bool]:
    def refuses(data: bytes) -> bool:
        try:
            read(data)
        except (*DAMAGE, PhotoRejected):
            return True
        return False

    return refuses


def reads(read: Read, photos: Iterable[bytes]) -> bool:
    """Whether a reader knows the format at all."""
    return not any(map(refuser(read), photos))


def rate(read: Read, photos: list[bytes], rounds: int) -> float:
    """Photos a second of one core."""
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        for data in photos:
            read(data)
        seconds.append(time.process_time() - start)
    return len(photos) / min(seconds)


if __name__ == "__main__":
    main()
