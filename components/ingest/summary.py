"""What an ingest did, for people: summary.json, and a page with tables, the ages, and contact sheets."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from components.ingest import contact_sheets
from components.ingest.examples_index import read_columns
from components.report import charts, page
from components.report.charts import UNKNOWN
from components.storage.by_name import Files
from schemas.arrow_files import parquet as pq
from schemas.record import FEMALE, MAX_AGE, SPLITS
from schemas.reject import REASONS, Reject
from schemas.shard import read_index


def describe(folder: Path, rejects: list[Reject], previous: Path | None) -> dict[str, Any]:
    """Figures of an ingest, from what it wrote.

    Gives: `rows`, `examples`, and of them `train`, `validation` and `test`; `rejects` by reason; `photos` that were opened,
    and `photos_new`, those whose content the previous ingest had not seen; `persons`; `shards` and their `bytes`;
    `sides` of the stored faces in pixels; `splits`, each with its persons, mean age in years, share of women, and examples by
    decade or age class; `ages`, the number of examples by split, gender and age in years.
    """
    listing = read_columns(folder, "split", "person", "age", "age_class", "gender", "height", "sha256")
    splits = {split: listing.filter(pc.field("split") == split) for split in SPLITS}
    counts = Counter(reject.reason for reject in rejects)
    opened = listing["sha256"].to_pylist() + [reject.sha256 for reject in rejects if reject.sha256]
    known = _contents(previous)
    shards = [shard for held in read_index(folder).values() for shard in held]
    sides = sorted(listing["height"].to_pylist())
    return {
        "rows": len(listing) + len(rejects),
        "examples": len(listing),
        **{split: len(rows) for split, rows in splits.items()},
        "rejects": {reason: counts[reason] for reason in REASONS if counts[reason]},
        "photos": len(opened),
        "photos_new": sum(sha256 not in known for sha256 in opened),
        "persons": len(listing["person"].unique()),
        "shards": len(shards),
        "bytes": sum(shard.bytes for shard in shards),
        "sides": {"smallest": sides[0], "median": sides[len(sides) // 2], "largest": sides[-1]},
        "splits": {split: _describe_split(rows) for split, rows in splits.items()},
        "ages": {split: _ages(rows) for split, rows in splits.items()},
    }


def _describe_split(rows: pa.Table) -> dict[str, Any]:
    ages, genders, classes = (rows[name].drop_null().to_pylist() for name in ("age", "gender", "age_class"))
    decades = Counter(age // 10 * 10 for age in ages)
    counted = Counter(classes)
    return {
        "examples": len(rows),
        "persons": len(rows["person"].unique()),
        "mean_age": round(sum(ages) / len(ages), 2) if ages else None,
        "female": round(genders.count(FEMALE) / len(genders), 4) if genders else None,
        "decades": {_decade(decade): decades[decade] for decade in sorted(decades)},
        "classes": {name: counted[name] for name in sorted(counted)},
    }


def _decade(first: int) -> str:
    return f"{first}-{first + 9}" if first < MAX_AGE else str(first)


def _ages(rows: pa.Table) -> dict[str, dict[int, int]]:
    """Number of examples by gender and age."""
    known = rows.filter(pc.field("age").is_valid())
    counted = Counter(zip(known["gender"].fill_null(UNKNOWN).to_pylist(), known["age"].to_pylist(), strict=True))
    genders = sorted({gender for gender, _ in counted})
    return {
        gender: {age: count for (held, age), count in sorted(counted.items()) if held == gender} for gender in genders
    }


def _contents(folder: Path | None) -> set[str]:
    """Digests of all photos that an ingest opened."""
    if folder is None:
        return set()
    seen = set(read_columns(folder, "sha256")["sha256"].to_pylist())
    rejected = folder / "rejects.parquet"
    if rejected.exists() and "sha256" in pq.read_schema(rejected).names:
        seen |= set(pq.read_table(rejected, columns=["sha256"])["sha256"].to_pylist())
    return seen


def write(
    folder: Path, figures: Mapping[str, Any], rejects: list[Reject], photos: Files, surround: page.Surround
) -> None:
    """Write summary.json, summary.html and the contact sheets beside them."""
    (folder / "summary.json").write_text(json.dumps(figures, indent=1) + "\n")
    faces = contact_sheets.of_faces(folder)
    (folder / "faces.jpg").write_bytes(contact_sheets.sheet(faces))
    parts: list[page.Block] = [
        page.Paragraph(
            f"{figures['rows']:,} rows = {figures['examples']:,} examples + {len(rejects):,} rejects. "
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
    (folder / "rejects").mkdir(exist_ok=True)
    for reason in figures["rejects"]:
        shown = contact_sheets.of_rejects([reject for reject in rejects if reject.reason == reason], photos)
        (folder / "rejects" / f"{reason}.jpg").write_bytes(contact_sheets.sheet(shown))
        title = f"{reason}: {REASONS[reason]}, {figures['rejects'][reason]:,} rows"
        parts.append(page.Details(title, [_tiles(shown)]))
    page.write(folder / "summary.html", "Ingest", parts, surround)


def _tiles(tiles: Sequence[contact_sheets.Tile]) -> page.Pictures:
    return page.Pictures([page.Picture(tile.jpeg(), tile.caption, "jpeg") for tile in tiles], small=True)


def _splits_table(splits: Mapping[str, Any]) -> tuple[list[str], list[list[Any]], str]:
    groups = {kind: list(dict.fromkeys(g for held in splits.values() for g in held[kind])) for kind in _GROUPS}
    columns = ["split", "examples", "persons", "mean age", "female", *(g for names in groups.values() for g in names)]
    rows = []
    for split, held in splits.items():
        female = None if held["female"] is None else f"{held['female']:.1%}"
        shares = [
            f"{held[kind].get(group, 0) / max(1, held['examples']):.1%}" for kind in _GROUPS for group in groups[kind]
        ]
        rows.append([split, held["examples"], held["persons"], held["mean_age"], female, *shares])
    return columns, rows, "Persons are dealt out by a hash, not by age or gender: here is how even it came out."


_GROUPS = ("decades", "classes")


def _ages_chart(ages: Mapping[str, Mapping[str, Mapping[int, int]]]) -> list[page.Block]:
    shown = charts.ages_by_split(ages)
    return [shown] if shown.pictures else []
