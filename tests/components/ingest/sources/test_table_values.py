"""What the fields of a table mean: ages and ranges as people and spreadsheets write them, codes, dates, paths."""

from datetime import date
from pathlib import Path

import pytest

from components.ingest.sources import records, table_values
from components.ingest.sources.settings import SourceSettings
from components.step.settings import build
from schemas.error import VisageError


def read(folder: Path, text: str, /, name: str = "faces.csv", photos: str = "", **table):
    file = folder / name
    file.write_text(text)
    return list(records(SourceSettings(kind="table", path=str(file), photos=photos, table=table)))


def message(folder: Path, text: str, /, **table) -> str:
    with pytest.raises(VisageError) as caught:
        read(folder, text, **table)
    return str(caught.value)


class TestAges:
    @pytest.mark.parametrize(
        ("text", "years"),
        [
            ("16,75", 16),
            ("16,0", 16),
            ("4,25", 4),
            ("25,5", 25),
            ("25.5", 25),
            ("25,32", 25),
            (",5", 0),
            ("16.", 16),
            ("31 years", 31),
            ("31 yrs", 31),
            ("7 y", 7),
            ("3.1e1", 31),
            ("-3", -3),
            ("-0,5", -1),
            ("2008", 2008),
        ],
    )
    def test_have_a_decimal_point_or_comma_and_are_rounded_down(self, text, years):
        assert table_values.age(text) == (years, None)

    @pytest.mark.parametrize(
        ("text", "age_class"),
        [
            ("(25, 32)", "25-32"),
            ("(25,32)", "25-32"),
            ("[8;12]", "8-12"),
            ("25, 32", "25-32"),
            ("25-32", "25-32"),
            ("25 – 32", "25-32"),
            ("25 to 32", "25-32"),
            ("0-2", "0-2"),
            ("25-32 years", "25-32"),
            ("3-3", "3-3"),
        ],
    )
    def test_may_be_ranges(self, text, age_class):
        assert table_values.age(text) == table_values.age(f"{text} ".strip()) == (None, age_class)
        assert table_values.age_class(text) == age_class

    @pytest.mark.parametrize(
        "text", ["more than 70", "over 70", "70+", "70 +", "70 and over", "70 or older", ">70", ">= 70", "70+ years"]
    )
    def test_may_be_the_oldest_class_up_to_the_oldest_age(self, text):
        assert table_values.age(text) == (None, "70-100")

    @pytest.mark.parametrize("text", ["under 3", "less than 3", "<3", "up to 2", "<= 2", "below 3 years"])
    def test_may_be_the_youngest_class(self, text):
        assert table_values.age(text) == (None, "0-2")

    @pytest.mark.parametrize(
        ("text", "age_class"),
        [
            ("06-Apr", "4-6"),
            ("04. Jun", "4-6"),
            ("12-Aug", "8-12"),
            ("08-Dec", "8-12"),
            ("Oct-32", "10-32"),
            ("19-Oct", "10-19"),
            ("3. Mrz", "3-3"),
            ("09-Mar", "3-9"),
            ("06. Okt", "6-10"),
        ],
    )
    def test_that_a_spreadsheet_took_for_a_day_are_the_range_they_were(self, text, age_class):
        assert table_values.age(text) == (None, age_class)

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("2024-04-06 00:00:00", "the date"),
            ("06.04.2024", "the date"),
            ("old", "source.table.age"),
            ("inf", "source.table.age"),
            ("1_0", "source.table.age"),
            ("32-25", "source.table.age"),
            ("06-Foo", "age is"),
        ],
    )
    def test_that_cannot_be_read_say_so(self, text, reason):
        with pytest.raises(table_values.Unreadable, match=reason):
            table_values.age(text)

    @pytest.mark.parametrize("text", ["", "None", "NaN", "<NA>", "n/a", "unknown", "?"])
    def test_may_be_unknown(self, text):
        assert table_values.age(text) == (None, None)

    def test_in_a_semicolon_csv_need_no_settings(self, tmp_path):
        face_records = read(tmp_path, "path;age;gender\n1.jpg;16,75;f\n2.jpg;16,0;m\n")
        assert [(record.age, record.age_class, record.malformed) for record in face_records] == [
            (16, None, ""),
            (16, None, ""),
        ]

    def test_classes_have_names_too(self):
        assert [table_values.age_class(text) for text in ("YOUNG", "4", "nan")] == ["YOUNG", "4", None]


