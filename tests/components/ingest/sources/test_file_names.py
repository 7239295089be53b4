"""Labels from IMDB-WIKI's file names."""

import zipfile

from components.ingest.sources import file_names, records
from components.ingest.sources.settings import SourceSettings
from components.storage import places
from components.storage.places import Picture
from tests.components.ingest.sources.imdb_wiki_files import shared_data


def read(folder, **settings):
    return list(records(SourceSettings(kind="file_names", path=str(folder), **settings)))


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_imdb_names(tmp_path):
    (record,) = read(touch(tmp_path, "01/nm0000001_rm124825600_1899-5-10_1968.jpg"))
    assert (record.source, record.person, record.age) == ("imdb", "imdb:nm0000001", 69)
    assert record.path == "01/nm0000001_rm124825600_1899-5-10_1968.jpg"
    assert record.gender is None
    assert record.malformed == ""


def test_wiki_names(tmp_path):
    (record,) = read(touch(tmp_path, "17/10000217_1981-07-05_2009.jpg"))
    assert (record.source, record.person, record.age) == ("wiki", "wiki:10000217", 27)


def test_dates_that_do_not_exist_carry_over_as_in_the_mat(tmp_path):
    names = ["1_1953-07-00_2000.jpg", "2_1984-15-03_2014.jpg", "3_1929-10-012_1954.jpg", "4_0-0-0_2000.jpg"]
    assert [record.age for record in read(touch(tmp_path, *names))] == [47, 29, 24, None]


def test_other_names_are_malformed_rows(tmp_path):
    face_records = read(touch(tmp_path, "holiday.jpg", "nm1_1970-1-1_2000.jpg", "5_1970-1-1_200.jpg"))
    assert all("the name is neither" in record.malformed for record in face_records)
    assert [record.row for record in face_records] == [0, 1, 2]


def test_only_pictures_are_rows_and_their_order_is_fixed(tmp_path):
    names = ["b/2_1970-01-01_2000.JPG", "a/3_1970-01-01_2000.webp", "1_1970-01-01_2000.jpeg"]
    others = [".heic", ".HEIF", ".avif", ".jp2", ".jfif", ".dng", ".jxl"]  # pictures, though not all of them are read
    names += [f"c/{number}_1970-01-01_2000{extension}" for number, extension in enumerate(others)]
    touch(tmp_path, *names, "imdb.mat", "Thumbs.db", ".hidden.jpg", ".cache/4_1970-01-01_2000.jpg")
    assert [record.path for record in read(tmp_path)] == sorted(names)


def test_photos_in_a_zip(tmp_path):
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
        archive.writestr("wiki_crop/18/18_1981-05-05_2009.jpg", b"")
        archive.writestr("wiki_crop/17/17_1981-05-05_2009.jpg", b"")
        archive.writestr("__MACOSX/wiki_crop/17/17_1981-05-05_2009.jpg", b"")
    face_records = read(tmp_path / "faces.zip")
    assert [record.path for record in face_records] == [f"wiki_crop/{n}/{n}_1981-05-05_2009.jpg" for n in (17, 18)]


def test_every_name_of_the_real_set_gives_the_age_and_person_of_its_mat(monkeypatch):
    labelled = list(records(SourceSettings(path=str(shared_data() / "wiki.mat"))))
    # The photos themselves are not there; their names are.
    monkeypatch.setattr(places, "picture_names", lambda *_: [Picture(record.path) for record in labelled])
    from_names = list(file_names.records(SourceSettings(kind="file_names", path="wiki")))
    assert len(from_names) == 62_328
    assert [(record.age, record.person) for record in from_names] == [
        (record.age, record.person) for record in labelled
    ]
