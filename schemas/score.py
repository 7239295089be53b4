"""Scores: what a batch scoring job says of a face, one Parquet row a face.

A photo without a face is one row whose `face_count` is 0 and whose other face columns are null.
"""

from collections.abc import Sequence
from typing import Any

from schemas.record import FEMALE, MALE


def prediction_columns(predictions: Any, age_classes: Sequence[str] = ()) -> dict[str, Any]:
    """The columns that a model fills, from the estimator's `Predictions` of N faces.

    Args:
        predictions: of the estimator.
        age_classes: names of the age classes that it tells, youngest first; empty where it tells years.

    Returns:
        Arrays of shape [N] by column: `age`, `age_std`, `age_low`, `age_high` (years), `age_class` (the likeliest one, None
        where the model tells years), `gender` (the likelier one, None where the model has no gender head) and
        `gender_probability` (of that one, 0.5 to 1, NaN where it has none).
    """
    import numpy as np

    female = np.asarray(predictions.female)
    gender = np.where(female >= 0.5, FEMALE, MALE).astype(object)
    gender[~np.isfinite(female)] = None
    numbers = predictions.age_class if age_classes else np.full(len(female), -1)
    return {
        "age": predictions.age,
        "age_std": predictions.age_std,
        "age_low": predictions.age_low,
        "age_high": predictions.age_high,
        "age_class": np.array([*age_classes, None], object)[numbers],  # -1 is the last one: none
        "gender": gender,
        "gender_probability": np.maximum(female, 1 - female),
    }


def arrow_schema() -> Any:
    """Columns of the scores.

    `archive`, `path`: where the photo is; `sha256`: hex digest of the photo file; `face_index`: from 0, null without a face;
    `face_count`: faces found on the photo; `box_*`: pixels in the upright photo, right and bottom exclusive;
    `detection_score`: 0 to 1, null if detection was skipped; `angle`: degrees, clockwise, by which the face stands turned on the
    upright photo and was turned back for the model, more than -180, at most 180; 0 where none was turned, as with a model whose
    settings `photo.align` and `photo.turns` are off, or where no eyes were seen; null without a face;
    `age`: expected value, years; `age_std`: its standard deviation; `age_low`, `age_high`: 5th and 95th percentile, years;
    `age_class`: the likeliest one, null for a model that tells years;
    `gender`: the likelier one; `gender_probability`: of that one, 0.5 to 1; `model_name`, `model_version`: in the registry;
    `precision`: of the model's arithmetic, `float32` or `bfloat16`; `scored_at`: UTC.
    """
    import pyarrow as pa

    return pa.schema(
        [
            ("archive", pa.string()),
            ("path", pa.string()),
            ("sha256", pa.string()),
            ("face_index", pa.int32()),
            ("face_count", pa.int32()),
            ("box_left", pa.int32()),
            ("box_top", pa.int32()),
            ("box_right", pa.int32()),
            ("box_bottom", pa.int32()),
            ("detection_score", pa.float32()),
            ("angle", pa.float32()),
            ("age", pa.float32()),
            ("age_std", pa.float32()),
            ("age_low", pa.float32()),
            ("age_high", pa.float32()),
            ("age_class", pa.string()),
            ("gender", pa.string()),
            ("gender_probability", pa.float32()),
            ("model_name", pa.string()),
            ("model_version", pa.string()),
            ("precision", pa.string()),
            ("scored_at", pa.timestamp("ms", tz="UTC")),
        ]
    )
