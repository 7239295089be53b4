"""What an ingest did, for people: summary.json, and a page with tables, the ages, and contact sheets."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from components.ingest import contact_sheets
from components.ingest.examples_index import LISTING
from components.ingest.tally import REJECTS, Tally, columns_of, rejected
from components.report import charts, page
from components.report.charts import UNKNOWN
from components.storage.by_name import Files
from schemas.record import FEMALE, MAX_AGE, SPLITS
from schemas.reject import REASONS
from schemas.shard import read_index


def describe(folder: Path, tally: Tally, previous: Path | None) -> dict[str, Any]:
    """Figures of an ingest, from what it wrote.

    Gives: `rows`, `examples`, and of them `train`, `validation` and `test`; `rejects` by reason; `photos` that were opened,
    and `photos_new`, those whose content the previous ingest had not seen; `persons`; `shards` and their `bytes`;
    `sides` of the stored faces in pixels; `splits`, each with its persons, mean age in years, share of women, and examples by
    decade or age class; `ages`, the number of examples by split, gender and age in years.
    """
    shards = [shard for of_split in read_index(folder).values() for shard in of_split]
    sides = sorted(tally.heights)
    below = np.cumsum([tally.heights[side] for side in sides])
    splits = {split: _describe_split(tally, split) for split in SPLITS}
    return {
        "rows": tally.examples + tally.rejects.total(),
        "examples": tally.examples,
        **{split: figures["examples"] for split, figures in splits.items()},
        "rejects": {reason: tally.rejects[reason] for reason in REASONS if tally.rejects[reason]},
        "photos": tally.opened,
        "photos_new": tally.opened - _seen_before(folder, previous),
        "persons": tally.persons_in_all,
        "shards": len(shards),
        "bytes": sum(shard.bytes for shard in shards),
        "sides": {
            "smallest": sides[0],
            "median": sides[int(np.searchsorted(below, tally.examples // 2, side="right"))],
            "largest": sides[-1],
        },
        "splits": splits,
        "ages": {split: _ages(tally, split) for split in SPLITS},
    }


def _describe_split(tally: Tally, split: str) -> dict[str, Any]:
    ages: Counter[int] = Counter()
    genders: Counter[str] = Counter()
    classes: Counter[str] = Counter()
    for (example_split, gender, age, age_class), count in tally.labels.items():
        if example_split == split:
            ages.update({age: count} if age is not None else {})
            genders.update({gender: count} if gender is not None else {})
            classes.update({age_class: count} if age_class is not None else {})
    decades: Counter[int] = Counter()
    for age, count in ages.items():
        decades[age // 10 * 10] += count
    years = sum(age * count for age, count in ages.items())
    return {
        "examples": sum(count for (example_split, *_), count in tally.labels.items() if example_split == split),
        "persons": tally.persons[split],
        "mean_age": round(years / ages.total(), 2) if ages else None,
        "female": round(genders[FEMALE] / genders.total(), 4) if genders else None,
        "decades": {_decade(decade): decades[decade] for decade in sorted(decades)},
        "classes": {name: classes[name] for name in sorted(classes)},
    }


def _decade(first: int) -> str:
    return f"{first}-{first + 9}" if first < MAX_AGE else str(first)


def _ages(tally: Tally, split: str) -> dict[str, dict[int, int]]:
    """Number of examples of a split by gender and age."""
    counted: dict[str, Counter[int]] = {}
    for (example_split, gender, age, _), count in tally.labels.items():
        if example_split == split and age is not None:
            counted.setdefault(gender or UNKNOWN, Counter())[age] += count
    return {gender: {age: counted[gender][age] for age in sorted(counted[gender])} for gender in sorted(counted)}


def _seen_before(folder: Path, previous: Path | None) -> int:
    """How many of the photos that were opened the previous ingest had opened too, by the first 8 bytes of their digests."""
    if previous is None:
        return 0
    previous_digests = np.unique(np.concatenate([np.empty(0, np.uint64), *_digests(previous)]))
    return sum(int(np.isin(digests, previous_digests).sum()) for digests in _digests(folder))


def _digests(folder: Path) -> Iterator[np.ndarray]:
    """The photos that an ingest opened."""
    for file in (folder / LISTING, folder / REJECTS):
        for part in columns_of(file, "sha256"):
            digests = [int(digest[:16], 16) for digest in part["sha256"].to_pylist() if digest]
            yield np.array(digests, np.uint64)


def write(folder: Path, figures: Mapping[str, Any], photos: Files, surround: page.Surround) -> None:
    """Write summary.json, summary.html and the contact sheets beside them."""
    (folder / "summary.json").write_text(json.dumps(figures, indent=1) + "\n")
    faces = contact_sheets.of_faces(folder)
    (folder / "faces.jpg").write_bytes(contact_sheets.sheet(faces))
    parts: list[page.Block] = [
        page.Paragraph(
            f"{figures['rows']:,} rows = {figures['examples']:,} examples + {sum(figures['rejects'].values()):,} rejects. "
            f"{figures['photos']:,} photos were opened, {figures['photos_new']:,} of them new, "
            f"in {figures['seconds']:,.1f} s ({figures['photos_per_second']:,.0f} photos/s)."
        ),
        page.Heading("Examples"),
        page.Table(*_splits_table(figures["splits"])),
        *_ages_chart(figures["ages"]),
        page.Paragraph(
            f"{figures['persons']:,} persons; {figures['shards']} shards of {figures['bytes'] / 1e6:,.1f} MB in all. "
            f"Sides of the faces: {figures['sides']['smallest']} to {figures['sides']['largest']} pixels, "
            f"half of them up to {figures['sides']['median']}."
        ),
        page.Heading("Some of the examples"),
        page.Paragraph("As they were cut out, with the age in years and the gender of their labels.", "quiet"),
        _tiles(faces),
        page.Heading("Rejects"),
        page.Table(
            ["reason", "meaning", "rows", "share, %"],
            [
                [reason, REASONS[reason], count, 100.0 * count / figures["rows"]]
                for reason, count in figures["rejects"].items()
            ],
            "Every row is an example or has one of these reasons.",
        ),
    ]
    if counted := {name: count for name, count in figures["beam"].items() if isinstance(count, int)}:
        parts += [
            page.Heading("As Beam counted"),
            page.Table(["counter", "count"], [[name, count] for name, count in counted.items()], _TWICE),
        ]
    (folder / "rejects").mkdir(exist_ok=True)
    for reason, some in contact_sheets.chosen(rejected(folder), figures["rejects"]).items():
        tiles = contact_sheets.of_rejects(some, photos)
        (folder / "rejects" / f"{reason}.jpg").write_bytes(contact_sheets.sheet(tiles))
        title = f"{reason}: {REASONS[reason]}, {figures['rejects'][reason]:,} rows"
        parts.append(page.Details(title, [_tiles(tiles)]))
    page.write(folder / "summary.html", "Ingest", parts, surround)


def _tiles(tiles: Sequence[contact_sheets.Tile]) -> page.Pictures:
    return page.Pictures([page.Picture(tile.jpeg(), tile.caption, "jpeg") for tile in tiles], small=True)


def _splits_table(splits: Mapping[str, Any]) -> tuple[list[str], list[list[Any]], str]:
    groups = {kind: list(dict.fromkeys(g for figures in splits.values() for g in figures[kind])) for kind in _GROUPS}
    columns = ["split", "examples", "persons", "mean age", "female", *(g for names in groups.values() for g in names)]
    rows = []
    for split, figures in splits.items():
        female = None if figures["female"] is None else f"{figures['female']:.1%}"
        shares = [
            f"{figures[kind].get(group, 0) / max(1, figures['examples']):.1%}"
            for kind in _GROUPS
            for group in groups[kind]
        ]
        rows.append([split, figures["examples"], figures["persons"], figures["mean_age"], female, *shares])
    return columns, rows, "Persons are dealt out by a hash, not by age or gender: here is how even it came out."


_TWICE = "Some runners count what a worker had to do again as well, so that these may be more."

_GROUPS = ("decades", "classes")


def _ages_chart(ages: Mapping[str, Mapping[str, Mapping[int, int]]]) -> list[page.Block]:
    chart = charts.ages_by_split(ages)
    return [chart] if chart.pictures else []
