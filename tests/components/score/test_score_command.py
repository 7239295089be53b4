"""`visage score`: one photo for a person, and the same command again."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from components import registry
from components.score import STEP, is_current, one_photo
from components.score.settings import ScoreSettings, Settings
from components.step import StepContext, Surroundings
from pipeline import recipe
from pipeline.cli import score
from schemas.error import VisageError
from tests.components.score import made_photos
from tests.components.score.made_photos import jpeg, zipped


class TestOnePhoto:
    def test_the_figures_are_those_of_the_batch_job(self, model, tmp_path, output):
        photo = tmp_path / "face.jpg"
        photo.write_bytes(jpeg(3))
        settings = ScoreSettings(photos=(str(photo),), model=model)
        (tmp_path / "one").mkdir()
        rows, rejects = one_photo.score(settings, tmp_path / "one")
        STEP.run(Settings(score=settings), StepContext({}, output))
        (job_row,) = pq.read_table(output / "scores").to_pylist()
        assert rejects == []
        assert [row | {"scored_at": None} for row in rows] == [job_row | {"scored_at": None}]

    def test_a_broken_one_is_told_with_its_reason(self, model, tmp_path):
        photo = tmp_path / "face.jpg"
        photo.write_bytes(jpeg(3)[:200])
        (tmp_path / "one").mkdir()
        rows, rejects = one_photo.score(ScoreSettings(photos=(str(photo),), model=model), tmp_path / "one")
        assert rows == [] and [reject.reason for reject in rejects] == ["photo_unreadable"]

    def test_its_path_is_printed_as_it_is_though_it_looks_like_markup(self, two_versions, tmp_path, capsys):
        photo = tmp_path / "album[" / "1900]" / "scan[front].jpg"
        photo.parent.mkdir(parents=True)
        photo.write_bytes(jpeg(3)[:200])
        chosen = [f"score.photos={json.dumps([str(photo)])}", "score.model=visage@champion"]
        score.run(recipe.load("default", chosen), None, tmp_path)
        assert f"{photo}: photo_unreadable" in capsys.readouterr().out, "and on one line, however long"

    def test_an_archive_of_several_wants_a_folder(self, model, tmp_path):
        archive = zipped(tmp_path / "some.zip", {"1.jpg": jpeg(1), "2.jpg": jpeg(2)})
        with pytest.raises(VisageError, match="Where shall their scores go") as raised:
            one_photo.score(ScoreSettings(photos=(str(archive),), model=model), tmp_path)
        assert raised.value.exit_code == 2

    @pytest.mark.slow
    def test_the_command_prints_a_table_and_loads_neither_beam_nor_tfdv(self, model, tmp_path):
        photo = tmp_path / "face.jpg"
        photo.write_bytes(jpeg(3))
        code = (
            "import sys; from pipeline.cli import main; code = main(sys.argv[1:]); "
            "print(sorted({'apache_beam', 'tensorflow_data_validation'} & set(sys.modules))); sys.exit(code)"
        )
        command = [sys.executable, "-c", code, "score", str(photo), "--faces", "whole", "--root", str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=500)
        assert done.returncode == 0, done.stderr
        assert "90 % between" in done.stdout and "by visage version 1" in done.stdout
        assert done.stdout.endswith("[]\n")
        assert "IPython" not in done.stderr


class TestTheSameCommandAgain:
    def score(self, photos: Path, out: Path) -> None:
        chosen = [f"score.photos=[{photos}]", "score.model=visage@champion", "score.faces=whole"]
        score.run(recipe.load("default", chosen), str(out), out.parent)

    def test_is_done_already_until_another_version_is_champion(self, two_versions, tmp_path, capsys):
        photos, out = made_photos.folder(tmp_path / "faces", 3), tmp_path / "scores"
        self.score(photos, out)
        modified = (out / "manifest.json").stat().st_mtime_ns
        self.score(photos, out)
        assert "this job is done already" in capsys.readouterr().out
        assert (out / "manifest.json").stat().st_mtime_ns == modified
        registry.promote("visage/2")
        self.score(photos, out)
        assert "done by visage/1" in capsys.readouterr().out
        assert set(pq.read_table(out / "scores")["model_version"].to_pylist()) == {"2"}

    def test_is_not_done_for_a_model_of_another_server_that_is_called_the_same(self, two_versions, tmp_path):
        photos, out = made_photos.folder(tmp_path / "faces", 1), tmp_path / "scores"
        self.score(photos, out)
        assert is_current(out, Surroundings())
        summary = json.loads((out / "summary.json").read_text())
        (out / "summary.json").write_text(json.dumps(summary | {"model_run": "that of the other server"}))
        assert not is_current(out, Surroundings())

    def test_is_scored_anew_where_photos_were_added(self, two_versions, tmp_path, capsys):
        photos, out = made_photos.folder(tmp_path / "faces", 2), tmp_path / "scores"
        self.score(photos, out)
        (photos / "late.jpg").write_bytes(jpeg(77))
        self.score(photos, out)
        assert "have changed since: scored anew" in capsys.readouterr().out
        assert len(set(pq.read_table(out / "scores")["path"].to_pylist())) == 3

    def test_of_a_version_with_other_settings_is_another_job(self, two_versions, tmp_path):
        photos, out = made_photos.folder(tmp_path / "faces", 1), tmp_path / "scores"
        self.score(photos, out)
        manifest = json.loads((out / "manifest.json").read_text())
        manifest["settings"]["score"]["no_longer"] = 1
        (out / "manifest.json").write_text(json.dumps(manifest | {"fingerprint": "old"}))
        with pytest.raises(VisageError, match="holds the scores of another job"):
            self.score(photos, out)

    def test_does_not_touch_the_scores_of_another_job(self, two_versions, tmp_path):
        out = tmp_path / "scores"
        self.score(made_photos.folder(tmp_path / "faces", 2), out)
        with pytest.raises(VisageError, match="holds the scores of another job"):
            self.score(made_photos.folder(tmp_path / "others", 2), out)
