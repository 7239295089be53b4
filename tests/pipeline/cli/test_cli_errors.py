"""What a person can get wrong, command by command: exit code 1 or 2 and one message; an exception here fails the test."""

import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli import main

PHOTOS = " --set source.path=s3://photos/imdb_crop"
SERVER = f"--host http://127.0.0.1:9{PHOTOS}"
WRONG = {
    "run": [
        ("--recipe folder", "folder"),
        ("--recipe ''", ""),
        ("--recipe broken.yaml", "broken.yaml"),
        ("--recipe latin1.yaml", "latin1.yaml"),
        ("--recipe list.yaml", "list.yaml"),
        ("--recipe text.yaml", "text.yaml"),
        ("--recipe circle.yaml", "circle"),
        ("--recipe picture.jpg", "picture.jpg"),
        ("--set train.epochs=abc", "train.epochs"),
        ("--set train.epochs=0", "train.epochs"),
        ("--set train.epochs=-1", "train.epochs"),
        ("--set train.epochs=", "train.epochs"),
        ("--set train", "section.key=value"),
        ("--set =3", "="),
        ("--set 'train.epochs=[1'", "train.epochs"),
        ("--set 'train={epochs: [}'", "train"),
        ("--force none --set source.path=folder", "none"),
        ("--root text.txt --set source.path=folder", "text.txt"),
        ("--root text.txt/deeper --set source.path=folder", "text.txt"),
        ("--root /proc/visage --set source.path=folder", "/proc/visage"),
        ("--root s3://bucket/root --set source.path=folder", "--root: s3://bucket/root is a URL"),
        ("--root file://elsewhere/root --set source.path=folder", "another machine"),
        ("--root 'what?/root' --set source.path=folder", "what?/root has a ?"),
        ("--set source.path=missing --root root", "missing"),
        ("--set source.path= --root root", "source.path"),
    ],
    "step": [
        ("none --out out", "none"),
        ("ingest", "--out"),
        ("train --out out", "--input ingest DIR"),
        ("train --out out --input ingest folder", "--input validate DIR"),
        ("validate --out out --input ingest missing", "missing"),
        ("validate --out out --input ingest folder", "folder"),
        ("validate --out out --input ingest text.txt", "text.txt"),
        ("validate --out out --input train folder", "--input ingest DIR"),
        ("ingest --out out --settings missing.yaml", "missing.yaml"),
        ("ingest --out out --settings folder", "folder"),
        ("ingest --out out --settings latin1.yaml", "latin1.yaml"),
        ("ingest --out out --settings list.yaml", "settings"),
        ("ingest --out out --settings '{source'", "settings"),
        ("ingest --out out --settings '{trian: {epochs: 3}, source: {path: folder}}'", "there is no section trian"),
        ("ingest --out out --settings picture.jpg", "picture.jpg"),
        ("ingest --out out --recipe broken.yaml", "broken.yaml"),
        ("ingest --out out --set source.path=missing", "missing"),
        ("ingest --out out --set source.path=text.txt", "text.txt"),
        ("ingest --out text.txt --set source.path=folder", "text.txt"),
        ("ingest --out text.txt/deeper --set source.path=folder", "text.txt"),
        ("ingest --out full --set source.path=folder", "full"),
        ("ingest --out /proc/visage --set source.path=folder", "/proc/"),
    ],
    "end-run": [("key none", "none"), ("key", "STEP")],
    "labels": [
        ("--source @none --path folder --out l.csv", "'@none'"),
        ("--source none --path folder --out l.csv", "none"),
        ("--source table --path missing.csv --out l.csv", "missing.csv"),
        ("--source table --path folder --out l.csv", "folder"),
        ("--source table --path picture.jpg --out l.csv", "picture.jpg"),
        ("--source table --path '' --out l.csv", "source.path"),
        ("--source imdb_wiki --path folder --out l.csv", ".mat"),
        ("--source imdb_wiki --path text.txt --out l.csv", "text.txt"),
        ("--source utkface --path missing --out l.csv", "missing"),
        ("--source utkface --path faces --out l.txt", ".csv"),
        ("--source utkface --path faces --out l", ".csv"),
        ("--source utkface --path faces --out folder", "folder"),
        ("--source utkface --path faces --out text.txt/l.csv", "text.txt"),
        ("--source utkface --path faces --out /proc/l.csv", "/proc/l.csv"),
        ("--source utkface --path faces --out gs://bucket/l.csv", "--out: gs://bucket/l.csv is a URL"),
        ("--source utkface --path faces", "--out"),
    ],
    "demo-data": [
        ("out --photos -1", "photos"),
        ("out --photos 0", "photos"),
        ("out --photos abc", "abc"),
        ("out --photos 2.5", "2.5"),
        ("out --seed abc", "abc"),
        ("out --seed -1", "seed"),
        ("text.txt --photos 20", "text.txt"),
        ("s3://bucket/demo --photos 20", "OUT: s3://bucket/demo is a URL"),
        ("text.txt/deeper --photos 20", "text.txt"),
        ("full --photos 20", "full"),
        ("/proc/visage --photos 20", "/proc/visage"),
        ("", "OUT"),
    ],
    "download": [
        ("none --out out", "none"),
        ("wiki-crop --out out", "terms"),
        ("wiki-crop --out text.txt --accept-terms --mirror http://127.0.0.1:9", "text.txt"),
        ("wiki-crop --out /proc/visage --accept-terms --mirror http://127.0.0.1:9", "/proc/visage"),
        ("wiki-crop --out out --accept-terms --mirror folder", "--mirror"),
        ("wiki-crop --out out --accept-terms --mirror ftp://127.0.0.1:9", "--mirror"),
        ("wiki-crop --out out --accept-terms --mirror http://", "--mirror"),
        ("wiki-crop --out out --accept-terms --mirror http://127.0.0.1:port", "--mirror"),
        ("wiki-crop", "--out"),
    ],
    "score": [
        ("", "PHOTOS"),
        ("picture.jpg --root missing", "missing"),
        ("folder --root missing --out out", "missing"),
        ("folder", "--out"),
        ("picture.jpg --faces none", "none"),
        ("picture.jpg --recipe none", "none"),
        ("picture.jpg --root text.txt", "text.txt"),
        ("picture.jpg --model @champion", "pipeline-root holds no"),
    ],
    "models": [
        ("--root missing", "missing"),
        ("--root text.txt", "text.txt"),
        ("none", "none"),
        ("show --root missing", "missing"),
        ("rollback --root missing", "missing"),
    ],
    "compile": [
        ("--out c.txt", ".yaml"),
        ("--out c", ".yaml"),
        ("--out c.YAML", ".yaml"),
        ("--out ''", ".yaml"),
        ("--out folder", ".yaml"),
        ("--out folder.yaml", "folder.yaml"),
        ("--out s3://bucket/c.yaml", "--out: s3://bucket/c.yaml is a URL"),
        ("--out text.txt/c.yaml", "text.txt"),
        ("--out /proc/c.yaml", "/proc/c.yaml"),
        ("--image ''", "image"),
        ("--image 'two words'", "image"),
        ("--gpus -1", "-1"),
        ("--gpus 17", "17"),
        ("--gpus abc", "abc"),
        ("--recipe none", "none"),
        ("--set train.epochs=0", "train.epochs"),
        ("--tracking-uri http://user:word@mlflow:5000", "credential"),
        ("--tracking-uri ''", "tracking_uri"),
        ("--cluster missing.yaml", "missing.yaml"),
        ("--cluster broken.yaml", "broken.yaml"),
        ("--cluster picture.jpg", "picture.jpg"),
        ("--set source.path=imdb_crop", "source.path"),
        ("--gpus 3", "3"),
    ],
    "submit": [
        (SERVER, "does not answer"),
        ("--host ''" + PHOTOS, "no address"),
        ("--host localhost:8080" + PHOTOS, "no address"),
        ("--host http://[bad" + PHOTOS, "http://[bad"),
        ("--host http://127.0.0.1:port" + PHOTOS, "port"),
        ("--host http://" + PHOTOS, "http:"),
        ("--image '' " + SERVER, "image"),
        ("--recipe none " + SERVER, "none"),
        ("--host http://127.0.0.1:9", "source.path"),
        ("--token-file missing " + SERVER, "missing"),
        ("--token-file empty " + SERVER, "empty"),
    ],
    "schedule": [
        (SERVER, "--cron"),
        ("--cron '60 2 * * *' " + SERVER, "minute"),
        ("--cron '0 2 * * 7' " + SERVER, "Sunday is 0"),
        ("--cron '' " + SERVER, "when to run"),
        ("--cron '0 2 * * *' --remove " + SERVER, "--remove"),
        ("--cron '0 2 * * *' --image '' " + SERVER, "image"),
        ("--cron '0 2 * * *' " + SERVER, "does not answer"),
        ("--remove " + SERVER, "does not answer"),
        ("--list " + SERVER, "does not answer"),
        ("--pause " + SERVER, "does not answer"),
        ("--list --resume " + SERVER, "--resume"),
        ("--cron '0 2 * * *' --name '' " + SERVER, "name"),
    ],
    "recipes": [("none", "none"), ("folder", "folder"), ("broken.yaml", "broken.yaml"), ("picture.jpg", "picture.jpg")],
    "ui": [
        ("--root missing", "missing"),
        ("--root text.txt", "text.txt"),
        ("--port abc", "abc"),
        ("--port -1", "-1"),
        ("--port 70000", "70000"),
    ],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with what is not what a command wants."""
    folder = tmp_path_factory.mktemp("wrong")
    for name in ("folder", "folder.yaml", "full", "faces"):
        (folder / name).mkdir()
    (folder / "full" / "of-others").write_text("precious")
    (folder / "faces" / "30_0_0_20170101000000000.jpg.chip.jpg").write_bytes(b"\xff\xd8")
    (folder / "text.txt").write_text("text\n")
    (folder / "empty").write_text("")
    (folder / "text.yaml").write_text("text\n")
    (folder / "list.yaml").write_text("- 1\n")
    (folder / "broken.yaml").write_text("train: {epochs: 3\n- x: [")
    (folder / "latin1.yaml").write_bytes("description: für\n".encode("latin-1"))
    (folder / "circle.yaml").write_text("extends: circle.yaml\n")
    (folder / "picture.jpg").write_bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(range(256)))
    return folder


def outcome(arguments: list[str], capsys: pytest.CaptureFixture) -> tuple[int, str]:
    """Exit code and messages; whatever else than an exit comes out of the command is an error of Visage's own."""
    try:
        code = main(arguments)
    except SystemExit as stop:
        code = int(stop.code or 0)
    return code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [(command, arguments, message) for command, cases in WRONG.items() for arguments, message in cases],
)
def test_a_mistake_is_one_message(command, arguments, message, place, capsys, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    code, printed = outcome([command, *shlex.split(arguments)], capsys)
    assert code in (1, 2), printed
    assert message in printed
    assert "Traceback" not in printed
    assert (place / "full" / "of-others").read_text() == "precious"
    assert not list(place.glob("*:")), "a URL is no folder"


def test_a_port_in_use_is_one_message(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "mlflow.db").touch()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert main(["ui", "--root", str(tmp_path), "--port", str(port)]) == 2
    assert f"Port {port} is in use" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", ["run --recipe broken.yaml", "compile --out c.txt", "labels --source table --path folder --out l.csv"]
)
def test_so_it_is_of_the_command_as_a_process(command, place):
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    completed = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *shlex.split(command)],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 2
    assert completed.stderr.startswith("visage: ")
    assert "Traceback" not in completed.stderr
