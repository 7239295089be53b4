"""Which rows are kept, and where persons go."""

import csv
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from pyarrow import parquet

from components.ingest.labels import COLUMNS, FilterSettings, SplitSettings, fold_of, reject_of, split_of, write_labels
from components.ingest.sources.settings import SourceSettings, TableSettings
from components.step.settings import build
from schemas.error import VisageError
from schemas.record import FaceRecord
from schemas.reject import REASONS
from tests.components.ingest.sources.imdb_wiki_files import shared_data

INF = float("inf")


GOOD = FaceRecord(0, "imdb", "01/a.jpg", "imdb:1", age=30, gender="male", face_score=2.0)


def row(**changes: Any) -> FaceRecord:
    return replace(GOOD, **changes)


def reason(record, **settings):
    rejection = reject_of(record, FilterSettings(**settings))
    return rejection[0] if rejection else None


def test_a_good_row_is_kept():
    assert reason(row()) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"path": "../a.jpg"}, "unsafe_path"),
        ({"path": "01/../../a.jpg"}, "unsafe_path"),
        ({"path": "01\\..\\..\\a.jpg"}, "unsafe_path"),
        ({"path": "/etc/passwd"}, "unsafe_path"),
        ({"path": "C:\\a.jpg"}, "unsafe_path"),
        ({"path": "s3://bucket/a.jpg"}, "unsafe_path"),
        ({"path": "01/a.jpg\0.png"}, "unsafe_path"),
        ({"path": "01/../02/a..jpg"}, None),
        ({"path": "./01//a.jpg"}, None),
        ({"malformed": "gender is 2"}, "malformed_row"),
        ({"age": -1}, "age_out_of_range"),
        ({"age": 101}, "age_out_of_range"),
        ({"age": 0}, None),
        ({"age": 100}, None),
        ({"age": None}, "age_unknown"),
        ({"age": None, "age_class": "YOUNG"}, None),
        ({"gender": None}, "gender_unknown"),
        ({"face_score": -INF}, "no_face"),
        ({"face_score": 0.999}, "low_face_score"),
        ({"face_score": 1.0}, None),
        ({"face_score": None}, None),
        ({"second_face_score": 0.7}, "second_face"),
    ],
)
def test_the_usual_filter(changes, expected):
    assert reason(row(**changes)) == expected


@pytest.mark.parametrize(
    ("changes", "settings", "expected"),
    [
        ({"face_score": 0.1}, {"min_face_score": None}, None),
        ({"face_score": -INF}, {"min_face_score": None}, "no_face"),
        ({"face_score": 2.5}, {"min_face_score": 3}, "low_face_score"),
        ({"second_face_score": 3.0}, {"second_face": True}, None),
        ({"age": 17}, {"min_age": 18}, "age_out_of_range"),
        ({"age": 61}, {"max_age": 60}, "age_out_of_range"),
        ({"gender": None}, {"unknown_gender": True}, None),
        ({"gender": None, "age": None, "age_class": "OLD"}, {"unknown_gender": True}, None),
        ({"age": None}, {"unknown_age": True}, None),
        ({"age": None, "gender": None}, {"unknown_age": True, "unknown_gender": True}, "age_unknown"),
        ({"age": None, "gender": None}, {"unknown_gender": True}, "age_unknown"),
        ({"age": 300, "gender": None}, {"unknown_age": True, "unknown_gender": True}, "age_out_of_range"),
    ],
)
def test_each_rule_is_a_setting(changes, settings, expected):
    assert reason(row(**changes), **settings) == expected


def test_a_row_that_deserves_several_reasons_carries_the_first():
    deserved: dict[str, dict[str, Any]] = {
        "unsafe_path": {"path": "../a.jpg"},
        "malformed_row": {"malformed": "x"},
        "age_out_of_range": {"age": 300},
        "gender_unknown": {"gender": None},
        "no_face": {"face_score": -INF},
        "second_face": {"second_face_score": 1.0},
    }
    assert list(deserved) == [name for name in REASONS if name in deserved]
    while deserved:
        changes = {key: value for part in deserved.values() for key, value in part.items()}
        first = next(iter(deserved))
        assert reason(row(**changes)) == first
        del deserved[first]


def test_details_say_what_was_wrong():
    assert reject_of(row(age=120), FilterSettings()) == ("age_out_of_range", "age 120, allowed 0 to 100")
    assert reject_of(row(malformed="gender is 2"), FilterSettings()) == ("malformed_row", "gender is 2")


@pytest.mark.parametrize(
    ("model", "setting"),
    [
        (FilterSettings, "min_age=101"),
        (FilterSettings, "max_age=-1"),
        (SplitSettings, "folds=0"),
        (SplitSettings, "test=1.5"),
        (SplitSettings, "test=0.9"),
        (SplitSettings, "test_fold=1"),
    ],
)
def test_impossible_settings_are_refused(model, setting):
    with pytest.raises(VisageError):
        build(model, {"validation": 0.1} if model is SplitSettings else {}, [setting])


PEOPLE = [f"imdb:{number}" for number in range(20_000)]


