"""Pictures of how good the predictions are."""

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from components.evaluate import metrics
from components.report import charts
from schemas.example import FaceExample
from schemas.record import FEMALE, GENDERS, MAX_AGE

AGE = "age.png"
ERRORS = "errors.png"
INTERVAL = "interval.png"
BIAS = "bias.png"
GENDER = "gender.png"
AGE_CHECKS = "age_checks.png"
WORST = "worst_faces.png"
BEST = "best_faces.png"

CAPTIONS = {
    AGE: "Predicted against true age; on the line the prediction is right",
    ERRORS: "Mean absolute error by age and gender, with the number of faces",
    INTERVAL: "Share of true ages within the 90 % interval, by age; below the line the model is too sure of itself",
    BIAS: "Mean of predicted minus true age, by age, with its 95 % interval; below the line ages are under-estimated",
    AGE_CHECKS: "Age checks: minors of the four years below a threshold who pass, and adults who are refused, by challenge age; "
    "dotted, where there is one, the champion",
    GENDER: "Gender: the ROC curve, and how often a woman stands behind a probability",
    WORST: "The largest errors: true age, predicted age",
    BEST: "The smallest errors, of every decade in turn: true age, predicted age",
}

_TILE = 96
_COLUMNS = 8


def draw(folder: Path, faces: pd.DataFrame) -> None:
    """Draw what the labels allow into a folder."""
    aged = faces[faces["age"].notna() & faces["predicted_age"].notna()]
    if len(aged):
        _save(folder / AGE, _ages(aged))
        _save(folder / ERRORS, _errors(aged))
        _save(folder / INTERVAL, _coverage(aged))
    gendered = faces[faces["gender"].notna() & faces["predicted_female"].notna()]
    if gendered["gender"].nunique() == len(GENDERS):
        _save(folder / GENDER, _gender(gendered))


