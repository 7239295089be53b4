"""What counts towards a step's identity, and what does not."""

import importlib.metadata
import os
from dataclasses import replace
from pathlib import Path

import pytest

from components.registry import ModelVersion
from components.step import Step, Tracker, execute, identity, imports
from components.step.settings import Section, external_path, runtime_only


class Registry(Section):
    name: str = "visage"


class Settings(Section):
    value: int = 1
    workers: int = runtime_only(1, "how many")
    path: str = external_path("", "outside")
    paths: tuple[str, ...] = external_path((), "several, outside")
    reference: str = ""
    registry: Registry = Registry()


def nothing(settings, context):
    return {}


STEP = Step("toy", "a toy", Settings, (), nothing)
COMPARING = replace(STEP, reads_champion=True)


def digest(step=STEP, champion=None, **settings):
    return identity.of_step(step, Settings(**settings), {}, champion).digest


def photo(path: Path, text: str = "one") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (1, 1))
    return path


def test_settings_count_unless_they_only_change_how_the_work_is_done():
    assert digest() == digest(workers=7)
    assert digest() != digest(value=2)


class TestFilesOutside:
    def test_a_folder_counts_by_what_it_holds_not_by_where_it_is(self, tmp_path):
        for name in ("a", "b"):
            photo(tmp_path / name / "in" / "photo")
        a, b = (digest(path=str(tmp_path / name)) for name in ("a", "b"))
        assert a == b
        photo(tmp_path / "b" / "in" / "photo", "another")
        assert digest(path=str(tmp_path / "b")) != a
        (tmp_path / "a" / "in" / "photo").rename(tmp_path / "a" / "in" / "picture")
        assert digest(path=str(tmp_path / "a")) != a

    def test_a_pattern_counts_by_the_files_that_fit_it(self, tmp_path):
        photo(tmp_path / "a.jpg")
        before = digest(paths=(f"{tmp_path}/*.jpg",))
        photo(tmp_path / "b.png")
        assert digest(paths=(f"{tmp_path}/*.jpg",)) == before
        photo(tmp_path / "b.jpg")
        assert digest(paths=(f"{tmp_path}/*.jpg",)) != before

    def test_a_list_counts_with_the_files_that_it_names(self, tmp_path):
        photo(tmp_path / "a.jpg")
        listed = photo(tmp_path / "list.txt", "a.jpg\n")
        before = digest(paths=(str(listed),))
        photo(tmp_path / "a.jpg", "another")
        assert digest(paths=(str(listed),)) != before

    def test_folders_behind_links_are_looked_into(self, tmp_path):
        photo(tmp_path / "elsewhere" / "a.jpg")
        (tmp_path / "photos").mkdir()
        (tmp_path / "photos" / "linked").symlink_to(tmp_path / "elsewhere")
        before = digest(path=str(tmp_path / "photos"))
        photo(tmp_path / "elsewhere" / "b.jpg")
        assert digest(path=str(tmp_path / "photos")) != before

    def test_what_a_step_names_from_its_settings_counts(self, tmp_path):
        photo(tmp_path / "a.jpg")
        photo(tmp_path / "other.jpg")
        step = replace(STEP, files_outside=lambda settings: (str(tmp_path), ["a.jpg"]))
        before = digest(step)
        photo(tmp_path / "other.jpg", "another")
        assert digest(step) == before
        photo(tmp_path / "a.jpg", "another")
        assert digest(step) != before


class TestTheChampion:
    ONE = ModelVersion("visage", "1", run_id="aaa")

    def test_counts_for_a_step_that_compares_with_it_and_for_no_other(self):
        other = replace(self.ONE, version="2", run_id="bbb")
        assert digest(COMPARING, self.ONE) != digest(COMPARING, None)
        assert digest(COMPARING, self.ONE) != digest(COMPARING, other)
        assert digest(STEP, self.ONE) == digest(STEP, other)

    def test_of_another_server_is_another_one_though_its_name_and_number_are_the_same(self):
        assert digest(COMPARING, self.ONE) != digest(COMPARING, replace(self.ONE, run_id="bbb"))

    def test_counts_in_the_place_of_the_registered_models_name(self):
        registry = Registry(name="another")
        assert digest(COMPARING, registry=registry) == digest(COMPARING), "no champion under either name"
        assert digest(STEP, registry=registry) != digest(STEP), "for this one the name itself decides"

    def test_does_not_count_where_the_settings_name_something_in_its_place(self):
        step = replace(COMPARING, champion_unless="reference")
        assert digest(step, self.ONE) != digest(step, None)
        assert digest(step, self.ONE, reference="train.pb") == digest(step, None, reference="train.pb")


