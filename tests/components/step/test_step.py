"""What it takes to run a step: folders, manifest, and going on after an interruption."""

import json

import pytest

from components.step import Step, Tracker, execute, newest
from components.step.settings import Section, external_path, runtime_only
from schemas.artifact import MANIFEST, is_whole, partial_folder, read_manifest
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
    assert not partial_folder(final).exists()


def test_a_failed_step_leaves_no_artifact(tmp_path):
    final = tmp_path / "one"
    with pytest.raises(VisageError):
        execute(step(fail), Settings(), {}, final, Tracker())
    assert not final.exists()
    assert not is_whole(partial_folder(final))


def test_a_step_starts_anew_unless_it_can_resume_the_same_work(tmp_path):
    def look(settings, job):
        return {"found": sorted(file.name for file in job.output.iterdir() if file.name == "half")}

    final = tmp_path / "one"

    def after_failure(value, **more):
        with pytest.raises(VisageError):
            execute(step(fail, **more), Settings(value=1), {}, final, Tracker())
        return execute(step(look, **more), Settings(value=value), {}, final, Tracker()).counts["found"]

    assert after_failure(1) == []
    assert after_failure(1, resumable=True) == ["half"]
    assert after_failure(2, resumable=True) == [], "other settings are other work"


def test_a_step_sees_the_newest_artifact_that_was_made_before(tmp_path):
    seen = []

    def look(settings, job):
        seen.append(job.previous)
        return {}

    for name in ("one", "two"):
        execute(step(look), Settings(), {}, tmp_path / name, Tracker())
    assert seen == [None, tmp_path / "one"]
    (tmp_path / "two" / MANIFEST).unlink()
    assert newest(tmp_path) == tmp_path / "one"


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
