"""A table's own columns, which ingest keeps in its listing and not in the Examples: joined to the predictions, for slices."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from schemas.arrow_files import parquet as pq
from schemas.error import VisageError
from schemas.record import LABEL, TEST

LISTING = "examples.parquet"
"""File of the examples artifact: a row an example, in the order of the shards."""


def joined(faces: pd.DataFrame, ingest: Path) -> pd.DataFrame:
    """Predictions of the test split with the table's own columns, each called `label_` and its name; unknown is None.

    An artifact whose listing has none, or that has no listing, adds nothing.

    Args:
        faces: predictions, a row an example in the order of the shards.
        ingest: the examples artifact.

    Raises:
        VisageError: the listing cannot be read, or is not of these examples.
    """
    file = ingest / LISTING
    if not file.is_file():
        return faces
    try:
        with pq.ParquetFile(file) as opened:
            own = [name for name in opened.schema_arrow.names if name.startswith(LABEL)]
            if not own:
                return faces
            listed = pa.Table.from_batches(_of_test(opened, [*_SAME, *own])).to_pydict()
    except (OSError, ValueError) as error:
        raise VisageError(f"{file} cannot be read: {error}.", _HINT) from error
    if any(listed.get(name) != faces[name].tolist() for name in _SAME):
        raise VisageError(f"{file} does not list the test examples in the order of their shards.", _HINT)
    return faces.assign(**{name: pd.Series(listed[name], faces.index, object) for name in own})


_SAME = ("path", "person")
"""Tells that a row of the listing is of the example whose place it has; a photo may show several persons."""

_HINT = "Run the ingest step again."


def _of_test(opened: pq.ParquetFile, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    for batch in opened.iter_batches(columns=["split", *names]):
        yield batch.filter(pc.equal(batch.column(batch.schema.names.index("split")), TEST))
