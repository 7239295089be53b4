"""The summary page: what was scored, who was found, and what it looks like."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from components.report import bars, charts, page
from schemas.record import MAX_AGE
from schemas.reject import REASONS


def write(path: Path, summary: Mapping[str, Any], pictures: Iterable[bytes], surround: page.Surround) -> None:
    """Write the page of a job from its summary and a few scored photos, JPEG."""
    parts: list[page.Block] = [
        page.Table(
            ("", "photos"),
            [
                ("scored", summary["scored"]),
                ("without a face", summary["without_face"]),
                ("rejected", summary["rejected"]),
                ("all", summary["photos"]),
            ],
            f"{summary['faces']:,} faces, "
            f"model {summary['model']} in {summary['precision']}, {summary['photos_per_second']:,} photos/s",
        ),
        *(page.Paragraph(warning, "bad") for warning in summary["warnings"]),
    ]
    if summary["faces"]:
        parts += [
            page.Heading("Who was found"),
            page.Picture(_distribution(summary["ages"]), _AGES, "svg+xml", "Bars: faces by estimated age"),
        ]
        for title, label in (("age class", "age_classes"), ("gender", "genders")):
            if summary[label]:
                parts.append(page.Table((title, "faces"), list(summary[label].items())))
    if summary["drift"]:
        rows = [
            (
                feature_drift["feature"],
                feature_drift["measure"],
                feature_drift["distance"],
                feature_drift["threshold"],
                100 * feature_drift["chance"],
                feature_drift["scored"],
                feature_drift["training"],
            )
            for feature_drift in summary["drift"]
        ]
        columns = ("feature", "measure", "distance", "warned above", "by chance in, %", "scored", "training")
        explanation = (
            "How far the scored faces are from those the model learned from: 0 is the same, 1 has nothing in common. It is "
            "warned of only where chance alone would give such a distance in fewer than 1 % of all cases."
        )
        parts += [page.Heading("Against the training data"), page.Table(columns, rows, explanation)]
    if summary["rejects"]:
        rejects = [(reason, REASONS[reason], count) for reason, count in summary["rejects"].items()]
        parts += [page.Heading("Rejects"), page.Table(("reason", "meaning", "photos"), rejects)]
    alt = "A scored photo, a box around each face, with its estimated age and gender"
    shown = [page.Picture(picture, format="jpeg", alt=alt) for picture in pictures]
    if shown:
        boxes = page.Paragraph("A box around each face, with the estimated age in years and gender.", "quiet")
        parts += [page.Heading("Some of them"), boxes, page.Pictures(shown)]
    page.write(path, "Scores", parts, surround)


_AGES = "Faces by estimated age, in decades. The estimates stand here, not the truth: a model that errs moves the bars."


def _distribution(ages: Mapping[str, int]) -> bytes:
    """Bars of the faces by decade, which are called as `20-29`."""
    counts = [ages.get(f"{first}-{first + 9}", 0) for first in range(0, MAX_AGE + 1, 10)]
    return bars.stacked("", "estimated age, years", "faces", 10, {"": counts}, {"": charts.PLAIN}, every=20)
