"""`visage models`: look at the registered versions and say which one is champion."""

import argparse
import csv
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from components import registry
from components.registry import ModelVersion
from pipeline import tracking
from pipeline.cli.arguments import Commands, add_root

_ACTIONS = ("list", "show", "persons", "promote", "rollback")
_EPILOG = """\
examples:
  visage models show @champion
  visage models persons 3 > persons.csv    the split of every person of the data that version 3 was made from
"""

_FIGURES = ("age_mae", "age_cs5", "gender_accuracy")


def add(commands: Commands) -> None:
    """Add `visage models`."""
    parser = commands.add("models", _models, "list, show, promote or roll back the registered versions", _EPILOG)
    parser.add_argument("action", nargs="?", default="list", choices=_ACTIONS)
    parser.add_argument("version", nargs="?", default="", metavar="VERSION", help="a number, or @ALIAS")
    parser.add_argument("--name", default="visage", help="of the registered model (default: visage)")
    add_root(parser)


def _models(arguments: argparse.Namespace) -> None:
    run(arguments.action, arguments.name, arguments.version, arguments.root)


def run(action: str, name: str, version: str, root: Path) -> None:
    """List the versions of a model, show one or its persons, make one champion, or the one before it champion again.

    Raises:
        VisageError: there is no such model or version, or the registry does not answer.
    """
    tracking.use_store(root)
    console = Console()
    if action == "list":
        _list(console, registry.versions(name))
    elif action == "show":
        _show(console, registry.resolve(reference(name, version or "@champion")))
    elif action == "persons":
        _print_persons(registry.persons(registry.resolve(reference(name, version or "@champion"))))
    elif action == "promote":
        held = registry.promote(reference(name, version or "@challenger"), "visage models promote")
        console.print(f"{held.name} version {held.version} is champion", highlight=False)
    else:
        held = registry.rollback(name, "visage models rollback")
        console.print(f"{held.name} version {held.version} is champion again", highlight=False)


def reference(name: str, version: str) -> str:
    """A version as the registry takes it, `NAME/NUMBER` or `NAME@ALIAS`, from what a person gives."""
    if "@" in version[1:] or "/" in version:
        return version
    return f"{name}{version}" if version.startswith("@") else f"{name}/{version}"


def _list(console: Console, versions: list[ModelVersion]) -> None:
    table = Table("version", "alias", *(figure.replace("_", " ") for figure in _FIGURES), "recipe", "made", box=None)
    for held in versions:
        figures = [_figure(held, name) for name in _FIGURES]
        table.add_row(
            held.version, ", ".join(held.aliases), *figures, held.tags.get("visage.recipe", ""), held.created[:16]
        )
    console.print(table)


def _show(console: Console, version: ModelVersion) -> None:
    table = Table("", Column("", overflow="fold"), box=None, show_header=False)
    table.add_row("version", f"{version.name}/{version.version}  {', '.join(version.aliases)}")
    table.add_row("made", f"{version.created} by run {version.run_id}")
    for name, value in sorted(version.tags.items()):
        table.add_row(name, value)
    table.add_row("files", str(registry.download(version)))
    console.print(table)
    history = Table("champions", "", "when", "by", "why", box=None)
    for entry in registry.champions(version.name):
        history.add_row(f"version {entry.version}", entry.what, entry.when, entry.who, entry.why)
    console.print(history)
    if version.description:
        console.print(f"\n{version.description}", markup=False, highlight=False)


def _print_persons(persons: Any) -> None:
    """A pyarrow Table of persons as CSV, for a file or a pipe."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(persons.column_names)
    for batch in persons.to_batches():
        writer.writerows(zip(*(column.to_pylist() for column in batch.columns), strict=True))


def _figure(version: ModelVersion, name: str) -> str:
    value = version.tags.get(f"visage.{name}") or version.tags.get(name)
    return f"{float(value):.3g}" if value else "-"
