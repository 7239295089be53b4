"""The listing of an ingest: one row an example, with all that is known of it and where it lies in the shards.

People query it, and the next ingest finds in it the work that is already done.
"""

import hashlib
import importlib.metadata
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components import detection, photo
from components.ingest.face_tables import COLUMNS
from components.photo import PhotoSettings
from schemas.arrow_files import parquet as pq
from schemas.record import LABEL

LISTING = "examples.parquet"

LISTING_LEFT_OUT = "left_out.parquet"
"""Listing of the faces that were left out for others of the same picture or photo, with their Examples in shards beside it:
the next ingest need not take them anew to see that."""

LISTED = pa.schema([column for column in COLUMNS if column.name != "own_labels"])
"""Columns of every listing. A table's own labels follow, each as a column of its own."""


def making(settings: PhotoSettings) -> str:
    """Digest of all that decides which face is made of a photo: the settings, the code, and the libraries' versions."""
    files = sorted(Path(photo.__file__).parent.glob("*.py"))
    libraries = [*_LIBRARIES]
    if settings.turn_faces:
        files += sorted(file for file in Path(detection.__file__).parent.rglob("*") if file.suffix in (".py", ".onnx"))
        libraries += _LIBRARIES_THAT_TURN
    code = [(file.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files]
    versions = [(name, _version(name)) for name in libraries]
    return hashlib.sha256(json.dumps([settings.model_dump(mode="json"), code, versions]).encode()).hexdigest()


_LIBRARIES = ("pillow", "simplejpeg", "pi-heif", "pillow-jxl-plugin")
"""What decodes photos and makes them smaller."""

_LIBRARIES_THAT_TURN = ("opencv-python-headless",)
"""What looks how faces stand."""


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def write_listing(file: Path, tables: Iterable[pa.Table], made_by: str, own_labels: Sequence[str] = ()) -> None:
    """Write a listing from the rows of each shard, in the order of the shards; `own_labels` are the names of a table's own."""
    own = [pa.field(f"{LABEL}{name}", pa.string()) for name in own_labels]
    schema = pa.schema([*LISTED, *own]).with_metadata({"making": made_by})
    # Lists as newer versions of pyarrow write them, so that the schema of the file is one.
    with pq.ParquetWriter(file, schema, use_compliant_nested_type=True) as writer:
        for rows in tables:
            listed = rows.select(LISTED.names)
            for number, field in enumerate(own):
                listed = listed.append_column(field, pc.list_element(rows["own_labels"], number))
            writer.write_table(listed.cast(schema))


def read_parts(file: Path, names: Iterable[str]) -> Iterator[pa.Table]:
    """Columns of a Parquet file, some ten thousand rows at a time.

    Raises:
        OSError, ArrowInvalid: it cannot be read.
    """
    with pq.ParquetFile(file) as opened:
        for batch in opened.iter_batches(_AT_ONCE, columns=list(names)):
            yield pa.Table.from_batches([batch])


_AT_ONCE = 1 << 15


def known_faces(folder: Path, made_by: str) -> Iterator[pa.Table]:
    """The faces of an artifact as `LISTED`, some ten thousand at a time, if they were made in the same way; else none.

    Faces that a shard no longer holds, because it is gone or too short, are not among them. Other damage is seen when the
    Example is read.
    """
    for listing in (LISTING, LISTING_LEFT_OUT):
        with suppress(OSError, pa.ArrowInvalid):
            schema = pq.read_schema(folder / listing)
            is_made_so = (schema.metadata or {}).get(b"making") == made_by.encode()
            if is_made_so and set(LISTED.names) <= set(schema.names):  # another Visage may have listed less
                yield from (_still_there(folder, listed) for listed in read_parts(folder / listing, LISTED.names))


def _still_there(folder: Path, listed: pa.Table) -> pa.Table:
    names = listed["file"].combine_chunks().dictionary_encode()
    sizes = np.array([_size(folder / name) for name in names.dictionary.to_pylist()], np.int64)
    is_within_shard = listed["offset"].to_numpy() + listed["length"].to_numpy() <= sizes[names.indices.to_numpy()]
    return listed.filter(is_within_shard).select(LISTED.names).cast(LISTED)


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
