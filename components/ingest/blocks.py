"""Blocks: many records, faces or rejects as one piece of bytes.

To Beam an element costs about as much as the work on a small photo, whatever it carries. So what goes through a shuffle is
packed by the hundred, as plain tuples, which pickle several times faster than dataclasses.
"""

import pickle
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from operator import attrgetter
from typing import Any, TypeVar

import pyarrow as pa

from components.ingest.faces import TakenFace
from schemas.record import FaceRecord
from schemas.reject import Reject

T = TypeVar("T")
K = TypeVar("K")


def _values(kind: type) -> Callable[[Any], tuple[Any, ...]]:
    return attrgetter(*(field.name for field in fields(kind)))


_of_record, _of_reject = _values(FaceRecord), _values(Reject)


def pack_records(records: Iterable[FaceRecord]) -> bytes:
    return _pack(map(_of_record, records))


def unpack_records(block: bytes) -> list[FaceRecord]:
    return [FaceRecord(*values) for values in _unpack(block)]


def pack_rejects(rejects: Iterable[Reject]) -> bytes:
    return _pack(map(_of_reject, rejects))


def unpack_rejects(block: bytes) -> list[Reject]:
    return [Reject(*values) for values in _unpack(block)]


def pack_faces(faces: Iterable[TakenFace]) -> bytes:
    return _pack((_of_record(face.record), *face[1:]) for face in faces)


def unpack_faces(block: bytes) -> list[TakenFace]:
    return [TakenFace(FaceRecord(*values[0]), *values[1:]) for values in _unpack(block)]


def unpack_all(unpack: Callable[[bytes], list[T]], blocks: Iterable[bytes]) -> Iterator[T]:
    """The contents of many blocks."""
    for block in blocks:
        yield from unpack(block)


def groups(things: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Things by their key."""
    grouped: dict[K, list[T]] = {}
    for thing in things:
        grouped.setdefault(key(thing), []).append(thing)
    return grouped


LARGE = 4096
"""Bytes from which on a block is compressed: what went through a shuffle the local runner keeps, several times, to its end.
Zstandard takes a quarter of the time that zlib does, and leaves less."""


def _pack(values: Iterable[tuple[Any, ...]]) -> bytes:
    block = pickle.dumps(list(values), pickle.HIGHEST_PROTOCOL)
    if len(block) < LARGE:
        return block
    return len(block).to_bytes(8, "big") + pa.compress(block, "zstd", asbytes=True)


def _unpack(block: bytes) -> Any:
    if not block.startswith(pickle.PROTO):
        block = pa.decompress(memoryview(block)[8:], int.from_bytes(block[:8], "big"), "zstd", asbytes=True)
    return pickle.loads(block)
