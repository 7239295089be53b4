"""Made-up metadata in IMDB-WIKI's own form, and where the real one lies."""

import datetime
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

NAN, INF = float("nan"), float("inf")


def datenum(year: int, month: int, day: int) -> int:
    """MATLAB's number of a day."""
    return datetime.date(year, month, day).toordinal() + 366


def cells(values: list[Any]) -> np.ndarray:
    cell_array = np.empty((1, len(values)), dtype=object)
    for index, value in enumerate(values):
        cell_array[0, index] = value
    return cell_array


def face(**changes: Any) -> dict[str, Any]:
    """A row that the usual filter keeps: a woman of 39 (born 12 March 1970, photo of 2009)."""
    row = {
        "dob": datenum(1970, 3, 12),
        "photo_taken": 2009,
        "full_path": "01/nm0000001_rm10_1970-3-12_2009.jpg",
        "gender": 0.0,
        "name": "A Person",
        "face_location": [11.0, 21.0, 110.0, 120.0],
        "face_score": 3.5,
        "second_face_score": NAN,
        "celeb_id": 7.0,
    }
    return row | changes


def columns(rows: list[dict[str, Any]], part: str = "imdb") -> dict[str, Any]:
    """The struct of the published file with these rows in it."""
    numbers = {name: np.array([[row[name] for row in rows]], dtype=float) for name in ("gender", "face_score")}
    numbers["second_face_score"] = np.array([[row["second_face_score"] for row in rows]], dtype=float)
    numbers["dob"] = np.array([[row["dob"] for row in rows]])
    numbers["photo_taken"] = np.array([[row["photo_taken"] for row in rows]])
    fields = numbers | {
        "full_path": cells([row["full_path"] for row in rows]),
        "name": cells([row["name"] for row in rows]),
        "face_location": cells([np.array([row["face_location"]], dtype=float) for row in rows]),
    }
    if part == "imdb":
        fields["celeb_names"] = cells(["A Person"])
        fields["celeb_id"] = np.array([[row["celeb_id"] for row in rows]], dtype=float)
    return fields


def write_mat(folder: Path, *rows: dict[str, Any], part: str = "imdb", fields: Mapping[str, Any] | None = None) -> Path:
    """Write rows as FOLDER/imdb.mat or wiki.mat and give the folder; `fields` replace the struct's."""
    folder.mkdir(parents=True, exist_ok=True)
    savemat(folder / f"{part}.mat", {part: columns(list(rows), part) | dict(fields or {})}, do_compression=True)
    return folder


def shared_data() -> Path:
    """The folder of real data; the test is skipped where it is not."""
    folder = Path(os.environ.get("VISAGE_SHARED_DATA", Path(__file__).parents[5] / "shared/data"))
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}; set VISAGE_SHARED_DATA")
    return folder
