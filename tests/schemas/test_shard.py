"""Shards are TFRecord files as TensorFlow's own, and the index says what is in them."""

import io

import pytest

from schemas.error import VisageError
from schemas.shard import (
    Shard,
    file_name,
    read_index,
    read_records,
    shard_paths,
    write_index,
    write_record,
    write_records,
)

RECORDS = [b"", b"one", b"\0" * 70_000, bytes(range(256)) * 9]


def test_what_was_written_is_read(tmp_path):
    assert write_records(tmp_path / "train" / "a.tfrecord", RECORDS) == len(RECORDS)
    assert list(read_records(tmp_path / "train" / "a.tfrecord")) == RECORDS


def test_tensorflow_reads_what_was_written_and_writes_the_same_bytes(tmp_path):
    import tensorflow as tf

    own, of_tensorflow = tmp_path / "ours.tfrecord", tmp_path / "theirs.tfrecord"
    write_records(own, RECORDS)
    assert [record.numpy() for record in tf.data.TFRecordDataset(str(own))] == RECORDS
    with tf.io.TFRecordWriter(str(of_tensorflow)) as writer:
        for record in RECORDS:
            writer.write(record)
    assert own.read_bytes() == of_tensorflow.read_bytes()


def test_a_record_begins_where_the_writer_says():
    file = io.BytesIO()
    starts = [write_record(file, record) for record in RECORDS]
    for start, record in zip(starts, RECORDS, strict=True):
        assert file.getvalue()[start : start + len(record)] == record


@pytest.mark.parametrize("length", [1, 11, 13, 30])
def test_a_file_that_is_cut_short_is_seen(tmp_path, length):
    write_records(tmp_path / "a.tfrecord", [b"some bytes of a record"])
    whole = (tmp_path / "a.tfrecord").read_bytes()
    (tmp_path / "a.tfrecord").write_bytes(whole[:length])
    with pytest.raises(VisageError, match="damaged at byte"):
        list(read_records(tmp_path / "a.tfrecord"))


@pytest.mark.parametrize("place", [0, 9, 20, -1])
def test_a_changed_byte_is_seen(tmp_path, place):
    write_records(tmp_path / "a.tfrecord", [b"some bytes of a record"])
    data = bytearray((tmp_path / "a.tfrecord").read_bytes())
    data[place] ^= 1
    (tmp_path / "a.tfrecord").write_bytes(data)
    with pytest.raises(VisageError, match="damaged at byte"):
        list(read_records(tmp_path / "a.tfrecord"))


def test_the_index_says_what_each_split_holds(tmp_path):
    shards = [
        Shard(file_name("train", number, 2), 10, 1000, {0: 1, 30: 8}, {"OLD": 1}, {"female": 4}) for number in (0, 1)
    ]
    assert shards[1].file == "train/train-00001-of-00002.tfrecord"
    write_index(tmp_path, {"train": shards, "test": []})
    assert read_index(tmp_path) == {"train": shards, "test": []}
    assert shard_paths(tmp_path, "train") == [tmp_path / shard.file for shard in shards]
    assert shard_paths(tmp_path, "validation") == []


@pytest.mark.parametrize(
    "content",
    [None, "", "{", "[]", "3", '{"train": 3}', '{"train": [{"file": "a"}]}', '{"train": [{"ages": {"x": 1}}]}'],
)
def test_a_folder_without_an_index_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "index.json").write_text(content)
    with pytest.raises(VisageError, match="holds no examples"):
        read_index(tmp_path)