class TestInputs:
    @pytest.fixture
    def manifest(self, tmp_path):
        source = Step("source", "makes", Settings, (), nothing)
        return execute(source, Settings(), {}, tmp_path / "source", Tracker())

    @staticmethod
    def make_anew(folder, manifest):
        file = folder / "manifest.json"
        file.write_text(file.read_text().replace(manifest.started, "2001-01-01T00:00:00+00:00"))

    def test_one_that_was_made_anew_counts_as_another(self, manifest, tmp_path):
        step, inputs = replace(STEP, inputs=("source",)), {"source": tmp_path / "source"}
        before = identity.of_step(step, Settings(), inputs)
        assert before.inputs == {"source": manifest.fingerprint}
        self.make_anew(tmp_path / "source", manifest)
        assert identity.of_step(step, Settings(), inputs).digest != before.digest

    def test_a_gate_only_has_to_be_there(self, manifest, tmp_path):
        step, inputs = replace(STEP, inputs=("source",), gates=("source",)), {"source": tmp_path / "source"}
        before = identity.of_step(step, Settings(), inputs)
        assert before.inputs == {"source": manifest.fingerprint}, "lineage has it"
        self.make_anew(tmp_path / "source", manifest)
        assert identity.of_step(step, Settings(), inputs).digest == before.digest


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setattr(imports, "PROJECT", tmp_path)
    files = {
        "components/a/__init__.py": '"""A."""\nfrom components.a import rules, plots\nfrom components import shared\n',
        "components/a/rules.py": 'def late():\n    """Late."""\n    import schemas.thing\n    return open("words.txt")\n',
        "components/a/plots.py": "from components import colours\nx = 1\n",
        "components/a/words.txt": "one",
        "components/a/command.py": "x = 1\n",
        "components/a/kinds/__init__.py": "import importlib\ny = importlib.import_module(f'{__name__}.one')\n",
        "components/a/kinds/one.py": "x = 1\n",
        "components/b/__init__.py": "x = 1\n",
        "components/colours.py": "x = 1\n",
        "components/report/page.py": "from schemas import palette\n",
        "components/step/run.py": "x = 1\n",
        "components/shared.py": (
            "from components.report import page\nfrom components.step import run\nimport components.a.kinds\n"
            "field = Field(1, description='how many')\n"
        ),
        "schemas/thing.py": "",
        "schemas/other.py": "",
        "schemas/palette.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def of_code():
    for cached in (imports._references, identity._files, identity._meaning):
        cached.cache_clear()
    return identity.of_code.__wrapped__("a", ("plots",))


class TestCode:
    @pytest.mark.parametrize(
        ("file", "counts"),
        [
            ("components/a/rules.py", True),
            ("components/a/kinds/one.py", True),
            ("components/shared.py", True),
            ("schemas/thing.py", True),
            ("components/a/plots.py", False),
            ("components/colours.py", False),
            ("components/report/page.py", False),
            ("schemas/palette.py", False),
            ("components/step/run.py", False),
            ("components/a/command.py", False),
            ("components/b/__init__.py", False),
            ("schemas/other.py", False),
        ],
    )
    def test_counts_where_the_step_imports_it_pages_and_the_running_of_steps_aside(self, project, file, counts):
        before = of_code()
        (project / file).write_text((project / file).read_text() + "\nchanged = 1\n")
        assert (of_code() != before) == counts

    def test_a_data_file_that_it_names_counts(self, project):
        before = of_code()
        (project / "components/a/words.txt").write_text("two")
        assert of_code() != before

    @pytest.mark.parametrize(
        ("file", "old", "new"),
        [
            ("components/shared.py", "field", "# a comment\n\nfield"),
            ("components/a/rules.py", "Late.", "Other words."),
            ("components/a/__init__.py", "A.", "B."),
            ("components/shared.py", "how many", "how many there are"),
        ],
    )
    def test_comments_docstrings_and_descriptions_do_not_count(self, project, file, old, new):
        before = of_code()
        text = (project / file).read_text()
        assert old in text
        (project / file).write_text(text.replace(old, new))
        assert of_code() == before


class TestInstalled:
    def test_versions_of_what_the_step_imports_count(self, project, monkeypatch):
        (project / "schemas/thing.py").write_text("import yaml\n")
        of_code()
        installed = identity.of_installed.__wrapped__("a", ("plots",))
        assert installed.keys() == {"python", "PyYAML"}
        before = digest()
        monkeypatch.setattr(identity, "of_installed", lambda *_: {**installed, "PyYAML": "99"})
        assert digest() != before

    def test_the_text_of_the_lock_file_does_not(self, tmp_path, monkeypatch):
        before = digest()
        monkeypatch.setattr(identity, "of_lock", lambda: "another")
        assert digest() == before

    def test_of_the_real_steps_each_has_what_it_works_with(self):
        assert identity.of_installed("train", ("curves",))["tensorflow"] == importlib.metadata.version("tensorflow")
        assert "mlflow" not in identity.of_installed("train", ("curves",))
        assert "tensorflow" not in identity.of_installed("ingest", ())


def test_what_changed_is_said_by_kind():
    before = identity.of_step(STEP, Settings(value=1), {})
    now = identity.of_step(STEP, Settings(value=2), {})
    assert now.changes(before.as_json()) == {"settings": "value"}
    assert now.changes(now.as_json()) == {}
    assert replace(now, code="c", installed={"x": "2"}).changes(now.as_json()).keys() == {"code", "installed"}
    assert now.changes("no JSON") == {"work": "not known"}
