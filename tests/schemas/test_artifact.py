"""An artifact is whole or it does not exist."""

import json

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


@pytest.mark.parametrize("text", [None, "", "{", "[]", json.dumps({"step": "toy"}), json.dumps({"unknown": 1})])
def test_a_folder_without_a_sound_manifest_is_refused(tmp_path, text):
    if text is not None:
        (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(VisageError, match="not a finished artifact"):
        read_manifest(tmp_path)
