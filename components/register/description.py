"""The description of a version: the essentials of its model card, in so few letters that MLflow takes them whatever they tell.

A part of the card that is long by nature, such as its slices, is represented by its worst lines; a text that comes from the
user, such as a name or a command, is cut at a bound of its own. So no section is ever missing. The card itself is a file of the
version, and the last lines say where.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from components.register import card
from components.registry.mlflow_server import AS_MODEL_TRAINING
from components.report import markdown, page
from schemas.redaction import redact

LONGEST = 5000
"""Letters of a description that MLflow's databases hold: `SqlModelVersion.description` is a VARCHAR(5000). PostgreSQL refuses
more, SQLite does not look. A letter is one character, however many bytes it takes."""

_REASONS, _REASON, _CELL, _NAME, _TERMS, _COMMAND = 3, 175, 30, 50, 300, 300
"""How many reasons are told, and letters of a reason, of a cell, of a source's name, of its terms and of the command."""

_INTENDED = (
    "Describing photo archives: how old the people in them look, as figures of groups; finding photos that a person then looks "
    "at. Not for deciding about a person, nor for telling who somebody is; for age checks by the line below alone, and with "
    "another way for those refused."
)

_LIMITS = (
    "Age is how old a face looks to a model that learned from dated photographs, a year of error in their labels; gender is the "
    "label of the training data, one of two. Rare groups are judged worse; old age tends to be under-estimated. It expects one "
    "upright face; what the held-out examples do not contain was not measured."
)

_KEY_FIGURES = {
    name: (card.FIGURES | card.CALIBRATION)[name]
    for name in (
        "age_mae",
        "age_bias",
        "age_cs5",
        "age_class_accuracy",
        "age_interval_coverage",
        "gender_accuracy",
        "gender_auc",
    )
}

_WORST_BY = (
    ("age_mae", "age MAE, years", True),
    ("age_class_accuracy", "age class right", False),
    ("gender_accuracy", "gender right", False),
)
"""Figures by which slices are told, their heads, and whether more is worse."""

_WORST = 3
"""Slices that are told by each of them."""

_AGE_CHECK = 18
"""Age, years, whose check is told where it was tried."""


@dataclass(frozen=True)
class CardLocation:
    """Where the whole card lies.

    Attributes:
        experiment: id of MLflow's experiment.
        model: id of the logged model, whose files hold the card.
        run: id of the run whose artifacts hold evaluate's page.
    """

    experiment: str
    model: str
    run: str


def text(metrics: Mapping[str, Any], origin: card.Origin, location: CardLocation) -> str:
    """The description as Markdown, `LONGEST` letters at most.

    Args:
        metrics: `metrics.json` of the evaluate step.
        origin: of the model.
        location: where the card lies.
    """
    return markdown.body(_blocks(metrics, origin, location), markdown.WIDE)


def _blocks(metrics: Mapping[str, Any], origin: card.Origin, location: CardLocation) -> list[page.Block]:
    reasons = [_cut(reason, _REASON) for reason in metrics.get("reasons") or ()]
    if len(reasons) > _REASONS:
        reasons = [*reasons[:_REASONS], f"and {len(reasons) - _REASONS:,} more"]
    return [
        page.Paragraph(card.purpose(origin.estimator)),
        page.Paragraph("**Blessed.**" if metrics.get("blessed") else "**Not blessed.**"),
        page.Bullets(reasons),
        page.Heading("Intended use"),
        page.Paragraph(_INTENDED),
        page.Heading("How good it is"),
        page.Paragraph(f"On {metrics.get('examples', 0):,} held-out examples, no person of which was in training."),
        card.figures(metrics, _KEY_FIGURES),
        page.Heading("For whom it is worst"),
        *_worst_slices(metrics.get("slices") or ()),
        *_age_check(metrics.get("age_checks") or ()),
        page.Heading("Data and its terms"),
        page.Paragraph(_data(origin)),
        page.Heading("Limits"),
        page.Paragraph(_LIMITS),
        page.Heading("How it was made"),
        page.Paragraph(f"`{_cut(origin.command, _COMMAND)}`" if origin.command else "Step by step."),
        page.Heading("The whole card"),
        page.Paragraph(_links(location)),
    ]


