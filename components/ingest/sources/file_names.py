"""Labels from the file names that IMDB-WIKI gives its photos, for a folder that has lost its .mat. Gender is not among them.

IMDB's names are nmPERSON_rmPHOTO_BIRTHDAY_YEAR.jpg, WIKI's PERSON_BIRTHDAY_YEAR.jpg, with the year the photo was taken in.
"""

import re
from collections.abc import Iterator

from components.ingest.sources import dates, photos_root
from components.ingest.sources.settings import SourceSettings
from components.storage import places
from components.storage.names import basename
from schemas.record import FaceRecord

# What stands between day and year is left aside, as it was when the .mat was made: 1929-10-012 is the first there.
_NAME = re.compile(
    r"(?:(?P<imdb>nm\d+)_rm\d+|(?P<wiki>\d+))"
    r"_(?P<year>\d{1,4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})[^_]*_(?P<taken>\d{4})\.\w+"
)


def records(settings: SourceSettings) -> Iterator[FaceRecord]:
    """Every photo, in the order of the names.

    Raises:
        VisageError: the photos' place cannot be read.
    """
    for row, (path, replaced) in enumerate(places.picture_names(photos_root(settings), settings.names_encoding)):
        label = _NAME.fullmatch(basename(path))
        if not label or replaced:
            source = settings.name or "file_names"
            why = replaced or "the name is neither nmPERSON_rmPHOTO_Y-M-D_YEAR.jpg nor PERSON_Y-M-D_YEAR.jpg"
            yield FaceRecord(row, source, path, f"{source}:{path}", malformed=why)
            continue
        source = settings.name or ("imdb" if label["imdb"] else "wiki")
        born = dates.with_carry(int(label["year"]), int(label["month"]), int(label["day"]))
        person = f"{source}:{label['imdb'] or label['wiki']}"
        yield FaceRecord(row, source, path, person, age=dates.age_in(int(label["taken"]), born))
