"""What calibration and corrections of the estimate bring, by decade of age, on faces that the estimator did not learn from.

    python tests/benchmarks/calibration.py --ingest artifacts/ingest --train artifacts/train
    python tests/benchmarks/calibration.py --ingest artifacts/ingest --train artifacts/train --fit 0.8 --deals 20

The faces of the validation and the test split are dealt anew again and again: to one part the calibration is fitted as the train
step does it, on the other the share of true ages within the 90 % interval is counted. How far it lies from 90 % on average over
the deals is the method's; how it scatters from deal to deal is chance, of which a single test split has as much. To the same part
are fitted three corrections of the estimate: a line and an isotonic curve from the estimate to the age, both of which aim at a
small error, and the line from the age to the estimate, turned round, which aims at no bias at any age.
"""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from sklearn.isotonic import IsotonicRegression

from components.estimator import saved
from components.estimator.calibration import Calibration
from components.estimator.distribution import AgeDistribution
from components.evaluate.predictions import examples
from components.train import calibrate
from components.train.calibrate import CalibrationSet
from schemas.record import FEMALE, MAX_AGE, TEST, VALIDATION
from schemas.shard import read_index

DECADES = 10
JUDGED = 100
"""Faces of a decade without which its coverage says nothing."""

Correction = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""From estimates and ages to fit to, and estimates to correct, to corrected ones; all in years."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ingest", type=Path, required=True, help="examples artifact")
    parser.add_argument("--train", type=Path, required=True, help="artifact of an estimator that was trained on them")
    parser.add_argument("--fit", type=float, default=1 / 3, help="share of the faces that is fitted to")
    parser.add_argument("--deals", type=int, default=20, help="how often the faces are dealt")
    options = parser.parse_args()
    estimator = saved.load(options.train / "estimator")
    calibration_set = predict(estimator, options.ingest)
    decades = np.minimum(calibration_set.ages // 10, DECADES - 1).astype(int)
    before: list[list[float]] = []
    after: list[list[float]] = []
    errors: dict[str, list[list[float]]] = {name: [] for name in CORRECTIONS}
    rng = np.random.default_rng(0)
    for _ in range(options.deals):
        dealt = rng.permutation(len(calibration_set.ages))
        to, on = np.split(dealt, [round(options.fit * len(dealt))])
        plain, calibrated = Calibration(), calibrate.fit(rows(calibration_set, to), estimator.age_bins)
        for calibration, covered in ((plain, before), (calibrated, after)):
            low, high = interval(rows(calibration_set, on), calibration, estimator.age_bins)
            inside = (low <= calibration_set.ages[on]) & (calibration_set.ages[on] <= high)
            covered.append(by_decade(inside, decades[on]))
        estimate = AgeDistribution.of(calibration_set.outputs["age"], estimator.age_bins).mean
        for name, correct in CORRECTIONS.items():
            corrected = np.clip(correct(estimate[to], calibration_set.ages[to], estimate[on]), 0, MAX_AGE)
            error = corrected - calibration_set.ages[on]
            errors[name].append([np.abs(error).mean(), *by_decade(error, decades[on])])
    show(np.bincount(decades, minlength=DECADES) * (1 - options.fit), np.array(before), np.array(after), errors)


def predict(estimator: saved.Estimator, ingest: Path) -> CalibrationSet:
    """What the network says, without any correction, of the faces of known age that it did not learn from."""
    estimator.calibration = Calibration()
    index = read_index(ingest)
    faces = [one for split in (VALIDATION, TEST) for one in examples(ingest, index[split]) if one.age is not None]
    outputs = estimator.outputs_of_jpegs([one.jpeg for one in faces])
    female = [np.nan if one.gender is None else float(one.gender == FEMALE) for one in faces]
    return CalibrationSet(outputs, np.array([one.age for one in faces], float), np.array(female))


def rows(faces: CalibrationSet, chosen: np.ndarray) -> CalibrationSet:
    """Some of the faces."""
    outputs = {name: output[chosen] for name, output in faces.outputs.items()}
    return CalibrationSet(outputs, faces.ages[chosen], faces.female[chosen])


def interval(
    faces: CalibrationSet, calibration: Calibration, age_bins: saved.heads.AgeBins
) -> tuple[np.ndarray, np.ndarray]:
    """The 90 % interval of every face."""
    predictions = saved.interpret(calibration.probabilities(faces.outputs), age_bins, calibration)
    return predictions.age_low, predictions.age_high


def by_decade(values: np.ndarray, decades: np.ndarray) -> list[float]:
    """The mean in every decade; NaN where there is no face."""
    groups = [values[decades == decade] for decade in range(DECADES)]
    return [float(group.mean()) if len(group) else np.nan for group in groups]


def line(estimate: np.ndarray, ages: np.ndarray, test_estimate: np.ndarray) -> np.ndarray:
    return np.polyval(np.polyfit(estimate, ages, 1), test_estimate)


def isotonic(estimate: np.ndarray, ages: np.ndarray, test_estimate: np.ndarray) -> np.ndarray:
    return IsotonicRegression(out_of_bounds="clip").fit(estimate, ages).predict(test_estimate)


def turned_line(estimate: np.ndarray, ages: np.ndarray, test_estimate: np.ndarray) -> np.ndarray:
    slope, start = np.polyfit(ages, estimate, 1)
    return (test_estimate - start) / slope


CORRECTIONS: dict[str, Correction] = {
    "none": lambda estimate, ages, test_estimate: test_estimate,
    "line": line,
    "isotonic": isotonic,
    "turned_line": turned_line,
}


def show(faces: np.ndarray, before: np.ndarray, after: np.ndarray, errors: dict[str, list[list[float]]]) -> None:
    """Print the table by decade and, last, all of it as JSON."""
    means = {name: np.nanmean(np.array(errors_of_deals), axis=0) for name, errors_of_deals in errors.items()}
    print("                      within the 90 % interval      mean error, years, with a correction of the estimate")
    print(f"{'age':8}{'faces':>7}{'before':>9}{'after':>9}{'scatter':>9}   " + "".join(f"{name:>12}" for name in means))
    for decade in range(DECADES):
        shares = [np.nanmean(before[:, decade]), np.nanmean(after[:, decade]), np.nanstd(after[:, decade])]
        corrected = "".join(f"{mean[1 + decade]:12.2f}" for mean in means.values())
        name = f"{decade * 10}-{decade * 10 + 9}"
        print(f"{name:8}{faces[decade]:7,.0f}" + "".join(f"{share:9.1%}" for share in shares) + f"   {corrected}")
    print(f"{'age MAE, years':42}   " + "".join(f"{mean[0]:12.2f}" for mean in means.values()))
    judged = faces >= JUDGED
    figures = {f"{name}_mae": mean[0] for name, mean in means.items()}
    if not judged.any():
        print(f"No decade has {JUDGED} faces to look at: its coverage would be chance.")
    for name, coverage in (("before", before), ("after", after)) if judged.any() else ():
        figures[f"{name}_miss"] = np.abs(coverage[:, judged] - calibrate.LEVEL).mean()
        figures[f"{name}_lowest"], figures[f"{name}_highest"] = np.quantile(coverage.mean(axis=0)[judged], [0, 1])
    print(json.dumps({name: round(float(figure), 4) for name, figure in figures.items()}))


if __name__ == "__main__":
    main()
