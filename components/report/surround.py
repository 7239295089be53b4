"""What stands around the page of a step: links to the pages of the run, its lineage and its settings."""

import os
from collections.abc import Mapping
from pathlib import Path

from components.report.page import Block, Details, Link, Surround, Table
from components.step import StepContext
from components.step.settings import Section, dotted
from schemas.artifact import Manifest, is_whole, read_manifest
from schemas.redaction import redacted

INDEX = "index.html"
"""The page of the latest run, in the pipeline root."""


_FIRST = ("report.html", "summary.html")
"""The page of an artifact that has several, by its name."""


def of_step(step: str, settings: Section, context: StepContext) -> Surround:
    """Links and lineage for the page that a step writes into its output.

    A page knows what it was made from, but not what will be made from it: the link to a later step leads to that step's place
    on the page of the run. A step that runs alone, without a pipeline root, has no links.
    """
    upstream = _upstream(context.inputs)
    links = []
    if context.root is not None and context.steps:
        index = os.path.relpath(context.root / INDEX, context.output)
        links.append(Link("run", index))
        for name in context.steps:
            pages = pages_of(upstream[name][0]) if name in upstream else []
            address = os.path.relpath(pages[0], context.output) if pages else f"{index}#{name}"
            links.append(Link(name, "" if name == step else address, name == step))
    return Surround(links, _about(settings, context, upstream))


def pages_of(folder: Path) -> list[Path]:
    """What an artifact holds for people to read, its own page first."""
    return sorted(folder.glob("*.html"), key=lambda page: (page.name not in _FIRST, page.name))


def _upstream(inputs: Mapping[str, Path]) -> dict[str, tuple[Path, Manifest]]:
    """Folder and manifest of every artifact that went in, those behind the inputs too where they lie beside them."""
    artifacts: dict[str, tuple[Path, Manifest]] = {}
    waiting = dict(inputs)
    while waiting:
        name, folder = waiting.popitem()
        if name in artifacts or not is_whole(folder):
            continue
        manifest = read_manifest(folder)
        artifacts[name] = folder, manifest
        for behind, fingerprint in manifest.inputs.items():
            waiting.setdefault(behind, folder.parent.parent / behind / fingerprint[:16])
    return artifacts


def _about(settings: Section, context: StepContext, upstream: Mapping[str, tuple[Path, Manifest]]) -> list[Block]:
    lineage = [
        ("fingerprint of this artifact", context.fingerprint),
        *((f"made from {name}", manifest.fingerprint) for name, (_, manifest) in sorted(upstream.items())),
        ("recipe", context.recipe),
        ("commit of Visage", context.commit),
        ("champion at the time", str(context.champion or "none")),
    ]
    setting_rows = [(name, _text(value)) for name, value in redacted(dotted(settings)).items()]
    return [
        Details("Lineage", [Table(("", "value"), [row for row in lineage if row[1]])]),
        Details("Settings", [Table(("setting", "value"), setting_rows)]),
    ]


def _text(value: object) -> str:
    return "–" if value in (None, "", [], {}) else str(value)
