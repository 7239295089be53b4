"""The report of the evaluate step: what a reviewer reads before a model goes live."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.evaluate import plots
from components.report import page


def write(path: Path, measured: Mapping[str, Any], pictures: Path) -> None:
    """Write the report as one HTML file.

    Args:
        path: of the file.
        measured: what stands in metrics.json.
        pictures: folder of the plots.
    """
    parts: list[page.Block] = [
        page.Paragraph("Blessed: this model may go live.", "good")
        if measured["blessed"]
        else page.Paragraph("Not blessed.", "bad"),
        page.Bullets(measured["reasons"]),
        page.Heading("How good it is"),
        page.Table(["", "this model", "95 % interval", "baseline", "champion"], _headline(measured), _basis(measured)),
        *_comparison(measured),
        page.Heading("For whom"),
        page.Table(
            ["group", "faces", "age MAE, years", "within 5 years", "mean error, years", "gender right"],
            [
                [
                    f"{held['slice']} {held['value']}",
                    held["examples"],
                    held["age_mae"],
                    held["age_cs5"],
                    held["age_bias"],
                    held["gender_accuracy"],
                ]
                for held in measured["slices"]
            ],
        ),
    ]
    if measured["age_classes"]:
        rows = zip(measured["age_classes"], measured["age_class_confusion"], strict=True)
        columns = ["true age class", *(f"said {name}" for name in measured["age_classes"])]
        parts += [page.Heading("Age classes"), page.Table(columns, [[name, *counts] for name, counts in rows])]
    parts += [
        page.Picture((pictures / name).read_bytes(), caption)
        for name, caption in plots.CAPTIONS.items()
        if (pictures / name).is_file()
    ]
    page.write(path, "Evaluation", parts)


def _comparison(measured: Mapping[str, Any]) -> list[page.Block]:
    """What is known of the versions that this one was held against, and why it is not where it is not."""
    rivals = [(f"version {held['version']}, the best so far", held) for held in measured["references"]]
    if measured["champion"]:
        rivals.insert(0, (f"version {measured['champion']['version']}, the champion", measured["champion"]))
    if not rivals:
        return []
    rows = [
        [name, _NAMES[figure], *map(_figure, (difference["value"], difference["low"], difference["high"]))]
        for name, rival in rivals
        for figure, difference in rival["differences"].items()
    ]
    return [
        page.Heading("Against the champion"),
        page.Bullets([f"Not held against {name}: {rival['why_not']}" for name, rival in rivals if rival["why_not"]]),
        *([page.Table(["", "this model minus that one", "difference", "95 % from", "to"], rows)] if rows else []),
    ]


_NAMES = {
    "age_mae": "age: mean absolute error, years",
    "age_cs5": "age: share within 5 years",
    "age_bias": "age: mean of predicted minus true, years",
    "age_interval_coverage": "age: share within the 90 % interval",
    "age_class_accuracy": "age: share of right classes",
    "gender_accuracy": "gender: share right",
    "gender_auc": "gender: area under the ROC curve",
}


def _headline(measured: Mapping[str, Any]) -> list[list[Any]]:
    champion = measured["champion"] or {}
    return [
        [
            title,
            _figure(measured[name]),
            _interval(measured, name),
            _figure(measured.get(f"baseline_{name}")),
            _figure(champion.get(name)),
        ]
        for name, title in _NAMES.items()
        if name != "age_class_accuracy" or measured["age_classes"]
    ]


def _basis(measured: Mapping[str, Any]) -> str:
    basis = f"{measured['examples']:,} test faces of {measured['persons']:,} persons. "
    said = []
    if measured["baseline_age"] is not None:
        said.append(f"{measured['baseline_age']:g} years, the median of the training split")
    if measured["baseline_age_class"] is not None:
        said.append(f"{measured['baseline_age_class']}, its most frequent age class")
    if measured["baseline_gender"] is not None:
        said.append(f"{measured['baseline_gender']}, its more frequent gender")
    if said:
        basis += f"The baseline always says {' and '.join(said)}. "
    if measured["champion"] and measured["champion"]["compared"]:
        basis += f"The champion is version {measured['champion']['version']}, on the same faces. "
    drawn = measured["bootstrap"]
    return basis + f"Intervals: bootstrap of persons, {drawn['resamples']:,} resamples, seed {drawn['seed']}."


def _interval(measured: Mapping[str, Any], name: str) -> str:
    low, high = measured.get(f"{name}_low"), measured.get(f"{name}_high")
    return f"{_figure(low)} to {_figure(high)}" if low is not None and high is not None else ""


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}"
