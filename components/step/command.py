"""A step as a command of its own: `python -m components.NAME`."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.estimator import backend
from components.step import Step, Surroundings, Tracker, execute, log_setup, native_log
from components.step.destination import folder_for
from components.step.settings import Section, build, load_yaml, merge
from components.storage.names import is_remote
from schemas.artifact import Manifest
from schemas.error import VisageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that a step takes, however it is started."""
    parser.add_argument("--settings", default="", metavar="FILE|JSON", help="settings, as a YAML file or as JSON text")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="one setting, for instance train.epochs=5; repeatable",
    )
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        nargs=2,
        metavar=("STEP", "DIR"),
        help="artifact of an earlier step; repeatable",
    )
    parser.add_argument(
        "--out",
        required=True,
        metavar="DIR",
        help="the artifact's folder; it appears when the step is done. Or a URL (s3://, gs://), where it ends",
    )


def settings_of(
    step: Step,
    arguments: argparse.Namespace,
    base: Mapping[str, Any] | None = None,
    sections: Collection[str] = (),
) -> Section:
    """The settings that the arguments give, over those of `base`; sections that the step does not read are passed over.

    Args:
        step: whose they are.
        arguments: as `add_arguments` has them.
        base: settings of a recipe, by section.
        sections: names of those of all steps, where they are known; any other is an error.

    Raises:
        VisageError: the settings are wrong or cannot be read.
    """
    values = dict(base or {})
    if arguments.settings:
        given = load_yaml(_text(arguments.settings), "--settings")
        if "extends" in given:
            raise VisageError(
                "--settings takes all settings in one file, not what extends a recipe.",
                f"Start from the recipe: `visage step {step.name} --recipe FILE`.",
                usage=True,
            )
        unknown = [name for name in given if sections and name not in (*sections, "description")]
        if unknown:
            raise VisageError(
                f"In --settings, there is no section {unknown[0]}.", f"Valid: {', '.join(sections)}.", usage=True
            )
        values = merge(step.settings, values, given)
    values = {section: value for section, value in values.items() if section in step.settings.model_fields}
    return build(step.settings, values, arguments.set, f"the settings of {step.name}")


def inputs_of(step: Step, arguments: argparse.Namespace) -> dict[str, Path]:
    """Folders of the input artifacts that the arguments give.

    Raises:
        VisageError: one is missing, or the step reads no such input.
    """
    inputs = {}
    for name, folder in arguments.input:
        if name not in step.inputs:
            accepted = " ".join(f"--input {step_name} DIR" for step_name in step.inputs) or "no input"
            raise VisageError(f"--input {name} {folder}: the step {step.name} takes {accepted}.", usage=True)
        if is_remote(folder):
            raise VisageError(
                f"--input {name} {folder}: an input is a folder of this machine.",
                "Fetch it, and name the folder.",
                usage=True,
            )
        inputs[name] = Path(folder).absolute()
    missing = [name for name in step.inputs if name not in inputs]
    if missing:
        raise VisageError(f"{step.name} needs {' '.join(f'--input {name} DIR' for name in missing)}.", usage=True)
    return inputs


def surroundings_of(step: Step, settings: Any, recipe: str = "", commit: str = "") -> Surroundings:
    """Surroundings of a step that is run alone: the server that MLFLOW_TRACKING_URI names, and its champion.

    Raises:
        VisageError: the registry does not answer.
    """
    uri, champion = os.environ.get("MLFLOW_TRACKING_URI", ""), None
    if uri and "registry" in step.settings.model_fields:
        from components import registry

        champion = registry.champion(settings.registry.name)
    return Surroundings(recipe, commit, uri, champion)


def report(manifest: Manifest, out: str) -> None:
    """Print what a step has done, for the person who started it alone."""
    print(f"{manifest.step}: done in {manifest.seconds:.1f} s, in {out}")
    for name, value in manifest.counts.items():
        if isinstance(value, int | float | str):
            print(f"  {name}: {value:,}" if type(value) is int else f"  {name}: {value}")


def main(step: Step, argv: Sequence[str] | None = None) -> int:
    """Entry point of `python -m components.NAME`; gives the exit code. Without `argv` it is the whole process."""
    parser = argparse.ArgumentParser(prog=f"python -m components.{step.name}", description=step.summary)
    add_arguments(parser)
    parser.add_argument("--debug", action="store_true", help="show tracebacks and the libraries' messages")
    arguments = parser.parse_args(argv)
    if argv is None and not arguments.debug:
        native_log.hide()
    log_setup.set_up(debug=arguments.debug)

    def work() -> None:
        settings, inputs = settings_of(step, arguments), inputs_of(step, arguments)
        surroundings = surroundings_of(step, settings)
        with folder_for(arguments.out) as out:
            manifest = execute(step, settings, inputs, out, Tracker(), surroundings)
        report(manifest, arguments.out)

    return guarded(work, debug=arguments.debug)


def guarded(work: Callable[[], None], *, debug: bool) -> int:
    """Do the work; an error that a person can mend becomes one message. Gives the exit code.

    A SIGTERM, as service managers and clusters send it, stops the work as Ctrl-C does.
    """
    try:
        with _stopped_by(signal.SIGTERM):
            backend.demand()
            work()
    except VisageError as error:
        if debug:
            raise
        print(f"visage: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("visage: stopped. The same command goes on from here.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if debug or not error.strerror:
            raise
        print(f"visage: {error.filename or 'input or output'}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


@contextmanager
def _stopped_by(number: int) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def _text(file_or_json: str) -> str:
    if file_or_json.lstrip().startswith("{"):
        return file_or_json
    try:
        return Path(file_or_json).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise VisageError(f"The settings file {file_or_json} cannot be read: {error}", usage=True) from error
