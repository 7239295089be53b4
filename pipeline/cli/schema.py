"""`visage schema`: propose a schema, see what it would change, and make it the reviewed one."""

import argparse
import os
from pathlib import Path

from pipeline.cli.arguments import Commands, local_path
from schemas.error import VisageError

_EPILOG = """\
The reviewed schema says what an Example may hold, and how far skew and drift may go. `visage step validate` holds the data
against it. Where data are new in a way that is wanted, have a schema proposed, read and edit it, and approve it:

examples:
  visage schema infer artifacts/ingest --out proposed.pbtxt     the reviewed schema, changed where these data break it
  visage schema diff proposed.pbtxt                             what would change, in sentences
  visage schema approve proposed.pbtxt                          from now on it is the reviewed one

A threshold is changed the same way. Of face/age, as the schema has it:
  drift_comparator { jensen_shannon_divergence { threshold: 0.1 } }

To keep a schema beside the project's own, copy it, name it with --schema here and with
--set validation.schema_file=FILE in runs.
"""


def add(commands: Commands) -> None:
    """Add `visage schema`."""
    parser = commands.add("schema", _schema, "infer, compare or approve the schema that examples must fit", _EPILOG)
    parser.add_argument("action", choices=("infer", "diff", "approve"))
    parser.add_argument(
        "source",
        type=local_path,
        metavar="SOURCE",
        help="infer: an ingest or validate artifact; else: a proposed schema",
    )
    parser.add_argument("--out", type=local_path, metavar="FILE", help="of infer: where to write the proposed schema")
    parser.add_argument(
        "--schema",
        type=local_path,
        metavar="FILE",
        help="the reviewed schema (default: the project's example_schema.pbtxt)",
    )


def _schema(arguments: argparse.Namespace) -> None:
    if (arguments.action == "infer") != bool(arguments.out):
        needs = "infer needs --out FILE." if arguments.action == "infer" else f"{arguments.action} takes no --out."
        raise VisageError(needs, usage=True)
    from components.validate import import_tfdv

    import_tfdv()
    if arguments.action == "infer":
        infer(arguments.source, arguments.out, arguments.schema)
    elif arguments.action == "diff":
        diff(arguments.source, arguments.schema)
    else:
        approve(arguments.source, arguments.schema)


def infer(artifact: Path, out: Path, reviewed: Path | None) -> None:
    """Write a schema that the data of an artifact conform to, for review.

    Raises:
        VisageError: the artifact or the reviewed schema cannot be read, or it would be written over the reviewed one.
    """
    from components.validate.reviewed_schema import place_of
    from components.validate.schema_proposal import propose

    if out.resolve() == place_of(reviewed).resolve():
        raise VisageError(
            f"{out} is the reviewed schema.", "Write to another file, read it, and approve it.", usage=True
        )
    text = propose(artifact, reviewed)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
    diff(out, reviewed)


def diff(proposed: Path, reviewed: Path | None) -> None:
    """Print what a schema would change against the reviewed one.

    Raises:
        VisageError: one of them cannot be read, or is no schema.
    """
    from components.validate.reviewed_schema import load_schema, place_of
    from components.validate.schema_changes import changes

    sentences = changes(load_schema(reviewed), load_schema(proposed))
    reviewed_file = place_of(reviewed)
    print(f"{proposed}, against {reviewed_file}:" if sentences else f"{proposed} asks for the same as {reviewed_file}.")
    for sentence in sentences:
        print(f"- {sentence}")


def approve(proposed: Path, reviewed: Path | None) -> None:
    """Put a proposed schema in the place of the reviewed one, as it is written, and print what that changes.

    Whoever reads the reviewed schema meanwhile finds the old one or the new one, whole.

    Raises:
        VisageError: one of them cannot be read, or is no schema.
        OSError: the reviewed one cannot be written.
    """
    from components.validate.reviewed_schema import place_of

    diff(proposed, reviewed)
    reviewed_file = place_of(reviewed).resolve()
    unpublished = reviewed_file.with_name(f".{reviewed_file.name}.{os.getpid()}")
    try:
        unpublished.write_bytes(proposed.read_bytes())
        unpublished.replace(reviewed_file)
    finally:
        unpublished.unlink(missing_ok=True)
    print(f"{reviewed_file} is now as {proposed} has it.")
