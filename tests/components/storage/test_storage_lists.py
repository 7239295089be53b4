"""Lists of paths as spreadsheets, Windows and macOS write them."""

import gzip
import unicodedata
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.error import VisageError
from tests.components.storage.doors import listed, pairs, read_by_name


@pytest.fixture
def photos(tmp_path) -> Path:
    (tmp_path / "q").mkdir()
    for number, name in enumerate(
        ("q/0.jpg", "q/1.jpg", "q/with space.jpg", "q/" + unicodedata.normalize("NFD", "é.jpg"))
    ):
        (tmp_path / name).write_bytes(bytes([number]))
    return tmp_path


def of(photos: Path, text: str | bytes, name: str = "list.txt") -> list[bytes | str]:
    """What the lines of a list give."""
    (photos / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return [result for _, result in pairs(photos / name)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_byte_order_marks_and_utf16(photos, encoding):
    assert of(photos, "q/0.jpg\nq/é.jpg\n".encode(encoding)) == [b"\0", b"\3"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_ends_of_lines_of_every_system(photos, end):
    assert of(photos, f"q/0.jpg{end}{end}q/1.jpg{end}") == [b"\0", b"\1"]


@pytest.mark.parametrize(
    "line",
    [
        *('"q/with space.jpg"', "'q/with space.jpg'", "  q/with space.jpg\t", "q\\with space.jpg"),
        *("file://{photos}/q/with%20space.jpg", "file://localhost{photos}/q/with%20space.jpg"),
        *("{photos}/q/with space.jpg", "./q/with space.jpg", "q/../q/with space.jpg"),
    ],
)
def test_quotes_blanks_backslashes_and_file_urls(photos, line):
    assert of(photos, line.format(photos=photos)) == [b"\2"]


def test_a_file_that_is_called_as_it_is_written_comes_first(photos):
    (photos / "q\\0.jpg").write_bytes(b"backslash")
    (photos / "'q'").write_bytes(b"quoted")
    assert of(photos, "q\\0.jpg\n'q'\n") == [b"backslash", b"quoted"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_accents_in_either_form(photos, form):
    assert of(photos, unicodedata.normalize(form, "q/é.jpg")) == [b"\3"]


def test_a_name_that_is_not_utf8(photos):
    (photos / b"q/caf\xe9.jpg".decode("utf-8", "surrogateescape")).write_bytes(b"latin")
    assert of(photos, b"q/caf\xe9.jpg\n") == [b"latin"]


def test_a_line_that_cannot_be_read_is_one_reject(photos):
    results = of(
        photos, "https://example.com/a.jpg\nq/0.jpg\nfile://other.host/a.jpg\nq/none.jpg\nC:\\photos\\a.jpg\ng://x/y\n"
    )
    assert results == [
        "photo_missing: https:// is not read, but s3://, s3a://, gs://, gcs://, az://, abfs://, abfss://",
        b"\0",
        "photo_missing: file:// is not read, but s3://, s3a://, gs://, gcs://, az://, abfs://, abfss://",
        "photo_missing: No such file or directory",
        "photo_missing: No such file or directory",
        "photo_missing: No such file or directory",
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.csv", "id,path\n1,q/0.jpg\n2,q/1.jpg\n"),
        ("list.csv", 'Path;id\n"q/0.jpg";1\nq/1.jpg;2\n'),
        ("list.csv", "q/0.jpg\nq/1.jpg\n"),
        ("list.csv", "path\nq/0.jpg\n\nq/1.jpg\n"),
        ("list.tsv", "id\tpath\n1\tq/0.jpg\n2\tq/1.jpg\n"),
    ],
)
def test_a_table_with_a_column_path(photos, name, text):
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        assert of(photos, text.encode(encoding), name) == [b"\0", b"\1"]


def test_a_table_without_one_is_one_message(photos):
    with pytest.raises(VisageError, match="no column `path`, but id, where"):
        of(photos, "id,where\n1,q/0.jpg\n", "list.csv")


def test_a_table_that_a_pattern_fits_is_one_reject(photos):
    (photos / "q" / "labels.csv").write_text("id,age\n1,30\n")
    results = listed(photos / "q" / "*")
    assert results["0.jpg"] == b"\0"
    assert results["labels.csv"] == "not_a_photo: no list: it has no column `path`, but id, age."


def test_a_table_whose_heading_is_not_utf8_is_a_reject_that_can_be_written_down(photos):
    (photos / "q" / "labels.csv").write_bytes("größe,age\n1,30\n".encode("cp1252"))
    detail = "not_a_photo: no list: it has no column `path`, but gr\\xf6\\xdfe, age."
    assert listed(photos / "q" / "*")["labels.csv"] == detail


def test_a_parquet_list_has_the_same_rules(photos):
    paths = ['"q/0.jpg"', "q\\1.jpg", unicodedata.normalize("NFC", "q/é.jpg"), "https://example.com/a.jpg"]
    pq.write_table(pa.table({"path": paths}), photos / "list.parquet")
    assert [result for _, result in pairs(photos / "list.parquet")][:3] == [b"\0", b"\1", b"\3"]


PATHS = pa.array(["q/0.jpg", None, "q/1.jpg"])


@pytest.mark.parametrize("paths", [PATHS.cast(pa.binary()), PATHS.cast(pa.large_string()), PATHS.dictionary_encode()])
def test_a_parquet_list_may_hold_its_paths_in_any_type_of_text(photos, paths):
    pq.write_table(pa.table({"path": paths}), photos / "list.parquet")
    assert [result for _, result in pairs(photos / "list.parquet")] == [b"\0", b"\1"]


def test_a_parquet_list_with_a_name_that_is_not_utf8(photos):
    (photos / b"q/caf\xe9.jpg".decode("utf-8", "surrogateescape")).write_bytes(b"latin")
    offsets, letters = pa.py_buffer(bytes([0, 0, 0, 0, 10, 0, 0, 0])), pa.py_buffer(b"q/caf\xe9.jpg")
    pq.write_table(pa.table({"path": pa.StringArray.from_buffers(1, offsets, letters)}), photos / "list.parquet")
    assert [result for _, result in pairs(photos / "list.parquet")] == [b"latin"]


@pytest.mark.parametrize(("values", "kind"), [([1, 2], "int64"), ([["q/0.jpg"]], "list<")])
def test_a_parquet_column_that_holds_no_paths_is_one_message(photos, values, kind):
    pq.write_table(pa.table({"path": values}), photos / "list.parquet")
    with pytest.raises(VisageError, match=f"its column path holds {kind}"):
        pairs(photos / "list.parquet")


def test_what_is_no_list_is_one_message_and_not_read_whole(photos):
    with pytest.raises(VisageError, match="a line of more than 65,536 letters"):
        of(photos, b"\xff" * 1_000_000)


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
        (b"Rar!\x1a\x07\x01\0", "a RAR archive"),
        (b"\x28\xb5\x2f\xfd", "packed by Zstandard"),
    ],
)
def test_archives_that_are_not_read_are_named_whatever_they_are_called(tmp_path, start, kind):
    for name in ("photos", "photos.zip", "photos.tar", "photos.tar.gz", "photos.7z"):
        (tmp_path / name).write_bytes(start + bytes(600))
        assert listed(tmp_path / name) == {name: f"not_a_photo: {kind}, which is not opened: unpack it first"}
        with pytest.raises(VisageError, match=f"{name} is {kind}, which is not opened") as raised:
            read_by_name(tmp_path / name, ["a.jpg"])
        assert raised.value.exit_code == 2


def test_what_is_packed_and_no_tar_is_named(tmp_path):
    (tmp_path / "a.jpg.gz").write_bytes(gzip.compress(b"a photo"))
    detail = "packed by gzip, and no tar, which is not opened: unpack it first"
    assert listed(tmp_path / "a.jpg.gz") == {"a.jpg.gz": f"not_a_photo: {detail}"}
