"""Examples are what TensorFlow takes them for."""

from dataclasses import fields, replace

import pytest

from schemas.example import FEATURES, FaceExample, decode, encode

FULL = FaceExample(
    jpeg=b"\xff\xd8 a picture \xff\xd9",
    height=128,
    width=96,
    person="imdb:17",
    source="imdb",
    path="17/nm0000017_ünïcode.jpg",
    sha256="ab" * 32,
    age=0,
    age_class="YOUNG",
    gender="female",
    score=-1.5,
    fold=3,
)
SPARSE = FaceExample(b"x", 1, 1, "p", "s", "path", "", None, None, None, None, 0)
UNKNOWN = {"face/age", "face/age_class", "face/gender", "face/score"}


@pytest.mark.parametrize("example", [FULL, SPARSE])
def test_what_was_encoded_is_decoded(example):
    assert decode(encode(example)) == example


def test_the_bytes_are_always_the_same():
    assert encode(FULL) == encode(replace(FULL))
    assert encode(decode(encode(FULL))) == encode(FULL)


def test_each_attribute_has_a_feature():
    for field in fields(FaceExample):
        if getattr(FULL, field.name) != getattr(SPARSE, field.name):
            changed = replace(FULL, **{field.name: getattr(SPARSE, field.name)})
            assert decode(encode(changed)) == changed != FULL


def test_tensorflow_reads_it():
    import tensorflow as tf

    message = tf.train.Example.FromString(encode(FULL))
    assert set(message.features.feature) == set(FEATURES)
    for name, feature in message.features.feature.items():
        assert feature.WhichOneof("kind") == f"{FEATURES[name]}_list"
    kinds = {"bytes": tf.string, "int64": tf.int64, "float": tf.float32}
    parsed = tf.io.parse_single_example(
        encode(FULL), {name: tf.io.FixedLenFeature([], kinds[kind]) for name, kind in FEATURES.items()}
    )
    assert parsed["image/encoded"].numpy() == FULL.jpeg
    assert parsed["face/gender"].numpy() == b"female"
    assert parsed["photo/path"].numpy().decode() == FULL.path
    assert (int(parsed["face/age"]), int(parsed["split/fold"]), float(parsed["face/score"])) == (0, 3, -1.5)


def test_tensorflow_sees_that_unknown_labels_are_absent():
    import tensorflow as tf

    assert set(tf.train.Example.FromString(encode(SPARSE)).features.feature) == set(FEATURES) - UNKNOWN


def test_what_tensorflow_writes_is_decoded():
    import tensorflow as tf

    assert decode(tf.train.Example.FromString(encode(FULL)).SerializeToString()) == FULL


@pytest.mark.parametrize("damaged", [b"\xff\xff\xff", encode(FULL)[:-3], b""])
def test_what_is_no_example_is_refused(damaged):
    with pytest.raises(ValueError, match="Example"):
        decode(damaged)
