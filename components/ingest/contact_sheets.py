"""Contact sheets: many small pictures on one, each with a line below it."""

import io
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from components.photo import PhotoRejected, PhotoSettings, open_photo
from components.storage.by_name import Files
from schemas.example import FaceExample, decode
from schemas.record import SPLITS
from schemas.reject import Reject
from schemas.shard import read_index, read_records

_SIDE, _LINE, _COLUMNS, _LETTERS = 96, 14, 10, 15
_FACES = {"train": 30, "validation": 10, "test": 10}
_REJECTS = 20


@dataclass(frozen=True)
class Tile:
    """A small picture, or a text in its place, with the line that belongs below it."""

    picture: Image.Image | str
    caption: str

    def jpeg(self) -> bytes:
        """As a file of its own, without the line."""
        square = Image.new("RGB", (_SIDE, _SIDE), "#eeeeee")
        _draw(self.picture, square, 0, 0)
        return _encoded(square)


def of_faces(folder: Path) -> list[Tile]:
    """Some faces of every split. Shards are in the order of a hash, so the first ones are a fair sample."""
    tiles = []
    for split in SPLITS:
        shards = read_index(folder).get(split, [])
        records = read_records(folder / shards[0].file) if shards else iter(())
        for _, record in zip(range(_FACES[split]), records, strict=False):
            example = decode(record)
            tiles.append(Tile(Image.open(io.BytesIO(example.jpeg)), _labels(example)))
    return tiles


def chosen(rejects: Iterable[Reject], counts: Mapping[str, int]) -> dict[str, list[Reject]]:
    """Some rejects of each reason, from the first to the last of them, where it is known how many there are."""
    seen: Counter[str] = Counter()
    sample: dict[str, list[Reject]] = {reason: [] for reason in counts}
    for reject in rejects:
        of_reason = sample[reject.reason]
        if seen[reject.reason] % max(1, counts[reject.reason] // _REJECTS) == 0 and len(of_reason) < _REJECTS:
            of_reason.append(reject)
        seen[reject.reason] += 1
    return sample


def of_rejects(rejects: Sequence[Reject], photos: Files) -> list[Tile]:
    """Rejects of one reason. What is no picture is shown as its path."""
    return [Tile(_picture_or_path(reject, photos), reject.detail or Path(reject.path).name) for reject in rejects]


def sheet(tiles: Sequence[Tile]) -> bytes:
    """All of them on one picture, as JPEG."""
    lines = -(-len(tiles) // _COLUMNS)
    canvas = Image.new("RGB", (_COLUMNS * (_SIDE + 4), max(1, lines) * (_SIDE + _LINE + 4)), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(10)
    for number, tile in enumerate(tiles):
        left, top = number % _COLUMNS * (_SIDE + 4), number // _COLUMNS * (_SIDE + _LINE + 4)
        _draw(tile.picture, canvas, left, top)
        draw.text((left, top + _SIDE), _fitting(_drawable(tile.caption), font), "black", font)
    return _encoded(canvas)


def _draw(picture: Image.Image | str, onto: Image.Image, left: int, top: int) -> None:
    if isinstance(picture, str):
        draw, font = ImageDraw.Draw(onto), ImageFont.load_default(10)
        draw.rectangle((left, top, left + _SIDE - 1, top + _SIDE - 1), fill="#eeeeee")
        for line in range(0, min(len(picture), 7 * _LETTERS), _LETTERS):
            text = _drawable(picture[line : line + _LETTERS])
            draw.text((left + 3, top + 3 + line * 12 // _LETTERS), text, "#555555", font)
    else:
        picture.thumbnail((_SIDE, _SIDE))
        onto.paste(picture.convert("RGB"), (left, top))


def _encoded(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _picture_or_path(reject: Reject, photos: Files) -> Image.Image | str:
    if reject.reason == "unsafe_path":
        return reject.path
    try:
        return open_photo(photos.read(reject.path), _MODEST)
    except PhotoRejected:
        return reject.path


_MODEST = PhotoSettings(max_pixels=25_000_000)


def _labels(example: FaceExample) -> str:
    age = example.age_class if example.age is None else str(example.age)
    return f"{age or '?'} {example.gender or '?'}"


def _drawable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    if font.getlength(text) <= _SIDE:
        return text
    length = bisect_left(range(1, len(text)), True, key=lambda letters: font.getlength(f"{text[:letters]}…") > _SIDE)
    return f"{text[:length]}…"
