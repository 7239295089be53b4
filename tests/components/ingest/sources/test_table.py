"""CSV and Parquet tables of labels."""

import datetime
import zipfile
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from components.ingest.settings import Settings
from components.ingest.sources import photos_root, records
from components.ingest.sources.settings import SourceSettings
from components.step.settings import build
from schemas.error import VisageError


def csv(folder: Path, text: str, name: str = "faces.csv") -> Path:
    file = folder / name
    file.write_bytes(text.encode())
    return file


def read(path: Path | str, /, **table):
    return list(records(SourceSettings(kind="table", path=str(path), table=table)))


def message(path: Path | str, /, **table) -> str:
    with pytest.raises(VisageError) as caught:
        read(path, **table)
    return str(caught.value)


def test_columns_of_the_usual_names_need_no_settings(tmp_path):
    file = csv(tmp_path, "path,age,gender,person,split\na/1.jpg,31,F,p1,val\n")
    (record,) = read(file)
    assert (record.row, record.source, record.path, record.person) == (0, "labels", "a/1.jpg", "labels:p1")
    assert (record.age, record.age_class, record.gender, record.split) == (31, None, "female", "validation")
    assert record.malformed == ""
    assert photos_root(SourceSettings(kind="table", path=str(file))) == str(tmp_path)


def test_columns_of_other_names(tmp_path):
    file = csv(tmp_path, "Datei,Alter,Geschlecht\n1.jpg,31,w\n")
    (record,) = read(file, path="Datei", age="Alter", gender="Geschlecht", genders={"w": "female", "m": "male"})
    assert (record.path, record.age, record.gender) == ("1.jpg", 31, "female")


def test_a_path_made_of_several_columns_as_in_adience(tmp_path):
    header = "user_id\toriginal_image\tface_id\tage\tgender\n"
    file = csv(tmp_path, header + "30601258@N03\t10399646885.jpg\t1\t(25, 32)\tf\n", "fold_0_data.txt")
    pattern = "faces/{user_id}/coarse_tilt_aligned_face.{face_id}.{original_image}"
    (record,) = read(file, path=pattern, person="user_id")
    assert record.path == "faces/30601258@N03/coarse_tilt_aligned_face.1.10399646885.jpg"
    assert (record.age, record.age_class, record.gender) == (None, "25-32", "female")
    assert record.person == "labels:30601258@N03"


def test_further_columns_are_kept_as_they_are_written(tmp_path):
    file = csv(tmp_path, "path,age,camera,Land\n1.jpg,31, X100 ,NA\n2.jpg,32,,1.0\n3.jpg,33\n")
    first, second, third = read(file, columns=["Land", "camera"])
    assert (first.own_labels, second.own_labels) == (("NA", "X100"), ("1.0", None))
    assert third.malformed and third.own_labels == (None, None)
    assert [record.own_labels for record in read(file)] == [(), (), ()]


def test_a_further_column_may_be_one_that_is_read_otherwise_too(tmp_path):
    (record,) = read(csv(tmp_path, "path,age,gender\n1.jpg,16.75,F\n"), columns=["age"])
    assert (record.age, record.own_labels) == (16, ("16.75",))


def test_of_another_kind_of_source_no_columns_are_kept():
    assert SourceSettings(kind="utkface", table={"columns": ["camera"]}).own_labels == ()


@pytest.mark.parametrize("columns", ["camera,camera", "''"])
def test_further_columns_have_names_and_are_named_once(columns):
    with pytest.raises(VisageError, match=r"source\.table\.columns.*every column has a name, and is named once"):
        build(Settings, {}, [f"source.table.columns=[{columns}]"])


@pytest.mark.parametrize(
    ("text", "age", "age_class", "malformed"),
    [
        ("31", 31, None, False),
        ("31.0", 31, None, False),
        ("31.9", 31, None, False),
        ("-3", -3, None, False),
        ("", None, None, False),
        ("None", None, None, False),
        ("(60, 100)", None, "60-100", False),
        ("[8;12]", None, "8-12", False),
        ("38-43", None, "38-43", False),
        ("(43, 38)", None, None, True),
        ("old", None, None, True),
        ("inf", None, None, True),
        ("1e999", None, None, True),
    ],
)
def test_ages(tmp_path, text, age, age_class, malformed):
    (record,) = read(csv(tmp_path, f'path,age\n1.jpg,"{text}"\n'))
    assert (record.age, record.age_class, bool(record.malformed)) == (age, age_class, malformed)


def test_age_classes_keep_their_names_and_give_way_to_an_age(tmp_path):
    face_records = read(csv(tmp_path, "path,age,age_class\n1.jpg,,YOUNG\n2.jpg,,0-2\n3.jpg,40,MIDDLE\n4.jpg,,\n"))
    assert [(record.age, record.age_class) for record in face_records] == [
        (None, "YOUNG"),
        (None, "0-2"),
        (40, None),
        (None, None),
    ]


