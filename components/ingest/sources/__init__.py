"""Sources: one file a data set, each of which turns labels into records. README.md tells how to add one.

A source only reads. What is kept of it is for `components.ingest.labels` to say, and no photo is opened here.
"""

import importlib
from collections.abc import Iterator

from components.ingest.sources.settings import SourceSettings
from components.storage import places
from schemas.record import FaceRecord


def records(source: SourceSettings) -> Iterator[FaceRecord]:
    """Every row of a source, in the same order each time.

    A row that cannot be read is a record too: its `malformed` says why.

    Raises:
        VisageError: the source is not there, or is not of its kind.
    """
    places.check(source.path, "source.path")
    if source.photos:
        places.check(source.photos, "source.photos")
    return importlib.import_module(f"{__name__}.{source.kind}").records(source)


def photos_root(source: SourceSettings) -> str:
    """What the paths of the records are relative to: a folder, a zip, a tar, or a folder of a store.

    Unless `source.photos` names it, it is where the labels lie: the archive or folder itself, or the folder of the file.
    """
    return places.photos_root(source.path, source.photos)
