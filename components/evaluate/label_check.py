"""Which labels are likely to be wrong, by what heads say that did not learn from them.

Confident learning (Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 2021) asks
how likely a label is to a model that was trained without it. To train the whole model anew for every fold would take as
many trainings; here only heads are, on the features of the trained model, with the persons of each fold left out. The features
themselves have learned from the labels of the training and validation splits, wrong ones included, so that such a label may
look likelier than it is; of the test split they have seen none.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from components.estimator.features import features
from components.estimator.saved import Estimator
from components.report import page
from schemas.arrow_files import parquet as pq
from schemas.example import FaceExample
from schemas.record import FEMALE

FILE = "label_check.parquet"
PAGE = "labels.html"

SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("path", pa.string()),
        ("person", pa.string()),
        ("split", pa.string()),
        ("age", pa.float32()),
        ("gender", pa.string()),
        ("expected_age", pa.float32()),
        ("female", pa.float32()),
        ("doubted", pa.string()),
        ("belief", pa.float32()),
        ("likely_wrong", pa.bool_()),
        ("jpeg", pa.binary()),
    ]
)
"""Columns of label_check.parquet, a row an example, the least believed label first.

`expected_age`, `female`: what is said without the label, years and probability; `doubted`: `age` or `gender`, the label that is
believed less; `belief`: the share of all examples whose label is as hard to believe as that one or harder; `likely_wrong`:
whether it counts as wrong, which is what `ingest.exclude_list` leaves out; `jpeg`: the face, of the first rows only.
"""

WITH_PICTURE = 500
ON_PAGE = 120

_FOLDS = 5
_AT_ONCE = 256
_NEAR = 0.1
_MIN_NEAR = 30
_WINDOWS = 60
_NORMAL_MAD = 0.6745
_OUTLIER = 3.5
"""From this modified z-score on a value is an outlier (Iglewicz and Hoaglin, "How to Detect and Handle Outliers", 1993)."""


def check(estimator: Estimator, splits: Iterable[tuple[str, Iterable[FaceExample]]]) -> pd.DataFrame:
    """All examples, the least believed label first; columns as in `SCHEMA`.

    Args:
        estimator: whose features are used.
        splits: name and examples of each split.
    """
    faces, face_features = _read(estimator, splits)
    folds = _folds(faces["person"])
    ages = faces["age"].to_numpy(np.float64)
    faces["expected_age"] = _out_of_fold(_ages, face_features, ages, folds)
    female = np.where(faces["gender"].isna(), np.nan, faces["gender"] == FEMALE).astype(np.float64)
    faces["female"] = _out_of_fold(_genders, face_features, female, folds)

    strange = _strangeness(ages, faces["expected_age"].to_numpy(np.float64))
    of_label = np.where(np.isnan(female), np.nan, np.where(female == 1, faces["female"], 1 - faces["female"]))
    beliefs = pd.DataFrame({"age": _share_as_strange(strange), "gender": _share_as_strange(-of_label)})
    faces["belief"] = beliefs.min(axis=1)
    faces = faces[faces["belief"].notna()]
    beliefs = beliefs.loc[faces.index]
    faces["doubted"] = beliefs.idxmin(axis=1)
    wrong = pd.DataFrame({"age": strange > _OUTLIER, "gender": _confidently_other(female, of_label)}).loc[faces.index]
    faces["likely_wrong"] = wrong.any(axis=1)
    ordered = faces.sort_values("belief", kind="stable").reset_index(drop=True)
    ordered.loc[WITH_PICTURE:, "jpeg"] = None
    return ordered[SCHEMA.names]


def write(folder: Path, faces: pd.DataFrame, surround: page.Surround) -> None:
    """Write the list as Parquet, and a page of the least believed labels."""
    pq.write_table(pa.Table.from_pandas(faces, schema=SCHEMA, preserve_index=False), folder / FILE)
    shown = faces.head(ON_PAGE)
    blocks: Sequence[page.Block] = [
        page.Paragraph(
            f"Of {len(faces):,} examples {int(faces['likely_wrong'].sum()):,} have a label that is likely to be wrong. "
            "Heads that did not learn from the label say what is more likely; the least believed labels come first."
        ),
        page.Paragraph(
            f"To leave them out: --set ingest.exclude_list={FILE}, this file of the artifact, or a copy of it without the rows "
            "whose label is right after all."
        ),
        page.Pictures(
            [page.Picture(row["jpeg"], _caption(row), "jpeg") for row in shown.to_dict("records")], small=True
        ),
    ]
    page.write(folder / PAGE, "Labels that are hard to believe", blocks, surround)


def _caption(row: Any) -> str:
    caption = f"age {row['age']:.0f}, looks {row['expected_age']:.0f}"
    if row["doubted"] == "gender":
        share = row["female"] if row["gender"] == FEMALE else 1 - row["female"]
        caption = f"{row['gender']}, believed to {share:.0%}"
    return f"{caption}: {row['path']}"


def _read(estimator: Estimator, splits: Iterable[tuple[str, Iterable[FaceExample]]]) -> tuple[pd.DataFrame, np.ndarray]:
    """What is known of the examples, and their features."""
    rows: list[dict[str, Any]] = []
    feature_batches: list[np.ndarray] = []
    waiting: list[bytes] = []

    def flush() -> None:
        if waiting:
            feature_batches.append(features(estimator, waiting))
            waiting.clear()

    for split, examples in splits:
        for example in examples:
            labels = {name: getattr(example, name) for name in ("source", "path", "person", "age", "gender", "jpeg")}
            rows.append(labels | {"split": split})
            waiting.append(example.jpeg)
            if len(waiting) == _AT_ONCE:
                flush()
    flush()
    faces = pd.DataFrame(rows, columns=["source", "path", "person", "age", "gender", "jpeg", "split"])
    return faces.astype({"age": np.float64}), np.concatenate(feature_batches)


def _folds(persons: pd.Series) -> np.ndarray:
    """The fold of each example: all of a person's in one."""
    codes, unique_persons = pd.factorize(persons)
    return (np.random.default_rng(0).permutation(len(unique_persons)) % _FOLDS)[codes]


