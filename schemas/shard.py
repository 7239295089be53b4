"""Shards: TFRecord files of Examples, and the index beside them.

A TFRecord is, for each record: length (uint64, little endian), masked CRC-32C of the length, the bytes, masked CRC-32C of
the bytes (https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details).
"""

import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from schemas.error import VisageError

INDEX = "index.json"
_MASK_DELTA = 0xA282EAD8


@dataclass(frozen=True)
class Shard:
    """One file of a split and what is in it.

    Attributes:
        file: path relative to the artifact's folder.
        examples: number of records.
        bytes: size of the file.
        ages: number of examples by age in years; examples of unknown age are not counted.
        age_classes: number of examples by age class, where the source has classes only.
        genders: number of examples by gender; examples of unknown gender are not counted.
    """

    file: str
    examples: int
    bytes: int
    ages: dict[int, int] = field(default_factory=dict)
    age_classes: dict[str, int] = field(default_factory=dict)
    genders: dict[str, int] = field(default_factory=dict)


def file_name(split: str, number: int, count: int) -> str:
    """Name of a shard within the artifact, for instance `train/train-00000-of-00004.tfrecord`."""
    return f"{split}/{split}-{number:05d}-of-{count:05d}.tfrecord"


def write_index(folder: Path, splits: dict[str, list[Shard]]) -> None:
    """Write the index of an examples artifact: every split with its shards, so that nobody reads shards to count them."""
    content = {split: [asdict(shard) for shard in shards] for split, shards in splits.items()}
    (folder / INDEX).write_text(json.dumps(content, indent=1) + "\n")


def read_index(folder: Path) -> dict[str, list[Shard]]:
    """The shards of every split of an examples artifact.

    Raises:
        VisageError: the folder has no readable index.
    """
    try:
        content = json.loads((folder / INDEX).read_text())
        return {split: [_shard(values) for values in shards] for split, shards in content.items()}
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise VisageError(
            f"{folder} holds no examples, or its {INDEX} is damaged: {error}",
            "Name a folder that the ingest step wrote.",
        ) from error


def _shard(values: dict[str, Any]) -> Shard:
    """JSON has texts for keys."""
    return Shard(**{**values, "ages": {int(age): count for age, count in values["ages"].items()}})


def shard_paths(folder: Path, split: str) -> list[Path]:
    """The files of one split, in order."""
    return [folder / shard.file for shard in read_index(folder).get(split, [])]


def write_record(file: BinaryIO, record: bytes) -> int:
    """Append one record to an open TFRecord file; gives the place in the file where the record's own bytes begin."""
    length = struct.pack("<Q", len(record))
    start = file.tell() + 12
    file.write(length + _masked_crc(length) + record + _masked_crc(record))
    return start


def write_records(path: Path, records: Iterable[bytes]) -> int:
    """Write a whole TFRecord file, making its folder; the number of records."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with path.open("wb") as file:
        for record in records:
            write_record(file, record)
            count += 1
    return count


def read_records(path: Path) -> Iterator[bytes]:
    """The records of a TFRecord file.

    Raises:
        VisageError: the file is cut short or a checksum is wrong.
    """
    with path.open("rb") as file:
        while header := file.read(12):
            if len(header) < 12 or _masked_crc(header[:8]) != header[8:]:
                raise VisageError(
                    f"{path} is damaged at byte {file.tell() - len(header)}", "Run the ingest step again."
                )
            (length,) = struct.unpack("<Q", header[:8])
            record, crc = file.read(length), file.read(4)
            if len(record) < length or _masked_crc(record) != crc:
                raise VisageError(f"{path} is damaged at byte {file.tell()}", "Run the ingest step again.")
            yield record


def _masked_crc(data: bytes) -> bytes:
    import google_crc32c

    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF)
