"""Schemas: what is refused, what a proposal holds, and the sentences that tell two apart."""

import pytest
from google.protobuf import text_format

from components.validate import Settings, run
from components.validate.reviewed_schema import load_schema, parse, place_of
from components.validate.schema_changes import changes
from components.validate.schema_proposal import propose
from schemas.artifact import Manifest, publish
from schemas.error import VisageError
from tests.components.validate.made_up import face, faces
from tests.components.validate.test_validate_step import raw

AGE = 'feature {{ name: "face/age" type: {} {} }}'

REFUSED = {
    "no text at all": ("", "it names no feature"),
    "no schema": ("thresholds: 3", "is no schema: 1:1"),
    "twice": (AGE.format("INT", "") * 2, "names the feature face/age 2 times"),
    "words of nowhere": (AGE.format("BYTES", 'domain: "ages"'), "there is no string_domain ages"),
    "L-infinity of numbers": (
        AGE.format("INT", "drift_comparator { infinity_norm { threshold: 0.1 } }"),
        "face/age, drift_comparator: infinity_norm is for words",
    ),
    "no measure": (AGE.format("INT", "skew_comparator { }"), "skew_comparator: one of jensen_shannon_divergence and"),
    "no threshold": (AGE.format("INT", "skew_comparator { jensen_shannon_divergence { } }"), "a threshold from 0 to 1"),
    "beyond one": (
        AGE.format("INT", "skew_comparator { jensen_shannon_divergence { threshold: 10 } }"),
        "a threshold from 0 to 1",
    ),
    "of pictures": (
        AGE.format("BYTES", "image_domain { } skew_comparator { infinity_norm { threshold: 0.1 } }"),
        "only numbers and words can be compared",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_sound_schema_is_refused(case, tmp_path):
    text, message = REFUSED[case]
    (tmp_path / "own.pbtxt").write_text(text)
    with pytest.raises(VisageError) as caught:
        load_schema(tmp_path / "own.pbtxt")
    assert message in caught.value.message and "own.pbtxt" in caught.value.message


def test_a_schema_that_is_not_there(tmp_path):
    with pytest.raises(VisageError, match=r"own\.pbtxt cannot be read"):
        load_schema(tmp_path / "own.pbtxt")


class TestChanges:
    @pytest.mark.parametrize(
        ("old", "new", "sentence"),
        [
            ("min: 0 max: 100", "min: 0 max: 120", "face/age must be from 0 to 120; so far it must be from 0 to 100."),
            ("type: FLOAT", "type: INT", "face/score must be INT; so far it must be FLOAT."),
            (
                'value: "male"',
                'value: "male" value: "other"',
                "face/gender must be one of female, male, other; so far it must be one of female, male.",
            ),
            (
                "drift_comparator { jensen_shannon_divergence { threshold: 0.1 } }",
                "drift_comparator { jensen_shannon_divergence { threshold: 0.3 } }",
                "face/age may be apart to the champion's data by 0.3 (Jensen-Shannon divergence); so far it may be apart to "
                "the champion's data by 0.1 (Jensen-Shannon divergence).",
            ),
            (
                "drift_comparator { jensen_shannon_divergence { threshold: 0.1 } }",
                "",
                "face/age is not compared for drift; so far it may be apart to the champion's data by 0.1 "
                "(Jensen-Shannon divergence).",
            ),
            (
                'name: "face/age"',
                'name: "face/age" presence { min_fraction: 0.5 }',
                "face/age must be in 50 % of the examples or more; so far it may be absent.",
            ),
            (
                "float_domain { disallow_nan: true disallow_inf: true }",
                "float_domain { disallow_nan: true }",
                "face/score must be a number; so far it must be a number and must be finite.",
            ),
            (
                'name: "face/age"',
                'name: "face/age" lifecycle_stage: DEPRECATED',
                "face/age has lifecycle_stage DEPRECATED; so far it has no lifecycle_stage.",
            ),
            (
                "string_domain {",
                'default_environment: "TRAINING" string_domain {',
                "default_environment of the whole schema is ['TRAINING']; so far it is absent.",
            ),
        ],
    )
    def test_each_is_one_sentence(self, old, new, sentence, edited_schema):
        assert changes(load_schema(), load_schema(edited_schema(old, new))) == [sentence]

    def test_a_feature_comes_or_goes(self):
        one = parse('feature { name: "a" type: INT }', "one")
        two = parse('feature { name: "b" type: FLOAT presence { min_fraction: 1 } shape { dim { size: 1 } } }', "two")
        assert changes(one, two) == [
            "b is new: it must be FLOAT, must be in every example, must have one value, may have any value, is not compared "
            "for skew, is not compared for drift.",
            "a is no longer known: examples that have it become anomalies.",
        ]

    def test_other_words_for_the_same_are_no_change(self):
        text = text_format.MessageToString(load_schema())
        assert changes(load_schema(), parse(text.replace('"gender"', '"words"'), "renamed")) == []


class TestProposal:
    def test_for_data_that_conform_it_is_the_reviewed_schema_to_the_letter(self, write_examples):
        assert propose(write_examples()) == place_of(None).read_text()

    @pytest.fixture
    def surprising(self, write_examples):
        """Examples that break the schema in three ways, in two splits."""
        return write_examples(
            {
                "train": [*faces(50), face(90, gender="other")],
                "test": [*faces(50), face(91, age=127), raw(face(92), face__smile=[3])],
            }
        )

    def test_data_that_broke_the_schema_conform_to_it(self, surprising, job, tmp_path):
        (tmp_path / "proposed.pbtxt").write_text(propose(surprising))
        own = Settings.model_validate({"validation": {"schema_file": tmp_path / "proposed.pbtxt"}})
        assert run(own, job(surprising))["anomalies"] == 0

    def test_what_a_whole_split_lacks_may_be_absent(self, write_examples, job, tmp_path):
        examples = write_examples({"test": [raw(face(n), person__id=None) for n in range(50)]})
        (tmp_path / "proposed.pbtxt").write_text(propose(examples))
        sentences = changes(load_schema(), load_schema(tmp_path / "proposed.pbtxt"))
        assert sentences == ["person/id may be absent; so far it must be in every example."]
        own = Settings.model_validate({"validation": {"schema_file": tmp_path / "proposed.pbtxt"}})
        assert run(own, job(examples))["anomalies"] == 0

    def test_it_changes_no_more_than_the_data_ask_for(self, surprising):
        sentences = changes(load_schema(), parse(propose(surprising), "proposed"))
        assert sentences[:2] == [
            "face/age must be from 0 to 127; so far it must be from 0 to 100.",
            "face/gender must be one of female, male, other; so far it must be one of female, male.",
        ]
        assert sentences[2].startswith("face/smile is new: it must be INT, ")
        assert len(sentences) == 3

    def test_comments_stay_above_what_they_are_about(self, surprising):
        text = propose(surprising)
        assert text.startswith("# The reviewed schema of an Example")
        assert "# Whole years; absent if unknown. 0 to 100 are the classes of the age head.\nfeature {\n" in text
        unchanged = place_of(None).read_text().partition("# Identity as")[2].partition("string_domain")[0]
        assert unchanged in text

    def test_of_a_validate_artifact_it_is_the_same(self, surprising, job, tmp_path):
        task = job(surprising)
        run(Settings.model_validate({"validation": {"on_anomaly": "warn"}}), task)
        publish(task.output, tmp_path / "validated", Manifest("validate", "made up", {}))
        assert parse(propose(tmp_path / "validated"), "one") == parse(propose(surprising), "other")

    def test_other_artifacts_are_refused(self, tmp_path):
        publish_empty(tmp_path, "train")
        with pytest.raises(VisageError, match="is an artifact of train; one of ingest or validate is wanted"):
            propose(tmp_path / "artifact")
        with pytest.raises(VisageError, match="manifest"):
            propose(tmp_path / "nothing")

    def test_without_examples_there_is_none(self, write_examples):
        with pytest.raises(VisageError, match="holds no examples"):
            propose(write_examples({"train": [], "validation": [], "test": []}))


def publish_empty(folder, step: str) -> None:
    (folder / "partial").mkdir()
    publish(folder / "partial", folder / "artifact", Manifest(step, "made up", {}))
