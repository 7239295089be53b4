"""Ordinary photos with the number of faces seen on them by eye, where they are at hand."""

import csv
import os
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from components.photo import PhotoSettings, open_photo

SHARED = Path(os.environ.get("VISAGE_SHARED_DATA") or Path(__file__).parents[4] / "shared" / "data")
needs_photos = pytest.mark.skipif(not (SHARED / "photos.zip").is_file(), reason=f"no photos.zip in {SHARED}")


def real_photos() -> list[tuple[dict[str, str], Image.Image]]:
    """Rows of the table, `path` and what was counted, with their photos."""
    settings = PhotoSettings()
    with zipfile.ZipFile(SHARED / "photos.zip") as archive, (SHARED / "photos.csv").open() as table:
        return [(row, open_photo(archive.read(row["path"]), settings)) for row in csv.DictReader(table)]
