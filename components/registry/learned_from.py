"""What a model learned from, as digests: which persons and photos it must not be tested on.

A file of some bytes a person and photo travels with every version. It tells whether somebody is among them and hides nobody: who
knows a name can look for it.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from schemas.error import VisageError
from schemas.example import FaceExample, decode
from schemas.record import TEST
from schemas.shard import read_index, read_records

FILE = "learned_from.npy"
"""Among a version's files: 64-bit digests, sorted."""


@dataclass(frozen=True)
class LearnedFrom:
    """The persons and photos that a model has seen.

    Attributes:
        digests: of the names of the persons and of the photo files.
    """

    digests: frozenset[int]

    @classmethod
    def of(cls, ingest: Path) -> Self:
        """All that is not in the test split. The validation split counts: it chose the weights that were kept.

        Raises:
            VisageError: the examples artifact cannot be read.
        """
        digests: set[int] = set()
        for shard in (shard for split, shards in read_index(ingest).items() if split != TEST for shard in shards):
            try:
                for example in map(decode, read_records(ingest / shard.file)):
                    digests |= _digests(example)
            except (OSError, ValueError) as error:
                raise VisageError(
                    f"{ingest / shard.file} cannot be read: {error}", "Run the ingest step again."
                ) from error
        return cls(frozenset(digests))

    @classmethod
    def read(cls, files: Path) -> Self | None:
        """From the files of a version; None where they do not tell, as those of versions made before Visage wrote it."""
        try:
            return cls(frozenset(np.load(files / FILE, allow_pickle=False).tolist()))
        except (OSError, ValueError, EOFError):
            return None

    def write(self, path: Path) -> None:
        np.save(path, np.array(sorted(self.digests), np.uint64), allow_pickle=False)

    def knows(self, example: FaceExample) -> bool:
        """Whether the person, or the very photo by whatever name, is among them."""
        return not self.digests.isdisjoint(_digests(example))


def _digests(example: FaceExample) -> set[int]:
    return {_digest("person", example.person), _digest("photo", example.sha256)}


def _digest(kind: str, name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{kind}\0{name}".encode()).digest()[:8], "big")
