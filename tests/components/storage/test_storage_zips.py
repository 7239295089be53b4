"""Zips as other programs write them, for whoever lists them and whoever asks for their files by name."""

import io
import struct
import zipfile

import pytest

from components.storage import places
from schemas.error import VisageError
from tests.components.score.made_photos import lying_zip, overlapping_zip, zipped
from tests.components.storage import made_archives as made
from tests.components.storage.doors import both, listed, pairs, read_by_name

FILES = {f"{number}.jpg": bytes([number]) * 3000 for number in range(4)}


class TestKinds:
    def test_sizes_behind_the_data(self, tmp_path):
        path = made.piped_zip(tmp_path / "a.zip", FILES)
        assert b"PK\x07\x08" in path.read_bytes()
        assert both(path, FILES) == FILES

    def test_64_bit_sizes(self, tmp_path, monkeypatch):
        monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10)
        monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
        path = zipped(tmp_path / "a.zip", FILES)
        assert b"PK\x06\x06" in path.read_bytes()
        assert both(path, FILES) == FILES

    def test_long_names_and_extra_fields(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            info = zipfile.ZipInfo("deep/" * 200 + "a.jpg")
            info.extra = struct.pack("<HH", 0xCAFE, 2000) + bytes(2000)
            archive.writestr(info, b"one")
        assert both(tmp_path / "a.zip", [info.filename]) == {info.filename: b"one"}

    def test_data_before_it(self, tmp_path):
        path = zipped(tmp_path / "a.zip", FILES)
        path.write_bytes(b"#! a program that unpacks itself\n" + path.read_bytes())
        assert both(path, FILES) == FILES


class TestLinks:
    def test_within_are_the_files_that_they_lead_to(self, tmp_path):
        links = {"b.jpg": "people/a.jpg", "people/c.jpg": "../b.jpg", "folder": "people"}
        path = made.linked_zip(tmp_path / "a.zip", {"people/a.jpg": b"one"}, links)
        assert both(path, ["people/a.jpg", "b.jpg", "people/c.jpg"]) == {
            "people/a.jpg": b"one",
            "b.jpg": b"one",
            "people/c.jpg": b"one",
            "folder": "excluded: a link to a folder that is listed itself",
        }
        assert read_by_name(path, ["folder/a.jpg"]) == {"folder/a.jpg": b"one"}

    def test_out_and_to_nowhere_are_rejects_that_say_so(self, tmp_path):
        links = {"out.jpg": "/etc/passwd", "up.jpg": "../../a.jpg", "none.jpg": "no.jpg", "long.jpg": "a" * 5000}
        assert both(made.linked_zip(tmp_path / "a.zip", {}, links), links) == {
            "out.jpg": "unsafe_path: a link out of the archive: the path is absolute",
            "up.jpg": "unsafe_path: a link out of the archive: the path climbs out by ..",
            "none.jpg": "photo_missing: a link to no.jpg, which the archive does not hold",
            "long.jpg": "unsafe_path: a link of more letters than a path can have",
        }


class TestNames:
    def test_that_are_utf8_but_do_not_say_so(self, tmp_path):
        """As macOS writes them."""
        path = made.raw_zip(tmp_path / "a.zip", {"Ürlaub/写真.jpg".encode(): b"x"})
        assert both(path, ["Ürlaub/写真.jpg"]) == {"Ürlaub/写真.jpg": b"x"}
        assert both(path, ["Ürlaub/写真.jpg"], encoding="cp932") == {"Ürlaub/写真.jpg": b"x"}

    def test_that_stand_in_a_unicode_path_field(self, tmp_path):
        raw = "写真.jpg".encode("cp932")
        field = {raw: made.unicode_path(raw, "写真.jpg")}
        assert both(made.raw_zip(tmp_path / "a.zip", {raw: b"x"}, extra=field), ["写真.jpg"]) == {"写真.jpg": b"x"}

    def test_that_were_changed_after_the_unicode_path_field_was_written(self, tmp_path):
        raw = b"b\x82.jpg"
        field = {raw: made.unicode_path(raw, "a.jpg", checksum=1)}
        assert listed(made.raw_zip(tmp_path / "a.zip", {raw: b"x"}, extra=field)) == {"bé.jpg": b"x"}

    @pytest.mark.parametrize(("encoding", "name"), [("cp932", "写真/表ソ.jpg"), ("cp866", "Фото/лицо.jpg")])
    def test_in_an_encoding_that_the_settings_name(self, tmp_path, encoding, name):
        path = made.raw_zip(tmp_path / "a.zip", {name.encode(encoding): b"x"})
        assert both(path, [name], encoding=encoding) == {name: b"x"}
        assert places.read(str(path), name, encoding) == b"x"

    def test_that_by_chance_are_utf8_beside_others_that_are_not(self, tmp_path):
        """Two half-width letters of cp932 make one letter of UTF-8."""
        names = ["ﾃｱ.jpg", "写真.jpg"]
        path = made.raw_zip(tmp_path / "a.zip", {name.encode("cp932"): b"x" for name in names})
        assert list(both(path, names, encoding="cp932")) == names

    def test_that_are_in_no_encoding_are_in_the_formats_default(self, tmp_path):
        assert both(made.raw_zip(tmp_path / "a.zip", {b"caf\x82.jpg": b"x"}), ["café.jpg"]) == {"café.jpg": b"x"}

    def test_that_stand_twice_are_both_listed_and_the_last_one_is_meant(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr("a.jpg", b"old")
            with pytest.warns(UserWarning, match="Duplicate name"):
                archive.writestr("a.jpg", b"new")
        assert pairs(tmp_path / "a.zip") == [("a.jpg", b"old"), ("a.jpg", b"new")]
        assert read_by_name(tmp_path / "a.zip", ["a.jpg"]) == {"a.jpg": b"new"}
        assert [bool(picture.replaced) for picture in places.picture_names(str(tmp_path / "a.zip"))] == [True, False]


class TestWhatIsNotRead:
    @pytest.mark.parametrize(
        ("flags", "method", "detail"),
        [
            (1, 0, "it is encrypted by ZipCrypto"),
            (1, 99, "it is encrypted by AES"),
            (0x41, 0, "it is encrypted by PKWARE's strong encryption"),
            (0, 9, "it is compressed by Deflate64 (method 9), and only deflate is read"),
            (0, 14, "it is compressed by LZMA (method 14), and only deflate is read"),
            (0, 95, "it is compressed by xz (method 95), and only deflate is read"),
            (0, 98, "it is compressed by PPMd (method 98), and only deflate is read"),
            (0, 77, "it is packed by method 77, not by deflate"),
        ],
    )
    def test_is_a_reject_that_names_the_method(self, tmp_path, flags, method, detail):
        path = zipped(tmp_path / "a.zip", {"a.jpg": b"x", "b.jpg": b"y"})
        data = bytearray(path.read_bytes())
        at = data.index(b"PK\x01\x02")
        data[at + 8 : at + 12] = struct.pack("<HH", flags, method)
        path.write_bytes(data)
        assert both(path, ["a.jpg", "b.jpg"]) == {"a.jpg": f"photo_unreadable: {detail}", "b.jpg": b"y"}

    def test_bombs_and_lies_are_rejects(self, tmp_path):
        lying = lying_zip(tmp_path / "lying.zip", declared_size=1000, actual_size=50_000_000)
        assert both(lying, ["photo.jpg"]) == {
            "photo.jpg": "photo_unreadable: size or checksum are others than the zip says"
        }
        bomb = zipped(tmp_path / "bomb.zip", {"a.jpg": bytes(50_000_000)}, zipfile.ZIP_DEFLATED)
        assert "decompression bomb" in str(listed(bomb, max_bytes=10**9)["a.jpg"])
        assert "decompression bomb" in str(read_by_name(bomb, ["a.jpg"], max_bytes=10**9)["a.jpg"])

    def test_entries_that_overlap(self, tmp_path):
        path = overlapping_zip(tmp_path / "a.zip", 1000, 900_000)
        assert "its entries overlap" in str(listed(path)[""])
        with pytest.raises(VisageError, match="its entries overlap"):
            read_by_name(path, ["0001.jpg"])

    def test_places_that_no_file_has(self, tmp_path):
        path = zipped(tmp_path / "a.zip", {"a.jpg": b"x", "b.jpg": b"y"})
        data = bytearray(path.read_bytes())
        at = data.index(b"PK\x01\x02")
        data[at + 42 : at + 46] = b"\xff" * 4
        field = struct.pack("<HHQ", 1, 8, 1 << 63)
        data[at + 30 : at + 32] = struct.pack("<H", len(field))
        data[at + 46 + 5 : at + 46 + 5] = field
        end = data.index(b"PK\x05\x06")
        data[end + 12 : end + 16] = struct.pack("<L", end - at)
        path.write_bytes(data)
        assert both(path, ["a.jpg", "b.jpg"]) == {
            "a.jpg": "photo_unreadable: the zip gives it a place that no file has",
            "b.jpg": b"y",
        }

    @pytest.mark.parametrize("name", ["../a.jpg", "/etc/a.jpg", "x/../../a.jpg", "..\\a.jpg", "C:\\a.jpg"])
    def test_names_that_lead_out(self, tmp_path, name):
        (result,) = listed(zipped(tmp_path / "a.zip", {name: b"x"})).values()
        assert str(result).startswith("unsafe_path: the path ")


def test_a_zip_cut_short_is_one_message_or_one_reject(tmp_path):
    path = zipped(tmp_path / "a.zip", FILES)
    path.write_bytes(path.read_bytes()[:-200])
    assert "the archive from here on" in str(listed(path)[""])
    with pytest.raises(VisageError, match=r"a\.zip cannot be read to its end"):
        read_by_name(path, FILES)


def test_an_archive_in_an_archive_is_not_opened(tmp_path):
    inner = io.BytesIO()
    zipfile.ZipFile(inner, "w").close()
    path = zipped(tmp_path / "a.zip", {"b.zip": inner.getvalue(), "c.7z": b"7z"})
    assert listed(path) == {
        "b.zip": "not_a_photo: an archive within another place is not opened; name it by itself",
        "c.7z": "not_a_photo: a 7-Zip archive, which is not opened: unpack it first",
    }
