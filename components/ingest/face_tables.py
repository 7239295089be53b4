"""Faces as Arrow tables: what is known of each, a row a face, from the photos' stage to the listing.

As a table many thousand faces are sorted, looked through and dealt out in milliseconds, and take some hundred bytes each.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from components.ingest.faces import PLACE, ExtractedFace, Place, Row
from schemas.arrow_files import ipc
from schemas.record import FaceRecord

COLUMNS = pa.schema(
    {
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
        "own_labels": pa.list_(pa.string()),
        "split": pa.string(),
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
)
"""The attributes of `FaceRecord`, then of `ExtractedFace`; `split` is its own, `given_split` what its source says."""

LABELS = pa.schema(list(COLUMNS)[: COLUMNS.names.index("sha256")])
"""The first of these columns: those that follow from the record."""

_OF_RECORD = COLUMNS.names.index("split")


def table_of(rows: Iterable[Row], schema: pa.Schema = COLUMNS) -> pa.Table:
    """The table of faces, each as `row_of` gives it, or with `LABELS` of records, each as `labels_of` gives it."""
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    return pa.table([pa.array(values, kind) for values, kind in zip(columns, schema.types, strict=True)], schema=schema)


def faces_of(table: pa.Table) -> list[ExtractedFace]:
    """The opposite: the faces of a table."""
    columns = [table[name].to_pylist() for name in COLUMNS.names]
    for name in ("box", "own_labels"):
        number = COLUMNS.names.index(name)
        columns[number] = [None if value is None else tuple(value) for value in columns[number]]
    records = map(FaceRecord, *columns[:_OF_RECORD])
    return list(map(ExtractedFace, records, *columns[_OF_RECORD:]))


def places_of(table: pa.Table) -> list[Place]:
    """Where the faces' Examples lie."""
    return list(zip(*(table[name].to_pylist() for name in PLACE), strict=True))


def pack_faces(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    # The local runner keeps what went through a shuffle, several times, to its end. Threads would wait longer for each other
    # than some hundred rows take to be compressed, and each chunk of a table would cost as much as a table.
    options = ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    with ipc.new_stream(sink, COLUMNS, options=options) as stream:
        stream.write_table(table.combine_chunks())
    return sink.getvalue().to_pybytes()


def unpack_faces(blocks: Iterable[bytes]) -> pa.Table:
    """The faces of many blocks, as one table."""
    return pa.concat_tables(ipc.open_stream(block).read_all() for block in blocks).combine_chunks()


def parts_of(table: pa.Table, numbers: Sequence[int]) -> Iterator[tuple[int, pa.Table]]:
    """The faces by a number that each of them has; within a part they stay in their order."""
    part_numbers = np.array(numbers, np.int64)
    if len(part_numbers) and (part_numbers == part_numbers[0]).all():
        yield int(part_numbers[0]), table
        return
    order = np.argsort(part_numbers, kind="stable")
    table = table.take(pa.array(order))
    distinct, firsts = np.unique(part_numbers[order], return_index=True)
    for number, first, last in zip(
        distinct.tolist(), firsts.tolist(), [*firsts[1:].tolist(), len(part_numbers)], strict=True
    ):
        yield number, table.slice(first, last - first)
