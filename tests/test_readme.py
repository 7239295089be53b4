"""Every command of the README, run as it is written there."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from pipeline.demo.archive import draw_archive
from tests.pipeline.kubeflow.kubeflow_server import serving

README = Path(__file__).parents[1] / "README.md"
SERVES = {"visage ui": "http://127.0.0.1:5000"}
"""Commands that go on until they are stopped, and the page that shows they work."""

KUBEFLOW = 8080
"""Port of this machine at which commands for a cluster look for a Kubeflow Pipelines server."""

RUN_BY_CI = ("make run", "make test")


def commands() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    lines = [re.sub(r"\s+#.*", "", line).strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and line not in RUN_BY_CI]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with what the README's commands name: archives small enough to be done with soon."""
    folder = tmp_path_factory.mktemp("a reader's folder")
    draw_archive(folder / "imdb_crop", photos=160, seed=1)
    shutil.copytree(folder / "imdb_crop", folder / "pipeline-root" / "demo-archive")
    (folder / "imdb_crop" / "album.zip").rename(folder / "album.zip")
    return folder


@pytest.fixture(scope="module")
def kubeflow():
    with serving(KUBEFLOW) as server:
        yield server


@pytest.mark.slow
@pytest.mark.usefixtures("kubeflow")
@pytest.mark.parametrize("command", commands())
def test_the_command_works_as_written(command, place):
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    with (place / "said").open("w+") as said:
        process = subprocess.Popen(
            command,
            shell=True,
            cwd=place,
            env=environment,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            if command in SERVES:
                assert answers(SERVES[command], process), (place / "said").read_text()
            else:
                assert process.wait(timeout=500) == 0, (place / "said").read_text()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait()


def answers(address: str, process: subprocess.Popen) -> bool:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5) as page:
                return page.status == 200
        except OSError:
            time.sleep(0.5)
    return False


def test_there_are_commands_to_try():
    assert len(commands()) > 8


def test_the_files_that_the_readme_points_to_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README.read_text()):
        if "://" not in target:
            assert (README.parent / target).exists(), target
