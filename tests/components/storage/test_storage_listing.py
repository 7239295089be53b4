"""From what a person names to the bytes of every file in it."""

import gzip
import io
import os
import tarfile
import tracemalloc
import uuid
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.photo import PhotoRejected
from components.storage.entry import Entry
from components.storage.listing import Listing
from components.storage.names import shown
from components.storage.reading import Reader
from schemas.error import VisageError
from tests.components.score import made_photos
from tests.components.score.made_photos import jpeg, tarred, zipped

MAX_BYTES = 1_000_000


def listed(*inputs: str | Path) -> list[Entry]:
    return list(Listing([str(path) for path in inputs]))


def names(*inputs: str | Path) -> list[str]:
    return [shown(entry.name) for entry in listed(*inputs)]


def outcome(*inputs: str | Path, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """What reading every file gives: its bytes, or why it is rejected."""
    listing = Listing([str(path) for path in inputs])
    entries = list(listing)
    results: dict[str, Any] = {}
    with Reader(listing.sources, max_bytes) as reader:
        for entry in entries:
            try:
                results[shown(entry.name)] = reader.read(entry)
            except PhotoRejected as rejected:
                results[shown(entry.name)] = str(rejected)
    return results


class TestInputs:
    def test_a_folder_is_listed_with_all_it_holds_in_the_order_of_names(self, tmp_path):
        made_photos.folder(tmp_path / "faces", 5)
        assert names(tmp_path / "faces") == ["0/0000.jpg", "0/0003.jpg", "1/0001.jpg", "1/0004.jpg", "2/0002.jpg"]

    @pytest.mark.parametrize("packing", ["", "gz", "bz2", "xz"])
    def test_a_tar_packed_or_not_gives_the_bytes_that_were_put_in(self, tmp_path, packing):
        files = {f"a/{number}.jpg": jpeg(number) for number in range(4)}
        assert outcome(tarred(tmp_path / "faces.any", files, packing)) == files

    @pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    def test_a_zip_gives_the_bytes_that_were_put_in(self, tmp_path, method):
        files = {f"a/{number}.jpg": jpeg(number) for number in range(4)}
        assert outcome(zipped(tmp_path / "faces.zip", files, method)) == files

    def test_a_zip_behind_other_data_is_read(self, tmp_path):
        zipped(tmp_path / "plain.zip", {"a.jpg": b"photo"})
        (tmp_path / "shifted.zip").write_bytes(b"PK\x03\x04 program " * 20 + (tmp_path / "plain.zip").read_bytes())
        assert outcome(tmp_path / "shifted.zip") == {"a.jpg": b"photo"}

    def test_a_zip_with_64_bit_sizes_is_read(self, tmp_path, monkeypatch):
        monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 10)
        monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
        files = {f"{number}.jpg": jpeg(number) for number in range(4)}
        path = zipped(tmp_path / "faces.zip", files)
        assert b"PK\x06\x06" in path.read_bytes()
        assert outcome(path) == files

    def test_a_pattern_a_list_and_a_single_photo(self, tmp_path):
        made_photos.folder(tmp_path / "faces", 6)
        (tmp_path / "faces.txt").write_text("faces/0/0000.jpg\n\nfaces/1/0001.jpg\nfaces/nowhere.jpg\n")
        assert names(tmp_path / "faces" / "*" / "000[12].jpg") == ["0001.jpg", "0002.jpg"]
        assert names(tmp_path / "faces" / "2" / "0002.jpg") == ["0002.jpg"]
        assert outcome(tmp_path / "faces.txt") == {
            "0000.jpg": jpeg(0),
            "0001.jpg": jpeg(1),
            "nowhere.jpg": "photo_missing: No such file or directory",
        }

    def test_a_parquet_list_has_its_paths_in_the_column_path(self, tmp_path):
        made_photos.folder(tmp_path / "faces", 2)
        table = pa.table({"id": [1, 2], "path": ["faces/0/0000.jpg", str(tmp_path / "faces" / "1" / "0001.jpg")]})
        pq.write_table(table, tmp_path / "list.parquet")
        assert outcome(tmp_path / "list.parquet") == {"0000.jpg": jpeg(0), "0001.jpg": jpeg(1)}
        pq.write_table(table.rename_columns(["id", "where"]), tmp_path / "other.parquet")
        with pytest.raises(VisageError, match="no column `path`, but id, where"):
            listed(tmp_path / "other.parquet")

    def test_the_root_is_a_folder_like_any(self, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        photo, paths = (Path(f"/visage-test-{uuid.uuid4().hex}{ending}") for ending in (".jpg", ".txt"))
        try:
            photo.write_bytes(b"photo")
        except OSError:
            pytest.skip("nothing can be written to /")
        try:
            paths.write_text(f"{photo.name}\n")
            assert outcome(photo) == outcome(paths) == {photo.name: b"photo"}
        finally:
            photo.unlink()
            paths.unlink(missing_ok=True)

    def test_what_is_named_twice_is_listed_once(self, tmp_path):
        faces = made_photos.folder(tmp_path / "faces", 3)
        (tmp_path / "list.txt").write_text("faces/0/0000.jpg\nfaces/./0/0000.jpg\n")
        assert names(faces / "0", faces, f"{faces}/", faces / "0" / "0000.jpg", tmp_path / "list.txt") == [
            "0/0000.jpg",
            "1/0001.jpg",
            "2/0002.jpg",
        ]
        assert names(tmp_path / "list.txt", tmp_path / "list.txt") == ["0000.jpg"]

    def test_photos_whose_name_looks_like_a_pattern_are_found(self, tmp_path):
        (tmp_path / "photo[1].jpg").write_bytes(jpeg(1))
        assert names(tmp_path / "photo[1].jpg") == ["photo[1].jpg"]

    @pytest.mark.parametrize(("text", "message"), [("nowhere", "is not there"), ("*.jpg", "fits no file")])
    def test_an_input_that_is_not_there_is_one_message(self, tmp_path, text, message):
        with pytest.raises(VisageError, match=message) as raised:
            listed(tmp_path / text)
        assert raised.value.exit_code == 2

    def test_no_input_is_one_message(self):
        with pytest.raises(VisageError, match="No photos to score are named"):
            Listing([])

    def test_an_unreadable_list_of_parquet_is_one_message(self, tmp_path):
        (tmp_path / "list.parquet").write_bytes(b"PAR1 nothing")
        with pytest.raises(VisageError, match="no Parquet file that can be read"):
            listed(tmp_path / "list.parquet")


class TestWhatIsNotOpened:
    def test_archives_within_are_rejects(self, tmp_path):
        inner = zipped(tmp_path / "inner.zip", {"a.jpg": jpeg(1)}).read_bytes()
        outer = zipped(tmp_path / "outer.zip", {"inner.zip": inner, "b.tar.gz": b"", "c.jpg": jpeg(2)})
        results = outcome(outer)
        assert results["inner.zip"].startswith("not_a_photo: an archive within")
        assert results["b.tar.gz"].startswith("not_a_photo: an archive within")
        assert results["c.jpg"] == jpeg(2)

    @pytest.mark.parametrize("name", ["../escape.jpg", "/etc/passwd", "a/../../b.jpg", "..\\b.jpg"])
    def test_a_name_that_leads_out_is_a_reject_in_zips_and_tars(self, tmp_path, name):
        for path in (zipped(tmp_path / "a.zip", {name: b"x"}), tarred(tmp_path / "a.tar", {name: b"x"})):
            (result,) = outcome(path).values()
            assert result in ("unsafe_path: the path is absolute", "unsafe_path: the path climbs out by ..")

    def test_hidden_files_are_left_out_by_name(self, tmp_path):
        results = outcome(zipped(tmp_path / "a.zip", {"__MACOSX/._a.jpg": b"x", ".DS_Store": b"x", "a.jpg": b"y"}))
        assert results == {
            "__MACOSX/._a.jpg": "excluded: a hidden file",
            ".DS_Store": "excluded: a hidden file",
            "a.jpg": b"y",
        }

    def test_links_out_of_a_folder_are_not_followed_those_inside_are(self, tmp_path):
        (tmp_path / "secret").write_bytes(b"secret")
        faces = made_photos.folder(tmp_path / "faces", 1)
        (faces / "out.jpg").symlink_to(tmp_path / "secret")
        (faces / "in.jpg").symlink_to(faces / "0" / "0000.jpg")
        (faces / "round").symlink_to(faces)
        results = outcome(faces)
        assert results["out.jpg"] == "unsafe_path: a link out of the folder"
        assert results["in.jpg"] == jpeg(0)
        assert results["round"].startswith("excluded: a link to a folder")

    def test_links_out_of_a_tar_and_devices_in_it_are_rejects(self, tmp_path):
        with tarfile.open(tmp_path / "a.tar", "w") as archive:
            for name, kind in (("link", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE), ("pipe", tarfile.FIFOTYPE)):
                member = tarfile.TarInfo(name)
                member.type, member.linkname = kind, "/etc/passwd"
                archive.addfile(member)
        results = outcome(tmp_path / "a.tar")
        assert results == {
            "link": "unsafe_path: a link out of the archive: the path is absolute",
            "hard": "unsafe_path: a link out of the archive: the path is absolute",
            "pipe": results["pipe"],
        }
        assert results["pipe"].startswith("not_a_photo")

    def test_a_pipe_in_a_folder_does_not_hold_up_the_job(self, tmp_path):
        (tmp_path / "faces").mkdir()
        os.mkfifo(tmp_path / "faces" / "pipe.jpg")
        assert outcome(tmp_path / "faces") == {"pipe.jpg": "not_a_photo: it is no regular file"}

    def test_a_pipe_that_a_pattern_fits_does_not_either(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        assert outcome(tmp_path / "p*") == {"pipe": "not_a_photo: it is no regular file"}

    def test_a_file_that_is_too_large_is_not_read(self, tmp_path):
        (tmp_path / "faces").mkdir()
        with (tmp_path / "faces" / "film.jpg").open("wb") as file:
            file.truncate(10**12)
        assert outcome(tmp_path / "faces")["film.jpg"].startswith("photo_too_large: 1000000000000 bytes")


class TestHostileArchives:
    def test_a_zip_of_overlapping_entries_is_one_reject(self, tmp_path):
        results = outcome(made_photos.overlapping_zip(tmp_path / "bomb.zip", 1000, 900_000))
        assert list(results) == [""] and "its entries overlap" in results[""]

    def test_a_zip_that_lies_about_a_size_costs_no_memory(self, tmp_path):
        path = made_photos.lying_zip(tmp_path / "a.zip", declared_size=1000, actual_size=300_000_000)
        tracemalloc.start()
        results = outcome(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert results == {"photo.jpg": "photo_unreadable: size or checksum are others than the zip says"}
        assert peak < 20_000_000

    def test_a_file_packed_too_well_is_not_unpacked(self, tmp_path):
        path = zipped(tmp_path / "a.zip", {"photo.jpg": bytes(50_000_000)}, zipfile.ZIP_DEFLATED)
        assert "decompression bomb" in outcome(path, max_bytes=100_000_000)["photo.jpg"]
        assert outcome(path)["photo.jpg"].startswith("photo_too_large: 50000000 bytes")

    @pytest.mark.parametrize("cut", [10, 500, 3000])
    def test_a_zip_that_is_cut_short_is_one_reject(self, tmp_path, cut):
        path = zipped(tmp_path / "a.zip", {f"{n}.jpg": jpeg(n) for n in range(9)})
        path.write_bytes(path.read_bytes()[:-cut])
        results = outcome(path)
        assert list(results) == [""] and "the archive from here on" in results[""]

    def test_a_damaged_file_in_a_zip_costs_only_itself(self, tmp_path):
        path = zipped(tmp_path / "a.zip", {f"{n}.jpg": jpeg(n) for n in range(3)})
        data = bytearray(path.read_bytes())
        at = data.index(jpeg(1)) + 50
        data[at] ^= 0xFF
        path.write_bytes(data)
        results = outcome(path)
        assert results == {"0.jpg": jpeg(0), "1.jpg": results["1.jpg"], "2.jpg": jpeg(2)}
        assert results["1.jpg"].startswith("photo_unreadable: size or checksum")

    def test_an_encrypted_zip_and_an_unknown_method_are_rejects(self, tmp_path):
        path = zipped(tmp_path / "a.zip", {"a.jpg": b"x", "b.jpg": b"y" * 99})
        data = bytearray(path.read_bytes())
        first = data.index(b"PK\x01\x02")
        data[first + 8] |= 1
        data[data.index(b"PK\x01\x02", first + 1) + 10] = 93
        path.write_bytes(data)
        assert outcome(path) == {
            "a.jpg": "photo_unreadable: it is encrypted by ZipCrypto",
            "b.jpg": "photo_unreadable: it is compressed by Zstandard (method 93), and only deflate is read",
        }

    @pytest.mark.parametrize("packing", ["", "gz"])
    def test_what_comes_before_the_cut_of_a_tar_is_used(self, tmp_path, packing):
        path = tarred(tmp_path / "a.tar", {f"{n}.jpg": os.urandom(40_000) for n in range(4)}, packing)
        path.write_bytes(path.read_bytes()[:100_000])
        results = outcome(path)
        assert isinstance(results["0.jpg"], bytes) and isinstance(results["1.jpg"], bytes)
        assert "the archive from here on" in results[""]

    def test_a_damaged_header_in_a_tar_does_not_lose_the_rest_in_silence(self, tmp_path):
        path = tarred(tmp_path / "a.tar", {f"{n}.jpg": jpeg(n) for n in range(4)})
        data = bytearray(path.read_bytes())
        at = data.index(b"2.jpg")
        data[at : at + 200] = b"?" * 200
        path.write_bytes(data)
        results = outcome(path)
        assert list(results) == ["0.jpg", "1.jpg", ""] and "damaged from here on" in results[""]

    def test_a_tar_that_unpacks_to_far_more_than_itself_is_given_up(self, tmp_path):
        member = tarfile.TarInfo("zeros.jpg")
        member.size = 10**12
        with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
            file.write(member.tobuf() + bytes(1_000_000))
        assert "a bomb" in outcome(tmp_path / "a.tar.gz")[""]

    def test_a_header_that_claims_to_be_huge_is_not_read_into_memory(self, tmp_path):
        header = tarfile.TarInfo("x")
        header.type, header.size = tarfile.XHDTYPE, 2_000_000_000
        with (tmp_path / "a.tar").open("wb") as file:
            file.write(header.tobuf())
            file.truncate(3_000_000_000)
        tracemalloc.start()
        assert "header of 2,000,000,000 bytes" in outcome(tmp_path / "a.tar")[""]
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
        tracemalloc.stop()

    def test_a_header_of_negative_size_does_not_go_round_for_ever(self, tmp_path):
        header = bytearray(tarfile.TarInfo("x.jpg").tobuf())
        header[124:136] = (-512).to_bytes(12, "big", signed=True)
        header[148:156] = b"%06o\0 " % (sum(header[:148]) + 8 * 32 + sum(header[156:512]))
        (tmp_path / "a.tar").write_bytes(bytes(header) + bytes(2048))
        reason = outcome(tmp_path / "a.tar")[""]
        # Newer versions of Python see it themselves.
        assert "less than no bytes" in reason or "invalid offset" in reason

    def test_names_that_are_not_utf8_are_shown_and_read(self, tmp_path):
        (tmp_path / "faces").mkdir()
        (tmp_path / "faces" / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"x")
        assert outcome(tmp_path / "faces") == {r"caf\xe9.jpg": b"x"}
        with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.GNU_FORMAT, encoding="latin-1") as archive:
            member = tarfile.TarInfo("caf\xe9.jpg")
            member.size = 1
            archive.addfile(member, io.BytesIO(b"x"))
        assert outcome(tmp_path / "a.tar") == {r"caf\xe9.jpg": b"x"}
        path = zipped(tmp_path / "a.zip", {"cafe.jpg": b"x"})
        path.write_bytes(path.read_bytes().replace(b"cafe", b"caf\x82"))  # code page 437
        assert outcome(path) == {"café.jpg": b"x"}

    def test_a_million_tiny_files_take_no_memory(self, tmp_path):
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for number in range(20_000):
                archive.writestr(f"{number}.jpg", b"")
        tracemalloc.start()
        assert sum(1 for _ in Listing([str(path)])) == 20_000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
        tracemalloc.stop()

    def test_an_archive_that_is_gone_stops_the_job_instead_of_rejecting_all_it_held(self, tmp_path):
        path = zipped(tmp_path / "a.zip", {"a.jpg": b"x"})
        listing = Listing([str(path)])
        entries = list(listing)
        path.unlink()
        with pytest.raises(VisageError, match="cannot be read any more"), Reader(listing.sources, MAX_BYTES) as reader:
            reader.read(entries[0])
