"""`visage score`: a scoring job outside the DAG, safe to interrupt like the step that it is."""

import argparse
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from components import score
from components.score.settings import Settings
from components.step import Surroundings, Tracker, execute, identity
from components.step.identity import Identity
from components.step.settings import Section, dotted, marked_fields
from components.storage.names import absolute, is_remote, joined
from pipeline import figures, tracking
from pipeline.cli.arguments import Commands, add_recipe, add_root
from pipeline.cli.terminal import plain_console
from pipeline.figures import MlflowTracker
from pipeline.local import display
from pipeline.pipeline_run import OWNER_FILE, PipelineRun, git_commit, new_key, owner_of
from pipeline.recipe import Recipe
from schemas.artifact import Manifest, is_whole, partial_folder, read_manifest
from schemas.error import VisageError
from schemas.redaction import redacted

_EPILOG = """\
examples:
  visage score portrait.jpg
  visage score albums/ old.zip 'scans/*.tif' --model visage@champion --out scores
"""


def add(commands: Commands) -> None:
    """Add `visage score`."""
    parser = commands.add("score", _score, "estimate age and gender of every face in stored photos", _EPILOG)
    parser.add_argument(
        "photos", nargs="+", metavar="PHOTOS", help="folder, glob, zip, tar, list of paths, or one photo"
    )
    parser.add_argument("--model", default="visage@champion", metavar="NAME@ALIAS", help="default: visage@champion")
    parser.add_argument(
        "--out", metavar="DIR", help="folder or URL (s3://, gs://) for the scores; one photo may go without"
    )
    parser.add_argument(
        "--faces",
        choices=("detect", "whole"),
        default="detect",
        help="whole: every photo is one cropped face (default: detect)",
    )
    add_recipe(parser)
    add_root(parser)


def _score(arguments: argparse.Namespace) -> None:
    from pipeline import recipe

    photos = [photo if "://" in photo else str(Path(photo).absolute()) for photo in arguments.photos]
    model = json.dumps(arguments.model)
    chosen = [f"score.photos={json.dumps(photos)}", f"score.model={model}", f"score.faces={arguments.faces}"]
    run(recipe.load(arguments.recipe, [*chosen, *arguments.set]), arguments.out, arguments.root)


class _ProgressTracker(Tracker):
    """Shows the progress of the one step."""

    def __init__(self, screen: display.Display) -> None:
        self.screen = screen

    def progress(self, done: int, total: int | None, unit: str) -> None:
        self.screen.progress("score", done, total, unit)


def run(recipe: Recipe, out: str | None, root: Path) -> None:
    """Score the photos that the recipe names, and tell what came out.

    Args:
        recipe: its score section names photos and model.
        out: folder or URL for the scores. It may hold this very job, finished or interrupted, and nothing else. None for one
            photo: a table is printed and nothing is kept.
        root: pipeline root whose MLflow store holds the model, unless MLFLOW_TRACKING_URI names a server.

    Raises:
        VisageError: photos or model are not there, the place holds something else, or the job failed.
    """
    settings: Any = recipe.of(score.STEP)
    if out is None:
        _demand_one_photo(settings)
    tracking.use_store(root)
    os.environ.update(tracking.environment(root))
    console = plain_console()
    if out is None:
        _score_one_photo(console, settings)
        return
    job_identity = identity.of_step(score.STEP, settings, {})
    around = Surroundings(recipe.name, git_commit(), os.environ["MLFLOW_TRACKING_URI"], root=root.absolute())
    out = out.rstrip("/") or out
    job = _Job(console, recipe.name, settings, job_identity, around, out)
    manifest = job.at_url() if is_remote(out) else job.in_folder()
    for name, value in manifest.counts.items():
        text = f"{value:,}" if isinstance(value, int) else f"{value:,.1f}" if isinstance(value, float) else value
        console.print(f"  {name.replace('_', ' '):<18} {text}")
    for name in ("scores", "summary.html"):
        console.print(joined(out, name), soft_wrap=True)


