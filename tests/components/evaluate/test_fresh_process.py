"""A fresh process loads what was saved, really."""

from components.estimator import saved
from components.evaluate import fresh_process, predictions
from tests.components.evaluate.made_up import face, write_estimator


def test_says_the_same_of_the_first_faces_or_why_not(tmp_path, monkeypatch):
    """It finds what lies on PYTHONPATH, where packages may be installed."""
    packages, seen = tmp_path / "packages", tmp_path / "seen"
    packages.mkdir()
    (packages / "sitecustomize.py").write_text(f"open({str(seen)!r}, 'w').close()")
    monkeypatch.setenv("PYTHONPATH", str(packages))
    folder = write_estimator(tmp_path) / "estimator"
    examples = [face(number, 20 + number) for number in range(10)]
    faces = predictions.predict(saved.load(folder), examples)
    assert fresh_process.objection(folder, examples, faces) == ""
    assert seen.exists()
    wrong = faces.assign(predicted_age=faces["predicted_age"] + 1)
    assert "says otherwise of 8 test faces" in fresh_process.objection(folder, examples, wrong)
    (folder / saved.MODEL).write_bytes(b"damaged")
    assert "cannot load the saved estimator" in fresh_process.objection(folder, examples, faces)
