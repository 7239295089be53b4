"""An artifact is whole or it does not exist."""

import json
import os
import shutil
from pathlib import Path

import pytest

from schemas.artifact import MANIFEST, Manifest, is_whole, partial_folder, publish, read_manifest
from schemas.error import VisageError

MADE = Manifest("toy", "f" * 64, {"a": {"b": 1}}, {"ingest": "e" * 64}, counts={"rows": 3}, seconds=1.5)


def written(folder, text: str):
    folder.mkdir(parents=True)
    (folder / "data").write_text(text)
    return folder


def test_a_published_folder_has_its_manifest_and_its_name(tmp_path):
    final = tmp_path / "toy" / "one"
    partial = written(partial_folder(final), "content")
    assert not is_whole(partial)
    publish(partial, final, MADE)
    assert is_whole(final)
    assert read_manifest(final) == MADE
    assert (final / "data").read_text() == "content"
    assert not partial.exists()


def test_an_older_artifact_of_the_name_gives_way(tmp_path):
    final = tmp_path / "one"
    for text in ("old", "new"):
        publish(written(partial_folder(final), text), final, MADE)
    assert (final / "data").read_text() == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["one"]


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


@pytest.mark.parametrize("moment", ["before the old gives way", "between old and new", "before the old is removed"])
def test_killed_while_one_takes_the_place_of_another_a_whole_one_is_there(tmp_path, monkeypatch, moment):
    final = tmp_path / "one"
    publish(written(partial_folder(final), "old"), final, MADE)
    renames, rename = [], Path.rename

    def die(*arguments, **more):
        raise Killed

    def renamed(path, target):
        if path.name == final.name or target == final:
            renames.append(path)
            if len(renames) == {"before the old gives way": 1, "between old and new": 2}.get(moment):
                raise Killed
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", renamed)
        patch.setattr("shutil.rmtree", shutil.rmtree if moment != "before the old is removed" else die_after_first(die))
        with pytest.raises(Killed):
            publish(written(partial_folder(final, "f" * 64), "new"), final, MADE)
    assert is_whole(final)
    assert (final / "data").read_text() == ("old" if moment == "before the old gives way" else "new")
    publish(written(partial_folder(final, "e" * 64), "newer"), final, MADE)
    assert (final / "data").read_text() == "newer"


def die_after_first(die):
    calls = []

    def remove(*arguments, **more):
        calls.append(arguments)
        if len(calls) == 2:
            die()

    return remove


def test_without_a_new_one_the_old_gets_its_name_back(tmp_path):
    final = tmp_path / "one"
    publish(written(partial_folder(final), "old"), final, MADE)
    final.rename(tmp_path / ".one.replaced")
    assert read_manifest(final) == MADE
    assert (final / "data").read_text() == "old"


def test_every_file_is_on_disk_before_the_manifest_says_that_it_counts(tmp_path, monkeypatch):
    synced, fsync = [], os.fsync

    def note(descriptor):
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    partial = written(partial_folder(tmp_path / "one"), "content")
    (partial / "inside").mkdir()
    (partial / "inside" / "shard").write_text("1")
    publish(partial, tmp_path / "one", MADE)
    manifest = synced.index(".manifest.json")
    assert {"data", "shard", "inside", ".one.partial"} <= set(synced[:manifest])


def test_fields_of_another_version_of_visage_are_passed_over(tmp_path):
    final = tmp_path / "one"
    publish(written(partial_folder(final), "content"), final, MADE)
    content = json.loads((final / MANIFEST).read_text())
    (final / MANIFEST).write_text(json.dumps(content | {"of_tomorrow": 1}))
    assert read_manifest(final) == MADE


@pytest.mark.parametrize("text", [None, "", "{", "[]", json.dumps({"step": "toy"}), json.dumps({"unknown": 1})])
def test_a_folder_without_a_sound_manifest_is_refused(tmp_path, text):
    if text is not None:
        (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(VisageError, match="not a finished artifact"):
        read_manifest(tmp_path)