@dataclass(frozen=True)
class _Job:
    """A job and where its scores go."""

    console: Console
    recipe: str
    settings: Settings
    identity: Identity
    around: Surroundings
    out: str

    def in_folder(self) -> Manifest:
        """Score into a folder, unless that is done."""
        final = Path(absolute(self.out))
        if self._is_done(final):
            return read_manifest(final)
        if not is_whole(final):
            _check_free(final)
        partial = partial_folder(final, self.identity.digest)
        partial.mkdir(parents=True, exist_ok=True)
        with self._tracked(owner=owner_of(partial)) as tracker:
            manifest = execute(score.STEP, self.settings, {}, final, tracker, self.around, self.identity)
            figures.record(tracker, score.STEP, manifest, final)
        (final / OWNER_FILE).unlink(missing_ok=True)
        return manifest

    def at_url(self) -> Manifest:
        """Score into a URL, unless that is done."""
        from components.score import at_url

        with at_url.brought_home(self.out) as folder:
            if self._is_done(folder) and not at_url.is_begun(self.out):
                return read_manifest(folder)
            if not is_whole(folder):
                at_url.check_free(self.out, self.identity)
        with self._tracked(owner=hashlib.sha256(self.out.encode()).hexdigest()) as tracker:
            manifest = at_url.execute(self.out, self.settings, tracker, self.around, self.identity)
            with at_url.brought_home(self.out) as folder:
                figures.record(tracker, score.STEP, manifest, folder)
        return manifest

    def _is_done(self, folder: Path) -> bool:
        """Whether a folder holds this very job, done; tells why not, where it holds what is to be replaced.

        Raises:
            VisageError: it holds the scores of another job.
        """
        scored_by = _scored_by(folder, self.identity)
        is_done = bool(scored_by) and score.is_current(folder, Surroundings())
        if is_done:
            message = "this job is done already"
        elif scored_by:
            message = f"done by {scored_by}, but {self.settings.score.model} has moved on: scored anew"
        elif _same_settings(folder, self.identity):
            message = "this job was done before, but its photos, or what scores them, have changed since: scored anew"
        elif is_whole(folder):
            raise VisageError(
                f"{self.out} holds the scores of another job.",
                "Name another place with --out, or remove it.",
                usage=True,
            )
        else:
            return False
        self.console.print(f"{self.out}: {message}", soft_wrap=True)
        return is_done

    @contextmanager
    def _tracked(self, owner: str) -> Iterator[MlflowTracker]:
        """Around the job: its run in MLflow, and its progress on the screen; ends runs that it left open when it was killed."""
        pipeline_run = PipelineRun(new_key("score"), self.recipe, commit=self.around.commit, owner=owner)
        watcher = _ProgressTracker(screen := display.for_console(self.console))
        with screen, tracking.parent_run(pipeline_run):
            screen.started("score")
            with tracking.step_run(pipeline_run, score.STEP, self.settings, watcher) as tracker:
                yield tracker
            screen.ended("score", "done")
        tracking.close_abandoned(pipeline_run)


def _scored_by(final: Path, job_identity: Identity) -> str | None:
    """The model version by which this very job was done into a folder; None if it was not."""
    if not is_whole(final):
        return None
    manifest = read_manifest(final)
    return str(manifest.counts["model"]) if manifest.fingerprint == job_identity.digest else None


def _same_settings(final: Path, job_identity: Identity) -> bool:
    """Whether a folder holds a job that was given the same settings, those aside that do not decide what comes out."""
    if not is_whole(final) or read_manifest(final).step != score.STEP.name:
        return False
    try:
        previous = score.STEP.settings.model_validate(read_manifest(final).settings)
    except ValidationError:  # of another version of Visage, whose settings were others
        return False
    current = score.STEP.settings.model_validate(redacted(job_identity.settings))
    return _deciding(previous) == _deciding(current)


def _deciding(settings: Section) -> dict[str, Any]:
    aside = marked_fields(settings, "runtime_only")
    return {name: value for name, value in dotted(settings).items() if name not in aside}


def _check_free(final: Path) -> None:
    if final.exists() and (not final.is_dir() or any(final.iterdir())):
        raise VisageError(f"{final} holds something else.", "Name another folder with --out, or remove it.", usage=True)


def _demand_one_photo(settings: Settings) -> None:
    photos: Sequence[str] = settings.score.photos
    if len(photos) != 1 or not Path(photos[0]).is_file():
        raise VisageError(
            "Where shall the scores go?", "Name a folder with --out; only one photo can go without.", usage=True
        )


def _score_one_photo(console: Console, settings: Settings) -> None:
    from components.score import one_photo

    photos = settings.score.photos
    with tempfile.TemporaryDirectory(prefix="visage-") as folder:
        faces, rejects = one_photo.score(settings.score, Path(folder))
    for reject in rejects:
        console.print(f"{photos[0]}: {reject.reason}: {reject.detail}", soft_wrap=True)
    if faces and not faces[0]["face_count"]:
        console.print(f"{photos[0]}: no face found", soft_wrap=True)
    elif faces:
        _table(console, faces)


def _table(console: Console, faces: list[dict[str, Any]]) -> None:
    table = Table("face", "age", "90 % between", "gender", "box", box=None)
    for face in faces:
        gender = f"{face['gender']} ({face['gender_probability']:.0%})" if face["gender"] else "-"
        box = f"{face['box_left']},{face['box_top']} to {face['box_right']},{face['box_bottom']}"
        between = f"{face['age_low']:.0f} and {face['age_high']:.0f}"
        age = f"{face['age']:.1f}" + (f" ({face['age_class']})" if face["age_class"] else "")
        table.add_row(str(face["face_index"] + 1), age, between, gender, box)
    console.print(table)
    console.print(f"by {faces[0]['model_name']} version {faces[0]['model_version']}")
