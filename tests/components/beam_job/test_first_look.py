"""A worker looks whether it reaches what the job needs, before any work is done."""

import os

import apache_beam as beam
import pytest

from components.beam_job import BeamSettings, first_look, pipeline, run
from components.beam_job.first_look import Environment, FirstLook
from components.storage import files
from schemas.error import VisageError


def look(staging, *sources) -> None:
    job = pipeline(BeamSettings(workers=1))
    first_element = job | "look" >> FirstLook("ingest", str(staging), [str(source) for source in sources])
    _ = first_element | beam.Map(_worked, str(staging))
    run(job)


def _worked(_: bytes, staging: str) -> None:
    files.write_bytes(f"{staging}/work", b"done")


def test_the_work_begins_where_the_worker_reaches_all(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "a.jpg").touch()
    look(tmp_path / "staging", tmp_path / "photos", tmp_path / "a.jpg", tmp_path / "*.jpg")
    assert files.exists(f"{tmp_path}/staging/work")


def test_a_source_that_the_worker_does_not_find_is_named_and_nothing_is_done(tmp_path):
    with pytest.raises(VisageError, match=f"The workers find nothing at {tmp_path}/photos"):
        look(tmp_path / "staging", tmp_path / "photos")
    assert not files.exists(f"{tmp_path}/staging/work")


def test_a_staging_place_of_another_machine_is_none_even_if_it_has_the_same_name(tmp_path, monkeypatch):
    class Elsewhere(first_look.Look):
        """A worker on another machine, with the staging place of another job under the same path."""

        def process(self, element):
            files.write_bytes(f"{self._staging}/first-look.driver", b"of another job")
            yield from super().process(element)

    monkeypatch.setattr(first_look, "Look", Elsewhere)
    with pytest.raises(VisageError, match=f"do not see what this machine wrote to {tmp_path}") as raised:
        look(tmp_path)
    assert "beam.staging" in raised.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_source_that_is_closed_to_the_worker_is_named(tmp_path):
    (tmp_path / "photos").mkdir(mode=0)
    with pytest.raises(VisageError, match=r"The workers cannot read .*/photos: Permission denied"):
        look(tmp_path / "staging", tmp_path / "photos")


def test_a_worker_with_other_libraries_or_another_visage_is_told_of(tmp_path, monkeypatch):
    class Older(first_look.Look):
        """A worker of before an upgrade."""

        def process(self, element):
            expected = self._expected
            installed = {**expected.installed, "pillow": "13.0"}
            self._expected = Environment("of another commit", installed)
            yield from super().process(element)

    monkeypatch.setattr(first_look, "Look", Older)
    with pytest.raises(VisageError, match=r"other code of Visage, pillow .* instead of 13\.0"):
        look(tmp_path)
