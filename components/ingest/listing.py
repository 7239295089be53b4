"""The listing of an ingest: one row an example, with all that is known of it and where it lies in the shards.

People query it, and the next ingest finds in it the work that is already done.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

import PIL
import pyarrow as pa
import pyarrow.parquet as pq

from components import photo
from components.ingest.faces import TakenFace, read_example
from components.photo import Box, PhotoSettings
from schemas.error import VisageError
from schemas.record import FaceRecord

LISTING = "examples.parquet"

_COLUMNS = {
    "split": pa.string(),
    "row": pa.int64(),
    "source": pa.string(),
    "path": pa.string(),
    "person": pa.string(),
    "age": pa.int64(),
    "age_class": pa.string(),
    "gender": pa.string(),
    "box": pa.list_(pa.float64()),
    "face_score": pa.float64(),
    "second_face_score": pa.float64(),
    "given_split": pa.string(),
    "fold": pa.int64(),
    "sha256": pa.string(),
    "version": pa.string(),
    "pixels": pa.binary(),
    "height": pa.int64(),
    "width": pa.int64(),
    "file": pa.string(),
    "offset": pa.int64(),
    "length": pa.int64(),
    "crc": pa.int64(),
}
"""Columns as the attributes of `FaceRecord` and `TakenFace`; `file` is relative to the artifact, `split` is where the example
is, and `given_split` what the source said."""

_OF_RECORD = ("row", "source", "path", "person", "age", "age_class", "gender", "box", "face_score", "second_face_score")
_OF_FACE = ("sha256", "version", "pixels", "height", "width", "fold", "file", "offset", "length", "crc")
_record_values = attrgetter(*(f"record.{name}" for name in _OF_RECORD), "record.split")
_face_values = attrgetter(*_OF_FACE)


def making(settings: PhotoSettings) -> str:
    """Digest of all that decides which face is made of a photo: the settings, the code, and the library's version."""
    code = Path(photo.__file__).read_bytes()
    return hashlib.sha256(
        json.dumps([settings.model_dump(mode="json"), hashlib.sha256(code).hexdigest(), PIL.__version__]).encode()
    ).hexdigest()


def table(split: str, faces: list[TakenFace]) -> pa.Table:
    """The rows of the listing for the faces of one shard."""
    columns = [[split] * len(faces), *zip(*map(_record_values, faces), strict=True)]
    columns += zip(*map(_face_values, faces), strict=True)
    named = zip(("split", *_OF_RECORD, "given_split", *_OF_FACE), columns, strict=True)
    return pa.table({name: list(values) for name, values in named}, schema=pa.schema(_COLUMNS))


def write_listing(folder: Path, tables: Iterable[pa.Table], made_by: str) -> None:
    """Write the listing of an artifact from the rows of each shard, in the order of the shards."""
    with pq.ParquetWriter(folder / LISTING, pa.schema(_COLUMNS, metadata={"making": made_by})) as writer:
        for rows in tables:
            writer.write_table(rows.replace_schema_metadata(writer.schema.metadata))


def read_columns(folder: Path, *names: str) -> Any:
    """Columns of the listing, as a pyarrow Table; one without rows where there is no listing that can be read."""
    try:
        return pq.read_table(folder / LISTING, columns=list(names))
    except (OSError, pa.ArrowInvalid):
        return pa.schema(_COLUMNS).empty_table().select(names)


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
        return (face, read_example(face)) if face else None
    except (OSError, VisageError):
        return None


def _read_faces(folder: Path, made_by: str) -> Iterator[TakenFace]:
    try:
        file = pq.ParquetFile(folder / LISTING)
    except (OSError, pa.ArrowInvalid):
        return
    if (file.schema_arrow.metadata or {}).get(b"making") != made_by.encode():
        return
    for batch in file.iter_batches():
        columns = batch.to_pydict()
        columns["box"] = [None if box is None else tuple(box) for box in columns["box"]]
        columns["file"] = [str(folder / name) for name in columns["file"]]
        records = zip(*(columns[name] for name in (*_OF_RECORD, "given_split")), strict=True)
        rest = zip(*(columns[name] for name in _OF_FACE), strict=True)
        for record, values in zip(records, rest, strict=True):
            yield TakenFace(FaceRecord(*record), *values)
