"""The network that looks at one picture: its weights, and that they travel."""

import hashlib
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

from components.detection import yunet
from components.detection.detect import detector
from schemas.error import VisageError
from tests.components.detection.drawn_faces import group

PROJECT = Path(__file__).parents[3]


class TestTheNetwork:
    @pytest.mark.parametrize(("harm", "message"), [(b"\0", "is not the file of weights"), (None, "cannot be read")])
    def test_other_weights_are_not_loaded(self, monkeypatch, tmp_path, harm, message):
        if harm:
            (tmp_path / yunet.WEIGHTS).write_bytes((files(yunet) / yunet.WEIGHTS).read_bytes()[:-1] + harm)
        monkeypatch.setattr(yunet, "files", lambda package: tmp_path)
        with pytest.raises(VisageError, match=message):
            detector("fast", None)

    def test_the_weights_come_with_an_installed_package_and_their_licence_too(self, tmp_path):
        build = [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(tmp_path)]
        egg = ["egg_info", "--egg-base", str(tmp_path)]
        subprocess.run([*build[:3], *egg, *build[3:]], cwd=PROJECT, check=True, capture_output=True)
        installed = tmp_path / "components" / "detection" / "yunet"
        assert {path.name for path in installed.iterdir()} == {"__init__.py", "LICENSE", yunet.WEIGHTS}
        assert hashlib.sha256((installed / yunet.WEIGHTS).read_bytes()).hexdigest() == yunet.SHA256

    def test_nothing_is_printed(self, tmp_path):
        photo = tmp_path / "photo.png"
        group((40, 60)).save(photo)
        code = (
            "import sys; from PIL import Image; from components.detection.detect import detector\n"
            "photo = Image.open(sys.argv[1])\n"
            "assert len(detector('fast', None)(photo)) == len(detector('thorough', None)(photo)) == 1"
        )
        ran = subprocess.run([sys.executable, "-c", code, photo], cwd=PROJECT, check=True, capture_output=True)
        assert (ran.stdout, ran.stderr) == (b"", b"")
