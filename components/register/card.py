"""The model card: what the model is, what it was made from, how good it is and for whom it is bad.

After Mitchell et al., "Model Cards for Model Reporting", FAT* 2019.
"""

from collections.abc import Iterable, Mapping
from typing import Any

PURPOSE = (
    "Estimates age (a distribution over 0 to 100 years, given as expected value, spread and 90 % interval) and gender from a "
    "photograph of one face."
)

LIMITS = """\
- Age is how old a face looks to a model that learned from dated photographs, not a document. The labels come from public
  pages and years, not from birth certificates: a year of error is in them.
- It has seen the faces of its training data. Groups that are rare there (see the slices) are judged worse.
- It is not made to decide about a person: no access, credit, work, policing or medical use. Gender is the label of the
  training data, two classes; it says nothing about identity.
- It expects one upright face, cropped as `photo.json` says. What the held-out examples do not contain (masks, paintings, faces
  of a few pixels) was not measured.
"""


def text(
    title: str, metrics: Mapping[str, Any], counts: Mapping[str, Mapping[str, Any]], lineage: Mapping[str, str]
) -> str:
    """The card as Markdown.

    Args:
        title: name of the registered model.
        metrics: `metrics.json` of the evaluate step.
        counts: the counts that each step put into its manifest, by step.
        lineage: where the model comes from, by name.
    """
    blessed = "blessed" if metrics.get("blessed") else "not blessed"
    reasons = [f"- {reason}" for reason in metrics.get("reasons") or ()]
    parts = [
        f"# {title}",
        PURPOSE,
        "## How good it is",
        f"On {metrics.get('examples', 0):,} held-out examples, no person of which was in training. This version was {blessed}.",
        _table(("", "this model", "baseline"), _headline(metrics)),
        "The baseline answers the training split's median age and more frequent gender for everyone.",
        *reasons,
        "## For whom",
        _table(
            ("group", "examples", "age MAE", "within 5 years", "gender right"),
            [
                (
                    f"{held['slice']}: {held['value']}",
                    f"{held['examples']:,}",
                    _years(held.get("age_mae")),
                    _share(held.get("age_cs5")),
                    _share(held.get("gender_accuracy")),
                )
                for held in metrics.get("slices") or ()
            ],
        ),
        "## What it was made from",
        _table(
            ("step", "figures"),
            [
                (step, ", ".join(f"{name} {_figure(value)}" for name, value in held.items() if is_figure(value)))
                for step, held in counts.items()
            ],
        ),
        "## Limits",
        LIMITS,
        "## Lineage",
        _table(("", ""), [(name, f"`{value}`") for name, value in lineage.items() if value]),
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def description(metrics: Mapping[str, Any]) -> str:
    """The card in two lines, for the list of versions."""
    return (
        f"Age MAE {_years(metrics.get('age_mae'))} (baseline {_years(metrics.get('baseline_age_mae'))}), gender "
        f"{_share(metrics.get('gender_accuracy'))} right (baseline {_share(metrics.get('baseline_gender_accuracy'))}) on "
        f"{metrics.get('examples', 0):,} held-out examples.\nThe model card is `artifacts/card.md` in the model's files."
    )


def _headline(metrics: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [
        ("age, mean absolute error", _years(metrics.get("age_mae")), _years(metrics.get("baseline_age_mae"))),
        ("age within 5 years", _share(metrics.get("age_cs5")), ""),
        ("gender right", _share(metrics.get("gender_accuracy")), _share(metrics.get("baseline_gender_accuracy"))),
        ("gender, area under the ROC curve", _plain(metrics.get("gender_auc")), "0.500"),
    ]


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _years(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f} years"


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1%}"


def _plain(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def _figure(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def is_figure(value: Any) -> bool:
    """Whether a value is a number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
