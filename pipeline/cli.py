"""The `visage` command."""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from components import alone, log

_EPILOG = """\
first steps:
  visage demo-data demo --photos 2000             draw a small archive in IMDB-WIKI's own layout
  visage run --set source.path=demo               ingest, validate, train, evaluate, register, score
  visage ui                                       see runs and model versions in MLflow
  visage score PHOTOS --model visage@champion --out scores

exit codes: 0 done, 1 the run failed, 2 wrong usage or settings
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `visage`; gives the exit code."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    log.set_up(debug=arguments.debug)
    return alone.guarded(lambda: arguments.work(arguments), debug=arguments.debug)


def _help(prog: str) -> argparse.HelpFormatter:
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=28, width=110)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="visage",
        description="From photographs of faces with dates to a registered age-and-gender model, and to scored archives.",
        epilog=_EPILOG,
        formatter_class=_help,
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks and the libraries' messages")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, work, text: str, epilog: str = "") -> argparse.ArgumentParser:  # type: ignore[no-untyped-def]
        added = commands.add_parser(
            name,
            help=text[0].lower() + text[1:],
            description=text[0].upper() + text[1:] + ".",
            epilog=epilog,
            formatter_class=_help,
        )
        added.set_defaults(work=work)
        return added

    run = command("run", _run, "run the whole pipeline; what is done already is reused", _RUN_EPILOG)
    _add_recipe(run)
    _add_root(run)
    run.add_argument("--force", action="append", default=[], metavar="STEP", help="run this step anew; repeatable")

    step = command("step", _step, "run one step alone, as a container does", _STEP_EPILOG)
    step.add_argument("name", metavar="NAME", help="ingest, validate, train, evaluate, register or score")
    step.add_argument("--recipe", metavar="NAME|FILE", default="default", help="recipe that the settings start from")
    alone.add_arguments(step)
    step.add_argument("--run", default="", metavar="KEY", help="key of the pipeline run that this step belongs to")

    labels = command("labels", _labels, "list every row's labels, split and reject reason; opens no photo")
    labels.add_argument("--source", required=True, metavar="KIND", help="imdb_wiki, file_names, utkface or table")
    labels.add_argument("--path", required=True, metavar="P", help="the .mat, table or folder of the source")
    labels.add_argument("--out", type=Path, required=True, metavar="FILE", help=".csv or .parquet to write")
    _add_recipe(labels)

    demo = command("demo-data", _demo_data, "draw a small made-up archive in IMDB-WIKI's own layout")
    demo.add_argument("out", type=Path, metavar="OUT", help="folder to make")
    demo.add_argument("--photos", type=int, default=2000, metavar="N", help="rows of the data set (default: 2000)")
    demo.add_argument("--seed", type=int, default=1, metavar="S", help="same seed, same bytes (default: 1)")

    download = command("download", _download, "fetch a published data set")
    download.add_argument("name", metavar="NAME", help="wiki-crop, imdb-crop, wiki or imdb-meta")
    download.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to put it in")
    download.add_argument(
        "--accept-terms", action="store_true", help="you have read the data set's terms and accept them"
    )

    score = command("score", _score, "estimate age and gender of every face in stored photos", _SCORE_EPILOG)
    score.add_argument(
        "photos", nargs="+", metavar="PHOTOS", help="folder, glob, zip, tar, list of paths, or one photo"
    )
    score.add_argument("--model", default="visage@champion", metavar="NAME@ALIAS", help="default: visage@champion")
    score.add_argument("--out", type=Path, metavar="DIR", help="folder for the scores; one photo may go without")
    score.add_argument(
        "--faces",
        choices=("detect", "whole"),
        default="detect",
        help="whole: every photo is one cropped face (default: detect)",
    )
    _add_recipe(score)
    _add_root(score)

    models = command("models", _models, "list, show, promote or roll back the registered versions")
    models.add_argument("action", nargs="?", default="list", choices=("list", "show", "promote", "rollback"))
    models.add_argument("version", nargs="?", default="", metavar="VERSION", help="a number, or @ALIAS")
    models.add_argument("--name", default="visage", help="of the registered model (default: visage)")
    _add_root(models)

    compile_ = command("compile", _compile, "write the pipeline as Kubeflow Pipelines YAML")
    _add_compiled(compile_)
    compile_.add_argument("--out", type=Path, default=Path("visage-pipeline.yaml"), metavar="FILE")

    submit = command("submit", _submit, "run the pipeline once on a Kubeflow Pipelines server")
    _add_compiled(submit)
    _add_server(submit)

    schedule = command(
        "schedule", _schedule, "run the pipeline on a Kubeflow Pipelines server at given times", _SCHEDULE
    )
    _add_compiled(schedule)
    _add_server(schedule)
    schedule.add_argument(
        "--name", default="visage", help="of the schedule; the same name replaces it (default: visage)"
    )
    when = schedule.add_mutually_exclusive_group(required=True)
    when.add_argument("--cron", metavar="TIMES", help="minute, hour, day of the month, month, day of the week; in UTC")
    when.add_argument("--remove", action="store_true", help="end the schedule of this name")

    recipes = command("recipes", _recipes, "list the recipes that come with Visage, or print one whole")
    recipes.add_argument("name", nargs="?", metavar="NAME|FILE", help="print every setting of this recipe, as YAML")

    ui = command("ui", _ui, "open the MLflow UI on the runs and model versions")
    _add_root(ui)
    ui.add_argument("--port", type=int, default=5000, help="default: 5000")
    return parser


_RUN_EPILOG = """\
examples:
  visage run --set source.kind=imdb_wiki --set source.path=FOLDER
  visage run --recipe demo --set train.epochs=3
  visage run --recipe my-recipe.yaml --root /data/visage --force train

