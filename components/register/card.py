"""The model card: what the model is for, what it was made from, how good it is and for whom it is bad.

After Mitchell et al., "Model Cards for Model Reporting", FAT* 2019, with the fields of the Model Card Toolkit's schema
(https://github.com/tensorflow/model-card-toolkit): details, considerations, data, quantitative analysis. What evaluate did not
measure is left out, never made up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.report import markdown, page
from schemas.record import MAX_AGE, SPLITS

PURPOSE = "Estimates the age, and as a rule the gender, from a photograph of one face."
"""Of all versions of a registered model, whose recipes may differ; of one version see `purpose`."""

INTENDED = (
    "Sorting and describing dated or undated photo archives: how old the people in them look, as figures of groups.",
    "Finding photos that a person then looks at.",
    "Research on estimating age, with the intervals and slices below beside every figure.",
)

OUT_OF_SCOPE = (
    "Deciding about a person: access, credit, work, policing, medicine, migration. An estimate is no document.",
    "Age checks by the estimate alone, unless the table of age checks below was read for the threshold in question and somebody "
    "who is refused has another way to show their age.",
    "Finding out, or writing down, who somebody is or what gender they identify with: gender is the label of the training data.",
    "Faces from cameras, ages, places or times that the training data does not hold: nothing was measured on them.",
)

LIMITS = (
    "Age is how old a face looks to a model that learned from dated photographs. The labels come from public pages and years, "
    "not from birth certificates: a year of error is in them.",
    "Groups that are rare in the training data are judged worse; the slices tell which. Old age tends to be under-estimated.",
    "Gender is one of two classes.",
    "It expects one upright face, cropped as `photo.json` says. What the held-out examples do not contain (masks, paintings, "
    "faces of a few pixels) was not measured.",
    "`learned_from.npy` lets whoever knows a name tell whether that person is in the training data.",
)

_IMDB_WIKI = (
    "IMDB-WIKI itself is for academic research only, and its photos belong to their owners; cite Rothe, Timofte and Van Gool, "
    "IJCV 2018. Photos from elsewhere in the same layout have the terms of where they are from."
)

TERMS = {
    "imdb_wiki": _IMDB_WIKI,
    "imdb_mat": _IMDB_WIKI,
    "utkface": "UTKFace itself is for non-commercial research only, and its photos belong to their owners; cite Zhang, Song and "
    "Qi, CVPR 2017. Photos from elsewhere in the same layout have the terms of where they are from.",
}
"""Terms of the public sets, by the kind of the source."""

OWN_TERMS = "The photos are of a source of the user's own: its terms are for whoever made the model to state."

LICENCE = "Code and network: Apache-2.0. The weights were learned from the photos above, whose terms hold beside it."

FIGURES = {
    "age_mae": "age: mean absolute error, years",
    "age_median_error": "age: median error, years",
    "age_bias": "age: predicted minus true, years",
    "age_cs3": "age: share within 3 years",
    "age_cs5": "age: share within 5 years",
    "age_cs10": "age: share within 10 years",
    "age_class_accuracy": "age class: share right",
    "age_class_macro_f1": "age class: macro F1",
    "gender_accuracy": "gender: share right",
    "gender_balanced_accuracy": "gender: share right, both genders alike",
    "gender_auc": "gender: area under the ROC curve",
}

CALIBRATION = {
    "age_interval_coverage": "share of true ages within the 90 % interval",
    "age_interval_width": "width of the 90 % interval, years",
    "age_nll": "age: negative log-likelihood, nats",
    "gender_ece": "gender: expected calibration error",
}

_OF_SLICES = (
    ("age_mae", "age MAE, years"),
    ("age_bias", "mean error, years"),
    ("age_cs5", "within 5 years"),
    ("age_interval_coverage", "within the 90 % interval"),
    ("gender_accuracy", "gender right"),
)


@dataclass(frozen=True)
class Origin:
    """What a model was made from, and how.

    Attributes:
        source: settings of the source of the photos.
        counts: that each step put into its manifest, by step.
        lineage: fingerprints and commits, by name.
        command: that made it; empty where it is not known.
        estimator: settings of the estimator; what they leave out is as in the default recipe.
    """

    source: Mapping[str, Any]
    counts: Mapping[str, Mapping[str, Any]]
    lineage: Mapping[str, str]
    command: str = ""
    estimator: Mapping[str, Any] = field(default_factory=dict)


PLOTS = {
    "age.png": "Predicted against true age: on the line the prediction is right.",
    "errors.png": "Mean absolute error by true age and gender, with the number of faces.",
    "bias.png": "Predicted minus true age by true age: below the line ages are under-estimated.",
    "interval.png": "Share of true ages within the 90 % interval, by true age: below the line the model is too sure of itself.",
    "gender.png": "Gender: the ROC curve, and how often a woman stands behind a probability.",
    "age_checks.png": "Minors who pass an age check and adults who are refused, by challenge age.",
}
"""The plots of evaluate that go with a version, with what they show. None with a photo is among them: the card is handed out."""


def text(title: str, metrics: Mapping[str, Any], origin: Origin) -> str:
    """The card as Markdown; see `blocks`."""
    return markdown.text(title, blocks(metrics, origin))


def write_page(path: Path, title: str, parts: Sequence[page.Block], plots: Path, surround: page.Surround) -> None:
    """The card as an HTML file, with the plots that are in a folder.

    Args:
        path: of the file.
        title: of the page.
        parts: the card, as `blocks` gives it.
        plots: folder of evaluate's plots.
        surround: links and lineage; none for a card that is handed out.
    """
    pictures = [
        page.Picture((plots / name).read_bytes(), caption)
        for name, caption in PLOTS.items()
        if (plots / name).is_file()
    ]
    plot_blocks: list[page.Block] = [page.Heading("Plots"), page.Pictures(pictures)] if pictures else []
    page.write(path, title, [*parts, *plot_blocks], surround)


def blocks(metrics: Mapping[str, Any], origin: Origin) -> list[page.Block]:
    """The card as the parts of a page.

    Args:
        metrics: `metrics.json` of the evaluate step.
        origin: of the model.
    """
    blessed = bool(metrics.get("blessed"))
    return [
        page.Paragraph(purpose(origin.estimator)),
        page.Paragraph("Blessed." if blessed else "Not blessed.", "good" if blessed else "bad"),
        page.Bullets(list(metrics.get("reasons") or ())),
        page.Heading("Intended use"),
        page.Bullets(INTENDED),
        page.Heading("Out of scope"),
        page.Bullets(OUT_OF_SCOPE),
        page.Heading("Data and its terms"),
        *_data(origin),
        page.Heading("How good it is"),
        page.Paragraph(f"On {metrics.get('examples', 0):,} held-out examples, no person of which was in training."),
        figures(metrics, FIGURES),
        page.Paragraph("The baseline answers the training split's median age and more frequent gender for everyone."),
        page.Heading("For whom"),
        _slices(metrics.get("slices") or ()),
        *_section("Calibration", figures(metrics, CALIBRATION)),
        *_section("Age checks", _age_checks(metrics.get("age_checks") or ())),
        page.Heading("Limits"),
        page.Bullets(LIMITS),
        page.Heading("How it was made"),
        page.Paragraph(
            f"`{origin.command}`" if origin.command else "By the steps below; the command was not handed down."
        ),
        page.Table(
            ("step", "figures"),
            [
                (step, ", ".join(f"{name} {page.figure(value)}" for name, value in counts.items() if is_figure(value)))
                for step, counts in origin.counts.items()
            ],
        ),
        page.Heading("Lineage"),
        page.Table(("", "value"), [(name, value) for name, value in origin.lineage.items() if value]),
        page.Heading("Licence"),
        page.Paragraph(LICENCE),
    ]


def purpose(estimator: Mapping[str, Any]) -> str:
    """What a model tells of a face, a sentence, by the settings of its estimator."""
    age, gender = estimator.get("age") or {}, estimator.get("gender") or {}
    years = f"{age.get('lowest', 0)} to {age.get('highest', MAX_AGE)} years"
    if age.get("edges"):
        told = f"one of {len(age['edges']) + 1} age classes from {years}"
    elif age.get("head") == "regression":
        told = "age (in years, with spread and 90 % interval)"
    else:
        told = f"age (a distribution over {years}, given as expected value, spread and 90 % interval)"
    return f"Estimates {told}{'' if gender.get('head') == 'none' else ' and gender'} from a photograph of one face."


def _section(title: str, table: page.Table) -> list[page.Block]:
    """A heading with its table; nothing where evaluate did not measure it."""
    return [page.Heading(title), table] if table.rows else []


def _data(origin: Origin) -> list[page.Block]:
    name, kind, terms = source_of(origin)
    return [
        page.Paragraph(f"Source: {name}, read as {kind}. {terms}"),
        page.Table(("split", "examples"), splits_of(origin), "No person, and no picture, is in two splits."),
    ]


def source_of(origin: Origin) -> tuple[str, str, str]:
    """Name, kind and terms of the source of the photos."""
    source = origin.source
    kind = str(source.get("kind") or "not told")
    name = str(source.get("name") or Path(str(source.get("path") or "")).name or kind)
    return name, kind, TERMS.get(kind, OWN_TERMS)


def splits_of(origin: Origin) -> list[tuple[str, int]]:
    """Every split with the number of its examples."""
    ingested = origin.counts.get("ingest", {})
    return [(split, ingested[split]) for split in SPLITS if split in ingested]


def figures(metrics: Mapping[str, Any], titles: Mapping[str, str]) -> page.Table:
    """Figures with their intervals beside the baseline's; `titles` has their titles by their names among the metrics."""
    rows = [
        (title, _plain(metrics[name]), _ends(metrics, name), _plain(metrics.get(f"baseline_{name}")))
        for name, title in titles.items()
        if metrics.get(name) is not None
    ]
    return page.Table(("figure", "this model", "95 % interval", "baseline"), rows)


