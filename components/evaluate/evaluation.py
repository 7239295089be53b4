"""The work of the evaluate step, in its order: predict, measure, hold against the champion, bless, tell."""

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from components.estimator import saved
from components.estimator.classes import AgeClasses
from components.evaluate import metrics, plots, predictions, report, rivals
from components.evaluate.blessing import objections
from components.evaluate.settings import EvaluateSettings, Settings
from components.step import StepContext
from schemas.error import VisageError
from schemas.record import TEST, TRAIN
from schemas.shard import read_index

log = logging.getLogger("visage.evaluate")

METRICS = "metrics.json"
PREDICTIONS = "predictions.parquet"
REPORT = "report.html"


def evaluate(settings: Settings, context: StepContext) -> Mapping[str, Any]:
    """Evaluate the estimator; the figures for the manifest.

    Raises:
        VisageError: there is nothing to measure on, a shard or the estimator cannot be read, the registry does not answer,
            or the model was not blessed and the settings require it.
    """
    asked, folder = settings.evaluate, context.inputs["ingest"]
    index = read_index(folder)
    shards = index.get(TEST, [])
    champion = context.champion
    models = 1 + (len(rivals.numbers(champion)) if champion else 0)
    read = _progress(context, models * sum(shard.examples for shard in shards))

    estimator = saved.load(context.inputs["train"] / "estimator")
    classes = estimator.classes
    faces = predictions.predict(estimator, predictions.examples(folder, shards), read)
    predictions.write(context.output / PREDICTIONS, faces)
    against = rivals.measure(champion, folder, shards, read) if champion else []

    baseline = metrics.Baseline.of(index.get(TRAIN, []), classes)
    measured = _measure(faces, classes, baseline, asked)
    told = [rivals.compared(rival, faces, classes, asked.resamples, asked.seed) for rival in against]
    measured |= {"champion": told[0] if told else None, "references": told[1:]}
    reasons = objections(measured, asked.blessing)
    measured |= {"blessed": not reasons, "reasons": reasons, "best": rivals.best_after(not reasons, told)}
    (context.output / METRICS).write_text(json.dumps(measured, indent=1, allow_nan=False) + "\n")

    plots.draw(context.output, faces)
    if asked.worst_faces and plots.draw_worst(
        context.output, faces, predictions.examples(folder, shards), asked.worst_faces
    ):
        log.info("the largest errors are on %s", plots.WORST)
    report.write(context.output / REPORT, measured, context.output)

    _track(context, measured)
    for reason in reasons:
        log.warning("not blessed: %s", reason)
    if reasons and asked.require_blessing:
        raise VisageError(
            "The model is not blessed:\n" + "\n".join(f"- {reason}" for reason in reasons),
            f"Train a better one, or lower what evaluate.blessing asks for. Report: {context.place_of(REPORT)}",
        )
    return _counts(measured)


def _measure(
    faces: pd.DataFrame, classes: AgeClasses | None, baseline: metrics.Baseline, asked: EvaluateSettings
) -> dict[str, Any]:
    hindsight = metrics.Baseline.in_hindsight(faces, classes)
    return {
        "examples": len(faces),
        "persons": int(faces["person"].nunique()),
        "without_prediction": int(faces["predicted_age"].isna().sum()),
        **metrics.figures(faces),
        **metrics.intervals(faces, asked.resamples, asked.seed),
        **metrics.baseline_figures(faces, baseline),
        "baseline_age": baseline.age,
        "baseline_age_class": baseline.age_class,
        "baseline_gender": baseline.gender,
        "baseline": _against_constants(faces, baseline, asked),
        "hindsight": _against_constants(faces, hindsight, asked),
        "bootstrap": {"resamples": asked.resamples, "seed": asked.seed, "unit": "person", "interval": 0.95},
        "slices": metrics.slices(faces),
        "age_classes": list(classes.names) if classes else None,
        "age_class_confusion": metrics.confusion(faces, classes) if classes else None,
    }


def _against_constants(
    faces: pd.DataFrame, constants: metrics.Baseline, asked: EvaluateSettings
) -> dict[str, dict[str, Any] | None]:
    """By figure: what the constant is, how good, and this model's figure minus it; None where nothing can be said."""
    theirs = constants.scores(faces)
    found = metrics.differences(metrics.scores(faces), theirs, faces["person"], asked.resamples, asked.seed)
    answers = {
        "age_mae": constants.age,
        "age_class_accuracy": constants.age_class,
        "gender_accuracy": constants.gender,
    }
    return {
        name: {"says": answers[name], "figure": float(theirs[name].mean()), **difference._asdict()}
        if difference.faces
        else None
        for name, difference in found.items()
    }


def _progress(context: StepContext, total: int) -> Callable[[int], None]:
    done = 0

    def read(count: int) -> None:
        nonlocal done
        done += count
        context.tracker.progress(min(done, total), total, "faces")

    return read


def _track(context: StepContext, measured: Mapping[str, Any]) -> None:
    for held in measured["slices"]:
        for name in ("age_mae", "gender_accuracy"):
            if held[name] is not None:
                context.tracker.metric(f"{held['slice']}/{held['value']}/{name}", held[name])


def _counts(measured: Mapping[str, Any]) -> dict[str, Any]:
    figures = {name: value for name, value in measured.items() if isinstance(value, int | float | bool)}
    champion = measured["champion"]
    return figures | {
        "compared_with": f"{champion['name']}/{champion['version']}"
        if champion and champion["compared"]
        else "no champion",
        "reasons": measured["reasons"],
    }
