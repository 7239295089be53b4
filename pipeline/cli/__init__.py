"""The `visage` command, a file a group of commands."""

import argparse
from collections.abc import Sequence

from components.step import command, log_setup, native_log
from pipeline.cli import cluster, compare, data, models, recipes, run, schema, score, step, ui, weights
from pipeline.cli.arguments import Commands, formatter

_EPILOG = """\
first steps:
  visage demo-data demo --photos 2000             draw a small archive in IMDB-WIKI's own layout
  visage run --set source.path=demo               ingest, validate, train, evaluate, register, score
  visage ui                                       see runs and model versions in MLflow
  visage score PHOTOS --model visage@champion --out scores

exit codes: 0 done, 1 the run failed, 2 wrong usage or settings
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `visage`; gives the exit code. Without `argv` it is the whole process."""
    arguments = parser().parse_args(argv)
    if argv is None and not arguments.debug:
        native_log.hide()
    log_setup.set_up(debug=arguments.debug)
    return command.guarded(lambda: arguments.work(arguments), debug=arguments.debug)


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    root = argparse.ArgumentParser(
        prog="visage",
        description="From photographs of faces with dates to a registered age-and-gender model, and to scored archives.",
        epilog=_EPILOG,
        formatter_class=formatter,
    )
    root.add_argument("--debug", action="store_true", help="show tracebacks and the libraries' messages")
    commands = Commands(root)
    run.add(commands)
    step.add(commands)
    data.add(commands)
    score.add(commands)
    models.add(commands)
    compare.add(commands)
    schema.add(commands)
    cluster.add(commands)
    recipes.add(commands)
    weights.add(commands)
    ui.add(commands)
    return root