def _out_of_fold(fit: Any, face_features: np.ndarray, labels: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """What heads say of each example that learned from the other folds; NaN where these have nothing to learn from."""
    predictions = np.full(len(labels), np.nan)
    for fold in range(_FOLDS):
        held_out, others = folds == fold, (folds != fold) & ~np.isnan(labels)
        if held_out.any() and len(np.unique(labels[others])) > 1:
            predictions[held_out] = fit(face_features[others], labels[others], face_features[held_out])
    return predictions


def _ages(train_features: np.ndarray, ages: np.ndarray, test_features: np.ndarray) -> np.ndarray:
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return (
        make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 4, 11)))
        .fit(train_features, ages)
        .predict(test_features)
    )


def _genders(train_features: np.ndarray, female: np.ndarray, test_features: np.ndarray) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    head = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    return head.fit(train_features, female.astype(int)).predict_proba(test_features)[:, 1]


def _strangeness(ages: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """How far an age is from what is usual for faces that look as old: the modified z-score among them; NaN where unknown."""
    z_scores = np.full(len(ages), np.nan)
    known = np.flatnonzero(~np.isnan(ages) & ~np.isnan(expected))
    known = known[np.argsort(expected[known], kind="stable")]
    errors = ages[known] - expected[known]
    near = max(int(len(known) * _NEAR), min(len(known), _MIN_NEAR))
    starts = np.unique(np.linspace(0, len(known) - near, _WINDOWS).astype(int)) if len(known) else np.empty(0, int)
    windows = [errors[start : start + near] for start in starts]
    if windows:
        middles = np.array([np.median(window) for window in windows])
        spreads = np.array([np.median(np.abs(window - np.median(window))) for window in windows])
        at = np.arange(len(known))
        middle, spread = (np.interp(at, starts + near / 2, values) for values in (middles, spreads))
        z_scores[known] = _NORMAL_MAD * np.abs(errors - middle) / np.maximum(spread, 1e-6)
    return z_scores


def _share_as_strange(strange: np.ndarray) -> np.ndarray:
    """Of each value the share of all that are as large or larger."""
    known = np.sort(strange[~np.isnan(strange)])
    share = (len(known) - np.searchsorted(known, strange, side="left")) / max(len(known), 1)
    return np.where(np.isnan(strange), np.nan, share)


def _confidently_other(female: np.ndarray, of_label: np.ndarray) -> np.ndarray:
    """Confident learning's rule: the other gender is at least as likely as it is, on average, of those who have it as label."""
    usual = [np.nanmean(of_label[female == gender]) if (female == gender).any() else np.nan for gender in (0, 1)]
    other = np.where(female == 1, usual[0], usual[1])
    with np.errstate(invalid="ignore"):
        return (1 - of_label >= other) & (of_label < 0.5)
