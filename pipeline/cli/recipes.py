"""`visage recipes`: which recipes there are, or one of them whole."""

import argparse

from pipeline.cli.arguments import Commands


def add(commands: Commands) -> None:
    """Add `visage recipes`."""
    parser = commands.add("recipes", _recipes, "list the recipes that come with Visage, or print one whole")
    parser.add_argument("name", nargs="?", metavar="NAME|FILE", help="print every setting of this recipe, as YAML")


def _recipes(arguments: argparse.Namespace) -> None:
    from rich.table import Table

    from pipeline import recipe
    from pipeline.cli.terminal import plain_console

    if arguments.name:
        print(recipe.as_yaml(recipe.load(arguments.name)), end="")
        return
    table = Table("recipe", "what it is", box=None)
    for name in recipe.names():
        table.add_row(name, recipe.load(name).description)
    plain_console().print(table)
