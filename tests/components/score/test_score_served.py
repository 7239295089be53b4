"""The same model through other doors: `mlflow models serve` and `mlflow models predict` against the batch job."""

import base64
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from components.score import STEP
from components.score.settings import Settings
from components.step import StepContext
from tests.components.score.made_photos import folder

FIGURES = ["age", "age_std", "age_low", "age_high", "gender_probability"]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scored(registered, tmp_path_factory) -> tuple[list[Path], pd.DataFrame]:
    """Photos, and what the batch job says of them, in the same order."""
    root = tmp_path_factory.mktemp("scored")
    folder(root / "faces", 12)
    (root / "out").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", registered)
        settings = Settings.model_validate(
            {
                "score": {
                    "photos": [str(root / "faces")],
                    "model": "visage@champion",
                    "faces": "whole",
                    "precision": "float32",
                }
            }
        )
        STEP.run(settings, StepContext({}, root / "out"))
    rows = pq.read_table(root / "out" / "scores").to_pandas()
    return [root / "faces" / path for path in rows["path"]], rows


def encoded(photos: list[Path]) -> list[str]:
    return [base64.b64encode(photo.read_bytes()).decode() for photo in photos]


def assert_same(answer: list[dict], rows: pd.DataFrame) -> None:
    predictions = pd.DataFrame(answer)
    np.testing.assert_allclose(predictions[FIGURES].astype(float), rows[FIGURES], rtol=1e-4, atol=1e-4)
    assert list(predictions["gender"]) == list(rows["gender"])


def environment(registered: str) -> dict[str, str]:
    # MLflow starts uvicorn by its name.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"MLFLOW_TRACKING_URI": registered, "PATH": path}


def test_the_server_gives_the_numbers_of_the_batch_job(scored, registered, tmp_path):
    photos, rows = scored
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "serve",
        "-m",
        "models:/visage@champion",
        "--env-manager",
        "local",
    ]
    log = (tmp_path / "log").open("wb")
    server = subprocess.Popen(
        [*command, "--port", str(port)],
        env=environment(registered),
        cwd=tmp_path,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        answer = _ask(server, port, {"columns": ["image"], "data": [[image] for image in encoded(photos)]})
        assert_same(answer, rows)
        (broken,) = _ask(server, port, {"columns": ["image"], "data": [["bm90aGluZw=="]]})
        assert broken["age"] is None and broken["reject"].startswith("not_a_photo")
    finally:
        if server.poll() is None:
            os.killpg(server.pid, 15)
        server.wait(300)


def test_the_command_line_gives_them_too(scored, registered, tmp_path):
    photos, rows = scored
    pd.DataFrame({"image": encoded(photos)}).to_csv(tmp_path / "photos.csv", index=False)
    command = [sys.executable, "-m", "mlflow", "models", "predict", "-m", "models:/visage/1", "--env-manager", "local"]
    command += ["-i", "photos.csv", "-o", "answer.json", "-t", "csv"]
    subprocess.run(command, env=environment(registered), cwd=tmp_path, check=True, capture_output=True, timeout=500)
    assert_same(json.loads((tmp_path / "answer.json").read_text())["predictions"], rows)


def _ask(server: subprocess.Popen, port: int, table: dict) -> list[dict]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations",
        json.dumps({"dataframe_split": table}).encode(),
        {"Content-Type": "application/json"},
    )
    until = time.monotonic() + 500
    while True:
        try:
            with urllib.request.urlopen(request, timeout=500) as response:
                return json.load(response)["predictions"]
        except urllib.error.HTTPError:
            raise
        except OSError:  # it is still starting
            assert server.poll() is None and time.monotonic() < until, "the server does not start"
            time.sleep(0.3)
