"""`visage labels`, `visage demo-data` and `visage download`: data sets, before any pipeline runs on them."""

import argparse
import json
from urllib.parse import urlsplit

from pipeline.cli.arguments import Commands, add_recipe, local_path
from schemas.error import VisageError


def add(commands: Commands) -> None:
    """Add the commands."""
    labels = commands.add("labels", _labels, "list every row's labels, split and reject reason; opens no photo")
    labels.add_argument("--source", required=True, metavar="KIND", help="imdb_wiki, file_names, utkface or table")
    labels.add_argument("--path", required=True, metavar="P", help="the .mat, table or folder of the source")
    labels.add_argument("--out", type=local_path, required=True, metavar="FILE", help=".csv or .parquet to write")
    add_recipe(labels)

    demo = commands.add("demo-data", _demo_data, "draw a small made-up archive in IMDB-WIKI's own layout")
    demo.add_argument("out", type=local_path, metavar="OUT", help="folder to make")
    demo.add_argument("--photos", type=int, default=2000, metavar="N", help="rows of the data set (default: 2000)")
    demo.add_argument("--seed", type=int, default=1, metavar="S", help="same seed, same bytes (default: 1)")

    download = commands.add("download", _download, "fetch a published data set")
    download.add_argument("name", metavar="NAME", help="wiki-crop, imdb-crop, wiki or imdb-meta")
    download.add_argument("--out", type=local_path, required=True, metavar="DIR", help="folder to put it in")
    download.add_argument(
        "--accept-terms", action="store_true", help="you have read the data set's terms and accept them"
    )
    download.add_argument(
        "--mirror",
        default="",
        metavar="URL",
        help="folder of a server that has the archives (default: the publishers')",
    )


def _labels(arguments: argparse.Namespace) -> None:
    from components.ingest import labels
    from pipeline import recipe

    source = [f"source.kind={json.dumps(arguments.source)}", f"source.path={json.dumps(arguments.path)}"]
    chosen = recipe.load(arguments.recipe, [*source, *arguments.set]).settings
    labels.write_labels(chosen.source, chosen.ingest.filter, chosen.ingest.split, arguments.out)


def _demo_data(arguments: argparse.Namespace) -> None:
    from pipeline.cli.terminal import plain_console
    from pipeline.demo.archive import draw_archive
    from pipeline.local import display

    console = plain_console()
    with display.for_console(console) as screen:
        screen.started("draw")
        archive = draw_archive(
            arguments.out,
            arguments.photos,
            arguments.seed,
            lambda done, total: screen.progress("draw", done, total, "photos"),
        )
        screen.ended("draw", "reused" if archive["reused"] else "done")
    summary = f"{archive['rows']:,} rows of {archive['persons']:,} persons and an album of {archive['album']['photos']:,} photos"
    console.print(f"{arguments.out}: {summary}", soft_wrap=True)


def _download(arguments: argparse.Namespace) -> None:
    from components.ingest import download

    mirror = arguments.mirror or download.PUBLISHED
    if not _is_address(mirror):
        raise VisageError(f"--mirror {mirror}: an address is wanted, http://... or https://...", usage=True)
    download.download(arguments.name, arguments.out, accept_terms=arguments.accept_terms, mirror=mirror)


def _is_address(text: str) -> bool:
    """Whether it can be one of a web server; what cannot need not be tried again and again."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is no number
        return False
