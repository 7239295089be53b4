"""IMDB-WIKI by its metadata, imdb.mat or wiki.mat (Rothe, Timofte, Van Gool, IJCV 2016).

The page of the data set, https://data.vision.ee.ethz.ch/cvl/rrothe/imdb-wiki/, describes the fields.
"""

import logging
import math
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from components.ingest.sources import dates, imdb_mat, photos_root
from components.ingest.sources.settings import SourceSettings
from components.storage import places
from components.storage.names import is_remote, local
from schemas.error import VisageError
from schemas.record import FEMALE, MALE, FaceRecord

log = logging.getLogger("visage.sources")

_PERSON = {"imdb": re.compile(r"(nm\d+)_"), "wiki": re.compile(r"(\d+)_")}
_GENDERS = {0.0: FEMALE, 1.0: MALE}


def records(settings: SourceSettings) -> Iterator[FaceRecord]:
    """Every row of imdb.mat or wiki.mat.

    Gender is 0 for female, 1 for male, NaN for unknown. A date of birth that is no day of the calendar leaves the age
    unknown. A face score of -inf means that no face was found.

    Raises:
        VisageError: there is no such file, or it is not IMDB-WIKI's.
    """
    file = _find(settings)
    metadata = imdb_mat.load(settings.path, file, settings.names_encoding)
    folder = _folder_inside(settings, file)
    whole = _whole_photos(settings, metadata, posixpath.join(photos_root(settings), folder))
    log.info("%s: %d rows, %s", metadata.part, len(metadata.paths), "whole photos" if whole else "cropped faces")
    for row in range(len(metadata.paths)):
        yield _record(metadata, row, settings.name or metadata.part, folder, whole)


def _record(metadata: imdb_mat.Metadata, row: int, source: str, folder: str, whole: bool) -> FaceRecord:
    path = metadata.paths[row]
    number = {name: column[row] for name, column in metadata.numbers.items()}
    wrong = [] if path else ["full_path is no text"]
    if not math.isfinite(number["photo_taken"]):
        wrong.append("photo_taken is no year")
    if not math.isnan(number["gender"]) and number["gender"] not in _GENDERS:
        wrong.append(f"gender is {number['gender']:g}")
    if math.isnan(number["face_score"]) or number["face_score"] == math.inf:
        wrong.append(f"face_score is {number['face_score']}")
    box = None
    if whole and number["face_score"] != -math.inf:
        left, top, right, bottom = metadata.boxes[row].tolist()
        if right > left - 1 and bottom > top - 1:
            box = (left - 1, top - 1, right, bottom)
        else:
            wrong.append("face_location is no box")
    second = number["second_face_score"]
    return FaceRecord(
        row=row,
        source=source,
        path=places.within(folder, path or ""),
        person=f"{source}:{_person(metadata.part, path or '', number.get('celeb_id', math.nan)) or path or f'row-{row}'}",
        age=None if wrong else dates.age_in(int(number["photo_taken"]), dates.from_matlab(number["dob"])),
        gender=_GENDERS.get(number["gender"]),
        box=box,
        face_score=number["face_score"],
        second_face_score=None if math.isnan(second) or second == -math.inf else second,
        malformed="; ".join(wrong),
    )


def _person(part: str, path: str, celebrity: float) -> str:
    """The person's number: celeb_id in IMDB, else the number that the photo's name begins with; empty if there is none."""
    if math.isfinite(celebrity):
        return f"{celebrity:.0f}"
    match = _PERSON[part].match(posixpath.basename(path))
    return match[1] if match else ""


def _find(settings: SourceSettings) -> str:
    """Which file under a path the metadata is; empty if it is the path itself."""
    path = settings.path
    metadata_names = [f"{part}.mat" for part in imdb_mat.PARTS]
    if places.is_archive(path):
        candidates = [
            name
            for name in places.file_names(path, settings.names_encoding)
            if posixpath.basename(name) in metadata_names
        ]
    elif places.is_file(path):
        return ""
    else:
        candidates = [name for name in metadata_names if places.exists(path, name)]
    if not candidates:
        deeper = [] if is_remote(path) else sorted(Path(local(path)).glob("*/*.mat"))
        nearby = next((str(file.parent) for file in deeper if file.name in metadata_names), "")
        hint = f"There is one in {nearby}: name that folder." if nearby else "Name its folder, or the file itself."
        raise VisageError(f"There is no imdb.mat or wiki.mat in {path}.", hint)
    if len(candidates) > 1:
        raise VisageError(f"{' and '.join(candidates)} are both in {path}.", "Name one of them as source.path.")
    return candidates[0]


def _folder_inside(settings: SourceSettings, file: str) -> str:
    """The folder within the photos that the metadata's paths are relative to: in an archive, for instance wiki_crop."""
    if not settings.photos:
        return posixpath.dirname(file)
    if not places.is_archive(settings.photos):
        return ""
    photo_names = places.file_names(settings.photos, settings.names_encoding)
    first = next((name for name in photo_names if re.search(r"(^|/)\d\d/[^/]+$", name)), "")
    return posixpath.dirname(posixpath.dirname(first))


def _whole_photos(settings: SourceSettings, metadata: imdb_mat.Metadata, folder: str) -> bool:
    """Whether the photos are whole ones: as the settings say, else by the name that the published archives give a folder.

    Where every box begins in the corner it is the whole picture, and the photos are cropped whatever the folder's name.
    """
    if settings.cropped is not None:
        return not settings.cropped
    named = posixpath.basename(folder if is_remote(folder) else str(Path(folder).absolute())) in imdb_mat.PARTS
    return named and bool((metadata.boxes[:, :2] > 1).any())
