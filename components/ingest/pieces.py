"""The pieces of an artifact that workers leave in the staging place, and the list of them.

    shards/SPLIT-00000-of-00004.DIGEST.tfrecord     a shard
    shards/SPLIT-00000-of-00004.DIGEST.arrow        its rows of the listing, with its entry of the index as metadata
    rejects/00000000.DIGEST.arrow                   the rejects of a range of rows
    contents.json                                   the number of rows, and the names of all pieces

The digest is of the rows and of what their Examples hold. So a piece that is made again has the same name or another content.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from components.ingest.face_tables import COLUMNS, places_of
from components.ingest.faces import Rows
from components.ingest.spool import read_examples
from components.storage import files, names
from schemas.arrow_files import ipc
from schemas.reject import Reject, arrow_schema
from schemas.shard import Shard, file_name, write_record

LEFT_OUT = "left_out"
"""Where faces go instead of a split that are left out for others."""

REJECTS = "rejects"

_CONTENTS = "contents.json"

Piece = tuple[str, int, str]
"""A split, `LEFT_OUT` or `REJECTS`; the number within it; and the name of the piece in the staging place, without its ending."""


def write_shard(staging: str, split: str, number: int, count: int, faces: pa.Table) -> Piece:
    """Write a shard of these faces, in their order, and its rows of the listing.

    Raises:
        VisageError: an Example is gone or damaged.
        OSError: it cannot be written.
    """
    content = faces.drop(["file", "offset"])
    name = file_name(split, number, count)
    piece = f"shards/{Path(name).stem}.{_digest(_arrow(content))}"
    with files.new_file(f"{_place(staging, piece)}.tfrecord") as file:
        offsets = [write_record(file, example) for example in read_examples(places_of(faces))]
        size = file.tell()
    counted = (_count(faces[label].to_pylist()) for label in ("age", "age_class", "gender"))
    shard = Shard(name, len(faces), size, *counted)
    faces = faces.set_column(_FILE, "file", [[name] * len(faces)]).set_column(_FILE + 1, "offset", [offsets])
    listed = faces.cast(COLUMNS).replace_schema_metadata({"shard": json.dumps(asdict(shard))})
    _write(f"{_place(staging, piece)}.arrow", _arrow(listed))
    return split, number, piece


_FILE = COLUMNS.names.index("file")


def _count(values: Iterable[Any]) -> dict[Any, int]:
    counted = Counter(value for value in values if value is not None)
    return {value: counted[value] for value in sorted(counted)}


def read_shard(staging: str, piece: str) -> tuple[Shard, pa.Table]:
    """A shard's entry of the index, and its rows of the listing."""
    listed = _read(staging, piece)
    entry = json.loads(listed.schema.metadata[b"shard"])
    ages = {int(age): count for age, count in entry["ages"].items()}
    return Shard(**{**entry, "ages": ages}), listed.replace_schema_metadata(None)


def write_rejects_piece(staging: str, number: int, rejects: list[Reject]) -> Piece:
    """Write the rejects of a range of rows.

    Raises:
        OSError: it cannot be written.
    """
    data = _arrow(pa.Table.from_pylist([asdict(reject) for reject in rejects], schema=arrow_schema()))
    piece = f"{REJECTS}/{number:08d}.{_digest(data)}"
    _write(f"{_place(staging, piece)}.arrow", data)
    return REJECTS, number, piece


def read_rejects_piece(staging: str, piece: str) -> pa.Table:
    return _read(staging, piece)


class Contents(NamedTuple):
    """What a job has written.

    Attributes:
        rows: number of rows of the source, and of those that the label rules kept.
        pieces: names of the pieces by kind, in order.
    """

    rows: Rows
    pieces: dict[str, list[str]]


def write_contents(staging: str, written: Iterable[tuple[int, int] | Piece]) -> None:
    """Write the list of all pieces; among them are the numbers of rows, as the one pair."""
    rows: list[int] = []
    pieces: list[Piece] = []
    for counts_or_piece in written:
        if len(counts_or_piece) == 2:
            rows = list(counts_or_piece)
        else:
            pieces.append(counts_or_piece)
    _write(_place(staging, _CONTENTS), json.dumps({"rows": rows, "pieces": sorted(pieces)}).encode())


def read_contents(staging: str) -> Contents:
    """The list of all pieces.

    Raises:
        OSError: it cannot be read.
    """
    document = json.loads(files.read_bytes(_place(staging, _CONTENTS)))
    pieces: dict[str, list[str]] = {}
    for kind, _, piece in document["pieces"]:
        pieces.setdefault(kind, []).append(piece)
    return Contents(Rows(*document["rows"]), pieces)


def shard_place(staging: str, piece: str) -> str:
    """Where the shard itself lies."""
    return f"{_place(staging, piece)}.tfrecord"


def _place(staging: str, piece: str) -> str:
    return names.joined(staging, piece)


def _write(place: str, data: bytes) -> None:
    with files.new_file(place) as file:
        file.write(data)


def _read(staging: str, piece: str) -> pa.Table:
    return ipc.open_stream(files.read_bytes(f"{_place(staging, piece)}.arrow")).read_all()


def _arrow(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, table.schema, options=ipc.IpcWriteOptions(compression="lz4")) as stream:
        stream.write_table(table.combine_chunks())
    return sink.getvalue().to_pybytes()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
