"""What a step leaves at a place that outlives its machine: a folder, or a bucket of a server on loopback."""

import json
import os
import time
from contextlib import suppress
from pathlib import Path

import pytest

from components.step import Step, Tracker, artifact_store, execute
from components.step.artifact_store import ArtifactStore
from components.step.settings import Section
from components.storage import files
from schemas.artifact import partial_folder
from schemas.error import VisageError
from tests.components.storage.conftest import s3, s3_client  # noqa: F401 - fixtures


class Settings(Section):
    pass


def write(settings, context):
    (context.output / "a folder").mkdir()
    (context.output / "a folder" / "one").write_text("1")
    (context.output / "two").write_text("2")
    return {"numbers": 2}


STEP = Step("writes", "writes", Settings, (), write)
RESUMABLE = Step("epochs", "epochs", Settings, (), write, resumable=True)
DIGEST = "0123456789abcdef" * 4


@pytest.fixture(params=["folder", "bucket"])
def place(request, tmp_path):
    if request.param == "folder":
        return str(tmp_path / "store")
    return request.getfixturevalue("s3").url(tmp_path.name)


@pytest.fixture
def manifest(tmp_path):
    return execute(STEP, Settings(), {}, tmp_path / "made", Tracker())


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_an_artifact_is_fetched_as_it_was_kept(place, manifest, tmp_path):
    assert ArtifactStore(place).manifest_of(STEP, manifest.fingerprint) is None
    assert not ArtifactStore(place).fetch(STEP, manifest.fingerprint, tmp_path / "fetched")
    ArtifactStore(place).keep(STEP, tmp_path / "made", manifest)
    assert ArtifactStore(place).manifest_of(STEP, manifest.fingerprint) == manifest
    (tmp_path / "fetched").mkdir()  # as Kubeflow may have made it
    assert ArtifactStore(place).fetch(STEP, manifest.fingerprint, tmp_path / "fetched")
    assert content(tmp_path / "fetched") == content(tmp_path / "made")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "store") == ["fetched", "made"]


def test_an_artifact_that_another_version_has_said_more_of_is_one_all_the_same(place, manifest, tmp_path):
    ArtifactStore(place).keep(STEP, tmp_path / "made", manifest)
    record = f"{place}/artifacts/writes/{manifest.fingerprint[:16]}.json"
    content = json.loads(files.read_bytes(record))
    content["manifest"]["weather"] = "fair"
    files.write_bytes(record, json.dumps(content).encode())
    assert ArtifactStore(place).manifest_of(STEP, manifest.fingerprint) == manifest


@pytest.mark.parametrize("content", ["[]", "{}", '{"manifest": {}}'])
def test_a_record_that_is_none_is_one_message(place, manifest, tmp_path, content):
    ArtifactStore(place).keep(STEP, tmp_path / "made", manifest)
    files.write_bytes(f"{place}/artifacts/writes/{manifest.fingerprint[:16]}.json", content.encode())
    with pytest.raises(VisageError, match=r"artifact store .* cannot be used: .*\.json is damaged"):
        ArtifactStore(place).manifest_of(STEP, manifest.fingerprint)


def test_an_artifact_of_another_fingerprint_is_not_the_one(place, manifest, tmp_path):
    ArtifactStore(place).keep(STEP, tmp_path / "made", manifest)
    assert not ArtifactStore(place).fetch(STEP, manifest.fingerprint[:16] + "0" * 48, tmp_path / "fetched")


def test_an_artifact_that_has_lost_a_file_is_none(place, manifest, tmp_path):
    ArtifactStore(place).keep(STEP, tmp_path / "made", manifest)
    (lost,) = [name for name in files.file_names(f"{place}/artifacts") if name.endswith("a folder/one")]
    files.remove(f"{place}/artifacts/{lost}")
    assert not ArtifactStore(place).fetch(STEP, manifest.fingerprint, tmp_path / "fetched")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "store") == ["made"]


