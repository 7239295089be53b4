"""From a made-up data set to shards: every row accounted for, nothing shared between splits, the same bytes each time."""

import io
import json
import tarfile
import time
import zipfile
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from components.ingest import extract, run
from schemas.error import VisageError
from schemas.record import SPLITS
from schemas.shard import read_index, read_records
from tests.components.ingest.made_up import (
    Archive,
    ProgressRecorder,
    all_examples,
    examples,
    ingest,
    picture,
    rejects,
    shard_bytes,
    stored,
)
from tests.components.ingest.sources.imdb_wiki_files import INF, NAN, datenum, face, write_mat


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return Archive(tmp_path_factory.mktemp("archive")).fill(150).write()


@pytest.fixture(scope="module")
def ingested(archive, tmp_path_factory):
    output = tmp_path_factory.mktemp("artifacts") / "plain"
    ingest(archive, output)
    return output


class TestAnExample:
    def test_holds_the_face_and_its_labels(self, ingested):
        example = next(example for example in all_examples(ingested) if example.path == "03/45.jpg")
        assert (example.age, example.gender, example.person) == (45, "female", "labels:p15")
        assert (example.source, example.age_class, example.score) == ("labels", None, None)
        face = Image.open(io.BytesIO(example.jpeg))
        assert (face.format, face.mode, face.size) == ("JPEG", "RGB", (32, 32))
        assert (example.width, example.height) == (32, 32)
        expected = picture(45).resize((32, 32), Image.Resampling.HAMMING)
        assert np.abs(np.asarray(face, float) - np.asarray(expected, float)).mean() < 8

    def test_says_which_photo_file_it_comes_from(self, ingested, archive):
        import hashlib

        for example in all_examples(ingested)[:10]:
            assert example.sha256 == hashlib.sha256((archive.parent / example.path).read_bytes()).hexdigest()

    def test_stands_once_in_the_listing_and_is_found_by_it(self, ingested):
        import pyarrow.parquet as pq

        rows = pq.read_table(ingested / "examples.parquet").to_pylist()
        assert Counter(row["path"] for row in rows) == Counter(example.path for example in all_examples(ingested))
        for row in rows[:20]:
            data = (ingested / row["file"]).read_bytes()[row["offset"] : row["offset"] + row["length"]]
            assert row["path"].encode() in data
            assert row["file"].startswith(row["split"])


class TestSplits:
    def test_no_person_is_in_two(self, ingested):
        by_split = examples(ingested)
        persons = [{example.person for example in by_split[split]} for split in SPLITS]
        assert sum(map(len, persons)) == len(set.union(*persons)) == 50

    def test_more_data_moves_nobody(self, ingested, archive, tmp_path):
        more = Archive(tmp_path / "more").fill(240).write()
        ingest(more, tmp_path / "out")
        before = {example.path: split for split, of_split in examples(ingested).items() for example in of_split}
        after = {example.path: split for split, of_split in examples(tmp_path / "out").items() for example in of_split}
        assert {path: after[path] for path in before} == before
        assert len(after) == 240

    def test_folds_keep_persons_together_and_one_of_them_is_the_test_split(self, archive, tmp_path):
        ingest(archive, tmp_path / "out", "ingest.split.folds=5", "ingest.split.test_fold=2")
        by_split = examples(tmp_path / "out")
        assert {example.fold for example in by_split["test"]} == {2}
        assert {example.fold for example in by_split["validation"]} == {3}
        assert {example.fold for example in by_split["train"]} == {0, 1, 4}
        folds = {(example.person, example.fold) for of_split in by_split.values() for example in of_split}
        assert len(folds) == 50

    def test_the_split_of_the_source_is_kept_to(self, tmp_path):
        archive = Archive(tmp_path / "given")
        for number in range(30):
            archive.add(f"{number}.jpg", stored(picture(number)), split=("train", "val", "test")[number % 3])
        ingest(archive.write(), tmp_path / "out")
        for split, remainder in (("train", 0), ("validation", 1), ("test", 2)):
            assert {int(example.path[:-4]) % 3 for example in examples(tmp_path / "out")[split]} == {remainder}

    def test_a_given_split_that_tears_persons_apart_is_refused(self, tmp_path):
        archive = Archive(tmp_path / "torn")
        for number in range(30):
            archive.add(f"{number}.jpg", stored(picture(number)), split=SPLITS[number % 3], person=f"p{number // 2}")
        source = archive.write()
        with pytest.raises(VisageError, match="persons are in more than one split") as refused:
            ingest(source, tmp_path / "out")
        assert "ingest.split.given=false" in refused.value.hint
        ingest(source, tmp_path / "by person", "ingest.split.given=false")


