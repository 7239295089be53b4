"""One step alone, as a container of the cluster runs it."""

import json

from PIL import Image

from pipeline.cli import main
from schemas.artifact import read_manifest

PASSWORD = "hunter2hunter2"


def test_settings_go_over_the_recipe_as_they_would_in_one_and_a_credential_in_them_is_not_written(
    tmp_path, monkeypatch
):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for number in range(40):
        Image.new("RGB", (64, 64), (number, 5 * number, 90)).save(tmp_path / f"{number}.png")
    rows = [f"{number}.png,{number},{number % 2}" for number in range(40)]
    (tmp_path / "faces.csv").write_text("\n".join(["path,age,gender", *rows]))
    source = {"kind": "table", "path": str(tmp_path / "faces.csv"), "table": {"genders": {"0": "male", "1": "female"}}}
    settings = json.dumps({"source": source, "beam": {"workers": 1, "options": [f"--s3_secret_access_key={PASSWORD}"]}})
    assert main(["step", "ingest", "--recipe", "demo", "--settings", settings, "--out", str(tmp_path / "out")]) == 0
    manifest = read_manifest(tmp_path / "out")
    assert manifest.settings["source"]["table"]["genders"] == {"0": "male", "1": "female"}
    assert manifest.settings["ingest"]["split"]["validation"] == 0.15
    assert manifest.settings["beam"]["options"] == ["--s3_secret_access_key=***"]
    written = [file for file in (tmp_path / "out").rglob("*") if file.is_file()]
    assert len(written) > 5 and not any(PASSWORD.encode() in file.read_bytes() for file in written)
