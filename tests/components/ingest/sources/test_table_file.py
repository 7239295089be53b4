"""CSV and Parquet as other systems write them: encodings, compressions, delimiters, quotes; and what is taken for a table."""

import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from components.ingest.sources import photos_root, records, table_file
from components.ingest.sources.settings import SourceSettings
from components.step.settings import build
from schemas.error import VisageError

TEXT = "path,age,gender\nMünchen/1.jpg,31,female\n漢字/2.jpg,4,male\n"
EXPECTED = [("München/1.jpg", 31, "female"), ("漢字/2.jpg", 4, "male")]


def put(folder: Path, data: bytes | str, name: str = "faces.csv") -> Path:
    file = folder / name
    file.write_bytes(data.encode() if isinstance(data, str) else data)
    return file


def read(path: Path, /, **table):
    return list(records(SourceSettings(kind="table", path=str(path), table=table)))


def labels(path: Path, /, **table):
    return [(record.path, record.age, record.gender) for record in read(path, **table)]


def message(path: Path, /, **table) -> str:
    with pytest.raises(VisageError) as caught:
        read(path, **table)
    return str(caught.value)


class TestEncodings:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
    def test_of_unicode_are_told_from_the_first_bytes(self, tmp_path, encoding):
        # a long run of ASCII letters, as real tables have, shows UTF-16 without a mark by its zeros
        assert labels(put(tmp_path, TEXT.encode(encoding))) == EXPECTED

    def test_utf16_with_its_mark_but_big_endian(self, tmp_path):
        assert labels(put(tmp_path, b"\xfe\xff" + TEXT.encode("utf-16-be"))) == EXPECTED

    def test_others_are_a_setting(self, tmp_path):
        file = put(tmp_path, "path,age\nMünchen/1.jpg,31\n".encode("cp1252"))
        (record,) = read(file)
        assert record.malformed == "the path is not UTF-8: see source.table.encoding"
        assert labels(file, encoding="cp1252") == [("München/1.jpg", 31, None)]
        with pytest.raises(VisageError, match="no such encoding"):
            build(SourceSettings, {}, ["table.encoding=cp99999"])

    def test_a_row_that_is_neither_utf8_nor_whole_costs_only_itself(self, tmp_path):
        face_records = read(put(tmp_path, b"path,age\n1.jpg,3\n\xff.jpg,3,4\n\xfe.jpg\n3.jpg,5\n"))
        assert [bool(record.malformed) for record in face_records] == [False, True, True, False]


ZST = pyarrow.compress(TEXT.encode(), "zstd", asbytes=True)


def zipped(**members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "/"), text)
    return buffer.getvalue()


