"""Jobs over photos in a bucket, with their scores, or what workers share, in a bucket: a server on loopback that speaks S3."""

import io
import json
import os
import pickle
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from components import registry
from components.score import STEP, job, lease, parts
from components.score.settings import Settings
from components.step import StepContext
from components.storage import files
from pipeline import recipe
from pipeline.cli import score
from schemas.error import VisageError
from tests.components.score.made_photos import jpeg, tarred, zipped

WHOLE = ["manifest.json", "rejects.parquet", "scores/scores-00000.parquet", "summary.html", "summary.json"]


def command(photos: str, out: str, root: Path, *chosen: str) -> None:
    """`visage score PHOTOS --out OUT`."""
    overrides = [f"score.photos=[{photos}]", "score.model=visage@champion", "score.faces=whole"]
    score.run(recipe.load("default", [*overrides, *chosen]), out, root)


def rows(out: str) -> pd.DataFrame:
    tables = (files.read_bytes(f"{out}/{name}") for name in sorted(files.file_names(out)) if name.startswith("scores/"))
    return pd.concat([pq.read_table(io.BytesIO(table)).to_pandas() for table in tables])


def album(s3, name: str, count: int) -> str:
    for number in range(count):
        s3(f"{name}/{number:03d}.jpg", jpeg(number))
    return s3.url(name)


def test_photos_of_a_bucket_are_scored(s3, tmp_path, model, output: Path):
    for number in range(1, 3):
        s3(f"album/{number}.jpg", jpeg(number))
    s3("album/empty.jpg", b"")
    s3("some.zip", zipped(tmp_path / "some.zip", {f"{n}.jpg": jpeg(n) for n in range(10, 20)}).read_bytes())
    s3("some.tar.gz", tarred(tmp_path / "t.gz", {f"{n}.jpg": jpeg(n) for n in range(20, 25)}, "gz").read_bytes())
    photos = [s3.url(name) for name in ("album", "some.zip", "some.tar.gz")]
    settings = Settings.model_validate(
        {"score": {"photos": photos, "model": model, "faces": "whole"}, "beam": {"workers": 2}}
    )
    STEP.run(settings, StepContext({}, output))
    summary = json.loads((output / "summary.json").read_text())
    assert (summary["photos"], summary["scored"], summary["rejects"]) == (18, 17, {"not_a_photo": 1})


def test_what_workers_share_can_lie_in_a_bucket_and_is_removed_at_the_end(
    s3, tmp_path, model, output: Path, small_parts, monkeypatch
):
    staged_names: set[str] = set()
    keep = parts.keep

    def seeing(folder, number, part):
        keep(folder, number, part)
        staged_names.update(files.file_names(s3.url("staging")))
        assert not (output / "staging").exists()

    monkeypatch.setattr(parts, "keep", seeing)
    score_settings = {"photos": [album(s3, "staged", 10)], "model": model, "faces": "whole"}
    settings = Settings.model_validate({"score": score_settings, "beam": {"staging": s3.url("staging"), "workers": 1}})
    STEP.run(settings, StepContext({}, output))
    assert {Path(name).suffix for name in staged_names} == {".arrow", ".json", ".zip"}
    assert len(rows(str(output))) == 10
    assert list(files.file_names(s3.url("staging"))) == []


