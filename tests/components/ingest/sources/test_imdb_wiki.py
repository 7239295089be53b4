"""imdb.mat and wiki.mat as records."""

import io
import math
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from components.ingest.sources import imdb_mat, photos_root, records
from components.ingest.sources.settings import SourceSettings
from schemas.error import VisageError
from tests.components.ingest.sources.imdb_wiki_files import (
    INF,
    NAN,
    cells,
    columns,
    datenum,
    face,
    shared_data,
    write_mat,
)


def read(path: Path | str, **settings):
    return list(records(SourceSettings(path=str(path), **settings)))


def test_a_row_becomes_a_record(tmp_path):
    (record,) = read(write_mat(tmp_path, face()))
    assert (record.row, record.source, record.path) == (0, "imdb", "01/nm0000001_rm10_1970-3-12_2009.jpg")
    assert (record.age, record.gender, record.person) == (39, "female", "imdb:7")
    assert record.face_score == pytest.approx(3.5)
    assert record.second_face_score is None
    assert record.box is None
    assert record.split is None
    assert record.malformed == ""


def test_gender_is_0_for_female_1_for_male_nan_for_unknown(tmp_path):
    folder = write_mat(tmp_path, face(gender=0.0), face(gender=1.0), face(gender=NAN))
    assert [record.gender for record in read(folder)] == ["female", "male", None]


def test_age_counts_the_photo_as_taken_in_mid_year(tmp_path):
    cases = [
        (datenum(1970, 6, 30), 2009, 39),
        (datenum(1970, 7, 1), 2009, 38),
        (datenum(1970, 12, 31), 1970, -1),
        (datenum(1, 1, 1), 2009, 2008),
        (0, 2009, None),
        (366, 2009, None),
        (-5, 2009, None),
        (99_999_999, 2009, None),
        (NAN, 2009, None),
    ]
    face_records = read(write_mat(tmp_path, *[face(dob=birth, photo_taken=taken) for birth, taken, _ in cases]))
    assert [record.age for record in face_records] == [age for _, _, age in cases]
    assert not any(record.malformed for record in face_records)


def test_no_face_is_a_score_of_minus_infinity(tmp_path):
    (record,) = read(write_mat(tmp_path, face(face_score=-INF)), cropped=False)
    assert record.face_score == -math.inf
    assert record.box is None


def test_a_second_face_has_a_score(tmp_path):
    (record,) = read(write_mat(tmp_path, face(second_face_score=1.25)))
    assert record.second_face_score == pytest.approx(1.25)


def test_boxes_of_whole_photos_count_from_0_and_end_exclusive(tmp_path):
    (record,) = read(write_mat(tmp_path, face(face_location=[11.0, 21.0, 110.0, 120.5])), cropped=False)
    assert record.box == (10.0, 20.0, 110.0, 120.5)


@pytest.mark.parametrize(
    ("folder", "location", "cropped", "has_box"),
    [
        ("imdb_crop", [11, 21, 110, 120], None, False),
        ("faces", [11, 21, 110, 120], None, False),
        ("imdb", [11, 21, 110, 120], None, True),
        ("imdb", [1, 1, 110, 120], None, False),
        ("imdb", [11, 21, 110, 120], True, False),
        ("imdb_crop", [11, 21, 110, 120], False, True),
    ],
)
def test_full_sets_are_known_by_the_folder_of_the_published_archive(tmp_path, folder, location, cropped, has_box):
    (record,) = read(write_mat(tmp_path / folder, face(face_location=location)), cropped=cropped)
    assert (record.box is not None) == has_box


def test_persons_are_celeb_id_or_the_number_in_the_photos_name(tmp_path):
    path_with_person = "01/nm0000801_rm10_1970-3-12_2009.jpg"
    imdb = read(
        write_mat(
            tmp_path,
            face(celeb_id=5.0),
            face(celeb_id=NAN, full_path=path_with_person),
            face(celeb_id=NAN, full_path="x.jpg"),
        )
    )
    assert [record.person for record in imdb] == ["imdb:5", "imdb:nm0000801", "imdb:x.jpg"]
    wiki = read(write_mat(tmp_path / "wiki_crop", face(full_path="17/10000217_1981-05-05_2009.jpg"), part="wiki"))
    assert [record.person for record in wiki] == ["wiki:10000217"]


def test_the_name_can_be_chosen(tmp_path):
    (record,) = read(write_mat(tmp_path, face()), name="mine")
    assert (record.source, record.person) == ("mine", "mine:7")


def test_a_row_that_cannot_be_read_says_why_and_does_not_stop_the_others(tmp_path):
    cases: list[tuple[dict[str, Any], str]] = [
        ({"full_path": ""}, "full_path"),
        ({"full_path": 7.0}, "full_path"),
        ({"gender": 2.0}, "gender is 2"),
        ({"photo_taken": NAN}, "photo_taken"),
        ({"photo_taken": INF}, "photo_taken"),
        ({"face_score": NAN}, "face_score"),
        ({"face_location": [1.0, 2.0]}, "face_location"),
        ({"face_location": [50.0, 50.0, 40.0, 60.0]}, "face_location"),
        ({"face_location": [NAN, 1.0, 40.0, 60.0]}, "face_location"),
    ]
    *wrong, right = read(write_mat(tmp_path, *[face(**changes) for changes, _ in cases], face()), cropped=False)
    assert right.malformed == ""
    for record, (_, why) in zip(wrong, cases, strict=True):
        assert why in record.malformed


def test_paths_are_left_as_they_are(tmp_path):
    (record,) = read(write_mat(tmp_path, face(full_path="../00/../../outside.jpg")))
    assert record.path == "../00/../../outside.jpg"