class TestCompressed:
    @pytest.mark.parametrize(
        ("suffix", "data"),
        [
            ("gz", gzip.compress(TEXT.encode())),
            ("gz", gzip.compress(TEXT.encode()[:20]) + gzip.compress(TEXT.encode()[20:])),
            ("bz2", bz2.compress(TEXT.encode())),
            ("xz", lzma.compress(TEXT.encode())),
            ("zst", ZST),
            ("zip", zipped(whatever=TEXT)),
        ],
        ids=["gz", "gz of two members", "bz2", "xz", "zst", "zip"],
    )
    def test_tables_are_read_by_what_they_are_whatever_their_names(self, tmp_path, suffix, data):
        for name in (f"faces.csv.{suffix}", "faces.csv"):
            file = put(tmp_path, data, name)
            assert labels(file) == EXPECTED
            assert photos_root(SourceSettings(kind="table", path=str(file))) == str(tmp_path)

    def test_one_is_found_in_a_folder(self, tmp_path):
        put(tmp_path, gzip.compress(TEXT.encode()), "faces.csv.gz")
        assert labels(tmp_path) == EXPECTED

    def test_tabs_divide_a_compressed_tsv(self, tmp_path):
        assert labels(put(tmp_path, gzip.compress(b"path\tage\n1,5.jpg\t3\n"), "f.tsv.gz")) == [("1,5.jpg", 3, None)]

    def test_parquet(self, tmp_path):
        buffer = io.BytesIO()
        parquet.write_table(pyarrow.table({"path": ["1.jpg"], "age": [3]}), buffer)
        assert labels(put(tmp_path, gzip.compress(buffer.getvalue()), "f.parquet.gz")) == [("1.jpg", 3, None)]

    @pytest.mark.parametrize("suffix", ["gz", "bz2", "xz", "zst"])
    def test_one_that_is_cut_short_is_one_message(self, tmp_path, suffix):
        text = TEXT + "".join(f"{number * 7919}.jpg,{number % 90},male\n" for number in range(5000))
        packed = {
            "gz": gzip.compress(text.encode()),
            "bz2": bz2.compress(text.encode()),
            "xz": lzma.compress(text.encode()),
            "zst": pyarrow.compress(text.encode(), "zstd", asbytes=True),
        }[suffix]
        reason = message(put(tmp_path, packed[: len(packed) // 2], f"faces.csv.{suffix}"))
        assert "cannot be read to its end" in reason and "fetch it anew" in reason

    def test_a_zip_of_several_tables_is_no_table(self, tmp_path):
        two = zipped(a=TEXT, b=TEXT)
        assert "zip of 2 files" in message(put(tmp_path, two, "faces.csv.zip"))


class TestWhatIsNoTable:
    @pytest.mark.parametrize(
        ("data", "kind"),
        [
            (zipped(xl__workbook="<workbook/>", xl__sheet="<sheet/>"), "an Excel workbook"),
            (b"\xd0\xcf\x11\xe0" + bytes(600), "an old Excel workbook"),
            (b"7z\xbc\xaf\x27\x1c" + bytes(100), "a 7z archive"),
            (b"Rar!\x1a\x07\x01\x00", "a RAR archive"),
            (b"ARROW1\0\0" + bytes(100), "an Arrow (Feather) file"),
            (b'{"path": "1.jpg"}\n', "JSON"),
            (b"<!doctype html>", "HTML or XML"),
            (b"\xff\xd8\xff\xe0" + bytes(50), "a JPEG"),
            (b"path\0\1\2,age\n", "no text"),
        ],
    )
    def test_is_named_as_what_it_is_and_not_shown(self, tmp_path, data, kind):
        reason = message(put(tmp_path, data))
        assert f"faces.csv is {kind}." in reason
        assert "CSV (UTF-8) or Parquet" in reason
        assert reason.isprintable() or reason.replace("\n", "").isprintable()

    def test_a_spreadsheet_of_openoffice(self, tmp_path):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
            archive.writestr("content.xml", "<x/>")
        assert "an OpenDocument spreadsheet" in message(put(tmp_path, buffer.getvalue(), "faces.ods"))

    def test_parquet_is_known_by_its_bytes(self, tmp_path):
        parquet.write_table(pyarrow.table({"path": ["1.jpg"], "age": [3]}), tmp_path / "faces.csv")
        assert labels(tmp_path / "faces.csv") == [("1.jpg", 3, None)]


class TestFields:
    @pytest.mark.parametrize("between", [",", ";", "\t", "|"])
    @pytest.mark.parametrize("name", ["faces.csv", "faces.tsv", "faces.txt"])
    def test_are_divided_as_the_first_line_is(self, tmp_path, between, name):
        text = between.join(["path", "age", "gender"]) + "\n" + between.join(["1.jpg", "31", "f"]) + "\n"
        assert labels(put(tmp_path, text, name)) == [("1.jpg", 31, "female")]

    def test_are_divided_as_excel_says_in_its_first_line(self, tmp_path):
        assert labels(put(tmp_path, "sep=;\r\npath;age\r\n1,5.jpg;3\r\nno age\r\n3.jpg;4\r\n")) == [
            ("1,5.jpg", 3, None),
            ("no age", None, None),
            ("3.jpg", 4, None),
        ]

    def test_are_divided_as_the_settings_say(self, tmp_path):
        file = put(tmp_path, "path;x,age;y\n1.jpg;a,3;b\n")
        assert labels(file, delimiter=",", path="path;x", age="age;y") != []
        assert labels(put(tmp_path, "path^age\n1.jpg^3\n"), delimiter="^") == [("1.jpg", 3, None)]
        with pytest.raises(VisageError, match="cannot be divided"):
            build(SourceSettings, {}, ["table.delimiter='\"'"])

    def test_may_hold_delimiters_quotes_and_line_breaks_in_quotes(self, tmp_path):
        text = 'path,note,age\n"a,b.jpg","says ""hi""\r\nand goes",31\n"c\n.jpg",,4\n'
        assert labels(put(tmp_path, text)) == [("a,b.jpg", 31, None), ("c\n.jpg", 4, None)]

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    def test_lines_end_as_any_system_ends_them(self, tmp_path, end):
        assert labels(put(tmp_path, end.join(["path,age", "1.jpg,3", "", "2.jpg,4"]))) == [
            ("1.jpg", 3, None),
            ("2.jpg", 4, None),
        ]

    def test_a_delimiter_at_the_end_of_each_row_is_no_field(self, tmp_path):
        assert labels(put(tmp_path, "path,age\n1.jpg,3,\n2.jpg,4,\n")) == [("1.jpg", 3, None), ("2.jpg", 4, None)]

    def test_too_many_or_too_few_are_malformed_where_they_stand(self, tmp_path):
        face_records = read(put(tmp_path, "path,age\n1.jpg,3\n2.jpg,3,4\n3.jpg\n4.jpg,5\n5.jpg,6,7\n"))
        assert [record.path for record in face_records] == [f"{number}.jpg" for number in range(1, 6)]
        assert [record.row for record in face_records] == list(range(5))
        assert face_records[1].malformed == "the row has 3 fields, the table has 2 columns: see source.table.delimiter"
        assert [bool(record.malformed) for record in face_records] == [False, True, True, False, True]

    def test_a_malformed_row_stays_where_it_stands_however_large_the_table(self, tmp_path, monkeypatch):
        monkeypatch.setattr(table_file, "_BLOCK", 1000)
        lines = [f"{number}.jpg,{number % 90}" + (",more" if number % 77 == 5 else "") for number in range(3000)]
        face_records = read(put(tmp_path, "\n".join(["path,age", *lines]) + "\n"))
        assert [record.path for record in face_records] == [f"{number}.jpg" for number in range(3000)]
        assert [record.row for record in face_records if record.malformed] == list(range(5, 3000, 77))

    @pytest.mark.parametrize(
        "text",
        [
            'path,age\n"1.jpg,3\n2.jpg,4\n',
            'path,age\n1.jpg,3\n2.jpg,"4\n3.jpg,5\n',
            'path,note,age\n1.jpg,,3\n2.jpg,5,"4\n' + "3.jpg,,5\n" * 3000,
            'path,"age\n' + "3.jpg,5\n" * 3000,
        ],
    )
    def test_a_quotation_mark_left_open_is_an_error_not_the_loss_of_the_rest(self, tmp_path, monkeypatch, text):
        monkeypatch.setattr(table_file, "_BLOCK", 5000)
        reason = message(put(tmp_path, text))
        assert "not well-formed" in reason and "source.table.delimiter" in reason

    def test_two_quotation_marks_left_open_spoil_one_row_that_says_so(self, tmp_path):
        (first, last) = read(put(tmp_path, 'path,age\n"1.jpg,3\n"2.jpg,4\n3.jpg,5\n'))
        assert "quotation mark" in first.malformed
        assert (last.path, last.malformed) == ("3.jpg", "")

    def test_nor_do_they_if_the_row_is_larger_than_a_field_may_be(self, tmp_path):
        between = "2.jpg,4,\n" * 20_000
        (first, last) = read(put(tmp_path, f'path,age,note\n1.jpg,3,"a\n{between}2.jpg,4,"b",c\n3.jpg,5,\n'))
        assert "larger than field limit" in first.malformed and "quotation mark" in first.malformed
        assert (last.path, last.malformed) == ("3.jpg", "")

    def test_a_first_line_that_is_no_heading_is_one_message(self, tmp_path):
        assert "not well-formed: field larger than field limit" in message(put(tmp_path, "x" * 200_000))

    def test_inches_are_no_open_quotation_mark(self, tmp_path):
        assert labels(put(tmp_path, "path,height,age\n1.jpg,5'4\",3\n")) == [("1.jpg", 3, None)]


class TestColumns:
    def test_two_of_one_name_are_one_message(self, tmp_path):
        reason = message(put(tmp_path, "path,age,age\n1.jpg,3,4\n"))
        assert "2 columns that are called age" in reason and "source.table" in reason
        parquet.write_table(
            pyarrow.Table.from_arrays([pyarrow.array(["1.jpg"]), *[pyarrow.array([3])] * 2], ["path", "age", "age"]),
            tmp_path / "faces.parquet",
        )
        assert "2 columns that are called age" in message(tmp_path / "faces.parquet")

    def test_two_of_one_name_that_are_not_read_do_no_harm(self, tmp_path):
        assert labels(put(tmp_path, "path,note,note,age\n1.jpg,a,b,3\n")) == [("1.jpg", 3, None)]

    def test_an_index_without_a_name_as_pandas_writes_it_is_none(self, tmp_path):
        assert labels(put(tmp_path, ",path,age\n0,1.jpg,3\n")) == [("1.jpg", 3, None)]

    @pytest.mark.parametrize("setting", ["table.age=", 'table.age=""', "table.age=''"])
    def test_one_of_an_empty_name_is_not_read(self, tmp_path, setting):
        file = put(tmp_path, ",path,age,gender\n7,1.jpg,about 30,f\n")
        (record,) = records(build(SourceSettings, {"kind": "table", "path": str(file)}, [setting]))
        assert (record.age, record.gender, record.malformed) == (None, "female", "")

    def test_that_are_missing_in_a_table_of_one_column_may_be_divided_by_something_else(self, tmp_path):
        assert "source.table.delimiter" in message(put(tmp_path, "path^age\n1.jpg^3\n"))


class TestParquet:
    def test_columns_of_any_kind_that_are_not_read_do_no_harm(self, tmp_path):
        columns = {
            "path": pyarrow.array(["1.jpg", "2.jpg"]).dictionary_encode(),
            "age": pyarrow.array([31, None], pyarrow.int8()),
            "gender": pyarrow.array([True, False]),
            "boxes": [[1, 2], [3]],
            "nothing": pyarrow.nulls(2),
            "taken": pyarrow.array([0, 1000], pyarrow.timestamp("ns")),
        }
        parquet.write_table(pyarrow.table(columns), tmp_path / "faces.parquet")
        rows = labels(tmp_path / "faces.parquet", genders={"true": "female", "false": "male"})
        assert rows == [("1.jpg", 31, "female"), ("2.jpg", None, "male")]

    def test_a_column_without_any_value_is_unknown(self, tmp_path):
        parquet.write_table(pyarrow.table({"path": ["1.jpg"], "age": pyarrow.nulls(1)}), tmp_path / "faces.parquet")
        assert labels(tmp_path / "faces.parquet") == [("1.jpg", None, None)]

    def test_a_column_of_lists_is_named(self, tmp_path):
        parquet.write_table(pyarrow.table({"path": ["1.jpg"], "age": [[3, 4]]}), tmp_path / "faces.parquet")
        assert "The column age" in message(tmp_path / "faces.parquet")