def test_persons_fall_into_splits_by_their_shares():
    counts = Counter(split_of(row(person=person), SplitSettings(validation=0.1, test=0.2)) for person in PEOPLE)
    assert counts["test"] == pytest.approx(4_000, rel=0.05)
    assert counts["validation"] == pytest.approx(2_000, rel=0.08)
    assert counts.total() == 20_000


def test_a_person_is_in_one_split_whatever_the_photo():
    for person in PEOPLE[:200]:
        splits = {split_of(row(person=person, row=n, path=f"{n}.jpg", age=n), SplitSettings()) for n in range(5)}
        assert len(splits) == 1


def test_the_deal_is_fixed_for_good():
    """Another deal would move persons between the splits of archives that are already in use."""
    dealt = [split_of(row(person=person), SplitSettings(test=0.3, validation=0.3)) for person in PEOPLE[:6]]
    assert dealt == ["validation", "validation", "validation", "test", "test", "train"]
    assert [fold_of(row(person=person), SplitSettings(folds=5)) for person in PEOPLE[:8]] == [4, 0, 0, 3, 2, 1, 0, 4]


def test_a_larger_test_share_only_adds_persons_to_test():
    small, large = SplitSettings(test=0.1), SplitSettings(test=0.2)
    before = {person for person in PEOPLE if split_of(row(person=person), small) == "test"}
    after = {person for person in PEOPLE if split_of(row(person=person), large) == "test"}
    assert before < after


def test_another_seed_deals_anew():
    deals = [
        [split_of(row(person=person), SplitSettings(test=0.5, seed=seed)) for person in PEOPLE[:500]] for seed in (0, 1)
    ]
    assert deals[0] != deals[1]


def test_a_given_split_is_honoured_unless_it_is_not_wanted():
    for split in ("train", "validation", "test"):
        assert split_of(row(split=split), SplitSettings()) == split
    dealt = split_of(row(), SplitSettings())
    assert {split_of(row(split=split), SplitSettings(given=False)) for split in ("train", "test")} == {dealt}


def test_splits_that_the_source_lacks_may_be_cut_from_its_train_split():
    cut = SplitSettings(validation=0.2, test=0.2, cut_from_train=("validation",))
    splits = {person: split_of(row(person=person, split="train"), cut) for person in PEOPLE[:5000]}
    counts = Counter(splits.values())
    assert set(counts) == {"train", "validation"}
    assert counts["validation"] == pytest.approx(1000, rel=0.1)
    assert all(split_of(row(person=person, split="train", row=7), cut) == split for person, split in splits.items())
    assert {split_of(row(person=person, split="test"), cut) for person in PEOPLE[:100]} == {"test"}
    both = SplitSettings(validation=0.2, test=0.2, cut_from_train=("validation", "test"))
    assert {split_of(row(person=person, split="train"), both) for person in PEOPLE[:100]} == {
        "train",
        "validation",
        "test",
    }
    dealt = SplitSettings(validation=0.2, test=0.2, cut_from_train=("validation",), given=False)
    assert all(
        split_of(row(person=person, split="train"), dealt) == split_of(row(person=person), dealt)
        for person in PEOPLE[:200]
    )


def test_folds_are_even_and_each_is_the_test_split_once():
    folds = [fold_of(row(person=person), SplitSettings(folds=5)) for person in PEOPLE]
    assert set(folds) == set(range(5))
    assert all(count == pytest.approx(4_000, rel=0.06) for count in Counter(folds).values())
    for person in PEOPLE[:300]:
        fold = fold_of(row(person=person), SplitSettings(folds=5))
        splits = [split_of(row(person=person), SplitSettings(folds=5, test_fold=k)) for k in range(5)]
        assert splits[fold] == "test"
        assert splits[(fold - 1) % 5] == "validation"
        assert splits.count("train") == 3


def test_one_fold_is_fold_0():
    assert {fold_of(row(person=person), SplitSettings()) for person in PEOPLE[:50]} == {0}


def table(folder, *lines):
    (folder / "faces.csv").write_text("\n".join(["path,age,gender,person,split", *lines]) + "\n")
    return SourceSettings(kind="table", path=str(folder / "faces.csv"))


