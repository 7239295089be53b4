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
from pipeline.cli.terminal import plain_console
from schemas.error import VisageError

_ACTIONS = ("list", "show", "history", "persons", "promote", "rollback")
_EPILOG = """\
examples:
  visage models show @champion
  visage models promote 3 --force --reason "fewer test photos, looked through by hand"
  visage models persons 3 > persons.csv    the split of every person of the data that version 3 was made from
"""

_FIGURES = ("age_mae", "age_cs5", "gender_accuracy")


def add(commands: Commands) -> None:
    """Add `visage models`."""
    parser = commands.add("models", _models, "list, show, promote or roll back the registered versions", _EPILOG)
    parser.add_argument("action", nargs="?", default="list", choices=_ACTIONS)
    parser.add_argument(
        "version", nargs="?", default="", metavar="VERSION", help="of show, persons and promote: a number, or @ALIAS"
    )
    parser.add_argument("--reason", default="", metavar="TEXT", help="of promote and rollback, kept in the history")
    parser.add_argument("--force", action="store_true", help="promote a version that is not blessed; needs a reason")
    parser.add_argument("--name", default="visage", help="of the registered model (default: visage)")
    add_root(parser)


def _models(arguments: argparse.Namespace) -> None:
    run(arguments.action, arguments.name, arguments.version, arguments.root, arguments.reason, force=arguments.force)


def run(action: str, name: str, version: str, root: Path, reason: str = "", *, force: bool = False) -> None:
    """List the versions of a model, show one, its persons or its champions, make one champion, or the one before it again.

    Raises:
        VisageError: there is no such model or version, the registry does not answer, the action takes no version, or the one to
            be promoted is not blessed and that is not forced with a reason.
    """
    if (force and action != "promote") or (reason and action not in ("promote", "rollback")):
        raise VisageError(f"{action} takes no {'--force' if force else '--reason'}.", usage=True)
    if version and action not in ("show", "persons", "promote"):
        hint = f"`visage models promote {version}` makes that version champion." if action == "rollback" else ""
        raise VisageError(f"{action} takes no version.", hint, usage=True)
    tracking.use_store(root)
    console = plain_console()
    if action == "list":
        _list(console, registry.versions(name))
    elif action == "show":
        _show(console, registry.resolve(reference(name, version or "@champion")))
    elif action == "history":
        _print_history(console, name)
    elif action == "persons":
        _print_persons(registry.persons(registry.resolve(reference(name, version or "@champion"))))
    elif action == "promote":
        chosen = registry.resolve(reference(name, version or "@challenger"))
        champion = registry.promote(str(chosen), _why_promoted(chosen, reason, force))
        console.print(f"{champion.name} version {champion.version} is champion")
    else:
        champion = registry.rollback(name, reason or "visage models rollback")
        console.print(f"{champion.name} version {champion.version} is champion again")


def _why_promoted(version: ModelVersion, reason: str, force: bool) -> str:
    """What the history keeps of a promotion.

    Raises:
        VisageError: something speaks against the version, and nobody who forces it says why.
    """
    objection = version.objection
    if not objection:
        return reason or "visage models promote"
    if not (force and reason):
        raise VisageError(
            f"{version} cannot become champion as it is: {objection}",
            f"If it is to score all the same, say why; it is kept: visage models promote {version.version} --force --reason TEXT",
        )
    return f"{reason} (forced: {objection})"


def reference(name: str, version: str) -> str:
    """A version as the registry takes it, `NAME/NUMBER` or `NAME@ALIAS`, from what a person gives."""
    if "@" in version[1:] or "/" in version:
        return version
    return f"{name}{version}" if version.startswith("@") else f"{name}/{version}"


def _list(console: Console, versions: list[ModelVersion]) -> None:
    table = Table("version", "alias", *(figure.replace("_", " ") for figure in _FIGURES), "recipe", "made", box=None)
    for version in versions:
        figures = [_figure(version, name) for name in _FIGURES]
        table.add_row(
            version.version,
            ", ".join(version.aliases),
            *figures,
            version.tags.get("visage.recipe", ""),
            version.created[:16],
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
    _print_history(console, version.name)
    if version.description:
        console.print(f"\n{version.description}")


def _print_history(console: Console, name: str) -> None:
    history = Table("champions", "", "when", "by", "why", box=None)
    for entry in registry.champions(name):
        history.add_row(f"version {entry.version}", entry.what, entry.when, entry.who, entry.why)
    console.print(history)


def _print_persons(persons: Any) -> None:
    """A pyarrow Table of persons as CSV, for a file or a pipe."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(persons.column_names)
    for batch in persons.to_batches():
        writer.writerows(zip(*(column.to_pylist() for column in batch.columns), strict=True))


def _figure(version: ModelVersion, name: str) -> str:
    value = version.tags.get(f"visage.{name}") or version.tags.get(name)
    return f"{float(value):.3g}" if value else "-"