class TestShards:
    def test_are_the_same_bytes_whatever_the_workers_and_the_runs(self, ingested, archive, tmp_path):
        for workers in (1, 3):
            ingest(archive, tmp_path / str(workers), f"beam.workers={workers}")
            assert shard_bytes(tmp_path / str(workers)) == shard_bytes(ingested)
            assert (tmp_path / str(workers) / "index.json").read_bytes() == (ingested / "index.json").read_bytes()

    def test_have_about_the_size_that_was_asked_for(self, archive, tmp_path):
        ingest(archive, tmp_path / "out", "ingest.shard_mb=0.03")
        shards = read_index(tmp_path / "out")["train"]
        sizes = [shard.bytes for shard in shards]
        assert len(sizes) >= 3
        assert sum(sizes) / len(sizes) == pytest.approx(30_000, rel=0.35)
        assert max(sizes) < 2 * min(sizes)

    def test_are_shuffled(self, ingested):
        rows = [int(example.path.split("/")[1][:-4]) for example in examples(ingested)["train"]]
        assert abs(np.corrcoef(rows, range(len(rows)))[0, 1]) < 0.3

    def test_are_counted_in_the_index(self, ingested):
        by_split = examples(ingested)
        assert list(by_split) == list(SPLITS)
        for split, shards in read_index(ingested).items():
            assert sum(shard.examples for shard in shards) == len(by_split[split])
            assert sum((Counter(shard.ages) for shard in shards), Counter()) == Counter(e.age for e in by_split[split])
            assert sum((Counter(shard.genders) for shard in shards), Counter()) == Counter(
                e.gender for e in by_split[split]
            )
            for shard in shards:
                assert (ingested / shard.file).stat().st_size == shard.bytes

    def test_nothing_else_is_left_behind(self, ingested):
        names = {file.name for file in ingested.iterdir()}
        assert names == {
            *SPLITS,
            "index.json",
            "examples.parquet",
            "rejects.parquet",
            "summary.json",
            "summary.html",
            "faces.jpg",
            "rejects",
        }
        assert not list(ingested.rglob("*.partial"))


@pytest.fixture(scope="module")
def dirty(tmp_path_factory):
    """One row for each reason that a table and its photos can give, among 60 good ones."""
    archive = Archive(tmp_path_factory.mktemp("dirty")).fill(60)
    archive.add("../outside.jpg", None)
    archive.add("bad gender.jpg", stored(picture(900)), gender="xyz")
    archive.add("old.jpg", stored(picture(901)), age=101)
    archive.add("ageless.jpg", stored(picture(902)), age="")
    archive.add("neither.jpg", stored(picture(903)), gender="")
    archive.add("excluded/one.jpg", stored(picture(904)))
    archive.add("missing.jpg", None)
    archive.add("huge.jpg", stored(picture(905, side=400)))
    archive.add("page.jpg", b"<html>Not found</html>")
    archive.add("cut.jpg", stored(picture(906))[:-40])
    archive.add("small.jpg", stored(picture(907, side=19)))
    archive.add("one.jpg", stored(picture(908)))
    archive.add("other form of one.png", stored(Image.open(io.BytesIO(stored(picture(908)))), "PNG"))
    archive.add("twin a.jpg", stored(picture(909)), age=20)
    archive.add("twin b.jpg", stored(picture(909)), age=45)
    output = tmp_path_factory.mktemp("artifacts") / "dirty"
    counts = ingest(
        archive.write(), output, "ingest.exclude=[excluded/*]", "photo.max_pixels=90000", "photo.min_side=20"
    )
    return output, counts