SIX = ["1.jpg,30,f,a,", "2.jpg,,f,b,", "../3.jpg,30,m,c,", "4.jpg,300,,d,", "5.jpg,31,m,a,", "6.jpg,9,m,f,test"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".CSV"])
def test_the_list_has_every_row_with_its_split_or_its_reason(tmp_path, capsys, suffix):
    out = tmp_path / "new" / f"labels{suffix}"
    counts = write_labels(table(tmp_path, *SIX), FilterSettings(), SplitSettings(folds=3), out)
    if suffix == ".parquet":
        listed = parquet.read_table(out).to_pylist()
    else:
        with out.open() as file:
            listed = list(csv.DictReader(file))
    assert tuple(listed[0]) == COLUMNS
    assert [line["reason"] or None for line in listed] == [
        None,
        "age_unknown",
        "unsafe_path",
        "age_out_of_range",
        None,
        None,
    ]
    assert [int(line["row"]) for line in listed] == list(range(6))
    assert listed[0]["split"] == listed[4]["split"]
    assert listed[0]["fold"] == listed[4]["fold"]
    assert listed[5]["split"] == "test"
    assert not listed[1]["split"]
    assert listed[3]["detail"] == "age 300, allowed 0 to 100"
    assert (counts["rows"], counts["kept"], counts["unsafe_path"]) == (6, 3, 1)
    shown = capsys.readouterr().out
    assert "rows                         6\nkept                         3\n" in shown
    assert "  unsafe_path                1  the path leads out of the photos' folder" in shown
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_list_has_a_tables_own_columns_of_kept_rows_and_of_rejects(tmp_path, suffix):
    lines = ["path,age,gender,camera,note", "1.jpg,30,f,X100,", "2.jpg,300,m,,late", "3.jpg,30", "4.jpg,31,m,K 1000,x"]
    (tmp_path / "faces.csv").write_text("\n".join(lines) + "\n")
    own = TableSettings(columns=("note", "camera"))
    source = SourceSettings(kind="table", path=str(tmp_path / "faces.csv"), table=own)
    out = tmp_path / f"labels{suffix}"
    write_labels(source, FilterSettings(), SplitSettings(), out)
    listed = parquet.read_table(out).to_pylist() if suffix == ".parquet" else list(csv.DictReader(out.open()))
    assert tuple(listed[0]) == (*COLUMNS, "label_note", "label_camera")
    reasons_and_labels = [
        (line["reason"] or None, line["label_note"] or None, line["label_camera"] or None) for line in listed
    ]
    assert reasons_and_labels == [
        (None, None, "X100"),
        ("age_out_of_range", "late", None),
        ("malformed_row", None, None),
        (None, "x", "K 1000"),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1.jpg,30,,a,", "gender_unknown. ingest.filter.unknown_gender=true"),
        ("1.jpg,,f,a,", "ingest.filter.unknown_age=true"),
        ("1.jpg,300,f,a,", "the first: age 300, allowed 0 to 100. The limits are ingest.filter.min_age"),
        ("1.jpg,30,Man,a,", "malformed_row, the first: gender is 'Man': see source.table.genders."),
        ("1.jpg,old,f,a,", "the first: age is 'old': see source.table.age."),
        ("1.jpg,30,f,a,later", "the first: split is 'later': see source.table.split."),
        (
            "/srv/1.jpg,30,f,a,",
            "the first: the path is absolute. Name the folder that the paths begin with as source.photos",
        ),
        ("1.jpg,30", "the first: the row has 2 fields, the table has 5 columns: see source.table.delimiter."),
    ],
)
def test_a_list_without_a_kept_row_says_why_and_what_to_set(tmp_path, capsys, line, message):
    write_labels(table(tmp_path, *[line] * 3), FilterSettings(), SplitSettings(), tmp_path / "labels.csv")
    assert message in capsys.readouterr().out


def test_of_several_reasons_the_one_of_most_rows_is_explained(tmp_path, capsys):
    lines = ["1.jpg,300,f,a,", "2.jpg,30,Man,a,", "3.jpg,30,Woman,a,"]
    write_labels(table(tmp_path, *lines), FilterSettings(), SplitSettings(), tmp_path / "labels.csv")
    assert "Most are malformed_row, the first: gender is 'Man'" in capsys.readouterr().out


def test_a_list_that_cannot_be_written(tmp_path):
    source = table(tmp_path, *SIX)
    for out, text in (
        (tmp_path / "labels.xlsx", "must end in"),
        (tmp_path / "faces.csv/labels.csv", "cannot be written"),
    ):
        with pytest.raises(VisageError, match=text):
            write_labels(source, FilterSettings(), SplitSettings(), out)


def test_a_list_of_a_source_that_fails_leaves_the_old_one(tmp_path):
    source = table(tmp_path, *SIX, '"7.jpg,1,f,g,')
    out = tmp_path / "labels.csv"
    out.write_text("old")
    with pytest.raises(VisageError, match="not well-formed"):
        write_labels(source, FilterSettings(), SplitSettings(), out)
    with pytest.raises(VisageError, match="holds no rows"):
        write_labels(table(tmp_path), FilterSettings(), SplitSettings(), out)
    assert out.read_text() == "old"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["faces.csv", "labels.csv"]


def test_the_real_wiki_metadata_leaves_exactly_the_rows_that_others_found(tmp_path):
    folder = shared_data()
    genders = {"0": "female", "1": "male"}
    with (folder / "wiki_expected.csv").open() as file:
        expected = [(genders[line["genders"]], int(line["ages"]), line["img_paths"]) for line in csv.DictReader(file)]
    out = tmp_path / "labels.parquet"
    write_labels(SourceSettings(path=str(folder / "wiki.mat")), FilterSettings(), SplitSettings(), out)
    listed = parquet.read_table(out).to_pylist()
    kept_rows = [(line["gender"], line["age"], line["path"]) for line in listed if line["reason"] is None]
    assert len(listed) == 62_328
    assert len(kept_rows) == 38_138
    assert sorted(kept_rows) == sorted(expected)
