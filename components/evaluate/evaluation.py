"""The work of the evaluate step, in its order: predict, measure, hold against the champion, bless, tell."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from components.estimator import saved
from components.estimator.classes import AgeClasses
from components.evaluate import (
    age_checks,
    fresh_process,
    label_check,
    metrics,
    own_labels,
    plots,
    predictions,
    report,
    rivals,
    slices,
)
from components.evaluate.baseline import Baseline
from components.evaluate.blessing import objections
from components.evaluate.intervals import Measured, differences, measure
from components.evaluate.rivals import Rival
from components.evaluate.settings import EvaluateSettings, Settings
from components.report import page, surround
from components.step import StepContext
from schemas.error import VisageError
from schemas.record import TEST, TRAIN
from schemas.shard import Shard, read_index

log = logging.getLogger("visage.evaluate")

METRICS = "metrics.json"
PREDICTIONS = "predictions.parquet"
AGE_CHECKS = "age_checks.parquet"
REPORT = "report.html"


def evaluate(settings: Settings, context: StepContext) -> Mapping[str, Any]:
    """Evaluate the estimator; the figures for the manifest.

    Raises:
        VisageError: there is nothing to measure on, a shard or the estimator cannot be read, the registry does not answer,
            or the model was not blessed and the settings require it.
    """
    evaluate_settings, folder = settings.evaluate, context.inputs["ingest"]
    index = read_index(folder)
    shards = index.get(TEST, [])
    champion = context.champion
    models = 1 + (len(rivals.numbers(champion)) if champion else 0)
    read = _progress(context, models * sum(shard.examples for shard in shards))

    trained = context.inputs["train"] / "estimator"
    estimator = saved.load(trained)
    classes = estimator.classes
    thresholds = evaluate_settings.age_checks.thresholds
    faces = predictions.predict(estimator, predictions.examples(folder, shards), read, thresholds)
    faces = own_labels.joined(faces, folder)
    predictions.write(context.output / PREDICTIONS, faces)
    against = rivals.measure(champion, folder, shards, read, thresholds) if champion else []

    baseline = Baseline.of(index.get(TRAIN, []), classes)
    measured = _measure(faces, classes, baseline, against, evaluate_settings)
    sides = age_checks.Sides(faces, baseline.predictions(faces, thresholds), against[0].faces if against else None)
    checks = age_checks.table(sides, evaluate_settings.age_checks)
    age_checks.write(context.output / AGE_CHECKS, checks)
    measured |= {"age_checks": age_checks.read_off(checks, sides, evaluate_settings.age_checks)}
    if evaluate_settings.blessing.fresh_process:
        measured["fresh_process"] = fresh_process.objection(trained, predictions.examples(folder, shards), faces)
    reasons = objections(measured, evaluate_settings.blessing)
    measured |= {
        "blessed": not reasons,
        "reasons": reasons,
        "best": rivals.best_after(not reasons, _comparisons(measured)),
    }
    (context.output / METRICS).write_text(json.dumps(measured, indent=1, allow_nan=False) + "\n")

    plots.draw(context.output, faces)
    plots.draw_bias(context.output, measured["slices"])
    plots.draw_age_checks(context.output, checks)
    if evaluate_settings.worst_faces:
        sheets = plots.draw_faces(
            context.output, faces, predictions.examples(folder, shards), evaluate_settings.worst_faces
        )
        log.info("the largest and the smallest errors are on %s", " and ".join(sheets) or "no sheet: no age is known")
    around = surround.of_step("evaluate", settings, context)
    if evaluate_settings.label_check:
        _check_labels(context, estimator, index, around)
    report.write(context.output / REPORT, measured, context.output, around)

    _track(context, measured)
    for reason in reasons:
        log.warning("not blessed: %s", reason)
    if reasons and evaluate_settings.require_blessing:
        raise VisageError(
            "The model is not blessed:\n" + "\n".join(f"- {reason}" for reason in reasons),
            f"Train a better one, or lower what evaluate.blessing asks for. Report: {context.place_of(REPORT)}",
        )
    return _counts(measured)


def _measure(
    faces: pd.DataFrame,
    classes: AgeClasses | None,
    baseline: Baseline,
    against: Sequence[Rival],
    settings: EvaluateSettings,
) -> dict[str, Any]:
    faces_by_version = {rival.version.version: rival.faces for rival in against if rival.faces is not None}
    (whole,) = measure(faces, [np.arange(len(faces))], faces_by_version, settings.resamples, settings.seed)
    comparisons = [rivals.compared(rival, whole, classes) for rival in against]
    champion = comparisons[0] if comparisons else None
    others = {"champion": faces_by_version[champion["version"]]} if champion and champion["compared"] else {}

    test_slices = slices.slices(faces)
    by_slice = measure(
        faces, [test_slice.rows for test_slice in test_slices], others, settings.resamples, settings.seed
    )
    constant = baseline.predictions(faces)
    rows = slices.rows(
        test_slices,
        faces,
        by_slice,
        {"baseline": constant} | others,
        settings.blessing.min_slice_examples,
        champion["differences"] if champion else (),
    )
    of_baseline = metrics.figures(constant)
    return {
        "examples": len(faces),
        "persons": int(faces["person"].nunique()),
        "without_prediction": int(faces["predicted_age"].isna().sum()),
        **whole.values,
        **{f"{name}_low": ends.low for name, ends in whole.intervals.items()},
        **{f"{name}_high": ends.high for name, ends in whole.intervals.items()},
        **{f"baseline_{name}": value for name, value in of_baseline.items()},
        "baseline_age": baseline.age,
        "baseline_age_class": baseline.age_class,
        "baseline_gender": baseline.gender,
        "baseline": _against_constant(faces, baseline, settings),
        "hindsight": _against_constant(faces, Baseline.in_hindsight(faces, classes), settings),
        "figures": _table(whole, of_baseline, champion),
        "bootstrap": {"resamples": settings.resamples, "seed": settings.seed, "unit": "person", "interval": 0.95},
        "slices": rows,
        "worst_slices": slices.worst(rows),
        "age_classes": list(classes.names) if classes else None,
        "age_class_confusion": metrics.confusion(faces, classes) if classes else None,
        "champion": champion,
        "references": comparisons[1:],
    }


def _table(whole: Measured, of_baseline: metrics.Figures, champion: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Every figure that can be told, with what it means, its interval, the baseline, and the champion with the difference."""
    champion = champion or {"differences": {}}
    return [
        {
            "name": name,
            "title": figure.title,
            "unit": figure.unit,
            "best": figure.best,
            "value": whole.values[name],
            **whole.intervals[name]._asdict(),
            "baseline": of_baseline[name],
            "champion": champion.get(name),
            "champion_difference": champion["differences"].get(name),
        }
        for name, figure in metrics.BY_NAME.items()
        if whole.values[name] is not None
    ]