def test_an_artifact_half_written_is_none(place, manifest, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "write_bytes", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(VisageError, match=r"artifact store .* cannot be used: No space left"):
        ArtifactStore(place).keep(STEP, tmp_path / "made", manifest)
    assert not ArtifactStore(place).fetch(STEP, manifest.fingerprint, tmp_path / "fetched")


def test_nothing_takes_the_place_of_what_is_there(place, manifest, tmp_path):
    ArtifactStore(place).keep(STEP, tmp_path / "made", manifest)
    with pytest.raises(VisageError, match="is not empty"):
        ArtifactStore(place).fetch(STEP, manifest.fingerprint, tmp_path / "made")


def test_a_place_that_cannot_be_used_is_one_message(manifest, tmp_path):
    (tmp_path / "file").write_text("")
    for use in (
        lambda store: store.keep(STEP, tmp_path / "made", manifest),
        lambda store: store.manifest_of(STEP, manifest.fingerprint),
    ):
        with pytest.raises(VisageError, match=r"artifact store .* cannot be used") as raised:
            use(ArtifactStore(str(tmp_path / "file")))
        assert "artifact_store in the cluster profile" in raised.value.hint


def epoch(partial: Path, number: int) -> None:
    """Write as training does: weights under a new name, then the checkpoint that names them, then the old ones go."""
    partial.mkdir(exist_ok=True)
    (partial / f"weights-{number}").write_text(f"weights {number}")
    (partial / "last.partial").write_text(f"{number}")
    (partial / "last.partial").replace(partial / "last")
    (partial / f"weights-{number - 1}").unlink(missing_ok=True)


def until(condition) -> None:
    for _ in range(12_000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it has not come")


def unfinished_files(place: str) -> dict[str, bytes]:
    contents = {}
    for name in list(files.file_names(place)):
        with suppress(FileNotFoundError):  # just removed
            contents[Path(name).name] = files.read_bytes(f"{place}/{name}")
    return contents


def test_a_step_whose_machine_is_lost_goes_on_from_its_last_checkpoint(place, tmp_path, monkeypatch):
    """The machine is lost while the step works: nothing is said to it, and its disk is gone."""
    monkeypatch.setattr(artifact_store, "EVERY", 0.02)
    partial = partial_folder(tmp_path / "first", DIGEST)
    lost = ArtifactStore(place, "run-1").carried(RESUMABLE, DIGEST, partial)
    lost.__enter__()
    for number in (1, 2, 3):
        epoch(partial, number)
        until(
            lambda number=number: (
                unfinished_files(place) == {"last": b"%d" % number, f"weights-{number}": b"weights %d" % number}
            )
        )
    again = partial_folder(tmp_path / "second", DIGEST)
    with ArtifactStore(place, "run-1").carried(RESUMABLE, DIGEST, again):
        assert content(again) == {"last": b"3", "weights-3": b"weights 3"}
        epoch(again, 4)
        until(lambda: unfinished_files(place) == {"last": b"4", "weights-4": b"weights 4"})
    assert unfinished_files(place) == {}
    assert not (tmp_path / "store" / "unfinished" / "run-1" / f"epochs-{DIGEST[:16]}").exists()
    lost.__exit__(None, None, None)


def test_what_a_step_wrote_last_is_kept_when_a_signal_ends_it(place, tmp_path):
    partial = partial_folder(tmp_path / "first", DIGEST)
    with pytest.raises(KeyboardInterrupt), ArtifactStore(place, "run-1").carried(RESUMABLE, DIGEST, partial):
        epoch(partial, 1)
        raise KeyboardInterrupt
    assert unfinished_files(place) == {"last": b"1", "weights-1": b"weights 1"}


@pytest.mark.parametrize(
    ("step", "run", "digest"),
    [
        (STEP, "run-1", DIGEST),
        (RESUMABLE, "run-2", DIGEST),
        (RESUMABLE, "run-1", DIGEST[::-1]),
        (RESUMABLE, "", DIGEST),
    ],
    ids=["one that cannot resume", "another run", "other work", "no run"],
)
def test_nobody_else_goes_on_with_it(step, run, digest, tmp_path):
    place = str(tmp_path / "store")
    with (
        pytest.raises(KeyboardInterrupt),
        ArtifactStore(place, "run-1").carried(RESUMABLE, DIGEST, tmp_path / ".a.partial"),
    ):
        epoch(tmp_path / ".a.partial", 1)
        raise KeyboardInterrupt
    with ArtifactStore(place, run).carried(step, digest, tmp_path / ".b.partial"):
        assert not (tmp_path / ".b.partial").exists()


def test_of_several_hosts_all_begin_with_what_the_first_kept_and_none_of_the_others_keeps_anything(
    place, manifest, tmp_path
):
    first, second = tmp_path / ".a.partial", tmp_path / ".b.partial"
    with pytest.raises(KeyboardInterrupt), ArtifactStore(place, "run-1").carried(RESUMABLE, DIGEST, first):
        epoch(first, 1)
        raise KeyboardInterrupt
    other = ArtifactStore(place, "run-1", first=False)
    with pytest.raises(KeyboardInterrupt), other.carried(RESUMABLE, DIGEST, second):
        assert content(second) == {"last": b"1", "weights-1": b"weights 1"}
        epoch(second, 2)
        raise KeyboardInterrupt
    assert unfinished_files(place) == {"last": b"1", "weights-1": b"weights 1"}
    with other.carried(RESUMABLE, DIGEST, second):
        other.keep(STEP, tmp_path / "made", manifest)
    assert unfinished_files(place) == {"last": b"1", "weights-1": b"weights 1"}, (
        "what the first has kept is its own to remove"
    )


def test_a_checkpoint_never_comes_before_what_it_names(tmp_path):
    """Of files that are sent one after another, those that were written first go first, whatever they are called."""
    partial = tmp_path / ".a.partial"
    partial.mkdir()
    order = ["z", "m", "a"]
    for age, name in enumerate(order):
        (partial / name).write_text(name)
        os.utime(partial / name, (1_000_000 + age, 1_000_000 + age))
    sent = []
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(files, "copy", lambda source, target: sent.append(Path(target).name))
        with ArtifactStore(str(tmp_path / "store"), "run-1").carried(RESUMABLE, DIGEST, partial):
            raise KeyboardInterrupt
    assert sent == order


def test_a_store_that_is_away_does_not_stop_the_step(tmp_path, caplog):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "unfinished").mkdir()
    (tmp_path / "store" / "unfinished" / "run-1").write_text("in the way")
    with (
        pytest.raises(KeyboardInterrupt),
        ArtifactStore(str(tmp_path / "store"), "run-1").carried(RESUMABLE, DIGEST, tmp_path / ".a.partial"),
    ):
        epoch(tmp_path / ".a.partial", 1)
        raise KeyboardInterrupt
    assert "could not be kept" in caplog.text
