"""The two ways to a file: listed, as score reads it, and asked for by its name, as ingest does."""

from collections.abc import Iterable
from pathlib import Path

from components.photo import PhotoRejected
from components.storage.by_name import open_files
from components.storage.listing import Listing
from components.storage.names import shown
from components.storage.reading import Reader

MAX_BYTES = 1_000_000

Outcome = dict[str, bytes | str]
"""By name a file's bytes, or why it is rejected."""


def pairs(*inputs: str | Path, encoding: str = "", max_bytes: int = MAX_BYTES) -> list[tuple[str, bytes | str]]:
    """Every listed file with its bytes, or why it is rejected."""
    listing = Listing([str(path) for path in inputs], encoding)
    results: list[tuple[str, bytes | str]] = []
    entries = list(listing)
    with Reader(listing.sources, max_bytes) as reader:
        for entry in entries:
            try:
                results.append((shown(entry.name), reader.read(entry)))
            except PhotoRejected as rejected:
                results.append((shown(entry.name), str(rejected)))
    return results


def listed(*inputs: str | Path, encoding: str = "", max_bytes: int = MAX_BYTES) -> Outcome:
    """What reading every listed file gives."""
    return dict(pairs(*inputs, encoding=encoding, max_bytes=max_bytes))


def read_by_name(root: str | Path, names: Iterable[str], encoding: str = "", max_bytes: int = MAX_BYTES) -> Outcome:
    """What asking for files by these names gives."""
    files = open_files(str(root), max_bytes, encoding)
    results: Outcome = {}
    for name in names:
        try:
            results[name] = files.read(name)
        except PhotoRejected as rejected:
            results[name] = str(rejected)
    return results


def both(root: str | Path, names: Iterable[str], encoding: str = "") -> Outcome:
    """What either way gives, which has to be the same."""
    results = listed(root, encoding=encoding)
    assert read_by_name(root, names, encoding) == {name: results.get(name) for name in names}
    return results