A recipe is a YAML file of differences from the default, or from another recipe if it says `extends: NAME`;
`visage recipes` lists those that come along.
"""

_STEP_EPILOG = """\
example:
  visage step ingest --set source.path=FOLDER --out artifacts/ingest
  visage step validate --input ingest artifacts/ingest --out artifacts/validate
"""

_SCORE_EPILOG = """\
examples:
  visage score portrait.jpg
  visage score albums/ old.zip 'scans/*.tif' --model visage@champion --out scores
"""

_SCHEDULE = """\
examples:
  visage schedule --cron '0 2 * * *' --image registry.example.com/visage:1 --set source.path=/data/imdb_crop
  visage schedule --remove
"""


def _add_recipe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--recipe", metavar="NAME|FILE", default="default", help="default: default; see `visage recipes`"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="one setting; repeatable")


def _add_compiled(parser: argparse.ArgumentParser) -> None:
    _add_recipe(parser)
    parser.add_argument(
        "--image", default="visage:latest", help="container image of the steps (default: visage:latest)"
    )
    parser.add_argument(
        "--tracking-uri",
        default="http://mlflow:5000",
        metavar="URI",
        help="MLflow server (default: http://mlflow:5000)",
    )
    parser.add_argument(
        "--gpus",
        type=int,
        choices=range(17),
        default=0,
        metavar="N",
        help="NVIDIA GPUs of the train step, of one node (default: 0)",
    )


def _add_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host",
        default="http://localhost:8080",
        metavar="URL",
        help="Kubeflow Pipelines server (default: http://localhost:8080)",
    )
    parser.add_argument("--namespace", default="", metavar="NS", help="yours, where the server keeps users apart")


def _add_root(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--root",
        type=Path,
        default=Path("pipeline-root"),
        metavar="DIR",
        help="all that is written (default: pipeline-root)",
    )


def _run(arguments: argparse.Namespace) -> None:
    from rich.console import Console

    from pipeline import display, local, recipe, summary

    chosen = recipe.load(arguments.recipe, arguments.set)
    parts = ["visage", "run", "--recipe", arguments.recipe, "--root", str(arguments.root)]
    parts += [part for pair in arguments.set for part in ("--set", pair)]
    console = Console()
    with display.for_console(console) as shown:
        outcome = local.run(chosen, arguments.root, shown, force=arguments.force, command=shlex.join(parts))
    summary.show(console, outcome, arguments.root)


def _step(arguments: argparse.Namespace) -> None:
    from pipeline import dag, recipe, single

    single.run(dag.named(arguments.name), recipe.load(arguments.recipe), arguments)


def _labels(arguments: argparse.Namespace) -> None:
    from components.ingest import labels
    from pipeline import recipe

    where = [f"source.kind={arguments.source}", f"source.path={json.dumps(arguments.path)}"]
    chosen = recipe.load(arguments.recipe, [*where, *arguments.set]).settings
    labels.write_labels(chosen.source, chosen.ingest.filter, chosen.ingest.split, arguments.out)


def _demo_data(arguments: argparse.Namespace) -> None:
    from rich.console import Console

    from pipeline import display
    from pipeline.demo.archive import draw_archive

    console = Console()
    with display.for_console(console) as shown:
        shown.started("draw")
        made = draw_archive(
            arguments.out,
            arguments.photos,
            arguments.seed,
            lambda done, total: shown.progress("draw", done, total, "photos"),
        )
        shown.ended("draw", "reused" if made["reused"] else "done")
    told = f"{made['rows']:,} rows of {made['persons']:,} persons and an album of {made['album']['photos']:,} photos"
    console.print(f"{arguments.out}: {told}", highlight=False)


def _download(arguments: argparse.Namespace) -> None:
    from components.ingest import download

    mirror = arguments.mirror or download.PUBLISHED
    download.download(arguments.name, arguments.out, accept_terms=arguments.accept_terms, mirror=mirror)


def _score(arguments: argparse.Namespace) -> None:
    from pipeline import batch, recipe

    photos = [photo if "://" in photo else str(Path(photo).absolute()) for photo in arguments.photos]
    chosen = [f"score.photos={json.dumps(photos)}", f"score.model={arguments.model}", f"score.faces={arguments.faces}"]
    batch.run(recipe.load(arguments.recipe, [*chosen, *arguments.set]), arguments.out, arguments.root)


def _models(arguments: argparse.Namespace) -> None:
    from pipeline import models

    models.run(arguments.action, arguments.name, arguments.version, arguments.root)


def _compile(arguments: argparse.Namespace) -> None:
    from pipeline import kubeflow, recipe

    chosen = recipe.load(arguments.recipe, arguments.set)
    kubeflow.compile_pipeline(chosen, _containers(arguments), arguments.out)
    print(f"{arguments.out}: the pipeline of the recipe {chosen.name} for Kubeflow Pipelines")


def _submit(arguments: argparse.Namespace) -> None:
    from pipeline import cluster, recipe

    chosen = recipe.load(arguments.recipe, arguments.set)
    print(cluster.submit(chosen, _containers(arguments), _server(arguments)))


def _schedule(arguments: argparse.Namespace) -> None:
    from pipeline import cluster, recipe

    if arguments.remove:
        ended = cluster.unschedule(_server(arguments), arguments.name)
        print(f"{arguments.name}: {ended or 'no'} schedule{'s' if ended > 1 else ''} ended")
        return
    chosen = recipe.load(arguments.recipe, arguments.set)
    containers = _containers(arguments)
    print(cluster.schedule(chosen, containers, _server(arguments), arguments.cron, arguments.name))


def _containers(arguments: argparse.Namespace):  # type: ignore[no-untyped-def]
    from pipeline.kubeflow import Containers

    return Containers(arguments.image, arguments.tracking_uri, arguments.gpus)


def _server(arguments: argparse.Namespace):  # type: ignore[no-untyped-def]
    from pipeline.cluster import Server

    return Server(arguments.host.rstrip("/"), arguments.namespace)


def _recipes(arguments: argparse.Namespace) -> None:
    from rich.console import Console
    from rich.table import Table

    from pipeline import recipe

    if arguments.name:
        print(recipe.as_yaml(recipe.load(arguments.name)), end="")
        return
    table = Table("recipe", "what it is", box=None)
    for name in recipe.names():
        table.add_row(name, recipe.load(name).description)
    Console().print(table)


def _ui(arguments: argparse.Namespace) -> None:
    from pipeline import ui

    ui.serve(arguments.root, arguments.port)


if __name__ == "__main__":
    sys.exit(main())
