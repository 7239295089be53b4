"""`visage run`: the whole pipeline on this machine."""

import argparse
import shlex

from pipeline.cli.arguments import Commands, add_recipe, add_root

_EPILOG = """\
examples:
  visage run --set source.kind=imdb_wiki --set source.path=FOLDER
  visage run --recipe demo --set train.epochs=3
  visage run --recipe my-recipe.yaml --root /data/visage --force train

A recipe is a YAML file of differences from the default, or from another recipe if it says `extends: NAME`;
`visage recipes` lists those that come along.
"""


def add(commands: Commands) -> None:
    """Add `visage run`."""
    parser = commands.add("run", _run, "run the whole pipeline; what is done already is reused", _EPILOG)
    add_recipe(parser)
    add_root(parser)
    parser.add_argument("--force", action="append", default=[], metavar="STEP", help="run this step anew; repeatable")


def _run(arguments: argparse.Namespace) -> None:
    from rich.console import Console

    from pipeline import recipe
    from pipeline.local import display, run_page, runner, summary

    chosen = recipe.load(arguments.recipe, arguments.set)
    parts = ["visage", "run", "--recipe", arguments.recipe, "--root", str(arguments.root)]
    parts += [part for setting in arguments.set for part in ("--set", setting)]
    console = Console(emoji=False)
    console.print(f"Page    {run_page.address(arguments.root)}", highlight=False, soft_wrap=True)
    with display.for_console(console) as screen:
        outcome = runner.run(chosen, arguments.root, screen, force=arguments.force, command=shlex.join(parts))
    summary.show(console, outcome, arguments.root)
