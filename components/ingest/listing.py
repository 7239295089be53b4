"""The listing of an ingest: one row an example, with all that is known of it and where it lies in the shards.

People query it, and the next ingest finds in it the work that is already done.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import PIL
import pyarrow as pa
import pyarrow.parquet as pq

from components import photo
from components.ingest.faces import TakenFace, read_example
from components.ingest.tables import COLUMNS, faces_of
from components.photo import Box, PhotoSettings
from schemas.error import VisageError

LISTING = "examples.parquet"


def making(settings: PhotoSettings) -> str:
    """Digest of all that decides which face is made of a photo: the settings, the code, and the library's version."""
    code = Path(photo.__file__).read_bytes()
    return hashlib.sha256(
        json.dumps([settings.model_dump(mode="json"), hashlib.sha256(code).hexdigest(), PIL.__version__]).encode()
    ).hexdigest()


def write_listing(folder: Path, tables: Iterable[pa.Table], made_by: str) -> None:
    """Write the listing of an artifact from the rows of each shard, in the order of the shards."""
    schema = COLUMNS.with_metadata({"making": made_by})
    with pq.ParquetWriter(folder / LISTING, schema) as writer:
        for rows in tables:
            writer.write_table(rows.cast(schema))


def read_columns(folder: Path, *names: str) -> Any:
    """Columns of the listing, as a pyarrow Table; one without rows where there is no listing that can be read."""
    try:
        return pq.read_table(folder / LISTING, columns=list(names))
    except (OSError, pa.ArrowInvalid):
        return COLUMNS.empty_table().select(names)


class Known:
    """The faces of an earlier ingest, if they were made in the same way; else none.

    Args:
        folder: artifact of the earlier ingest; None if there is none.
        made_by: how faces are made now, see `making`.
    """

    def __init__(self, folder: Path | None, made_by: str) -> None:
        self._by_path: dict[tuple[str, Box | None], TakenFace] = {}
        self._by_content: dict[tuple[str, Box | None], TakenFace] = {}
        for face in _read_faces(folder, made_by) if folder else ():
            self._by_path[face.record.path, face.record.box] = face
            self._by_content[face.sha256, face.record.box] = face

    def __len__(self) -> int:
        return len(self._by_path)

    def unchanged(self, path: str, box: Box | None, version: str) -> tuple[TakenFace, bytes] | None:
        """The face in a box of the photo at a path, with its Example, if the photo file was not changed since."""
        face = self._by_path.get((path, box))
        return _whole(face) if face and version and face.version == version else None

    def of_content(self, sha256: str, box: Box | None) -> tuple[TakenFace, bytes] | None:
        """The face in a box of a photo with this content, with its Example."""
        return _whole(self._by_content.get((sha256, box)))


def _whole(face: TakenFace | None) -> tuple[TakenFace, bytes] | None:
    """A face with its Example; None where that is gone or damaged, for then it can be made anew."""
    try:
        return (face, read_example(*face[-4:])) if face else None
    except (OSError, VisageError):
        return None


def _read_faces(folder: Path, made_by: str) -> Iterator[TakenFace]:
    try:
        file = pq.ParquetFile(folder / LISTING)
    except (OSError, pa.ArrowInvalid):
        return
    if (file.schema_arrow.metadata or {}).get(b"making") != made_by.encode():
        return
    listed = file.read(COLUMNS.names)
    names = [f"{folder}/{name}" for name in listed["file"].to_pylist()]
    yield from faces_of(listed.set_column(listed.column_names.index("file"), "file", [names]))
