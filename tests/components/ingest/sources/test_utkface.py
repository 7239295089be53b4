"""UTKFace's names."""

from components.ingest.labels import FilterSettings, reject_of
from components.ingest.sources import records
from components.ingest.sources.settings import SourceSettings
from tests.components.ingest.sources.imdb_wiki_files import shared_data


def read(folder):
    return list(records(SourceSettings(kind="utkface", path=str(folder))))


def test_a_name_is_age_gender_race_time_with_0_for_male(tmp_path):
    for name in ("24_0_1_20170116220224657.jpg.chip.jpg", "80_1_0_20170111201008732.jpg"):
        (tmp_path / name).touch()
    man, woman = read(tmp_path)
    assert (man.age, man.gender) == (24, "male")
    assert (woman.age, woman.gender) == (80, "female")
    assert man.person == "utkface:24_0_1_20170116220224657.jpg.chip.jpg" != woman.person
    assert man.box is None
    assert reject_of(man, FilterSettings()) is None


def test_a_name_may_be_of_any_format(tmp_path):
    names = ["24_0_1_20170116220224657.HEIC", "25_0_1_20170116220224657.png.chip.jfif", "26_0_1_20170116220224657.avif"]
    for name in (*names, "27_0_1_20170116220224657.txt"):
        (tmp_path / name).touch()
    assert [record.age for record in read(tmp_path)] == [24, 25, 26]


def test_the_malformed_names_of_the_published_set(tmp_path):
    names = [
        "24_0_1_20170116220224657 .jpg.chip.jpg",
        "39_1_20170116174525125.jpg.chip.jpg",
        "55_0_0_20170116232725357jpg.chip.jpg",
        "61_1_20170109142408075.jpg.chip.jpg",
        "61_3_0_20170109150557335.jpg.chip.jpg",
    ]
    for name in names:
        (tmp_path / name).touch()
    face_records = read(tmp_path)
    assert [record.path for record in face_records] == names
    assert [reject_of(record, FilterSettings()) for record in face_records] == [
        ("malformed_row", "the name is not AGE_GENDER_RACE_TIME.jpg")
    ] * 5


def test_a_name_that_is_not_utf8_is_malformed(tmp_path):
    (tmp_path / b"24_0_1_2017\xff.jpg".decode("utf-8", "surrogateescape")).touch()
    (record,) = read(tmp_path)
    assert record.malformed
    assert record.path.encode("utf-8")


def test_the_real_defects():
    face_records = read(shared_data() / "utkface_defects.zip")
    assert len(face_records) == 5 + 60 + 40
    assert sum(bool(record.malformed) for record in face_records) == 5


def test_the_real_names():
    face_records = read(shared_data() / "utkface_10k.zip")
    assert len(face_records) == 10_000
    assert not any(record.malformed for record in face_records)
    assert {record.gender for record in face_records} == {"female", "male"}
