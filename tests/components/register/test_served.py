"""The registered model as others load and serve it."""

import base64
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from mlflow.pyfunc import scoring_server
from PIL import Image

from components import registry
from components.detection.yunet import WEIGHTS
from components.estimator import saved
from components.photo import PhotoSettings, crop_face, open_photo
from tests.components.detection.drawn_faces import jpeg, portrait
from tests.components.register.installed import install


def face(seed: int, side: int = 80) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 255, (10, 10, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).resize((side, side)).save(buffer, "JPEG")
    return buffer.getvalue()


def text(jpeg: bytes) -> str:
    return base64.b64encode(jpeg).decode()


@pytest.fixture(scope="module")
def served(registered):
    """The registered model as MLflow loads it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", registered)
        yield mlflow.pyfunc.load_model("models:/visage@champion")


@pytest.fixture(scope="module")
def ask(served):
    """Asks MLflow's own server for predictions; gives status and answer."""
    client = TestClient(scoring_server.init(served))

    def post(columns: list[str], *rows: list) -> tuple[int, str]:
        answer = client.post("/invocations", json={"dataframe_split": {"columns": columns, "data": list(rows)}})
        return answer.status_code, answer.text

    return post


def test_a_picture_gives_the_numbers_of_the_estimator_itself(served):
    photo = PhotoSettings(size=64)
    jpegs = [face(seed) for seed in range(3)]
    files = registry.download(registry.resolve("visage@champion"))
    cropped = [np.asarray(crop_face(open_photo(jpeg, photo), None, photo)) for jpeg in jpegs]
    wanted = saved.load(files / "estimator").predict_images(cropped)
    answer = served.predict(pd.DataFrame({"image": [text(jpeg) for jpeg in jpegs]}))
    np.testing.assert_allclose(answer["age"], wanted.age, rtol=1e-5)
    np.testing.assert_allclose(answer["age_high"], wanted.age_high, rtol=1e-5)
    assert list(answer["gender"]) == ["female" if share >= 0.5 else "male" for share in wanted.female]
    assert answer["reject"].isna().all()


def test_a_model_of_faces_that_were_turned_turns_them_too_and_brings_all_that_it_needs(registered_that_turns, tmp_path):
    upright = jpeg(portrait())
    turned = jpeg(Image.open(io.BytesIO(upright)).transpose(Image.Transpose.ROTATE_270))
    program = """
import base64, mlflow, pandas, pathlib, sys
model = mlflow.pyfunc.load_model("models:/visage@champion")
import components.photo
assert "code" in components.photo.__file__, components.photo.__file__
rows = [base64.b64encode(pathlib.Path(name).read_bytes()).decode() for name in sys.argv[1:]]
print(*model.predict(pandas.DataFrame({"image": rows}))["age"])
"""
    for name, data in {"upright.jpg": upright, "turned.jpg": turned}.items():
        (tmp_path / name).write_bytes(data)
    around = os.environ | {"MLFLOW_TRACKING_URI": registered_that_turns}
    command = [sys.executable, "-P", "-c", program, "upright.jpg", "turned.jpg"]
    completed = subprocess.run(
        command, cwd=tmp_path, env=around, capture_output=True, text=True, timeout=500, check=False
    )
    assert completed.returncode == 0, completed.stderr
    ages = [float(age) for age in completed.stdout.splitlines()[-1].split()]
    assert ages[1] == pytest.approx(ages[0], abs=0.3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", registered_that_turns)
        model = Path(mlflow.artifacts.download_artifacts("models:/visage@champion", dst_path=str(tmp_path / "model")))
    detection = model / "code" / "components" / "detection"
    brought = {path.name for path in (detection / "yunet").iterdir()} - {"__pycache__"}  # the model has run from there
    assert brought == {"__init__.py", "LICENSE", WEIGHTS}
    assert "opencv-python-headless" in (model / "requirements.txt").read_text()


def test_a_model_of_faces_as_they_stand_brings_no_detector(registered, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", registered)
        model = Path(mlflow.artifacts.download_artifacts("models:/visage@champion", dst_path=str(tmp_path)))
    assert not (model / "code" / "components" / "detection").exists()
    assert "opencv" not in (model / "requirements.txt").read_text()


def test_base64_may_have_line_breaks(served):
    broken = base64.encodebytes(face(5)).decode()
    assert "\n" in broken.strip()
    answer = served.predict(pd.DataFrame({"image": [broken, text(face(5))]}))
    assert answer["age"][0] == pytest.approx(answer["age"][1], abs=1e-4)


def test_what_is_no_picture_costs_only_its_own_row(served):
    answer = served.predict(pd.DataFrame({"image": ["no base64!", text(b"nothing"), text(face(1)), "", "café"]}))
    assert answer["reject"][0].startswith("not_a_photo: not base64")
    assert answer["reject"][1].startswith("not_a_photo")
    assert answer["reject"][3].startswith("photo_missing")
    assert answer["reject"][4].startswith("not_a_photo: not base64")
    assert pd.isna(answer["reject"][2]) and answer["age"].isna().tolist() == [True, True, False, True, True]
    assert pd.isna(answer["gender"][0])


def test_no_file_of_the_server_is_read(ask, tmp_path):
    (tmp_path / "face.jpg").write_bytes(face(5))
    status, answer = ask(["path"], [str(tmp_path / "face.jpg")])
    assert status == 400 and "image" in answer
    status, answer = ask(["image", "path"], [None, str(tmp_path / "face.jpg")])
    assert status == 400 or json.loads(answer)["predictions"][0]["age"] is None
    status, answer = ask(["image"], [str(tmp_path / "face.jpg")])
    assert json.loads(answer)["predictions"][0]["reject"].startswith("not_a_photo: not base64")


def test_a_request_without_pictures_is_told_what_to_send(ask):
    status, answer = ask(["image"])
    assert status == 400 and "holds no picture" in answer
    status, answer = ask(["picture"], [text(face(1))])
    assert status == 400 and "missing inputs ['image']" in answer


@pytest.mark.slow
def test_it_loads_from_its_own_requirements_alone(served, registered, tmp_path):
    program = """
import sys
sys.path.insert(0, "installed")
import base64, mlflow, pathlib, pandas
model = mlflow.pyfunc.load_model(sys.argv[1])
import components
assert "code" in components.__file__, components.__file__
image = base64.b64encode(pathlib.Path("face.jpg").read_bytes()).decode()
print(model.predict(pandas.DataFrame({"image": [image]}))["age"][0])
"""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", registered)
        model = mlflow.artifacts.download_artifacts("models:/visage@champion", dst_path=str(tmp_path / "model"))
    install((Path(model) / "requirements.txt").read_text().splitlines(), tmp_path / "installed")
    (tmp_path / "face.jpg").write_bytes(face(5))
    bare = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    command = [sys.executable, "-I", "-S", "-c", program, model]
    completed = subprocess.run(
        command, cwd=tmp_path, env=bare, capture_output=True, text=True, timeout=500, check=False
    )
    assert completed.returncode == 0, completed.stderr
    wanted = served.predict(pd.DataFrame({"image": [text(face(5))]}))["age"][0]
    assert float(completed.stdout.split()[-1]) == pytest.approx(wanted, abs=1e-4)
