"""An artifact that ends in a store: whole, with its manifest last, or not there."""

import logging

import pytest

from components.step import Step
from components.step.command import main
from components.step.destination import folder_for
from components.step.settings import Section
from components.storage import files
from schemas.error import VisageError
from tests.components.storage.conftest import s3, s3_client

__all__ = ["s3", "s3_client"]


class Toy(Section):
    names: tuple[str, ...] = ("a", "b/c")
    fails: bool = False


class Settings(Section):
    toy: Toy = Toy()


def write(settings, context):
    for name in settings.toy.names:
        (context.output / name).parent.mkdir(exist_ok=True)
        (context.output / name).write_text(name)
    if settings.toy.fails:
        raise VisageError("no")
    return {"names": 12345, "liked": True}


STEP = Step("toy", "a toy", Settings, (), write)


def run(out: str, **settings) -> int:
    chosen = [part for name, value in settings.items() for part in ("--set", f"toy.{name}={value}")]
    return main(STEP, [*chosen, "--out", out])


def test_a_url_holds_the_artifact_and_the_next_one_takes_its_place(s3, capsys):
    out = s3.url("artifacts/toy")
    assert run(out) == 0
    assert sorted(files.file_names(out)) == ["a", "b/c", "manifest.json"]
    printed = capsys.readouterr().out
    assert out in printed and "  names: 12,345\n  liked: True\n" in printed
    assert run(f"{out}/", names="[d]") == 0
    assert sorted(files.file_names(out)) == ["d", "manifest.json"]


def test_the_manifest_comes_last(s3, monkeypatch):
    out = s3.url("last/toy")
    assert run(out) == 0
    copied = []

    def copy(source: str, target: str) -> None:
        copied.append(target.removeprefix(f"{out}/"))
        assert not files.exists(f"{out}/manifest.json")
        if len(copied) == 2:
            raise OSError(5, "the store is gone")

    with monkeypatch.context() as patch:
        patch.setattr(files, "copy", copy)
        assert run(out) == 1
    assert "manifest.json" not in copied and not files.exists(f"{out}/manifest.json")
    assert run(out) == 0
    assert sorted(files.file_names(out)) == ["a", "b/c", "manifest.json"]


def test_of_a_step_that_failed_there_is_no_artifact_and_the_one_before_stays(s3):
    assert run(s3.url("failed/toy"), fails="true") == 1
    assert list(files.file_names(s3.url("failed/toy"))) == []
    assert run(s3.url("failed/toy")) == 0
    assert run(s3.url("failed/toy"), fails="true") == 1
    assert sorted(files.file_names(s3.url("failed/toy"))) == ["a", "b/c", "manifest.json"]


def test_what_was_left_half_brought_there_is_still_ours_when_the_next_try_fails(s3, monkeypatch):
    out = s3.url("half/toy")
    with monkeypatch.context() as patch:
        patch.setattr(files, "copy", lambda source, target: (_ for _ in ()).throw(OSError(5, "the store is gone")))
        files.write_bytes(f"{out}/.partial", b"")
        files.write_bytes(f"{out}/a", b"a")
        assert run(out) == 1
    assert run(out, fails="true") == 1
    assert run(out) == 0
    assert sorted(files.file_names(out)) == ["a", "b/c", "manifest.json"]


def test_a_step_that_had_nothing_to_do_takes_nothing_away(s3):
    out = s3.url("nothing/toy")
    with folder_for(out):
        pass
    assert list(files.file_names(out)) == []
    assert run(out) == 0
    with folder_for(out) as folder:
        folder.mkdir()
    assert sorted(files.file_names(out)) == ["a", "b/c", "manifest.json"]


def test_what_no_step_made_is_not_touched(s3, capsys):
    s3("holiday/photo.jpg", b"photo")
    assert run(s3.url("holiday")) == 2
    assert "holds something that no step made" in capsys.readouterr().err
    assert list(files.file_names(s3.url("holiday"))) == ["photo.jpg"]


@pytest.mark.parametrize("out", ["s3://no-such-bucket/toy", "https://example.org/toy"])
def test_a_place_that_cannot_be_written_to_is_told_before_the_work(s3_client, out, capsys, caplog):
    with caplog.at_level(logging.ERROR):
        assert run(out) in (1, 2)
    assert out in capsys.readouterr().err


def test_a_folder_is_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with folder_for("toy") as folder:
        assert folder == tmp_path / "toy"
    with folder_for(f"file://{tmp_path}/toy") as folder:
        assert folder == tmp_path / "toy"


def test_an_input_at_a_url_is_refused(capsys, tmp_path):
    needy = Step("needy", "takes a toy", Settings, ("toy",), write)
    assert main(needy, ["--input", "toy", "s3://bucket/toy", "--out", str(tmp_path / "out")]) == 2
    assert "an input is a folder of this machine" in capsys.readouterr().err
