"""Whether two sets of libraries make the same: compare what they made of one archive, each in its own pipeline root.

    python -m tests.compare_roots ROOT OTHER_ROOT

Of the newest artifact of each step: shards and rejects must be the same to the byte and to the value, and so must the lists of
examples, anomalies and the faces found in photos. Models may differ; each must say, loaded here, what it said where it was
trained. Ends with 1 if something differs that may not.
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from components.estimator import saved
from components.evaluate import predictions
from schemas.arrow_files import parquet
from schemas.reject import read_rejects
from schemas.shard import read_index

TOLERANCE = 0.01
"""Years of age, and hundredths of a chance of gender, by which a model may say something else in another set."""

FACES = ("path", "sha256", "face_index", "face_count", "box_left", "box_top", "box_right", "box_bottom")


def newest(root: Path, step: str) -> Path:
    """The artifact of a step that was made last."""
    return max(root.glob(f"artifacts/{step}/*/manifest.json"), key=lambda manifest: manifest.stat().st_mtime).parent


def shards(root: Path) -> dict[str, str]:
    folder = newest(root, "ingest")
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.tfrecord"))
    }


def examples(root: Path) -> list[dict]:
    """The listing of the examples, without the times of the photos' files, which were drawn one after the other."""
    return parquet.read_table(newest(root, "ingest") / "examples.parquet").drop(["version"]).to_pylist()


def rejects(root: Path) -> list:
    return read_rejects(newest(root, "ingest") / "rejects.parquet")


def anomalies(root: Path) -> dict:
    return json.loads((newest(root, "validate") / "anomalies.json").read_text())


def columns(root: Path) -> list[tuple[str, str]]:
    """Name and type of every column of the Parquet files of the root, of the first of each kind."""
    files = {f"{step}/{path.name}": path for step in ("ingest", "evaluate", "score") for path in tables(root, step)}
    return [
        (f"{file}: {field.name}", str(field.type))
        for file in sorted(files)
        for field in parquet.read_schema(files[file])
    ]


def tables(root: Path, step: str) -> Iterator[Path]:
    yield from sorted(newest(root, step).rglob("*.parquet"), reverse=True)


def faces(root: Path) -> list[dict]:
    """The faces that the score step found, without what the model said of them."""
    files = sorted((newest(root, "score") / "scores").glob("*.parquet"))
    rows = [row for file in files for row in parquet.read_table(file).to_pylist()]
    return [{name: value for name, value in row.items() if name in FACES} for row in rows]


def score_rejects(root: Path) -> list:
    return [(row.path, row.reason) for row in read_rejects(newest(root, "score") / "rejects.parquet")]


def difference_here(root: Path) -> float:
    """How far a root's model, loaded here, is from what it said in the set that evaluated it."""
    model, data, evaluation = (newest(root, step) for step in ("train", "ingest", "evaluate"))
    test = predictions.examples(data, read_index(data)["test"])
    here = predictions.predict(saved.load(model / "estimator"), test)
    there = pd.read_parquet(evaluation / "predictions.parquet")
    assert list(here["path"]) == list(there["path"])
    return max(
        float(np.nanmax(np.abs(here[name].to_numpy(float) - there[name].to_numpy(float))) * scale)
        for name, scale in (("predicted_age", 1), ("predicted_age_std", 1), ("predicted_female", 100))
    )


def main(root: Path, other: Path) -> int:
    """Compare, print a line for each comparison, and give the exit code."""
    failed = False
    for name, of in COMPARED.items():
        first_rows, second_rows = of(root), of(other)
        same = first_rows == second_rows
        failed |= not same
        print(f"{name:14} {len(first_rows):>6} {'the same' if same else 'DIFFERENT'}")
        if not same:
            pairs = list(first_rows.items() if isinstance(first_rows, dict) else enumerate(first_rows))
            second_by_key = dict(second_rows.items() if isinstance(second_rows, dict) else enumerate(second_rows))
            first = next(
                ((key, value, second_by_key.get(key)) for key, value in pairs if second_by_key.get(key) != value),
                "one is longer",
            )
            print(f"  first: {first}")
    for place in (root, other):
        difference = difference_here(place)
        failed |= difference > TOLERANCE
        print(f"model of {place}: loaded here it says the same to {difference:.6f}")
    return int(failed)


COMPARED: dict[str, Callable[[Path], dict | list]] = {
    "shards": shards,
    "examples": examples,
    "rejects": rejects,
    "anomalies": anomalies,
    "columns": columns,
    "faces found": faces,
    "score rejects": score_rejects,
}

if __name__ == "__main__":
    code = main(Path(sys.argv[1]), Path(sys.argv[2]))
    sys.stdout.flush()
    os._exit(code)  # with TensorFlow 2.16 beside pyarrow 10 the interpreter's own end was a segmentation fault
