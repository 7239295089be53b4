"""The driver's last part: an artifact of the pieces that workers left in the staging place, some ten thousand rows at a time."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa

from components.ingest import examples_index
from components.ingest.faces import Rows
from components.ingest.pieces import (
    LEFT_OUT,
    REJECTS,
    Contents,
    read_contents,
    read_rejects_piece,
    read_shard,
    shard_place,
)
from components.photo import PhotoSettings
from components.storage import files
from schemas.arrow_files import parquet as pq
from schemas.error import VisageError
from schemas.record import SPLITS
from schemas.reject import arrow_schema
from schemas.shard import Shard, write_index

_AT_ONCE = 8
"""Shards that are fetched beside each other."""

_GROUP = 1 << 17
"""Rejects that are in memory at once, and in a row group of the file."""


def assemble(staging: str, output: Path, photo: PhotoSettings, own_labels: Sequence[str] = ()) -> Rows:
    """Bring the shards home, and write index, listing and rejects; gives the number of rows that there were.

    Args:
        staging: place of the job.
        output: folder of the artifact.
        photo: how faces were made.
        own_labels: names of the table's own columns that the records have.

    Raises:
        VisageError: a piece is gone or is not what was written; the artifact cannot be written.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        contents = read_contents(staging)
        made_by = examples_index.making(photo)
        index: dict[str, list[Shard]] = {}
        for file, splits in ((examples_index.LISTING, SPLITS), (examples_index.LISTING_LEFT_OUT, (LEFT_OUT,))):
            if any(split in contents.pieces for split in splits):
                listed_rows = _fetch_shards(staging, output, contents, splits, index)
                examples_index.write_listing(output / file, listed_rows, made_by, own_labels)
        write_index(output, {split: index[split] for split in SPLITS if split in index})
        _write_rejects(output / "rejects.parquet", staging, contents.pieces.get(REJECTS, []))
    except OSError as error:
        raise VisageError(
            f"{output} cannot be written to from {staging}: {error.strerror or error}.",
            "Free some space, or choose a folder that can be written to, then run it again.",
        ) from error
    return contents.rows


def _fetch_shards(
    staging: str, output: Path, contents: Contents, splits: Iterable[str], index: dict[str, list[Shard]]
) -> Iterator[pa.Table]:
    """Bring the shards of some splits home; gives their rows of the listing in order, and enters them into the index."""

    def bring(piece: str) -> tuple[Shard, pa.Table]:
        shard, listed = read_shard(staging, piece)
        files.fetch(shard_place(staging, piece), output / shard.file)
        if (output / shard.file).stat().st_size != shard.bytes:
            raise VisageError(f"{shard_place(staging, piece)} is not as long as it was written.", "Run it again.")
        return shard, listed

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for split in splits:
            pieces = contents.pieces.get(split, [])
            for first in range(0, len(pieces), _AT_ONCE):
                for shard, listed in pool.map(bring, pieces[first : first + _AT_ONCE]):
                    index.setdefault(split, []).append(shard)
                    yield listed


def _write_rejects(file: Path, staging: str, pieces: list[str]) -> None:
    with pq.ParquetWriter(file, arrow_schema()) as writer:
        for rejects in _grouped(read_rejects_piece(staging, piece) for piece in pieces):
            writer.write_table(rejects)


def _grouped(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The rows of tables, so many at a time; at least one table."""
    buffered = arrow_schema().empty_table()
    first = True
    for table in tables:
        buffered = pa.concat_tables([buffered, table])
        while len(buffered) > _GROUP:
            yield buffered.slice(0, _GROUP)
            buffered, first = buffered.slice(_GROUP), False
    if first or len(buffered):
        yield buffered.combine_chunks()
