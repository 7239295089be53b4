"""UTKFace (Zhang, Song, Qi, CVPR 2017): labels in the names, AGE_GENDER_RACE_TIME.jpg or AGE_GENDER_RACE_TIME.jpg.chip.jpg.

https://susanqq.github.io/UTKFace/ describes them. Gender is 0 for male and 1 for female, the other way round than in
IMDB-WIKI. Who is on a photo is not known. A few published names lack a part or a dot; those rows are malformed.
"""

import re
from collections.abc import Iterator

from components.ingest.sources import photos_root
from components.ingest.sources.settings import SourceSettings
from components.storage import places
from components.storage.names import basename
from schemas.record import FEMALE, MALE, FaceRecord

_NAME = re.compile(r"(?P<age>\d{1,3})_(?P<gender>[01])_(?P<race>[0-4])_\d+\.\w+(\.chip\.\w+)?", re.IGNORECASE)
_GENDERS = {"0": MALE, "1": FEMALE}


def records(settings: SourceSettings) -> Iterator[FaceRecord]:
    """Every photo, in the order of the names. The aligned and cropped faces are whole pictures: there are no boxes.

    Raises:
        VisageError: the photos' place cannot be read.
    """
    source = settings.name or "utkface"
    for row, (path, replaced) in enumerate(places.picture_names(photos_root(settings), settings.names_encoding)):
        person = f"{source}:{path}"
        label = _NAME.fullmatch(basename(path))
        if not label or replaced:
            why = replaced or "the name is not AGE_GENDER_RACE_TIME.jpg"
            yield FaceRecord(row, source, path, person, malformed=why)
            continue
        yield FaceRecord(row, source, path, person, age=int(label["age"]), gender=_GENDERS[label["gender"]])
