"""The report of the evaluate step: what a reviewer reads before a model goes live."""

from collections.abc import Callable, Mapping, Sequence
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
            ["", "this model", "95 % interval", "baseline", *_CHAMPION_COLUMNS],
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
            faint=_unjudged(measured["slices"]),
        ),
        *_slices_beside(measured["slices"]),
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
    sheets = [there.pop(name) for name in (plots.WORST, plots.BEST) if name in there]
    if there:
        parts += [page.Heading("Plots"), page.Pictures(list(there.values()))]
    if sheets:
        parts += [page.Heading("Worst and best cases"), *sheets]
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
    title = f"{one['title']}, {one['unit']}" if one["unit"] not in ("share", "") else one["title"]
    return [
        title,
        _figure(one["value"]),
        _ends(one["low"], one["high"]),
        _figure(one["baseline"]),
        *_beside_champion(one["champion"], one["champion_difference"]),
    ]


def _not_compared(measured: Mapping[str, Any]) -> list[page.Block]:
    """Why the model was not held against a version, where it was not."""
    rivals = [(f"version {held['version']}, the best so far", held) for held in measured["references"]]
    if measured["champion"]:
        rivals.insert(0, (f"version {measured['champion']['version']}, the champion", measured["champion"]))
    lines = [f"Not held against {name}: {rival['why_not']}" for name, rival in rivals if rival["why_not"]]
    return [page.Bullets(lines)] if lines else []


def _slices_beside(slices: Sequence[Mapping[str, Any]]) -> list[page.Block]:
    """Every figure of the slices beside those of the baseline and of the champion, a table a figure."""
    tables: list[page.Block] = []
    for name, title in _OF_SLICES:
        held = [one for one in slices if one[name] is not None]
        rows = [
            [
                f"{one['slice']} {one['value']}",
                one["examples"],
                _with_interval(one, name),
                _figure(one["baseline"][name]),
                *_beside_champion(one.get("champion", {}).get(name), one["champion_differences"].get(name)),
            ]
            for one in held
        ]
        columns = ["group", "faces", "this model", "baseline", *_CHAMPION_COLUMNS]
        if rows:
            tables.append(page.Table(columns, rows, f"{title[0].upper()}{title[1:]}.", _unjudged(held)))
    return [page.Details("Every group beside the baseline and the champion", tables)] if tables else []


_CHAMPION_COLUMNS = ("champion", "minus the champion", "95 % interval")


def _beside_champion(champion: float | None, difference: Mapping[str, Any] | None) -> list[str]:
    """The cells of `_CHAMPION_COLUMNS`."""
    difference = difference or {"value": None, "low": None, "high": None}
    return [_figure(champion), _figure(difference["value"]), _ends(difference["low"], difference["high"])]


def _unjudged(slices: Sequence[Mapping[str, Any]]) -> list[int]:
    return [number for number, one in enumerate(slices) if not one["judged"]]


def _age_checks(checks: Sequence[Mapping[str, Any]]) -> list[page.Block]:
    held = [one for one in checks if one["near_minors"]]
    everybody, by_gender = ([one for one in held if (one["group"] == "all") is of_all] for of_all in (True, False))
    if not everybody:
        return []
    told = (
        "Minors of the four years below the threshold. A check is told from where on the upper end of the 95 % interval of "
        "their share keeps to the limit. Who looks at no face keeps minors out by refusing all adults alike; "
    )
    if any("champion_at" in one for one in held):
        told += "the champion has the setting of its own that keeps to the same limit on the same faces; "
    told += "every setting, with the share of minors who pass, is in age_checks.parquet."
    parts: list[page.Block] = [page.Heading("Age checks"), _age_check_table(everybody, told)]
    if by_gender:
        parts.append(page.Details("Age checks by gender", [_age_check_table(by_gender, "")]))
    return parts


def _age_check_table(checks: Sequence[Mapping[str, Any]], caption: str) -> page.Table:
    columns = [
        "threshold, years",
        "rule",
        "of minors pass, at most",
        "check at",
        "adults refused",
        "by the estimate alone",
    ]
    if by_gender := any(one["group"] != "all" for one in checks):
        columns.insert(0, "gender")
    if champion := any("champion_at" in one for one in checks):
        columns += ["champion's check at", "champion: adults refused", "minus the champion", "95 % interval"]
    rows = []
    for one in checks:
        row = [one["group"]] if by_gender else []
        row += [one["threshold"], "challenge age" if one["rule"] == "challenge" else "probability"]
        row += [f"{one['false_acceptance']:.0%}", _setting(one["at"]), _refused(one, "at")]
        row += ["–" if one["at_estimate"] is None else f"{one['at_estimate']:g}"]
        if champion:
            name = "at_adults_refused_difference"
            row += [_setting(one["champion_at"]), _refused(one, "champion_at")]
            row += [_points(one[name]), _between(_points, one[f"{name}_low"], one[f"{name}_high"])]
        rows.append(row)
    return page.Table(columns, rows, caption)


def _setting(at: float | None) -> str:
    return "not shown" if at is None else f"{at:g}"


def _refused(check: Mapping[str, Any], at: str) -> str:
    """The share of adults whom a check refuses, with its interval."""
    share, low, high = (check[f"{at}_adults_refused{end}"] for end in ("", "_low", "_high"))
    ends = _between("{:.0%}".format, low, high)
    return "–" if share is None else f"{share:.0%} ({ends})" if ends else f"{share:.0%}"


def _points(share: float | None) -> str:
    return "–" if share is None else f"{share * 100:.1f} points"


def _between(form: Callable[[float], str], low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{form(low)} to {form(high)}"


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
    return _between(_figure, low, high)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}"