def _check_labels(
    context: StepContext, estimator: saved.Estimator, index: Mapping[str, Sequence[Shard]], around: page.Surround
) -> None:
    folder = context.inputs["ingest"]
    checked = label_check.check(
        estimator, ((split, predictions.examples(folder, shards)) for split, shards in index.items())
    )
    label_check.write(context.output, checked, around)
    log.info(
        "%d labels of %d are likely to be wrong: %s", checked["likely_wrong"].sum(), len(checked), label_check.PAGE
    )


def _comparisons(measured: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The entries of the versions that the model was compared with."""
    return [comparison for comparison in (measured["champion"], *measured["references"]) if comparison]


def _against_constant(
    faces: pd.DataFrame, constant: Baseline, settings: EvaluateSettings
) -> dict[str, dict[str, Any] | None]:
    """By figure: what the constant is, how good, and this model's figure minus it; None where nothing can be said."""
    theirs = constant.predictions(faces)
    answers = {
        "age_mae": constant.age,
        "age_class_accuracy": constant.age_class,
        "gender_accuracy": constant.gender,
    }
    by_figure = differences(faces, theirs, settings.resamples, settings.seed, metrics.DECIDING)
    return {
        name: {"says": answers[name], "figure": metrics.value_of(metrics.BY_NAME[name], theirs), **difference._asdict()}
        if difference.faces
        else None
        for name, difference in by_figure.items()
    }


def _progress(context: StepContext, total: int) -> Callable[[int], None]:
    done = 0

    def read(count: int) -> None:
        nonlocal done
        done += count
        context.tracker.progress(min(done, total), total, "faces")

    return read


def _track(context: StepContext, measured: Mapping[str, Any]) -> None:
    for row in measured["slices"]:
        if row["slice"] not in ("gender", "age", "age_class"):
            continue
        for name in ("age_mae", "gender_accuracy"):
            if row[name] is not None:
                context.tracker.metric(f"{row['slice']}/{row['value']}/{name}", row[name])


def _counts(measured: Mapping[str, Any]) -> dict[str, Any]:
    figures = {
        name: value
        for name, value in measured.items()
        if isinstance(value, int | float | bool) and not name.endswith(("_low", "_high"))
    }
    champion = measured["champion"]
    return figures | {
        "compared_with": f"{champion['name']}/{champion['version']}"
        if champion and champion["compared"]
        else "no champion",
        "reasons": measured["reasons"],
    }
