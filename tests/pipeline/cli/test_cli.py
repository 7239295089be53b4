"""The `visage` command: help, usage errors, exit codes."""

import subprocess
import sys

import pytest

from pipeline.cli import main, parser

HEAVY = (
    "tensorflow",
    "keras",
    "apache_beam",
    "tensorflow_data_validation",
    "mlflow",
    "scipy",
    "pandas",
    "pyarrow",
    "kfp",
)
COMMANDS = tuple(next(action.choices for action in parser()._actions if isinstance(action.choices, dict)))


def visage(*arguments: str) -> tuple[int, str, list[str]]:
    """Exit code and messages of the command in a process of its own, and what heavy packages it imported."""
    code = (
        "import sys\nfrom pipeline.cli import main\n"
        "try:\n    code = main(sys.argv[1:])\nexcept SystemExit as stop:\n    code = stop.code\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "print('IMPORTED', *heavy)\nsys.exit(code)"
    )
    completed = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    stdout, _, imported = completed.stdout.partition("IMPORTED")
    return completed.returncode, stdout + completed.stderr, imported.split()


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_help_teaches_and_imports_nothing_heavy(command):
    code, printed, heavy = visage(*command, "--help")
    assert code == 0
    assert "usage: visage" in printed
    assert heavy == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--recipe", "defualt"], "Did you mean default"),
        (["run", "--recipe", "no/such/file.yaml"], "There is no recipe file no/such/file.yaml"),
        (["run", "--set", "train.epoch=3"], "train.epochs"),
        (["run", "--set", "source.kind=imdb"], "did you mean imdb_wiki"),
        (["run", "--set", "train.epochs"], "section.key=value"),
        (["run", "--force", "trian", "--set", "source.path=."], "There is no step trian"),
        (["step", "ingset", "--out", "x"], "There is no step ingset"),
        (["step", "train", "--out", "x"], "--input ingest DIR"),
        (["step", "train", "--out", "x", "--settings", "no-such.yaml"], "no-such.yaml"),
        (["step", "train", "--out", "x", "--settings", "{extends: demo}"], "--recipe FILE"),
        (["rnu"], "invalid choice: 'rnu'"),
        ([], "required"),
    ],
)
def test_a_usage_error_is_one_message_with_exit_code_2_and_imports_nothing_heavy(
    arguments, message, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    code, printed, heavy = visage(*arguments)
    assert code == 2
    assert message in printed
    assert "Traceback" not in printed
    assert heavy == []


def test_recipes_are_listed_with_what_they_are(capsys):
    assert main(["recipes"]) == 0
    assert "default" in capsys.readouterr().out


def test_debug_shows_the_traceback():
    completed = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "--debug", "run", "--recipe", "none"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" in completed.stderr
    assert "There is no recipe none" in completed.stderr
