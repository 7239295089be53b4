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
            [_row(figure) for figure in measured["figures"]],
            _basis(measured),
        ),
        *_not_compared(measured),
        page.Heading("For whom"),
        page.Bullets(worst_sentences(measured["worst_slices"])),
        page.Table(
            ["group", "faces", *(title for _, title in _OF_SLICES), ""],
            [
                [
                    f"{row['slice']} {row['value']}",
                    row["examples"],
                    *(_with_interval(row, name) for name, _ in _OF_SLICES),
                    "" if row["judged"] else "too few to judge",
                ]
                for row in measured["slices"]
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
        f"Worst {_WORST[name]}: {row['slice']} {row['value']}, {_with_interval(row, name)}, {row['examples']:,} faces."
        for name, row in worst.items()
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


def _row(figure: Mapping[str, Any]) -> list[str]:
    """A figure with all that stands beside it."""
    title = f"{figure['title']}, {figure['unit']}" if figure["unit"] not in ("share", "") else figure["title"]
    return [
        title,
        _figure(figure["value"]),
        _ends(figure["low"], figure["high"]),
        _figure(figure["baseline"]),
        *_beside_champion(figure["champion"], figure["champion_difference"]),
    ]


def _not_compared(measured: Mapping[str, Any]) -> list[page.Block]:
    """Why the model was not held against a version, where it was not."""
    rivals = [(f"version {reference['version']}, the best so far", reference) for reference in measured["references"]]
    if measured["champion"]:
        rivals.insert(0, (f"version {measured['champion']['version']}, the champion", measured["champion"]))
    lines = [f"Not held against {name}: {rival['why_not']}" for name, rival in rivals if rival["why_not"]]
    return [page.Bullets(lines)] if lines else []


def _slices_beside(slices: Sequence[Mapping[str, Any]]) -> list[page.Block]:
    """Every figure of the slices beside those of the baseline and of the champion, a table a figure."""
    tables: list[page.Block] = []
    for name, title in _OF_SLICES:
        rows_with_figure = [row for row in slices if row[name] is not None]
        rows = [
            [
                f"{row['slice']} {row['value']}",
                row["examples"],
                _with_interval(row, name),
                _figure(row["baseline"][name]),
                *_beside_champion(row.get("champion", {}).get(name), row["champion_differences"].get(name)),
            ]
            for row in rows_with_figure
        ]
        columns = ["group", "faces", "this model", "baseline", *_CHAMPION_COLUMNS]
        if rows:
            tables.append(page.Table(columns, rows, f"{title[0].upper()}{title[1:]}.", _unjudged(rows_with_figure)))
    return [page.Details("Every group beside the baseline and the champion", tables)] if tables else []


_CHAMPION_COLUMNS = ("champion", "minus the champion", "95 % interval")


def _beside_champion(champion: float | None, difference: Mapping[str, Any] | None) -> list[str]:
    """The cells of `_CHAMPION_COLUMNS`."""
    difference = difference or {"value": None, "low": None, "high": None}
    return [_figure(champion), _figure(difference["value"]), _ends(difference["low"], difference["high"])]


def _unjudged(slices: Sequence[Mapping[str, Any]]) -> list[int]:
    return [number for number, row in enumerate(slices) if not row["judged"]]


def _age_checks(checks: Sequence[Mapping[str, Any]]) -> list[page.Block]:
    with_near_minors = [check for check in checks if check["near_minors"]]
    everybody, by_gender = (
        [check for check in with_near_minors if (check["group"] == "all") is of_all] for of_all in (True, False)
    )
    if not everybody:
        return []
    caption = (
        "Minors of the four years below the threshold. A check is told from where on the upper end of the 95 % interval of "
        "their share keeps to the limit. Who looks at no face keeps minors out by refusing all adults alike; "
    )
    if any("champion_at" in check for check in with_near_minors):
        caption += "the champion has the setting of its own that keeps to the same limit on the same faces; "
    caption += "every setting, with the share of minors who pass, is in age_checks.parquet."
    parts: list[page.Block] = [page.Heading("Age checks"), _age_check_table(everybody, caption)]
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
    if by_gender := any(check["group"] != "all" for check in checks):
        columns.insert(0, "gender")
    if champion := any("champion_at" in check for check in checks):
        columns += ["champion's check at", "champion: adults refused", "minus the champion", "95 % interval"]
    rows = []
    for check in checks:
        row = [check["group"]] if by_gender else []
        row += [check["threshold"], "challenge age" if check["rule"] == "challenge" else "probability"]
        row += [f"{check['false_acceptance']:.0%}", _setting(check["at"]), _refused(check, "at")]
        row += ["–" if check["at_estimate"] is None else f"{check['at_estimate']:g}"]
        if champion:
            name = "at_adults_refused_difference"
            row += [_setting(check["champion_at"]), _refused(check, "champion_at")]
            row += [_points(check[name]), _between(_points, check[f"{name}_low"], check[f"{name}_high"])]
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
    constants = []
    if measured["baseline_age"] is not None:
        constants.append(f"{measured['baseline_age']:g} years, the median of the training split")
    if measured["baseline_age_class"] is not None:
        constants.append(f"{measured['baseline_age_class']}, its most frequent age class")
    if measured["baseline_gender"] is not None:
        constants.append(f"{measured['baseline_gender']}, its more frequent gender")
    if constants:
        basis += f"The baseline always says {' and '.join(constants)}. "
    if measured["champion"] and measured["champion"]["compared"]:
        basis += f"The champion is version {measured['champion']['version']}, on the same faces. "
    bootstrap = measured["bootstrap"]
    return (
        f"{basis}Intervals, by person: of shares Wilson's and Tango's, of others a bootstrap of {bootstrap['resamples']:,} "
        f"resamples, seed {bootstrap['seed']}."
    )


def _with_interval(row: Mapping[str, Any], name: str) -> str:
    ends = _ends(row.get(f"{name}_low"), row.get(f"{name}_high"))
    return f"{_figure(row[name])} ({ends})" if ends else _figure(row[name])


def _ends(low: float | None, high: float | None) -> str:
    return _between(_figure, low, high)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}"
