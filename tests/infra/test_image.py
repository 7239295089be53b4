"""What infra/Dockerfile says of the rest of the project is true; tests/image.sh builds the image and runs the pipeline in it."""

import re
import runpy
import subprocess
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from components.step.imports import distributions

PROJECT = Path(__file__).parents[2]
INSTRUCTIONS = re.findall(
    r"^([A-Z]+) +(.*)$",
    re.sub(r"^#.*\n", "", (PROJECT / "infra" / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " "),
    re.MULTILINE,
)
LOCK = (PROJECT / "requirements.lock").read_text()


def instructions(instruction: str) -> list[str]:
    return [text for name, text in INSTRUCTIONS if name == instruction]


def default(argument: str) -> str:
    return next(text.removeprefix(f"{argument}=") for text in instructions("ARG") if text.startswith(f"{argument}="))


def copied() -> list[str]:
    """Paths of the checkout that COPY takes."""
    return [source for text in instructions("COPY") if not text.startswith("--from") for source in text.split()[:-1]]


def reaches_the_build(path: str) -> bool:
    """Whether .dockerignore lets a path through: of the patterns that match it, or a folder it is in, the last counts."""
    parts = path.split("/")
    prefixes = ["/".join(parts[: length + 1]) for length in range(len(parts))]
    through = True
    for line in (PROJECT / ".dockerignore").read_text().splitlines():
        pattern = line.strip().removeprefix("!")
        if not pattern or pattern.startswith("#"):
            continue
        anywhere = pattern.startswith("**/")
        candidates = parts if anywhere else [prefix for prefix in prefixes if prefix.count("/") == pattern.count("/")]
        if any(fnmatchcase(candidate, pattern.removeprefix("**/")) for candidate in candidates):
            through = line.startswith("!")
    return through


@pytest.fixture
def packaging(monkeypatch):
    """What setup.py hands to setuptools."""
    arguments: dict = {}
    monkeypatch.setattr("setuptools.setup", lambda **options: arguments.update(options))
    monkeypatch.chdir(PROJECT)
    runpy.run_path("setup.py")
    return arguments


def without() -> list[str]:
    """Distributions that the image leaves out."""
    lines = (PROJECT / "infra" / "image_without.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_what_is_copied_exists_and_is_not_ignored():
    assert copied()
    for path in copied():
        assert (PROJECT / path).exists(), path
        assert reaches_the_build(path), path


def test_every_package_and_its_data_are_copied(packaging):
    folders = {name.replace(".", "/") for name in packaging["packages"]}
    data = [
        str(path.relative_to(PROJECT))
        for package, patterns in packaging["package_data"].items()
        for pattern in patterns
        for path in (PROJECT / package.replace(".", "/")).glob(pattern)
    ]
    assert any(path.endswith(".onnx") for path in data)
    for path in (*folders, *data):
        assert path.split("/")[0] in copied(), path
        assert reaches_the_build(path), path


def test_nothing_else_is_sent_to_the_build():
    for path in ("pipeline-root/demo-archive", "tests/image.sh", ".venv", ".git", "components/photo/__pycache__/a.pyc"):
        assert not reaches_the_build(path), path


def test_the_extras_exist(packaging):
    assert set(default("EXTRAS").split(",")) <= set(packaging["extras_require"])


def test_the_base_is_of_a_version_and_one_that_setup_allows(packaging):
    assert instructions("FROM")[0].split()[0] == instructions("FROM")[-1] == "$PYTHON"
    minor = re.fullmatch(r"python:3\.(\d+)-slim-trixie", default("PYTHON"))
    assert minor
    lowest, highest = map(int, re.findall(r"3\.(\d+)", packaging["python_requires"]))
    assert lowest <= int(minor[1]) < highest


def test_the_user_is_a_number_that_kubernetes_can_tell_from_root():
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", instructions("USER")[-1])


def test_nothing_that_the_image_leaves_out_is_imported_or_unknown():
    files = [file for folder in ("components", "pipeline", "schemas") for file in (PROJECT / folder).rglob("*.py")]
    imported = {name.lower().replace("_", "-") for name in distributions(files)}
    assert "numpy" in imported
    for name in without():
        assert re.search(rf"^{re.escape(name)}==", LOCK, re.MULTILINE), (
            f"{name} is not in the lock: is it still needed here?"
        )
        assert name == "tensorflow" or name not in imported


def test_tensorflow_for_cpus_is_of_the_version_in_the_lock():
    script = next(text for text in instructions("RUN") if "tensorflow-cpu==" in text)
    command = re.search(r"tensorflow-cpu==\$\((sed .*? requirements\.lock)\)", script)
    assert command
    version = subprocess.run(command[1], shell=True, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    assert f"tensorflow=={version.strip()} ; python_full_version >= '3.12'" in LOCK