def test_gender_in_any_stated_code(tmp_path):
    file = csv(tmp_path, "path,gender\n1.jpg,0\n2.jpg,1\n3.jpg,\n4.jpg,u\n5.jpg,2\n")
    overrides = [f"path={file}", "kind=table", "table.genders={0: male, 1: female}"]
    face_records = list(records(build(SourceSettings, {}, overrides)))
    assert [record.gender for record in face_records] == ["male", "female", None, None, None]
    assert [record.malformed for record in face_records] == ["", "", "", "", "gender is '2': see source.table.genders"]


def test_gender_in_numbers_without_their_meaning_is_refused(tmp_path):
    assert "table.genders" in message(csv(tmp_path, "path,gender\n1.jpg,0\n"))


def test_gender_codes_mean_female_or_male():
    with pytest.raises(VisageError, match="female or male"):
        build(SourceSettings, {}, ["table.genders={0: man}"])


def test_without_persons_every_photo_shows_another_one(tmp_path):
    face_records = read(csv(tmp_path, "path,age\n1.jpg,3\n2.jpg,4\n"))
    assert [record.person for record in face_records] == ["labels:1.jpg", "labels:2.jpg"]


def test_boxes(tmp_path):
    file = csv(tmp_path, "path,age,x1,y1,x2,y2\n1.jpg,3,10,20,30.5,40\n2.jpg,3,10,20,5,40\n3.jpg,3,,,,\n")
    good, *wrong = read(file, box=("x1", "y1", "x2", "y2"))
    assert good.box == (10, 20, 30.5, 40)
    assert all("the box is" in record.malformed for record in wrong)
    with pytest.raises(VisageError, match="four columns"):
        build(SourceSettings, {}, ["table.box=[a, b]"])


def test_rows_that_cannot_be_read_are_malformed_and_the_others_go_on(tmp_path):
    text = "path,age,split\n1.jpg,3\n2.jpg,3,test,more\n,3,test\n4.jpg,3,later\n\n6.jpg,3,test\n"
    face_records = read(csv(tmp_path, text))
    assert [bool(record.malformed) for record in face_records] == [True, True, True, True, False]
    assert face_records[3].malformed == "split is 'later': see source.table.split"
    assert [record.row for record in face_records] == [0, 1, 2, 3, 4]


def test_a_path_that_is_not_utf8_is_malformed(tmp_path):
    file = tmp_path / "faces.csv"
    file.write_bytes(b"path,age\n\xff.jpg,3\n")
    (record,) = read(file)
    assert record.malformed == "the path is not UTF-8: see source.table.encoding"


def test_a_csv_from_a_spreadsheet(tmp_path):
    (record,) = read(csv(tmp_path, "\ufeffpath;age\r\n1.jpg;3\r\n"), delimiter=";")
    assert (record.path, record.age) == ("1.jpg", 3)


def test_parquet(tmp_path):
    columns = {
        "path": ["1.jpg", "2.jpg", None],
        "age": [31.0, None, 5.0],
        "gender": pyarrow.array(["male", None, "female"]).dictionary_encode(),
        "taken": [datetime.date(2001, 1, 1)] * 3,
        "blob": [b"\xff"] * 3,
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "faces.parquet")
    first, second, third = read(tmp_path / "faces.parquet")
    assert (first.path, first.age, first.gender) == ("1.jpg", 31, "male")
    assert (second.age, second.gender) == (None, None)
    assert third.malformed == "there is no path"


def test_a_damaged_parquet_file(tmp_path):
    file = tmp_path / "faces.parquet"
    parquet.write_table(pyarrow.table({"path": ["1.jpg"] * 1000, "age": list(range(1000))}), file)
    whole = file.read_bytes()
    for damaged in (b"", b"path,age\n", whole[:200], whole[:4] + b"\xff" * 300 + whole[304:]):
        file.write_bytes(damaged)
        assert "cannot be read as Parquet" in message(file)


def test_a_missing_column_names_those_that_are_there(tmp_path):
    file = csv(tmp_path, "path,years\n1.jpg,3\n")
    assert "no column jahre" in message(file, age="jahre")
    assert "It has path, years" in message(file, age="jahre")
    assert "no column of ages" in message(file)
    assert "no column file" in message(file, path="{file}.jpg", age="years")


def test_a_quotation_mark_left_open_is_an_error_not_the_loss_of_the_rest(tmp_path):
    assert "not well-formed" in message(csv(tmp_path, 'path,age\n"1.jpg,3\n2.jpg,4\n'))


def test_an_empty_table(tmp_path):
    assert "is empty" in message(csv(tmp_path, ""))
    assert read(csv(tmp_path, "path,age\n")) == []


def test_the_one_table_in_a_folder_or_archive_is_found(tmp_path):
    csv(tmp_path, "path,age\n1.jpg,3\n")
    assert [record.path for record in read(tmp_path)] == ["1.jpg"]
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("set/faces.csv", "path,age\nphotos/1.jpg,3\n../../2.jpg,4\n")
    assert [record.path for record in read(tmp_path / "all.zip")] == ["set/photos/1.jpg", "../../2.jpg"]
    csv(tmp_path, "path,age\n", "other.csv")
    assert "faces.csv and other.csv are in" in message(tmp_path)
    (tmp_path / "empty").mkdir()
    assert "no CSV, TSV or Parquet file is in" in message(tmp_path / "empty")