def draw_bias(folder: Path, slices: Sequence[Mapping[str, Any]]) -> None:
    """Draw the bias by decade, from the slices of metrics.json, if there are any of age."""
    decades = [row for row in slices if row["slice"] == "age" and row["age_bias"] is not None]
    if not decades:
        return
    figure = Figure(figsize=(8, 3), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(decades):
        colour = charts.PLAIN if row["judged"] else charts.FAINT
        axes.plot([place], [row["age_bias"]], "o", color=colour)
        if row["age_bias_low"] is not None:
            axes.plot([place, place], [row["age_bias_low"], row["age_bias_high"]], color=colour)
    axes.axhline(0, color=charts.GUIDE, linewidth=1)
    axes.set_xticks(range(len(decades)), [f"{row['value']}\n{row['examples']:,}" for row in decades])
    axes.set(xlabel="true age, years; number of faces, grey: too few to judge", ylabel="predicted minus true, years")
    _save(folder / BIAS, figure)


def draw_age_checks(folder: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw both errors of every threshold over the challenge age, from the table of age checks, if it has any."""
    challenge_rows = pd.DataFrame([row for row in rows if row["rule"] == "challenge" and row["group"] == "all"])
    if not len(challenge_rows):
        return
    thresholds = sorted(challenge_rows["threshold"].unique())
    figure = Figure(figsize=(2.6 * len(thresholds) + 1, 3.2), layout="constrained")
    for axes, threshold in zip(
        figure.subplots(1, len(thresholds), sharey=True, squeeze=False)[0], thresholds, strict=True
    ):
        threshold_rows = challenge_rows[challenge_rows["threshold"] == threshold].sort_values("at")
        for name, text, colour in (
            ("near_minors_passed", "minors who pass", charts.COLOURS[FEMALE]),
            ("adults_refused", "adults refused", charts.PLAIN),
        ):
            shares, low, high = (threshold_rows[f"{name}{end}"].astype(float) for end in ("", "_low", "_high"))
            axes.plot(threshold_rows["at"], shares, color=colour, label=text)
            axes.fill_between(threshold_rows["at"], low, high, color=colour, alpha=0.2, linewidth=0)
            if f"champion_{name}" in threshold_rows:
                champion = threshold_rows[f"champion_{name}"].astype(float)
                axes.plot(threshold_rows["at"], champion, color=colour, linestyle=":", label=f"{text}, champion")
        axes.set(title=f"threshold {threshold}", xlabel="challenge age, years", ylim=(0, 1))
        axes.yaxis.set_major_formatter("{x:.0%}")
    axes.legend(frameon=False, fontsize=8)
    _save(folder / AGE_CHECKS, figure)


def draw_faces(folder: Path, faces: pd.DataFrame, examples: Iterable[FaceExample], count: int) -> list[str]:
    """Draw a sheet of the faces whose age is missed by most, and one of those that are met best; the names of the files.

    Args:
        folder: to draw into.
        faces: predictions, in the order of the examples.
        examples: the test split.
        count: how many faces a sheet has at most; one has as many as have an age, and none is drawn of no face.
    """
    errors = (faces["predicted_age"] - faces["age"]).abs().dropna()
    rank = errors.groupby(faces["age_decade"]).rank(method="first")
    in_turn = pd.DataFrame({"rank": rank, "decade": faces["age_decade"]}).dropna().sort_values(["rank", "decade"])
    chosen = {WORST: list(errors.nlargest(count).index), BEST: list(in_turn.index[:count])}
    chosen_rows = {row for rows in chosen.values() for row in rows}
    jpegs = {row: example.jpeg for row, example in enumerate(examples) if row in chosen_rows}
    for name, rows in chosen.items():
        if rows:
            _sheet(faces, jpegs, rows).save(folder / name)
    return [name for name, rows in chosen.items() if rows]


def _sheet(faces: pd.DataFrame, jpegs: Mapping[int, bytes], chosen: Sequence[int]) -> Image.Image:
    """Some faces with their true and their predicted age."""
    font, line = ImageFont.load_default(12), 18
    rows = -(-len(chosen) // _COLUMNS)
    sheet = Image.new("RGB", (min(len(chosen), _COLUMNS) * _TILE, rows * (_TILE + line)), "white")
    for place, row in enumerate(chosen):
        left, top = place % _COLUMNS * _TILE, place // _COLUMNS * (_TILE + line)
        with Image.open(io.BytesIO(jpegs[row])) as photo:
            tile = photo.convert("RGB").resize((_TILE, _TILE))
        sheet.paste(tile, (left, top))
        text = f"{faces['age'][row]:.0f}, said {faces['predicted_age'][row]:.0f}"
        ImageDraw.Draw(sheet).text((left + 3, top + _TILE + 1), text, "black", font)
    return sheet


def _ages(aged: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(5.5, 5.2), layout="constrained")
    axes = figure.subplots()
    # Enough faces cover each other; fainter points let the crowded places show.
    opacity = float(np.clip(6 / np.sqrt(len(aged)), 0.05, 0.7))
    genders = aged["gender"].fillna("unknown")
    for gender, colour in charts.COLOURS.items():
        of_gender = aged[genders == gender]
        if len(of_gender):
            axes.scatter(
                of_gender["age"], of_gender["predicted_age"], 9, colour, alpha=opacity, label=gender, linewidths=0
            )
    axes.axline((0, 0), slope=1, color=charts.GUIDE, linewidth=1)
    axes.set(xlabel="true age, years", ylabel="predicted age, years", xlim=(-2, MAX_AGE), ylim=(-2, MAX_AGE))
    axes.legend(frameon=False)
    return figure


def _errors(aged: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    axes = figure.subplots()
    decades = _decades(aged)
    genders = aged["gender"].fillna("unknown")
    present = [gender for gender in charts.COLOURS if (genders == gender).any()]
    width = 0.8 / len(present)
    for place, gender in enumerate(present):
        of_gender = aged[genders == gender]
        error = (of_gender["predicted_age"] - of_gender["age"]).abs().groupby(of_gender["age_decade"])
        means, counts = error.mean().reindex(decades), error.size().reindex(decades, fill_value=0)
        at = np.arange(len(decades)) + place * width
        bars = axes.bar(at, means.fillna(0), width, color=charts.COLOURS[gender], label=gender)
        axes.bar_label(bars, [str(count) if count else "" for count in counts], fontsize=7)
    axes.set(xlabel="true age, years", ylabel="mean absolute error, years")
    axes.set_xticks(np.arange(len(decades)) + 0.4 - width / 2, decades)
    axes.legend(frameon=False)
    return figure


def _coverage(aged: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(8, 3), layout="constrained")
    axes = figure.subplots()
    decades = _decades(aged)
    inside = (aged["predicted_age_low"] <= aged["age"]) & (aged["age"] <= aged["predicted_age_high"])
    shares = inside.groupby(aged["age_decade"]).mean().reindex(decades)
    axes.bar_label(axes.bar(decades, shares, color=charts.PLAIN), [f"{share:.0%}" for share in shares], fontsize=8)
    axes.axhline(0.9, color=charts.GUIDE, linewidth=1, linestyle="--")
    axes.set(xlabel="true age, years", ylabel="within the interval", ylim=(0, 1.08))
    axes.yaxis.set_major_formatter("{x:.0%}")
    return figure


def _gender(gendered: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(8, 3.8), layout="constrained")
    curve, reliability = figure.subplots(1, 2)
    false, true = metrics.roc(gendered)
    curve.plot(false, true, color=charts.PLAIN)
    curve.axline((0, 0), slope=1, color=charts.GUIDE, linewidth=1)
    curve.set(xlabel="men called women", ylabel="women called women", title="ROC curve")
    bins = np.clip((gendered["predicted_female"] * 10).astype(int), 0, 9)
    female = (gendered["gender"] == FEMALE).groupby(bins)
    means = gendered["predicted_female"].groupby(bins).mean()
    reliability.scatter(means, female.mean(), 8 + 200 * female.size() / len(gendered), charts.PLAIN)
    reliability.axline((0, 0), slope=1, color=charts.GUIDE, linewidth=1)
    reliability.set(xlabel="predicted probability of a woman", ylabel="share of women", title="Calibration")
    for axes in (curve, reliability):
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    return figure


def _decades(aged: pd.DataFrame) -> list[str]:
    return sorted(aged["age_decade"].unique())


def _save(path: Path, figure: Any) -> None:
    figure.savefig(path, dpi=110)
