"""What counts towards a step's identity, and what does not."""

import os

import pytest

from components.step import Step, Tracker, execute, identity
from components.step.settings import Section, external_path, runtime_only


class Settings(Section):
    value: int = 1
    workers: int = runtime_only(1, "how many")
    path: str = external_path("", "outside")


def digest(**settings):
    return identity.of_step("toy", Settings(**settings), {}).digest


def test_settings_count_unless_they_only_change_how_the_work_is_done():
    assert digest() == digest(workers=7)
    assert digest() != digest(value=2)


def test_a_folder_outside_counts_by_what_it_holds_not_by_where_it_is(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name / "in").mkdir(parents=True)
        (tmp_path / name / "in" / "photo").write_text("one")
        os.utime(tmp_path / name / "in" / "photo", (1, 1))
    a, b = (digest(path=str(tmp_path / name)) for name in ("a", "b"))
    assert a == b
    (tmp_path / "b" / "in" / "photo").write_text("another")
    assert digest(path=str(tmp_path / "b")) != a
    (tmp_path / "a" / "in" / "photo").rename(tmp_path / "a" / "in" / "picture")
    assert digest(path=str(tmp_path / "a")) != a


def test_an_input_made_anew_counts_as_another(tmp_path):
    source = Step("source", "makes", Settings, (), lambda settings, job: {})
    one = execute(source, Settings(), {}, tmp_path / "source", Tracker())
    before = identity.of_step("toy", Settings(), {"source": tmp_path / "source"})
    assert before.inputs == {"source": one.fingerprint}
    manifest = tmp_path / "source" / "manifest.json"
    manifest.write_text(manifest.read_text().replace(one.started, "2001-01-01T00:00:00+00:00"))
    assert identity.of_step("toy", Settings(), {"source": tmp_path / "source"}).digest != before.digest


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setattr(identity, "PROJECT", tmp_path)
    files = {
        "components/a/__init__.py": "from components.a import rules\nfrom components import shared\n",
        "components/a/rules.py": "def late():\n    import schemas.thing\n",
        "components/b/__init__.py": "x = 1\n",
        "components/shared.py": "",
        "schemas/thing.py": "",
        "schemas/other.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("components/a/rules.py", True),
        ("components/shared.py", True),
        ("schemas/thing.py", True),
        ("components/b/__init__.py", False),
        ("schemas/other.py", False),
    ],
)
def test_the_source_of_a_step_and_of_what_it_imports_counts_and_no_other(project, file, counts):
    of_code = identity.of_code.__wrapped__
    before = of_code("components.a")
    (project / file).write_text((project / file).read_text() + "# changed\n")
    assert (of_code("components.a") != before) == counts