class TestCodes:
    """Numbers of which pandas and spreadsheets make floats as soon as one is missing."""

    @pytest.mark.parametrize("meaning", ["{0: male, 1: female}", "{0.0: male, 1.0: female}"])
    @pytest.mark.parametrize("code", ["1", "1.0", "1,0", "1.00"])
    def test_of_genders(self, tmp_path, code, meaning):
        file = tmp_path / "faces.csv"
        file.write_text(f"path;gender\n1.jpg;{code}\n2.jpg;\n")
        face_records = records(
            build(SourceSettings, {"kind": "table", "path": str(file)}, [f"table.genders={meaning}"])
        )
        assert [record.gender for record in face_records] == ["female", None]

    @pytest.mark.parametrize("code", ["1", "1.0"])
    def test_of_genders_without_their_meaning_are_refused(self, tmp_path, code):
        assert "--set 'source.table.genders={0: male" in message(tmp_path, f"path,gender\n1.jpg,{code}\n")

    def test_that_no_setting_explains_are_malformed(self, tmp_path):
        (record,) = read(tmp_path, "path,gender\n1.jpg,Man\n")
        assert record.malformed == "gender is 'Man': see source.table.genders"

    def test_of_persons(self, tmp_path):
        face_records = read(tmp_path, "path,age,person\n1.jpg,3,7\n2.jpg,4,7.0\n3.jpg,5,7.5\n4.jpg,5,\n5.jpg,5,nan\n")
        assert [record.person for record in face_records] == [
            "labels:7",
            "labels:7",
            "labels:7.5",
            "labels:4.jpg",
            "labels:5.jpg",
        ]

    def test_edges_of_boxes_may_have_decimal_commas(self, tmp_path):
        (record,) = read(tmp_path, "path;age;l;t;r;b\n1.jpg;3;1,5;2;3,5;4\n", box=("l", "t", "r", "b"))
        assert record.box == (1.5, 2, 3.5, 4)


class TestDates:
    def read(self, folder: Path, born: str, taken: str, **table) -> tuple[int | None, str]:
        text = f"path;dob;year\n1.jpg;{born};{taken}\n"
        (record,) = read(folder, text, born="dob", taken="year", **table)
        return record.age, record.malformed

    @pytest.mark.parametrize(
        ("born", "taken", "age"),
        [
            ("1970-06-04", "2009-06-03", 38),
            ("1970-06-04", "2009-06-04", 39),
            ("1970-06-04 00:00:00", "2009-06-04T12:30:00Z", 39),
            ("04.06.1970", "3.6.2009", 38),
            ("1970-06-30", "2009", 39),  # the photo counts as taken in mid-year
            ("1970-07-01", "2009.0", 38),
            ("1970", "2009", 39),
            ("1970", "2009-01-01", 39),
            ("", "2009", None),
            ("1970-06-04", "", None),
            ("2000-02-29", "2001-02-28", 0),
        ],
    )
    def test_of_birth_and_of_the_photo_give_the_age(self, tmp_path, born, taken, age):
        assert self.read(tmp_path, born, taken) == (age, "")

    @pytest.mark.parametrize("text", ["04/06/1970", "04-06-1970", "13/06/1970"])
    def test_of_either_order_are_asked_about(self, tmp_path, text):
        with pytest.raises(VisageError, match=r"source\.table\.dates=day_first or month_first"):
            self.read(tmp_path, text, "2009")

    def test_of_a_stated_order(self, tmp_path):
        assert self.read(tmp_path, "04/06/1970", "05/06/2009", dates="day_first") == (39, "")
        assert self.read(tmp_path, "06/04/1970", "06/05/2009", dates="month_first") == (39, "")
        assert self.read(tmp_path, "07/06/1970", "06/07/2009", dates="month_first") == (38, "")

    def test_as_numbers_of_days_are_asked_about(self, tmp_path):
        with pytest.raises(VisageError, match=r"source\.table\.dates=excel_1900, or excel_1904"):
            self.read(tmp_path, "25723", "39968")

    @pytest.mark.parametrize(
        ("text", "system", "meant"),
        [
            # https://support.microsoft.com/office/date-systems-in-excel-e7fe7167-48a9-4b96-bb53-5612a800b487
            ("40729", "excel_1900", date(2011, 7, 5)),
            ("39267", "excel_1904", date(2011, 7, 5)),
            ("39267.75", "excel_1904", date(2011, 7, 5)),
            ("61", "excel_1900", date(1900, 3, 1)),
        ],
    )
    def test_as_numbers_of_days_count_as_excel_does(self, text, system, meant):
        assert table_values.day(text, system, "born") == meant

    @pytest.mark.parametrize("text", ["31.02.1970", "04.06.70", "1970-13-01", "long ago"])
    def test_that_are_none_are_malformed(self, tmp_path, text):
        age, malformed = self.read(tmp_path, text, "2009")
        assert age is None and "dob is" in malformed

    def test_are_both_needed(self, tmp_path):
        assert "source.table.taken" in message(tmp_path, "path,dob\n1.jpg,1970-06-04\n", born="dob")

    def test_give_way_to_an_age(self, tmp_path):
        text = "path,age,dob,taken\n1.jpg,7,1970-06-04,2009\n2.jpg,,1970-06-04,2009\n"
        assert [record.age for record in read(tmp_path, text, born="dob", taken="taken")] == [7, 39]