def _slices(slices: Sequence[Mapping[str, Any]]) -> page.Table:
    measured = [
        (name, title)
        for name, title in _OF_SLICES
        if any(slice_metrics.get(name) is not None for slice_metrics in slices)
    ]
    rows = [
        [
            f"{slice_metrics['slice']}: {slice_metrics['value']}"
            + ("" if slice_metrics.get("judged", True) else " (too few to judge)"),
            slice_metrics["examples"],
            *(with_ends(slice_metrics, name) for name, _ in measured),
        ]
        for slice_metrics in slices
    ]
    unjudged = [number for number, slice_metrics in enumerate(slices) if not slice_metrics.get("judged", True)]
    caption = "Share or mean, with the 95 % interval by person where there is one."
    return page.Table(["group", "examples", *(title for _, title in measured)], rows, caption, unjudged)


def _age_checks(checks: Sequence[Mapping[str, Any]]) -> page.Table:
    """Where to set an age check for a wanted false acceptance, as evaluate read it off, for all faces together."""
    rows = [
        (
            check["threshold"],
            "challenge age, years" if check["rule"] == "challenge" else "least probability",
            f"{check['false_acceptance']:.1%}",
            check["at"],
            share(check.get("at_adults_refused")),
            check.get("near_minors"),
        )
        for check in checks
        if check.get("group") == "all"
    ]
    columns = (
        "must be, years",
        "rule",
        "minors let through, at most",
        "set it to",
        "adults refused",
        "minors near it, faces",
    )
    caption = (
        "Of the minors in the four years below the threshold, no more than this share passes, by the upper end of its 95 % "
        "interval; a dash where the test faces do not show that of any setting."
    )
    return page.Table(columns, rows, caption)


def _ends(metrics: Mapping[str, Any], name: str) -> str:
    low, high = metrics.get(f"{name}_low"), metrics.get(f"{name}_high")
    return "–" if low is None or high is None else f"{_plain(low)} to {_plain(high)}"


def with_ends(metrics: Mapping[str, Any], name: str) -> str:
    """A figure with its interval in brackets, where it has one; a dash where it was not measured."""
    ends = _ends(metrics, name)
    return _plain(metrics.get(name)) + ("" if ends == "–" else f" ({ends})")


def _plain(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}"


def share(value: float | None) -> str:
    """A share in per cent; a dash for none."""
    return "–" if value is None else f"{value:.1%}"


def is_figure(value: Any) -> bool:
    """Whether a value is a number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