class TestScoresInABucket:
    def test_they_are_those_of_a_job_into_a_folder(self, s3, two_versions, tmp_path, small_parts, capsys):
        photos = album(s3, "faces", 20)
        s3("faces/text.txt", b"hello")
        out = s3.url("out")
        command(photos, out, tmp_path)
        assert sorted(files.file_names(out)) == WHOLE
        assert f"{out}/summary.html" in capsys.readouterr().out.replace("\n", "")
        command(photos, str(tmp_path / "out"), tmp_path)
        here, there = (rows(place).drop(columns="scored_at") for place in (str(tmp_path / "out"), out))
        pd.testing.assert_frame_equal(here, there, check_exact=True)
        summary = json.loads(files.read_bytes(f"{out}/summary.json"))
        assert (summary["photos"], summary["scored"], summary["rejected"]) == (21, 20, 1)

    def test_workers_are_told_of_no_folder_of_the_machine_that_starts_the_job(
        self, s3, two_versions, tmp_path, monkeypatch
    ):
        calls: list[tuple] = []
        begin = job.ScoreParts.__init__

        def noting(self, *arguments) -> None:
            calls.append(arguments)
            begin(self, *arguments)

        monkeypatch.setattr(job.ScoreParts, "__init__", noting)
        command(album(s3, "far", 2), s3.url("far-out"), tmp_path)
        (_, places) = calls[0]
        assert {place.partition("/staging/")[0] for place in (places.plan, places.parts, places.model.place)} == {
            s3.url("far-out")
        }
        carried = pickle.dumps(calls)
        files_of_the_model = registry.download(registry.resolve("visage@champion"))
        for folder in (tmp_path, files_of_the_model, Path.home(), Path.cwd()):
            assert os.fsencode(folder) not in carried

    def test_the_same_command_again_says_that_it_is_done(self, s3, two_versions, tmp_path, capsys):
        photos, out = album(s3, "again", 2), s3.url("again-out")
        command(photos, out, tmp_path)
        manifest = files.read_bytes(f"{out}/manifest.json")
        command(photos, out, tmp_path)
        assert "this job is done already" in capsys.readouterr().out
        assert files.read_bytes(f"{out}/manifest.json") == manifest

    def test_another_champion_scores_anew_in_the_same_place(self, s3, two_versions, tmp_path, capsys):
        photos, out = album(s3, "anew", 3), s3.url("anew-out")
        command(photos, out, tmp_path)
        registry.promote("visage/2")
        command(photos, out, tmp_path)
        assert "done by visage/1" in capsys.readouterr().out
        assert list(rows(out)["model_version"]) == ["2"] * 3
        assert sorted(files.file_names(out)) == WHOLE

    def test_an_interrupted_job_goes_on_and_scores_nothing_twice(
        self, s3, two_versions, tmp_path, small_parts, monkeypatch
    ):
        photos, out = album(s3, "broken", 30), s3.url("broken-out")
        keep = parts.keep
        numbers: list[int] = []

        def until_interrupted(folder, number, part):
            if len(numbers) == 2:
                raise VisageError("interrupted")
            numbers.append(number)
            keep(folder, number, part)

        monkeypatch.setattr(parts, "keep", until_interrupted)
        with pytest.raises(VisageError, match="interrupted"):
            command(photos, out, tmp_path, "beam.workers=1")
        assert "summary.json" not in list(files.file_names(out))

        def only_the_others(folder, number, part):
            assert number not in numbers
            keep(folder, number, part)

        monkeypatch.setattr(parts, "keep", only_the_others)
        command(photos, out, tmp_path)
        assert sorted(files.file_names(out)) == WHOLE
        assert list(rows(out)["path"]) == [f"{number:03d}.jpg" for number in range(30)]
        assert rows(out)["scored_at"].nunique() == 1

    def test_what_was_interrupted_is_not_mixed_with_another_job(self, s3, two_versions, tmp_path, monkeypatch):
        photos, others, out = album(s3, "one", 2), album(s3, "two", 3), s3.url("mixed-out")
        keep = parts.keep

        def interrupted(*_):
            raise VisageError("interrupted")

        monkeypatch.setattr(parts, "keep", interrupted)
        with pytest.raises(VisageError, match="interrupted"):
            command(photos, out, tmp_path)
        monkeypatch.setattr(parts, "keep", keep)
        with pytest.raises(VisageError, match=r"holds another job, begun at .* and interrupted"):
            command(others, out, tmp_path)
        command(photos, out, tmp_path)
        with pytest.raises(VisageError, match="holds the scores of another job"):
            command(others, out, tmp_path)
        assert len(rows(out)) == 2

    def test_another_job_at_work_there_is_one_message(self, s3, two_versions, tmp_path, monkeypatch):
        photos, out = album(s3, "shared", 2), s3.url("shared-out")
        monkeypatch.setattr(lease, "RENEWED_EVERY", 0.01)
        with lease.lease(out), pytest.raises(VisageError, match=f"Another job is at work at {out}, begun at"):
            command(photos, out, tmp_path)
        command(photos, out, tmp_path)
        assert sorted(files.file_names(out)) == WHOLE

    def test_a_job_whose_place_was_taken_over_does_not_write_over_the_scores_there(
        self, s3, two_versions, tmp_path, monkeypatch
    ):
        photos, out = album(s3, "slept", 2), s3.url("slept-out")
        command(photos, out, tmp_path)
        keep, manifest = parts.keep, files.read_bytes(f"{out}/manifest.json")

        def while_another_takes_over(folder, number, part):
            keep(folder, number, part)
            files.remove_folder(f"{out}/{lease.FOLDER}")

        monkeypatch.setattr(parts, "keep", while_another_takes_over)
        registry.promote("visage/2")
        with pytest.raises(VisageError, match=f"Another job has taken over {out}"):
            command(photos, out, tmp_path)
        assert files.read_bytes(f"{out}/manifest.json") == manifest
        assert list(rows(out)["model_version"]) == ["1"] * 2

    def test_a_place_that_holds_something_else_is_left_as_it_is(self, s3, two_versions, tmp_path):
        s3("mine/thesis.txt", b"all my work")
        with pytest.raises(VisageError, match="holds something else"):
            command(album(s3, "some", 1), s3.url("mine"), tmp_path)
        assert list(files.file_names(s3.url("mine"))) == ["thesis.txt"]

    def test_a_bucket_that_is_not_there_is_one_message(self, s3, two_versions, tmp_path):
        with pytest.raises(VisageError, match="s3://no-such-bucket/out"):
            command(album(s3, "nowhere", 1), "s3://no-such-bucket/out", tmp_path)
