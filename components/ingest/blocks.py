"""Blocks: many records or rejects as one piece of bytes.

To Beam an element costs about as much as the work on a small photo, whatever it carries. So what goes through a shuffle is
packed by the hundred: faces as tables, see `components.ingest.face_tables`, the rest as plain tuples, which pickle several times
faster than dataclasses.
"""

import pickle
from collections.abc import Callable, Iterable
from dataclasses import fields
from operator import attrgetter
from typing import Any, TypeVar

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
    return [FaceRecord(*values) for values in pickle.loads(block)]


def pack_rejects(rejects: Iterable[Reject]) -> bytes:
    return _pack(map(_of_reject, rejects))


def unpack_rejects(block: bytes) -> list[Reject]:
    return [Reject(*values) for values in pickle.loads(block)]


def _pack(values: Iterable[tuple[Any, ...]]) -> bytes:
    return pickle.dumps(list(values), pickle.HIGHEST_PROTOCOL)


def groups(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Items by their key."""
    grouped: dict[K, list[T]] = {}
    for item in items:
        grouped.setdefault(key(item), []).append(item)
    return grouped
