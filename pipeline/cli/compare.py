"""`visage compare`: two registered versions on the same photos."""

import argparse
import math
from pathlib import Path
from typing import Any

from rich.table import Table

from components import registry
from pipeline import tracking
from pipeline.cli.arguments import Commands, add_root, local_path
from pipeline.cli.models import reference
from pipeline.cli.terminal import plain_console
from schemas.artifact import is_whole, read_manifest
from schemas.error import VisageError

_EPILOG = """\
examples:
  visage compare 1 @champion
  visage compare 1 2 --out both.parquet     also what each says of every face
"""

_MAX_FACES = 10


def add(commands: Commands) -> None:
    """Add `visage compare`."""
    parser = commands.add("compare", _compare, "show two registered versions on the same test photos", _EPILOG)
    parser.add_argument("versions", nargs=2, metavar="VERSION", help="a number, or @ALIAS")
    parser.add_argument("--name", default="visage", help="of the registered model (default: visage)")
    parser.add_argument(
        "--examples",
        type=local_path,
        metavar="DIR",
        help="ingest artifact with the photos; default: the newest under --root",
    )
    parser.add_argument("--out", type=local_path, metavar="FILE", help="Parquet file for what both say of every face")
    add_root(parser)


def _compare(arguments: argparse.Namespace) -> None:
    run(arguments.name, arguments.versions, arguments.examples, arguments.out, arguments.root)


def run(name: str, versions: list[str], examples: Path | None, out: Path | None, root: Path) -> None:
    """Print the figures of two versions on the test split of an examples artifact, and the faces they differ on most.

    Raises:
        VisageError: a version or the examples are not there or cannot be used, or a comparison would not be fair.
    """
    tracking.use_store(root)
    first, second = (registry.resolve(reference(name, version)) for version in versions)
    ingest = examples or _newest_examples(root)
    from components.evaluate import comparison

    compared = comparison.compare([first, second], ingest)
    console = plain_console()
    console.print(f"{compared.faces:,} test faces of {ingest}", soft_wrap=True)
    console.print(_figures(compared, str(first), str(second)))
    console.print(_disagreements(compared.disagreements(_MAX_FACES), str(first), str(second)))
    if out:
        comparison.write(out, compared)
        console.print(str(out), soft_wrap=True)


def _newest_examples(root: Path) -> Path:
    artifacts = [folder for folder in (root / "artifacts" / "ingest").glob("*") if is_whole(folder)]
    if not artifacts:
        raise VisageError(
            f"{root} holds no examples to compare on.", "Name an ingest artifact with --examples.", usage=True
        )
    return max(artifacts, key=lambda folder: read_manifest(folder).started)


def _figures(compared: Any, first: str, second: str) -> Table:
    from components.evaluate.metrics import BY_NAME

    table = Table("", first, second, "difference", "95 % interval", box=None)
    for name, figure in BY_NAME.items():
        values = compared.figures[name]
        if values == (None, None):
            continue
        difference = compared.differences.get(name)
        ends = difference and difference.low is not None
        unit = f", {figure.unit}" if figure.unit not in ("", "share") else ""
        table.add_row(
            f"{figure.title}{unit}",
            *map(_number, values),
            _number(difference.value) if difference else "-",
            f"{_number(difference.low)} to {_number(difference.high)}" if ends else "",
        )
    return table


def _disagreements(faces: Any, first: str, second: str) -> Table:
    table = Table("most apart", "true age", first, second, box=None)
    for row in faces.to_dict("records"):
        ages = (row["age"], row["predicted_age"], row["predicted_age_2"])
        table.add_row(row["path"], *("-" if math.isnan(age) else f"{age:.0f}" for age in ages))
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}"