class TestEveryRowIsAccountedFor:
    def test_each_reject_has_its_reason(self, dirty):
        assert {reject.path: reject.reason for reject in rejects(dirty[0])} == {
            "../outside.jpg": "unsafe_path",
            "bad gender.jpg": "malformed_row",
            "old.jpg": "age_out_of_range",
            "ageless.jpg": "age_unknown",
            "neither.jpg": "gender_unknown",
            "excluded/one.jpg": "excluded",
            "missing.jpg": "photo_missing",
            "huge.jpg": "photo_too_large",
            "page.jpg": "not_a_photo",
            "cut.jpg": "photo_unreadable",
            "small.jpg": "photo_too_small",
            "other form of one.png": "duplicate",
            "twin a.jpg": "conflicting_labels",
            "twin b.jpg": "conflicting_labels",
        }

    def test_examples_and_rejects_are_all_rows(self, dirty):
        output, counts = dirty
        assert counts["rows"] == 75
        assert counts["examples"] == len(all_examples(output)) == 61
        assert sum(counts["rejects"].values()) == len(rejects(output)) == 14

    def test_a_reject_can_be_found_again(self, dirty):
        by_path = {reject.path: reject for reject in rejects(dirty[0])}
        assert [by_path[path].row for path in ("../outside.jpg", "old.jpg", "twin b.jpg")] == [60, 62, 74]
        assert "101" in by_path["old.jpg"].detail
        assert "one.jpg" in by_path["other form of one.png"].detail
        assert "20, 45" in by_path["twin a.jpg"].detail
        assert by_path["old.jpg"].person == "labels:old.jpg"
        assert by_path["cut.jpg"].sha256
        assert not by_path["missing.jpg"].sha256

    def test_rejects_stand_in_the_order_of_the_rows(self, dirty):
        rows = [reject.row for reject in rejects(dirty[0])]
        assert rows == sorted(rows)


def test_imdb_wiki_by_the_usual_filter(tmp_path):
    """The defects of the published set, one row each, in a folder with its .mat."""

    def row(number: int, **changes):
        changes = {"full_path": f"{number % 100:02d}/nm{number:07d}_rm{number}_1970-3-12_2009.jpg"} | changes
        return face(celeb_id=float(number), **changes)

    good = [row(number) for number in range(40)]
    bad = [
        row(50, face_score=-INF),
        row(51, second_face_score=2.0),
        row(52, gender=NAN),
        row(53, photo_taken=1950),
        row(54, face_score=0.5),
        row(55, full_path="../../etc/passwd"),
        row(56, dob=datenum(2005, 1, 1) - 800_000),
    ]
    folder = write_mat(tmp_path / "imdb_crop", *good, *bad)
    for number, entry in enumerate([*good, *bad]):
        if ".." not in entry["full_path"]:
            (folder / entry["full_path"]).parent.mkdir(exist_ok=True)
            (folder / entry["full_path"]).write_bytes(stored(picture(number)))
    counts = ingest(folder, tmp_path / "out", "source.kind=imdb_wiki")
    assert counts["examples"] == 40
    assert counts["rejects"] == {
        "unsafe_path": 1,
        "age_out_of_range": 1,
        "age_unknown": 1,
        "gender_unknown": 1,
        "no_face": 1,
        "low_face_score": 1,
        "second_face": 1,
    }
    example = all_examples(tmp_path / "out")[0]
    assert (example.age, example.gender, example.source, example.score) == (39, "female", "imdb", 3.5)