def test_the_file_itself_can_be_named(tmp_path):
    folder = write_mat(tmp_path, face())
    assert len(read(folder / "imdb.mat")) == 1
    assert photos_root(SourceSettings(path=str(folder / "imdb.mat"))) == str(folder)
    assert photos_root(SourceSettings(path=str(folder))) == str(folder)


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_an_archive_is_read_in_place(tmp_path, kind):
    folder = write_mat(tmp_path / "imdb_crop", face(), face(full_path="../../x.jpg"))
    packed = tmp_path / f"imdb_crop.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(packed, "w") as archive:
            archive.write(folder / "imdb.mat", "imdb_crop/imdb.mat")
    else:
        with tarfile.open(packed, "w:gz" if kind.endswith("gz") else "w") as archive:
            archive.add(folder, "imdb_crop")
    inside, outside = read(packed)
    assert inside.path == "imdb_crop/01/nm0000001_rm10_1970-3-12_2009.jpg"
    assert outside.path == "../../x.jpg"
    assert photos_root(SourceSettings(path=str(packed))) == str(packed)


def test_photos_in_an_archive_beside_the_metadata(tmp_path):
    folder = write_mat(tmp_path, face())
    packed = tmp_path / "photos.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("imdb/readme.txt", b"")
        archive.writestr("imdb/01/nm0000001_rm10_1970-3-12_2009.jpg", b"")
    (record,) = read(folder, photos=str(packed))
    assert record.path == "imdb/01/nm0000001_rm10_1970-3-12_2009.jpg"
    assert record.box == (10.0, 20.0, 110.0, 120.0)


def message(path: Path | str, **settings) -> str:
    with pytest.raises(VisageError) as caught:
        read(path, **settings)
    return str(caught.value)


def refusal(content: bytes | dict[str, Any]) -> str:
    """What the parser says of bytes, or of a .mat file with these variables."""
    if isinstance(content, dict):
        file = io.BytesIO()
        savemat(file, content)
        content = file.getvalue()
    with pytest.raises(VisageError) as caught:
        imdb_mat.parse(content, "imdb.mat")
    return str(caught.value)


def test_no_path(tmp_path):
    assert "source.path is not set" in message("")
    assert "There is no" in message(tmp_path / "nowhere")


def test_no_metadata_in_the_folder_names_the_one_nearby(tmp_path):
    assert "There is no imdb.mat or wiki.mat in" in message(tmp_path)
    folder = write_mat(tmp_path / "faces", face())
    assert f"There is one in {folder}" in message(tmp_path)


def test_two_metadata_files_in_the_folder(tmp_path):
    write_mat(tmp_path, face())
    assert "imdb.mat and wiki.mat are both in" in message(write_mat(tmp_path, face(), part="wiki"))


def test_metadata_that_is_cut_short(tmp_path):
    file = write_mat(tmp_path, *[face()] * 50) / "imdb.mat"
    whole = file.read_bytes()
    for share in (0, 0.01, 0.1, 0.5, 0.9, 0.999):
        assert "imdb.mat cannot be read as a .mat file" in refusal(whole[: int(len(whole) * share)])
    file.write_bytes(whole[:-10])
    assert str(file) in message(file)


@pytest.mark.parametrize("seed", [0, 1, 96, 122, 592])
def test_metadata_with_a_flipped_bit_is_read_or_refused_even_where_it_crashes_scipy(tmp_path, seed):
    file = tmp_path / "imdb.mat"
    savemat(file, {"imdb": columns([face()] * 5)}, do_compression=False)
    damaged = bytearray(file.read_bytes())
    draw = np.random.default_rng(seed)
    damaged[draw.integers(0, len(damaged))] ^= 1 << int(draw.integers(0, 8))
    file.write_bytes(damaged)
    try:
        assert len(read(file)) == 5
    except VisageError as error:
        assert str(file) in str(error)


def test_a_file_of_another_kind():
    assert "cannot be read as a .mat file" in refusal(b"no MATLAB file at all, but long enough to be one" * 10)
    newer = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    assert "is a MATLAB 7.3 file" in refusal(newer.ljust(512, b"\0") + b"\x89HDF\r\n\x1a\n")


@pytest.mark.parametrize("content", [{"other": np.zeros(3)}, {"imdb": np.zeros(3)}, {"imdb": "text"}, {"imdb": []}])
def test_metadata_of_something_else(content):
    assert "holds no struct imdb or wiki" in refusal(content)


def test_a_field_is_missing():
    fields = columns([face()])
    del fields["dob"], fields["face_location"]
    assert "lacks dob, face_location" in refusal({"imdb": fields})


def test_fields_of_different_lengths(tmp_path):
    text = message(write_mat(tmp_path, face(), face(), fields={"gender": np.zeros((1, 3))}))
    assert "different lengths" in text
    assert "gender 3" in text


@pytest.mark.parametrize(("field", "values"), [("dob", cells(["a"])), ("full_path", np.zeros((1, 1)))])
def test_a_field_of_another_type(field, values):
    assert f"The field {field}" in refusal({"imdb": columns([face()]) | {field: values}})


def test_metadata_without_rows(tmp_path):
    assert read(write_mat(tmp_path)) == []


def test_the_real_metadata():
    face_records = read(shared_data() / "wiki.mat")
    assert len(face_records) == 62_328
    assert not any(record.malformed for record in face_records)
    assert sum(record.gender is None for record in face_records) == 2_643
    assert sum(record.face_score == -math.inf for record in face_records) == 18_016
    assert len({record.person for record in face_records}) > 60_000
    assert min(record.age for record in face_records if record.age is not None) < 0
