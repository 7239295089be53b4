"""Two versions of the registry on the same test faces."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from components.evaluate import metrics, predictions, rivals
from components.evaluate.intervals import Difference, differences
from components.registry import ModelVersion
from schemas.error import VisageError
from schemas.record import TEST
from schemas.shard import read_index

RESAMPLES, SEED = 1000, 0

_LABELS = ("path", "person", "source", "age", "age_class", "age_decade", "gender", "side", "face_score")


@dataclass(frozen=True)
class Comparison:
    """What two versions say of the same faces.

    Attributes:
        faces: number of those that both predict something of.
        figures: by name, of the first and of the second, on all of these.
        differences: first minus second.
        predictions: a row a face, with the labels and the predictions of each; columns of the second end in `_2`.
    """

    faces: int
    figures: dict[str, tuple[float | None, float | None]]
    differences: dict[str, Difference]
    predictions: pd.DataFrame

    def disagreements(self, count: int) -> pd.DataFrame:
        """The faces whose ages they predict most differently."""
        apart = (self.predictions["predicted_age"] - self.predictions["predicted_age_2"]).abs()
        return self.predictions.loc[apart.dropna().nlargest(count).index]


def compare(
    versions: Sequence[ModelVersion], ingest: Path, read: Callable[[int], None] = lambda count: None
) -> Comparison:
    """Let two versions say what they can of the test split of an examples artifact.

    Raises:
        VisageError: the examples or a version cannot be used, a comparison would not be fair, or no face suits both.
    """
    shards = read_index(ingest).get(TEST, [])
    measurements = [rivals.measure_version(version, ingest, shards, read) for version in versions]
    for measurement in measurements:
        if measurement.faces is None:
            raise VisageError(
                f"{measurement.version} cannot be compared on {ingest}: {measurement.why_not}",
                "Name other examples with --examples.",
            )
    first, second = (measurement.faces for measurement in measurements if measurement.faces is not None)
    both = (first["person"].notna() & second["person"].notna()).to_numpy()
    if not both.any():
        raise VisageError(f"No test face of {ingest} suits the photo settings of both versions.")
    first, second = first[both].reset_index(drop=True), second[both].reset_index(drop=True)
    of_first, of_second = metrics.figures(first), metrics.figures(second)
    figures = {name: (of_first[name], of_second[name]) for name in metrics.BY_NAME}
    all_differences = differences(first, second, RESAMPLES, SEED)
    alike = measurements[0].classes == measurements[1].classes
    fair = {name for name, pair in figures.items() if None not in pair and (alike or not name.startswith("age_class"))}
    joined = first.join(second.drop(columns=list(_LABELS)), rsuffix="_2")
    return Comparison(
        len(first), figures, {name: all_differences[name] for name in metrics.BY_NAME if name in fair}, joined
    )


def write(path: Path, comparison: Comparison) -> None:
    """Write the predictions of both as Parquet, a row a face.

    Raises:
        VisageError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        predictions.write(path, comparison.predictions)
    except OSError as error:
        raise VisageError(f"{path} cannot be written: {error.strerror or error}.") from error