class TestPaths:
    def paths(self, folder: Path, *paths: str, photos: str = "") -> list[str]:
        return [
            record.path for record in read(folder, "\n".join(["path,age", *(f"{p},3" for p in paths)]), photos=photos)
        ]

    def test_have_backslashes_as_separators(self, tmp_path):
        (record,) = read(tmp_path, "path,age\nph\\1.jpg,3\n")
        assert (record.path, record.person) == ("ph/1.jpg", "labels:ph/1.jpg")

    def test_keep_backslashes_of_a_photo_that_is_called_so(self, tmp_path):
        (tmp_path / "ph\\1.jpg").touch()
        assert self.paths(tmp_path, "ph\\1.jpg", "ph\\2.jpg") == ["ph\\1.jpg", "ph/2.jpg"]

    def test_have_slashes_in_an_archive_as_its_names_have(self, tmp_path):
        import zipfile

        with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
            archive.writestr("ph\\1.jpg", b"")
        photos = str(tmp_path / "photos.zip")
        assert self.paths(tmp_path, "ph\\1.jpg", "ph\\2.jpg", photos=photos) == ["ph/1.jpg", "ph/2.jpg"]

    def test_that_lead_out_by_backslashes_stay_seen_as_such(self, tmp_path):
        from components.ingest.labels import FilterSettings, reject_of

        for record in read(tmp_path, "path,age,gender\n..\\..\\1.jpg,3,f\nC:\\1.jpg,3,f\n\\\\server\\1.jpg,3,f\n"):
            reason, _ = reject_of(record, FilterSettings()) or ("", "")
            assert reason == "unsafe_path"

    def test_that_begin_with_the_folder_of_the_photos_lie_within_it(self, tmp_path):
        (tmp_path / "photos").mkdir()
        photos = str(tmp_path / "photos")
        assert self.paths(tmp_path, f"{photos}/a/1.jpg", "/elsewhere/2.jpg", photos=photos) == [
            "a/1.jpg",
            "/elsewhere/2.jpg",
        ]
        assert self.paths(tmp_path, f"{photos}/a/1.jpg") == ["photos/a/1.jpg"]
        assert self.paths(tmp_path, f"{photos}/../../1.jpg", photos=photos) == ["../../1.jpg"]
        assert self.paths(tmp_path, f"{photos}x/1.jpg", photos=photos) == [f"{photos}x/1.jpg"]


class TestNames:
    """Who is in which split follows from a hash of the person, in which the name of the data set counts."""

    def persons(self, folder: Path, name: str) -> list[str]:
        return [record.person for record in read(folder, "path,age\n1.jpg,3\n2.jpg,4\n", name=name)]

    def test_of_files_move_no_person(self, tmp_path):
        assert self.persons(tmp_path, "labels_2026-01.csv") == self.persons(tmp_path, "labels_2026-02.csv")

    def test_of_files_that_are_called_labels_csv_mean_what_they_meant(self, tmp_path):
        assert self.persons(tmp_path, "labels.csv") == ["labels:1.jpg", "labels:2.jpg"]

    def test_that_are_set_keep_data_sets_apart(self, tmp_path):
        file = tmp_path / "labels.csv"
        file.write_text("path,age\n1.jpg,3\n")
        (record,) = records(SourceSettings(kind="table", path=str(file), name="mine"))
        assert (record.source, record.person) == ("mine", "mine:1.jpg")
