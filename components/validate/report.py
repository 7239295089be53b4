"""The report of the validate step: what a person looks at before they trust the data.

TFDV's own page loads its viewer from the web and shows nothing offline.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from components.report import charts, page
from components.validate.anomalies import Anomaly
from components.validate.comparison import Comparison, Reference
from components.validate.split_statistics import Description, common, feature
from schemas.record import GENDERS, TRAIN


def write(
    path: Path,
    descriptions: Mapping[str, Description],
    anomalies: list[Anomaly],
    comparisons: list[Comparison],
    reference: Reference | None,
    surround: page.Surround,
) -> None:
    """Write the report as one HTML file."""
    described = {split: description for split, description in descriptions.items() if description.examples}
    parts: list[page.Block] = [_verdict(anomalies), page.Bullets([anomaly.message for anomaly in anomalies])]
    parts += [page.Heading("Splits"), _splits(descriptions)]
    if any(labels.age is not None for description in described.values() for labels in description.labels):
        parts.append(charts.ages_by_split(_ages(described)))
    if any(labels.age_class is not None for description in described.values() for labels in description.labels):
        parts += [page.Heading("Age classes"), _classes(described)]
    counted = [labels for description in described.values() for labels, count in description.labels.items() if count]
    if any(labels.gender is None or labels[:2] == (None, None) for labels in counted):
        caption = "The share of examples that lack a label: they teach, and test, one head of the estimator less."
        picture = page.Picture(
            page.png(_missing(described)), caption, alt="Bars: share of examples without a label, for each split"
        )
        parts += [page.Heading("What is missing"), picture]
    parts += [page.Heading("Skew and drift"), *_comparisons(comparisons, reference)]
    if reference and TRAIN in described:
        parts += _drift(described[TRAIN], reference)
    parts += [page.Heading("Features"), _features(described)]
    page.write(path, "Validation of the examples", parts, surround)


def _verdict(anomalies: list[Anomaly]) -> page.Block:
    if not anomalies:
        return page.Paragraph("No anomalies: every split is as the schema wants it.", "good")
    return page.Paragraph("One anomaly." if len(anomalies) == 1 else f"{len(anomalies)} anomalies.", "bad")


def _splits(descriptions: Mapping[str, Description]) -> page.Block:
    columns = [
        "split",
        "examples",
        "persons, about",
        "mean age, years",
        "deviation, years",
        "female",
        "no age",
        "no gender",
        "no label",
    ]
    rows: list[list[Any]] = []
    for split, description in descriptions.items():
        age, person = (feature(description.statistics, name) for name in ("face/age", "person/id"))
        genders = Counter[str | None]()
        for labels, count in description.labels.items():
            genders[labels.gender] += count
        with_gender = genders.total() - genders[None]
        rows.append(
            [
                split,
                description.examples,
                int(person.string_stats.unique) if person else None,
                age.num_stats.mean if age else None,
                age.num_stats.std_dev if age else None,
                f"{genders['female'] / with_gender:.1%}" if with_gender else "–",
                sum(count for labels, count in description.labels.items() if labels[:2] == (None, None)),
                genders[None],
                description.without_labels,
            ]
        )
    return page.Table(columns, rows)


def _ages(descriptions: Mapping[str, Description]) -> Mapping[str, Mapping[str, Mapping[int, int]]]:
    """Examples by split, gender and age."""
    counts: dict[str, dict[str, Counter[int]]] = {}
    for split, description in descriptions.items():
        genders = counts.setdefault(split, {})
        for labels, count in description.labels.items():
            if isinstance(labels.age, int):
                gender = labels.gender if labels.gender in GENDERS else charts.UNKNOWN
                genders.setdefault(gender, Counter())[labels.age] += count
    return counts


def _classes(descriptions: Mapping[str, Description]) -> page.Block:
    counts = {split: Counter[str]() for split in descriptions}
    for split, description in descriptions.items():
        for labels, count in description.labels.items():
            if labels.age_class is not None:
                counts[split][labels.age_class] += count
    names = sorted(set().union(*counts.values()))
    return page.Table(
        ["age class", *counts], [[name, *(by_class[name] for by_class in counts.values())] for name in names]
    )


def _missing(descriptions: Mapping[str, Description]) -> Figure:
    figure = Figure(figsize=(7, 2.6), layout="constrained")
    axes = figure.subplots()
    missing = {
        "age or age class": lambda labels: labels.age is None and labels.age_class is None,
        "gender": lambda labels: labels.gender is None,
        "any label": lambda labels: not any(value is not None for value in labels),
    }
    height = 0.8 / max(len(descriptions), 1)
    for position, (split, description) in enumerate(descriptions.items()):
        shares = [
            sum(count for labels, count in description.labels.items() if lacks(labels)) / description.examples
            for lacks in missing.values()
        ]
        bars = axes.barh([row + position * height for row in range(len(missing))], shares, height, label=split)
        axes.bar_label(bars, [f"{share:.1%}" for share in shares], padding=3)
    axes.set(yticks=[row + 0.4 - height / 2 for row in range(len(missing))], yticklabels=missing, xlim=(0, 1.1))
    axes.xaxis.set_major_formatter("{x:.0%}")
    axes.invert_yaxis()
    axes.legend(frameon=False)
    return figure


def _comparisons(comparisons: list[Comparison], reference: Reference | None) -> list[page.Block]:
    columns = ["", "compared", "with", "feature", "distance", "measured", "allowed", "by chance in, %", "figures"]
    rows = [
        [
            comparison.verdict,
            comparison.split,
            comparison.other,
            comparison.feature,
            comparison.measure,
            comparison.distance,
            comparison.threshold,
            None if comparison.chance is None else 100 * comparison.chance,
            comparison.detail,
        ]
        for comparison in comparisons
    ]
    caption = "A distance counts only where chance alone would give one as large in fewer than 1 % of all cases."
    parts: list[page.Block] = [page.Table(columns, rows, caption)]
    if reference is None:
        parts.append(page.Paragraph("There is no champion yet whose training data these could be held against."))
    return parts


def _drift(description: Description, reference: Reference) -> list[page.Block]:
    ages = {
        name: feature(statistics, "face/age")
        for name, statistics in ((TRAIN, description.statistics), (reference.name, reference.statistics))
    }
    if not all(age_statistics and age_statistics.num_stats.histograms for age_statistics in ages.values()):
        return []
    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.subplots()
    for name, age_statistics in ages.items():
        buckets = age_statistics.num_stats.histograms[0].buckets  # type: ignore[union-attr]
        edges = [buckets[0].low_value, *(bucket.high_value for bucket in buckets)]
        total = sum(bucket.sample_count for bucket in buckets)
        shares = [
            bucket.sample_count / total / max(bucket.high_value - bucket.low_value, 1e-9)  # of equal ages, a width of 0
            for bucket in buckets
        ]
        axes.stairs(shares, edges, label=name, linewidth=2)
    axes.set(xlabel="age, years", ylabel="share a year")
    axes.yaxis.set_major_formatter("{x:.1%}")
    axes.legend(frameon=False)
    caption = (
        f"Ages in train and in the training data of {reference.name}: where the lines part, the new model sees others."
    )
    return [page.Picture(page.png(figure), caption, alt=f"Lines: ages in train and in {reference.name}")]


def _features(descriptions: Mapping[str, Description]) -> page.Block:
    names = sorted({entry.path.step[0] for d in descriptions.values() for entry in d.statistics.datasets[0].features})
    rows = []
    for name in names:
        for split, description in descriptions.items():
            feature_statistics = feature(description.statistics, name)
            present = int(common(feature_statistics).num_non_missing) if feature_statistics else 0
            rows.append([name, split, present, description.examples - present, _range(feature_statistics)])
    return page.Table(["feature", "split", "present", "absent", "values"], rows)


def _range(statistics: Any) -> str:
    if statistics is None:
        return "–"
    kind = statistics.WhichOneof("stats")
    if kind == "num_stats":
        return f"{statistics.num_stats.min:g} to {statistics.num_stats.max:g}, median {statistics.num_stats.median:g}"
    if kind == "bytes_stats":
        return (
            f"{statistics.bytes_stats.min_num_bytes / 1000:.1f} to {statistics.bytes_stats.max_num_bytes / 1000:.1f} kB"
        )
    unique = int(statistics.string_stats.unique)
    if unique > len(GENDERS) * 3:
        return f"about {unique:,} different ones"
    return ", ".join(
        f"{bucket.label} {int(bucket.sample_count):,}" for bucket in statistics.string_stats.rank_histogram.buckets
    )
