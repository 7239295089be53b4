"""The archives of IMDB-WIKI, made up, from a local server."""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from components.ingest import download
from components.ingest.download import ARCHIVES, Archive, unpack
from pipeline.cli import main
from schemas.error import VisageError

PROJECT = Path(__file__).parents[3]
PHOTO = b"\xff\xd8 a photo " * 1_000


def pack(file: Path, **entries: bytes | tarfile.TarInfo) -> bytes:
    """Write a tar of the entries, files by their content, and give its bytes. `__` in a key stands for a slash."""
    with tarfile.open(file, "w:gz" if file.suffix == ".gz" else "w") as archive:
        for name, content in entries.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
            else:
                entry = tarfile.TarInfo(name.replace("__", "/") + ".jpg")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return file.read_bytes()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[str]:
    """A server of the folder `published`."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    (tmp_path / "published").mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=tmp_path / "published")) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.fixture
def published(tmp_path: Path, mirror: str, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """A made-up wiki_crop.tar on the server."""
    data = pack(tmp_path / "published/wiki_crop.tar", wiki_crop__17__a=PHOTO, wiki_crop__18__b=PHOTO)
    archive = Archive("wiki_crop.tar", hashlib.md5(data).hexdigest(), "wiki_crop", "faces")
    monkeypatch.setitem(ARCHIVES, "wiki-crop", archive)
    return archive


def test_an_archive_is_fetched_checked_and_unpacked(published, mirror, tmp_path, capsys):
    out = tmp_path / "my data"
    folder = download.download("wiki-crop", out, accept_terms=True, mirror=mirror)
    assert folder == out / "wiki_crop"
    assert (folder / "17/a.jpg").read_bytes() == (folder / "18/b.jpg").read_bytes() == PHOTO
    assert list(out.iterdir()) == [folder]
    shown = capsys.readouterr().out
    assert "academic research purpose only" in shown
    assert "wiki_crop.tar: 0.0 of 0.0 MB" in shown
    assert f"source.path='{folder}'" in shown


def test_the_command_fetches_what_the_function_does(published, mirror, tmp_path):
    out = tmp_path / "out"
    assert main(["download", "wiki-crop", "--out", str(out), "--accept-terms", "--mirror", mirror]) == 0
    assert (out / "wiki_crop/17/a.jpg").read_bytes() == PHOTO


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["wiki-crop"], 2, "--accept-terms"),
        (["wiki_crop", "--accept-terms"], 2, "Did you mean wiki-crop"),
        (["wiki-crop", "--accept-terms"], 1, "other bytes than expected"),
    ],
)
def test_the_command_as_a_process_ends_in_one_message(arguments, code, message, published, mirror, tmp_path):
    command = [sys.executable, "-m", "pipeline.cli", "download", *arguments, "--out", "out", "--mirror", mirror]
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_there_already_is_left_alone(published, tmp_path, capsys):
    (tmp_path / "wiki_crop").mkdir()
    assert download.download("wiki-crop", tmp_path, True, mirror="http://127.0.0.1:9") == tmp_path / "wiki_crop"
    assert "is there already" in capsys.readouterr().out


def test_the_terms_are_shown_and_must_be_accepted(published, mirror, tmp_path, capsys):
    with pytest.raises(VisageError, match="--accept-terms") as caught:
        download.download("wiki-crop", tmp_path / "out", accept_terms=False, mirror=mirror)
    assert caught.value.exit_code == 2
    assert "academic research purpose only" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_an_unknown_name_is_answered_with_those_that_there_are(tmp_path):
    with pytest.raises(VisageError, match="Did you mean wiki-crop") as caught:
        download.download("wiki_crop", tmp_path, accept_terms=True)
    assert caught.value.exit_code == 2
    assert all(name in str(caught.value) for name in ("imdb-crop", "imdb-meta"))


def test_an_archive_that_the_person_already_has_is_checked_used_and_kept(published, tmp_path):
    own_archive = tmp_path / "out/wiki_crop.tar"
    own_archive.parent.mkdir()
    own_archive.write_bytes((tmp_path / "published/wiki_crop.tar").read_bytes() + b"?")
    with pytest.raises(VisageError, match="is not the published archive"):
        download.download("wiki-crop", own_archive.parent, True, mirror="http://127.0.0.1:9")
    own_archive.write_bytes((tmp_path / "published/wiki_crop.tar").read_bytes())
    folder = download.download("wiki-crop", own_archive.parent, True, mirror="http://127.0.0.1:9")
    assert (folder / "17/a.jpg").read_bytes() == PHOTO
    assert own_archive.exists()


def test_an_unpacking_that_was_killed_is_done_again_without_fetching(published, tmp_path):
    work = tmp_path / "out/.download"
    (work / "wiki_crop/wiki_crop/17").mkdir(parents=True)
    (work / "wiki_crop/wiki_crop/17/a.jpg").write_bytes(b"half")
    (work / "wiki_crop.tar").write_bytes((tmp_path / "published/wiki_crop.tar").read_bytes())
    folder = download.download("wiki-crop", tmp_path / "out", True, mirror="http://127.0.0.1:9")
    assert (folder / "17/a.jpg").read_bytes() == PHOTO
    assert list((tmp_path / "out").iterdir()) == [folder]


def test_wrong_bytes_never_get_unpacked(published, mirror, tmp_path):
    pack(tmp_path / "published/wiki_crop.tar", wiki_crop__17__evil=b"?")
    with pytest.raises(VisageError, match="other bytes than expected"):
        download.download("wiki-crop", tmp_path / "out", True, mirror=mirror)
    assert not (tmp_path / "out/wiki_crop").exists()


def test_an_archive_that_the_server_lacks(published, mirror, tmp_path):
    (tmp_path / "published/wiki_crop.tar").unlink()
    with pytest.raises(VisageError, match="answers 404"):
        download.download("wiki-crop", tmp_path / "out", True, mirror=mirror)


def test_space_for_archive_and_photos_is_needed_before_it_begins(published, tmp_path):
    """A server that announces an exabyte."""

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(10**18))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        with pytest.raises(VisageError, match=r"2,100,000,000\.0 GB are needed"):
            download.download("wiki-crop", tmp_path / "out", True, mirror=f"http://127.0.0.1:{running.server_port}")
        running.shutdown()


def test_a_folder_that_cannot_be_written(published, mirror, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(VisageError, match="cannot be written"):
        download.download("wiki-crop", tmp_path / "out", True, mirror=mirror)


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (special("faces/../../evil", tarfile.REGTYPE), "climbs"),
        (special("/tmp/evil", tarfile.REGTYPE), "absolute"),
        (special("faces/link", tarfile.SYMTYPE, "/etc"), "link"),
        (special("faces/link", tarfile.LNKTYPE, "../../evil"), "link"),
        (special("faces/device", tarfile.CHRTYPE), "neither file nor folder"),
        (special("faces/pipe", tarfile.FIFOTYPE), "neither file nor folder"),
    ],
)
def test_nothing_leaves_the_folder(tmp_path, entry, why):
    pack(tmp_path / "faces.tar", faces__a=PHOTO, evil=entry, faces__z=PHOTO)
    with pytest.raises(VisageError, match=why):
        unpack(tmp_path / "faces.tar", tmp_path / "faces", tmp_path / "work")
    assert list(tmp_path.iterdir()) == [tmp_path / "faces.tar"]


@pytest.mark.parametrize("name", ["faces.tar", "faces.tar.gz"])
def test_an_archive_that_is_cut_short_or_none_at_all(tmp_path, name):
    whole = pack(tmp_path / name, faces__a=PHOTO, faces__b=PHOTO)
    for damaged in (whole[: len(whole) // 3], b"", b"no archive" * 200):
        (tmp_path / name).write_bytes(damaged)
        with pytest.raises(VisageError, match=r"cannot be unpacked|where one folder is expected"):
            unpack(tmp_path / name, tmp_path / "faces", tmp_path / "work")
        assert list(tmp_path.iterdir()) == [tmp_path / name]


def test_an_archive_of_another_shape(tmp_path):
    pack(tmp_path / "faces.tar", a=PHOTO, b=PHOTO)
    with pytest.raises(VisageError, match="where one folder is expected"):
        unpack(tmp_path / "faces.tar", tmp_path / "faces", tmp_path / "work")


def test_a_packed_archive_is_unpacked_too(tmp_path):
    pack(tmp_path / "wiki.tar.gz", wiki__17__a=PHOTO)
    unpack(tmp_path / "wiki.tar.gz", tmp_path / "wiki", tmp_path / "work")
    assert (tmp_path / "wiki/17/a.jpg").read_bytes() == PHOTO


def test_progress_on_a_terminal_is_a_bar(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with download._shown("wiki_crop.tar", "MD5") as (progress, checked):
        progress(500_000, 1_000_000)
        progress(1_000_000, 1_000_000)
        checked(1_000_000, 1_000_000)
    shown = capsys.readouterr().out
    assert "wiki_crop.tar" in shown
    assert "1.0/1.0 MB" in shown
    assert "MD5" in shown