def _worst_slices(slices: Sequence[Mapping[str, Any]]) -> list[page.Block]:
    """The slices in which each figure is worst, of those with enough faces to be judged; a slice once, with all its figures."""
    judged = [slice_metrics for slice_metrics in slices if slice_metrics.get("judged", True)]
    worst: list[Mapping[str, Any]] = []
    measured = [by for by in _WORST_BY if any(slice_metrics.get(by[0]) is not None for slice_metrics in judged)]
    for name, _, more_is_worse in measured:
        ranked = sorted(
            (
                slice_metrics
                for slice_metrics in judged
                if slice_metrics.get(name) is not None and name in slice_metrics.get("judged_by", (name,))
            ),
            key=lambda slice_metrics: slice_metrics[name],
            reverse=more_is_worse,
        )
        worst += [slice_metrics for slice_metrics in ranked[:_WORST] if slice_metrics not in worst]
    if not worst:
        return [page.Paragraph("No group of the test split has enough faces to be judged.")]
    rows = [
        (
            _cut(f"{slice_metrics['slice']}: {slice_metrics['value']}", _CELL),
            slice_metrics["examples"],
            *(card.with_ends(slice_metrics, name) for name, _, _ in measured),
        )
        for slice_metrics in worst
    ]
    columns = ("group", "faces", *(title for _, title, _ in measured))
    return [page.Table(columns, rows, f"Of {len(judged):,} groups with enough faces, those where a figure is worst:")]


def _age_check(checks: Sequence[Mapping[str, Any]]) -> list[page.Block]:
    """Which challenge age lets through the smallest share of minors that was asked for, and whom it costs what."""
    tried = [check for check in checks if check.get("group") == "all" and check["rule"] == "challenge"]
    if not tried:
        return []
    thresholds = [check["threshold"] for check in tried]
    threshold = _AGE_CHECK if _AGE_CHECK in thresholds else max(thresholds)
    of_it = sorted(
        (check for check in tried if check["threshold"] == threshold), key=lambda check: check["false_acceptance"]
    )
    strictest = next((check for check in of_it if check["at"] is not None), None)
    if strictest is None:
        loosest = of_it[-1]
        return [
            page.Paragraph(
                f"Age check for {threshold}: the test faces ({loosest['near_minors'] or 0:,} of the four years below) show of "
                f"no challenge age that at most {loosest['false_acceptance']:.1%} of the minors near {threshold} pass."
            )
        ]
    refused = card.share(strictest.get("at_adults_refused"))
    return [
        page.Paragraph(
            f"Age check for {threshold}: at a challenge age of {strictest['at']:g} years at most "
            f"{strictest['false_acceptance']:.1%} of the minors of the four years below pass, by the upper end of the 95 % "
            f"interval ({strictest['near_minors'] or 0:,} faces), and {refused} of the adults are refused."
        )
    ]


def _data(origin: card.Origin) -> str:
    name, kind, terms = card.source_of(origin)
    splits = ", ".join(f"{split} {count:,}" for split, count in card.splits_of(origin))
    return (
        f"{_cut(name, _NAME)}, read as {_cut(kind, _NAME)}{f'; examples: {splits}' if splits else ''}. "
        f"{_cut(terms, _TERMS)}"
    )


def _links(location: CardLocation) -> str:
    """Links as MLflow's own pages have them, which hold under any address of the server."""
    at = f"#/experiments/{location.experiment}"
    files = f"{at}/models/{location.model}/artifacts?{AS_MODEL_TRAINING}"
    page_of_evaluate = f"{at}/runs/{location.run}/artifacts/evaluation/report.html?{AS_MODEL_TRAINING}"
    return (
        "With all groups, calibration, age checks, lineage and licence it is `artifacts/card.md`, and with plots "
        f"`artifacts/report.html`, of [the model's files]({files}); [evaluate's page]({page_of_evaluate}) shows the worst faces."
    )


def _cut(value: str, letters: int) -> str:
    """A text on one line without secrets, its end replaced by … where it is too long."""
    line = " ".join(redact(value).split())
    return line if len(line) <= letters else f"{line[: letters - 1].rstrip()}…"
