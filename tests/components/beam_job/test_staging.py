"""Where the workers of a job meet, by the setting `beam.staging`."""

from pathlib import Path

import pytest

from components.beam_job import BeamSettings, staging_place
from schemas.error import VisageError


def place(staging: str) -> str:
    return staging_place(BeamSettings(staging=staging), Path("artifacts/scores"), "score")


def test_it_is_beside_the_output_where_nothing_is_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert place("") == f"{tmp_path}/artifacts/scores/staging"


@pytest.mark.parametrize("staging", ["shared", "shared/", "~/shared", "file://{here}/shared", "{here}/shared"])
def test_a_folder_may_be_named_as_any_other_place(staging, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert place(staging.format(here=tmp_path)) == f"{tmp_path}/shared/score"


def test_a_url_stays_one():
    assert place("s3://bucket/jobs/") == "s3://bucket/jobs/score"


def test_a_file_of_another_machine_is_one_message():
    with pytest.raises(VisageError, match=r"another machine, elsewhere \(beam\.staging\)"):
        place("file://elsewhere/jobs")