def test_whole_photos_are_cropped_to_the_box_with_its_margin(tmp_path):
    archive = Archive(tmp_path / "whole")
    box = {"left": 40, "top": 40, "right": 60, "bottom": 60}

    def photo(red: int, corner: str) -> bytes:
        """A photo with a red face in the box."""
        photo = Image.new("RGB", (100, 100), "white")
        photo.paste((red, 0, 0), (40, 40, 60, 60))
        photo.paste(corner, (0, 0, 5, 5))
        return stored(photo, "PNG")

    for number in range(20):
        archive.add(f"{number}.png", photo(255 - number, "white"), **box)
    archive.add("same face.png", photo(255, "blue"), **box)
    archive.add("outside.png", photo(200, "white"), **box | {"left": 200, "right": 220})
    settings = ["source.table.box=[left,top,right,bottom]", "photo.margin=0.5"]
    counts = ingest(archive.write(), tmp_path / "out", *settings)
    assert counts["rejects"] == {"photo_too_small": 1, "duplicate": 1}
    for example in all_examples(tmp_path / "out"):
        face = np.asarray(Image.open(io.BytesIO(example.jpeg)).convert("RGB"))
        assert face.shape == (32, 32, 3)
        red = 255 - int(example.path[:-4])
        assert face[16, 16].astype(int) == pytest.approx([red, 0, 0], abs=5)
        assert face[3, 3] == pytest.approx([255, 255, 255], abs=5)
        assert 220 < (face[..., 1] < 128).sum() < 290  # a face of 16 x 16 pixels amid its margin


def test_faces_on_one_photo_stay_in_one_split(tmp_path):
    archive = Archive(tmp_path / "groups")
    for number in range(40):
        photo = stored(picture(number, side=120))
        archive.add(f"{number}.jpg", photo, left=0, top=0, right=40, bottom=40, person=f"left {number}")
        archive.add(f"{number}.jpg", None, left=80, top=80, right=120, bottom=120, person=f"right {number}")
    counts = ingest(
        archive.write(),
        tmp_path / "out",
        "source.table.box=[left,top,right,bottom]",
        "photo.margin=0",
    )
    by_split = examples(tmp_path / "out")
    photos = [{example.sha256 for example in by_split[split]} for split in SPLITS]
    assert sum(map(len, photos)) == len(set.union(*photos)) == 40
    assert counts["rejects"]["duplicate"] == 80 - counts["examples"]
    assert 40 < counts["examples"] < 80
    assert any("the same photo is in the" in reject.detail for reject in rejects(tmp_path / "out"))


def test_class_only_and_unknown_labels_flow_through_where_they_are_wanted(tmp_path):
    archive = Archive(tmp_path / "classes")
    for number in range(30):
        archive.add(f"{number}.jpg", stored(picture(number)), age="", age_class=("YOUNG", "OLD")[number % 2])
    archive.add("no gender.jpg", stored(picture(70)), gender="")
    archive.add("no age.jpg", stored(picture(71)), age="")
    source = archive.write()
    counts = ingest(source, tmp_path / "strict")
    assert counts["rejects"] == {"age_unknown": 1, "gender_unknown": 1}
    overrides = ["ingest.filter.unknown_age=true", "ingest.filter.unknown_gender=true"]
    ingest(source, tmp_path / "open", *overrides)
    by_path = {example.path: example for example in all_examples(tmp_path / "open")}
    assert len(by_path) == 32
    assert (by_path["0.jpg"].age, by_path["0.jpg"].age_class) == (None, "YOUNG")
    assert (by_path["no gender.jpg"].gender, by_path["no age.jpg"].age) == (None, None)
    classes = sum(
        (Counter(s.age_classes) for shards in read_index(tmp_path / "open").values() for s in shards), Counter()
    )
    assert classes == {"YOUNG": 15, "OLD": 15}
    assert "YOUNG" in (tmp_path / "open" / "summary.html").read_text()


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_gives_the_same_shards_as_the_folder(archive, ingested, tmp_path, kind):
    packed = tmp_path / f"photos.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
            for photo in archive.parent.glob("*/*.jpg"):
                file.write(photo, photo.relative_to(archive.parent))
    else:
        with tarfile.open(packed, "w") as file:
            for photo in archive.parent.glob("*/*.jpg"):
                file.add(photo, photo.relative_to(archive.parent))
    ingest(archive, tmp_path / "out", f"source.photos={packed}")
    assert shard_bytes(tmp_path / "out") == shard_bytes(ingested)


