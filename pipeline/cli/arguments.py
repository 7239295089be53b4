"""Arguments that several commands take, and how a command is added."""

import argparse
from collections.abc import Callable
from pathlib import Path

from components.storage import names


def formatter(prog: str) -> argparse.HelpFormatter:
    """The layout of every help page."""
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=28, width=110)


def local_path(text: str) -> Path:
    """A path of this machine, as the type of an argument; `file:///a` is one too, any other URL none."""
    try:
        path = names.local(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if names.is_remote(path):
        raise argparse.ArgumentTypeError(f"{text} is a URL, and a path of this machine is wanted")
    return Path(path)


class Commands:
    """The commands of a parser."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._subparsers = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(
        self, name: str, work: Callable[[argparse.Namespace], None], summary: str, epilog: str = ""
    ) -> argparse.ArgumentParser:
        """Add a command.

        Args:
            name: what a person types.
            work: does what the command is for; imports what is heavy.
            summary: one line that begins with a verb.
            epilog: examples, for the command's own help.
        """
        added = self._subparsers.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=epilog,
            formatter_class=formatter,
        )
        added.set_defaults(work=work)
        return added


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """--recipe and --set."""
    parser.add_argument(
        "--recipe", metavar="NAME|FILE", default="default", help="default: default; see `visage recipes`"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="one setting; repeatable")


def add_root(parser: argparse.ArgumentParser) -> None:
    """--root."""
    parser.add_argument(
        "--root",
        type=local_path,
        default=Path("pipeline-root"),
        metavar="DIR",
        help="all that is written (default: pipeline-root)",
    )
