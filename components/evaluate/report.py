"""The report of the evaluate step: what a reviewer reads before a model goes live."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from components.evaluate import plots
from components.report import page


def write(path: Path, measured: Mapping[str, Any], pictures: Path, surround: page.Surround) -> None:
    """Write the report as one HTML file.

    Args:
        path: of the file.
        measured: what stands in metrics.json.
        pictures: folder of the plots.
        surround: links and lineage.
    """
    parts: list[page.Block] = [
        page.Paragraph("Blessed: this model may go live.", "good")
        if measured["blessed"]
        else page.Paragraph("Not blessed.", "bad"),
        page.Bullets(measured["reasons"]),
        page.Heading("How good it is"),
        page.Table(
            ["", "this model", "95 % interval", "baseline", "champion", "minus the champion", "95 % interval"],
            [_row(one) for one in measured["figures"]],
            _basis(measured),
        ),
        *_not_compared(measured),
        page.Heading("For whom"),
        page.Bullets(worst_sentences(measured["worst_slices"])),
        page.Table(
            ["group", "faces", *(title for _, title in _OF_SLICES), ""],
            [
                [
                    f"{held['slice']} {held['value']}",
                    held["examples"],
                    *(_with_interval(held, name) for name, _ in _OF_SLICES),
                    "" if held["judged"] else "too few to judge",
                ]
                for held in measured["slices"]
            ],
            faint=[number for number, held in enumerate(measured["slices"]) if not held["judged"]],
        ),
        *_age_checks(measured["age_checks"]),
    ]
    if measured["age_classes"]:
        rows = zip(measured["age_classes"], measured["age_class_confusion"], strict=True)
        columns = ["true age class", *(f"said {name}" for name in measured["age_classes"])]
        parts += [page.Heading("Age classes"), page.Table(columns, [[name, *counts] for name, counts in rows])]
    there = {
        name: page.Picture((pictures / name).read_bytes(), f"{caption}.")
        for name, caption in plots.CAPTIONS.items()
        if (pictures / name).is_file()
    }
    shown = [picture for name, picture in there.items() if name != plots.WORST]
    if shown:
        parts += [page.Heading("Plots"), page.Pictures(shown)]
    if plots.WORST in there:
        parts += [page.Heading("The worst of all"), there[plots.WORST]]
    page.write(path, "Evaluation", parts, surround)


def worst_sentences(worst: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """In which slice each figure is worst, a sentence a figure."""
    return [
        f"Worst {_WORST[name]}: {one['slice']} {one['value']}, {_with_interval(one, name)}, {one['examples']:,} faces."
        for name, one in worst.items()
    ]


_WORST = {
    "age_mae": "age MAE, years",
    "age_class_accuracy": "share of right age classes",
    "gender_accuracy": "share of right genders",
}

_OF_SLICES = (
    ("age_mae", "age MAE, years"),
    ("age_cs5", "within 5 years"),
    ("age_bias", "mean error, years"),
    ("age_interval_coverage", "within the 90 % interval"),
    ("gender_accuracy", "gender right"),
)


def _row(one: Mapping[str, Any]) -> list[str]:
    """A figure with all that stands beside it."""
    difference = one["champion_difference"] or {"value": None, "low": None, "high": None}
    title = f"{one['title']}, {one['unit']}" if one["unit"] not in ("share", "") else one["title"]
    return [
        title,
        _figure(one["value"]),
        _ends(one["low"], one["high"]),
        _figure(one["baseline"]),
        _figure(one["champion"]),
        _figure(difference["value"]),
        _ends(difference["low"], difference["high"]),
    ]


def _not_compared(measured: Mapping[str, Any]) -> list[page.Block]:
    """Why the model was not held against a version, where it was not."""
    rivals = [(f"version {held['version']}, the best so far", held) for held in measured["references"]]
    if measured["champion"]:
        rivals.insert(0, (f"version {measured['champion']['version']}, the champion", measured["champion"]))
    lines = [f"Not held against {name}: {rival['why_not']}" for name, rival in rivals if rival["why_not"]]
    return [page.Bullets(lines)] if lines else []


def _age_checks(checks: Sequence[Mapping[str, Any]]) -> list[page.Block]:
    held = [one for one in checks if one["group"] == "all" and one["near_minors"]]
    if not held:
        return []
    return [
        page.Heading("Age checks"),
        page.Table(
            [
                "threshold, years",
                "rule",
                "of minors pass, at most",
                "check at",
                "adults refused",
                "by the estimate alone",
            ],
            [
                [
                    one["threshold"],
                    "challenge age" if one["rule"] == "challenge" else "probability",
                    f"{one['false_acceptance']:.0%}",
                    "not shown" if one["at"] is None else f"{one['at']:g}",
                    "–" if one["at_adults_refused"] is None else f"{one['at_adults_refused']:.0%}",
                    "–" if one["at_estimate"] is None else f"{one['at_estimate']:g}",
                ]
                for one in held
            ],
            "Minors of the four years below the threshold. A check is told from where on the upper end of the 95 % interval "
            "of their share keeps to the limit; all of it, by gender, is in age_checks.parquet.",
        ),
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


def _with_interval(held: Mapping[str, Any], name: str) -> str:
    ends = _ends(held.get(f"{name}_low"), held.get(f"{name}_high"))
    return f"{_figure(held[name])} ({ends})" if ends else _figure(held[name])


def _ends(low: float | None, high: float | None) -> str:
    return f"{_figure(low)} to {_figure(high)}" if low is not None and high is not None else ""


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}"