def test_a_picture_that_is_small_enough_is_not_encoded_anew(tmp_path):
    archive = Archive(tmp_path / "small").fill(40)
    ingest(archive.write(), tmp_path / "out", "photo.size=48")
    for example in all_examples(tmp_path / "out"):
        assert example.jpeg == (tmp_path / "small" / example.path).read_bytes()


def test_progress_is_told(archive, tmp_path, monkeypatch):
    real = extract.face_of

    def slowly(*photo):
        time.sleep(0.002)
        return real(*photo)

    monkeypatch.setattr(extract, "face_of", slowly)
    monkeypatch.setattr(run, "_EVERY", 0.01)
    tracker = ProgressRecorder()
    ingest(archive, tmp_path / "out", "beam.workers=1", tracker=tracker)
    assert all(total == 150 and unit == "photos" for _, total, unit in tracker.progressed)
    done = [done for done, _, _ in tracker.progressed]
    assert done == sorted(done)
    assert 0 < done[-1] <= 150


def records_of(folder):
    return [record for file in folder.glob("*/*.tfrecord") for record in read_records(file)]


class TestTheSummary:
    def test_counts_are_those_of_the_shards(self, ingested):
        summary = json.loads((ingested / "summary.json").read_text())
        by_split = examples(ingested)
        for split in SPLITS:
            of_split = by_split[split]
            assert summary[split] == summary["splits"][split]["examples"] == len(of_split)
            assert summary["splits"][split]["mean_age"] == pytest.approx(
                np.mean([e.age or 0 for e in of_split]), abs=0.01
            )
            ages = Counter((e.gender, e.age) for e in of_split)
            summary_ages = {
                (gender, int(age)): count
                for gender, counts in summary["ages"][split].items()
                for age, count in counts.items()
            }
            assert summary_ages == ages
        assert summary["photos"] == summary["photos_new"] == 150
        assert summary["photos_per_second"] > 0

    def test_beams_own_counters_are_told(self, dirty):
        output, counts = dirty
        counters = json.loads((output / "summary.json").read_text())["beam"]
        assert counters["records_with_photos"] == 75 - 6
        assert {split: counters[f"examples_{split}"] for split in SPLITS} == {split: counts[split] for split in SPLITS}
        rejected = {name.removeprefix("rejects_"): counters[name] for name in counters if name.startswith("rejects_")}
        assert rejected == counts["rejects"]
        sizes = [len(record) for record in records_of(output)]
        assert counters["example_bytes"]["min"] == min(sizes) and counters["example_bytes"]["max"] == max(sizes)
        assert "records_with_photos" in (output / "summary.html").read_text()

    def test_the_page_stands_by_itself(self, ingested):
        text = (ingested / "summary.html").read_text()
        assert "150 rows = 150 examples + 0 rejects" in text
        assert not any(
            scheme in text for scheme in ("http://", "https://")
        )  # a comparison of whole pages takes minutes
        assert Image.open(ingested / "faces.jpg").size[0] > 500

    def test_there_is_a_sheet_of_each_reason(self, tmp_path):
        archive = Archive(tmp_path / "archive").fill(60)
        archive.add("missing.jpg", None)
        archive.add("../../outside\n.jpg", None)
        archive.add("old.jpg", stored(picture(901)), age=101)
        ingest(archive.write(), tmp_path / "out")
        sheets = {file.stem for file in (tmp_path / "out" / "rejects").iterdir()}
        assert sheets == {"photo_missing", "unsafe_path", "age_out_of_range"}
        shown = np.asarray(Image.open(tmp_path / "out" / "rejects" / "age_out_of_range.jpg"))[:40, :40].astype(float)
        expected = np.asarray(picture(901).resize((48, 48)))[:40, :40].astype(float)
        assert np.abs(shown - expected).mean() < 12
