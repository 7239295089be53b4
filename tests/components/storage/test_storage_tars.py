"""Tars as other programs write them, for whoever lists them and whoever asks for their files by name."""

import bz2
import gzip
import lzma
import tarfile
from functools import partial

import pytest

from components.storage import places
from schemas.error import VisageError
from tests.components.storage import made_archives as made
from tests.components.storage.doors import both, listed, pairs, read_by_name

PACK = {"": lambda data: data, "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


SIZE = 30_000
MANY = [(number * 2000, bytes([65 + number]) * 600) for number in range(12)]  # more than fit into one header
NOTHING = [(SIZE, b"")]  # as tar says that there is only a hole


class TestFilesWithHoles:
    @pytest.mark.parametrize("packing", ["", "gz"])
    @pytest.mark.parametrize("pieces", [made.HOLES, MANY, NOTHING], ids=["three pieces", "many", "none"])
    @pytest.mark.parametrize(
        "write",
        [made.gnu_sparse, made.pax_sparse, partial(made.pax_sparse, version="0.1")],
        ids=["gnu", "pax 1.0", "pax 0.1"],
    )
    def test_are_read_with_their_holes_and_never_with_what_comes_behind(self, tmp_path, write, pieces, packing):
        members = [write("holes.jpg", pieces, SIZE), made.member("other person.jpg", b"x" * 40_000)]
        path = made.tar(tmp_path / "set.tar", members)
        path.write_bytes(PACK[packing](path.read_bytes()))
        assert both(path, ["holes.jpg", "other person.jpg"]) == {
            "holes.jpg": made.with_holes(pieces, SIZE),
            "other person.jpg": b"x" * 40_000,
        }

    def test_whose_pieces_are_more_than_is_stored_are_rejects(self, tmp_path):
        members = [made.pax_sparse("lying.jpg", [(0, b"a" * 512)], 5000), made.member("other person.jpg", b"x" * 5000)]
        lying = members[0].replace(b"0\n512\n", b"0\n999\n", 1)
        results = both(made.tar(tmp_path / "a.tar", [lying, members[1]]), ["lying.jpg", "other person.jpg"])
        assert (
            results["lying.jpg"] == "photo_unreadable: the pieces of this file with holes are more than its header says"
        )
        assert results["other person.jpg"] == b"x" * 5000

    def test_that_are_too_large_with_their_holes_are_rejects(self, tmp_path):
        path = made.tar(tmp_path / "a.tar", [made.pax_sparse("film.jpg", [(0, b"a")], 10**13)])
        assert both(path, ["film.jpg"])["film.jpg"] == "photo_too_large: 10000000000000 bytes, 1000000 are allowed"

    def test_may_be_the_labels(self, tmp_path):
        table = b"path,age\n" + b"a.jpg,30\n" * 200
        pieces = [(0, table[:1024]), (1024, table[1024:])]
        path = made.tar(tmp_path / "a.tar", [made.gnu_sparse("labels.csv", pieces, len(table)), made.member("z", b"z")])
        assert places.read(str(path), "labels.csv") == table
        assert places.stream(str(path), "labels.csv").read() == table


class TestLinks:
    @pytest.mark.parametrize("packing", ["", "gz"])
    def test_within_are_the_files_that_they_lead_to(self, tmp_path, packing):
        path = made.tar(
            tmp_path / "a.tar",
            [
                made.soft("early.jpg", "people/1.jpg"),
                made.member("./people/1.jpg", b"one"),
                made.hard("hard.jpg", "./people/1.jpg"),
                made.hard("harder.jpg", "hard.jpg"),
                made.soft("people/soft.jpg", "1.jpg"),
                made.soft("other/up.jpg", "../people/soft.jpg"),
                made.soft("folder", "people"),
            ],
        )
        path.write_bytes(PACK[packing](path.read_bytes()))
        names = ["early.jpg", "people/1.jpg", "hard.jpg", "harder.jpg", "people/soft.jpg", "other/up.jpg"]
        assert both(path, names) == {
            **dict.fromkeys(names, b"one"),
            "folder": "excluded: a link to a folder that is listed itself",
        }
        assert read_by_name(path, ["folder/1.jpg", "folder/soft.jpg", "folder/2.jpg"]) == {
            "folder/1.jpg": b"one",
            "folder/soft.jpg": b"one",
            "folder/2.jpg": "photo_missing: the archive holds no such file",
        }

    def test_that_lead_nowhere_out_or_round_are_rejects_that_say_so(self, tmp_path):
        links = [("none", "no.jpg"), ("out", "/etc/passwd"), ("up", "../a.jpg"), ("round", "back"), ("back", "round")]
        results = both(made.tar(tmp_path / "a.tar", [made.soft(*link) for link in links]), [name for name, _ in links])
        assert results == {
            "none": "photo_missing: a link to no.jpg, which the archive does not hold",
            "out": "unsafe_path: a link out of the archive: the path is absolute",
            "up": "unsafe_path: a link out of the archive: the path climbs out by ..",
            "round": "photo_missing: a link that goes round",
            "back": "photo_missing: a link that goes round",
        }

    def test_that_are_hard_mean_the_file_that_came_before(self, tmp_path):
        """`tar --append` writes a changed file once more; a link to the old one is not a link to the new one."""
        members = [made.member("a.jpg", b"old"), made.hard("b.jpg", "a.jpg"), made.member("a.jpg", b"new")]
        path = made.tar(tmp_path / "a.tar", members)
        assert pairs(path) == [("a.jpg", b"old"), ("b.jpg", b"old"), ("a.jpg", b"new")]
        assert read_by_name(path, ["a.jpg", "b.jpg"]) == {"a.jpg": b"new", "b.jpg": b"old"}

    def test_to_files_with_holes(self, tmp_path):
        path = made.tar(tmp_path / "a.tar", [made.gnu_sparse("a.jpg", made.HOLES, 30_000), made.hard("b.jpg", "a.jpg")])
        assert both(path, ["b.jpg"])["b.jpg"] == made.with_holes(made.HOLES, 30_000)

    def test_before_damage_are_read(self, tmp_path):
        members = [made.member("a.jpg", b"one"), made.hard("b.jpg", "a.jpg"), b"?" * 512]
        results = listed(made.tar(tmp_path / "a.tar", members))
        assert results == {"a.jpg": b"one", "b.jpg": b"one", "": results[""]}
        assert "from here on" in results[""]

    def test_may_be_the_labels(self, tmp_path):
        path = made.tar(
            tmp_path / "a.tar", [made.member("v1/t.csv", b"path,age\n"), made.soft("labels.csv", "v1/t.csv")]
        )
        assert places.read(str(path), "labels.csv") == b"path,age\n"


class TestTarsThatWereJoined:
    @pytest.mark.parametrize("packing", ["", "gz", "bz2", "xz"])
    @pytest.mark.parametrize("as_one_stream", [True, False])
    def test_are_read_to_the_last(self, tmp_path, packing, as_one_stream):
        parts = [made.member(f"{number}.jpg", bytes([number]) * 5000) + made.END * 10 for number in range(3)]
        pack = PACK[packing]
        data = pack(b"".join(parts)) if as_one_stream else b"".join(map(pack, parts))
        (tmp_path / "a.tar").write_bytes(data)
        names = [f"{number}.jpg" for number in range(3)]
        assert both(tmp_path / "a.tar", names) == {name: bytes([n]) * 5000 for n, name in enumerate(names)}
        assert [picture.name for picture in places.picture_names(str(tmp_path / "a.tar"))] == names

    def test_what_is_no_tar_behind_one_is_said(self, tmp_path):
        path = made.tar(tmp_path / "a.tar", [made.member("a.jpg", b"one"), made.END, b"something else" * 100])
        results = listed(path)
        assert results["a.jpg"] == b"one" and "damaged from here on" in results[""]
        with pytest.raises(VisageError, match=r"a\.tar cannot be read to its end: it is damaged from here on"):
            read_by_name(path, ["a.jpg"])

    def test_a_gzip_in_many_members_is_one(self, tmp_path):
        data = made.tar(tmp_path / "a.tar", [made.member("a.jpg", b"x" * 9000)]).read_bytes()
        (tmp_path / "a.tar").write_bytes(
            b"".join(gzip.compress(data[at : at + 1000]) for at in range(0, len(data), 1000))
        )
        assert both(tmp_path / "a.tar", ["a.jpg"]) == {"a.jpg": b"x" * 9000}


class TestNames:
    def test_that_are_not_utf8_are_read_in_the_encoding_that_the_settings_name(self, tmp_path):
        path = made.tar(tmp_path / "a.tar", [made.member("写真/表.jpg", b"x", encoding="cp932")])
        assert both(path, ["写真/表.jpg"], encoding="cp932") == {"写真/表.jpg": b"x"}

    def test_that_are_not_utf8_are_found_as_they_are_listed(self, tmp_path):
        path = made.tar(tmp_path / "a.tar", [made.member("café.jpg", b"x", encoding="latin-1")])
        assert both(path, [r"caf\xe9.jpg"]) == {r"caf\xe9.jpg": b"x"}

    def test_that_are_utf8_are_not_read_in_another_encoding(self, tmp_path):
        path = made.tar(tmp_path / "a.tar", [made.member("写真.jpg", b"x")])
        assert both(path, ["写真.jpg"], encoding="cp866") == {"写真.jpg": b"x"}

    def test_that_stand_twice_are_both_listed_and_the_last_one_is_meant(self, tmp_path):
        path = made.tar(tmp_path / "a.tar", [made.member("a.jpg", b"old"), made.member("./a.jpg", b"new")])
        assert pairs(path) == [("a.jpg", b"old"), ("a.jpg", b"new")]
        assert read_by_name(path, ["a.jpg"]) == {"a.jpg": b"new"}
        first, second = places.picture_names(str(path))
        assert (first.name, second.name) == ("a.jpg", "a.jpg")
        assert "comes after it" in first.replaced and not second.replaced


def test_old_tars_without_a_mark_are_known_by_their_checksum(tmp_path):
    info = tarfile.TarInfo("a.jpg")
    info.size = 3
    header = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    header[257:265] = bytes(8)
    path = made.tar(tmp_path / "backup", [made.summed(header) + b"one".ljust(512, b"\0")])
    assert both(path, ["a.jpg"]) == {"a.jpg": b"one"}
