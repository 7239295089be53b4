"""What it takes to run a step: folders, manifest, and going on after an interruption."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from components.step import Step, Tracker, execute, identity, newest
from components.step.execute import collect_outdated
from components.step.settings import Section, external_path, runtime_only
from schemas.artifact import MANIFEST, is_whole, partial_folders, read_manifest
from schemas.error import VisageError


class Settings(Section):
    value: int = 1
    workers: int = runtime_only(1, "how many")
    path: str = external_path("", "outside")


def step(run, **more):
    return Step("toy", "a toy", Settings, (), run, **more)


def write(settings, job):
    (job.output / "value").write_text(str(settings.value))
    return {"value": settings.value}


def fail(settings, job):
    (job.output / "half").write_text("")
    raise VisageError("no")


def test_the_artifact_appears_whole_with_its_manifest(tmp_path):
    final = tmp_path / "toy" / "one"
    manifest = execute(step(write), Settings(value=5), {}, final, Tracker())
    assert (final / "value").read_text() == "5"
    assert read_manifest(final) == manifest
    assert manifest.counts == {"value": 5}
    assert manifest.settings == {"value": 5, "workers": 1, "path": ""}
    assert [file.name for file in final.parent.iterdir()] == ["one"]
    assert sorted(file.name for file in final.iterdir()) == ["manifest.json", "value"]


def test_a_failed_step_leaves_no_artifact(tmp_path):
    final = tmp_path / "one"
    with pytest.raises(VisageError):
        execute(step(fail), Settings(), {}, final, Tracker())
    assert not final.exists()
    assert [is_whole(left) for left in partial_folders(final)] == [False]


def interrupted(tmp_path, **settings) -> Path:
    """A resumable step that was interrupted; gives what it left."""
    with pytest.raises(VisageError, match="no"):
        execute(step(fail, resumable=True), Settings(**settings), {}, tmp_path / "one", Tracker())
    (left,) = [folder for folder in partial_folders(tmp_path / "one") if (folder / "half").exists()]
    return left


class TestInterrupted:
    @staticmethod
    def look(settings, context):
        return {"found": sorted(file.name for file in context.output.iterdir() if file.name == "half")}

    def test_a_resumable_step_goes_on_and_any_other_starts_anew(self, tmp_path):
        interrupted(tmp_path, value=1)
        assert execute(step(self.look), Settings(value=1), {}, tmp_path / "one", Tracker()).counts["found"] == []
        interrupted(tmp_path / "resumed", value=1)
        final = tmp_path / "resumed" / "one"
        assert execute(step(self.look, resumable=True), Settings(value=1), {}, final, Tracker()).counts["found"] == [
            "half"
        ]

    def test_of_another_job_it_says_what_is_done_anew_and_keeps_the_work_until_then(self, tmp_path, caplog):
        photos = tmp_path / "photos"
        photos.mkdir()
        left = interrupted(tmp_path, path=str(photos))
        (photos / "one_more.jpg").write_text("")
        with pytest.raises(VisageError, match="no"):
            execute(step(fail, resumable=True), Settings(path=str(photos), value=2), {}, tmp_path / "one", Tracker())
        assert (left / "half").exists()
        (message,) = [record.message for record in caplog.records if "done anew" in record.message]
        assert str(left) in message and "settings: value; files: path" in message

    def test_what_was_changed_and_taken_back_is_gone_on_with(self, tmp_path):
        interrupted(tmp_path, value=1)
        with pytest.raises(VisageError, match="no"):
            execute(step(fail, resumable=True), Settings(value=2), {}, tmp_path / "one", Tracker())
        done = execute(step(self.look, resumable=True), Settings(value=1), {}, tmp_path / "one", Tracker())
        assert done.counts["found"] == ["half"]

    def test_when_the_job_is_done_what_others_left_for_its_name_goes_with_a_line(self, tmp_path, caplog):
        caplog.set_level("INFO")
        left = interrupted(tmp_path, value=1)
        execute(step(self.look, resumable=True), Settings(value=2), {}, tmp_path / "one", Tracker())
        assert [file.name for file in tmp_path.iterdir()] == ["one"]
        assert any("removed" in record.message and str(left) in record.message for record in caplog.records)

    def test_two_jobs_do_not_write_to_one_folder_at_once(self, tmp_path):
        def meanwhile(settings, context):
            with pytest.raises(VisageError, match=f"Another job is writing to {tmp_path}/one"):
                execute(step(write), Settings(value=settings.value + 1), {}, tmp_path / "one", Tracker())
            return {}

        execute(step(meanwhile), Settings(value=1), {}, tmp_path / "one", Tracker())
        assert is_whole(tmp_path / "one")


class TestLeftovers:
    """What `collect_outdated` takes of the partial folders that lie in a pipeline root."""

    RESUMABLE = step(write, resumable=True)

    @pytest.fixture
    def left(self, tmp_path):
        photos = tmp_path / "photos"
        photos.mkdir()
        return interrupted(tmp_path, path=str(photos), value=1)

    def identity(self, tmp_path, value=1):
        return identity.of_step(self.RESUMABLE, Settings(path=str(tmp_path / "photos"), value=value), {})

    def test_what_differs_in_settings_alone_is_kept(self, left, tmp_path):
        assert collect_outdated(self.RESUMABLE, self.identity(tmp_path, value=2), [left]) == []
        assert left.exists()

    def test_what_was_made_of_photos_that_are_others_now_goes_with_a_line(self, left, tmp_path):
        (tmp_path / "photos" / "one_more.jpg").write_text("")
        (line,) = collect_outdated(self.RESUMABLE, self.identity(tmp_path), [left])
        assert "removed" in line and str(left) in line and "files: path" in line
        assert not left.exists()

    def test_what_was_made_with_other_code_or_packages_goes(self, left, tmp_path):
        assert collect_outdated(self.RESUMABLE, replace(self.identity(tmp_path), installed={"keras": "9"}), [left])
        assert not left.exists()

    def test_what_cannot_be_gone_on_with_goes(self, left, tmp_path):
        assert collect_outdated(step(write), self.identity(tmp_path), [left])
        assert not left.exists()


def test_a_step_sees_the_newest_artifact_that_was_made_before(tmp_path):
    previous = []

    def look(settings, job):
        previous.append(job.previous)
        return {}

    for name in ("one", "two"):
        execute(step(look), Settings(), {}, tmp_path / name, Tracker())
    assert previous == [None, tmp_path / "one"]
    (tmp_path / "two" / MANIFEST).unlink()
    assert newest(tmp_path, "toy") == tmp_path / "one"


def test_another_steps_artifact_in_the_same_folder_is_none_of_its_earlier_ones(tmp_path):
    previous = []

    def look(settings, context):
        previous.append(context.previous)
        return {}

    other = Step("other", "another step", Settings, (), write)
    execute(other, Settings(), {}, tmp_path / "others", Tracker())
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / MANIFEST).write_text("{")
    execute(step(look), Settings(), {}, tmp_path / "mine", Tracker())
    assert previous == [None]


def test_a_folder_with_a_damaged_manifest_is_no_input(tmp_path):
    execute(step(write), Settings(), {}, tmp_path / "one", Tracker())
    (tmp_path / "one" / MANIFEST).write_text(json.dumps({"step": "toy"})[:5])
    reader = Step("reader", "reads", Settings, ("toy",), write)
    with pytest.raises(VisageError, match="not a finished artifact"):
        execute(reader, Settings(), {"toy": tmp_path / "one"}, tmp_path / "two", Tracker())


def test_a_folder_that_holds_something_else_is_not_overwritten(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "precious.jpg").write_text("x")
    with pytest.raises(VisageError, match="something that no step made"):
        execute(step(write), Settings(), {}, tmp_path / "photos", Tracker())
    assert (tmp_path / "photos" / "precious.jpg").exists()
