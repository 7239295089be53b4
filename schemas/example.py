"""The Example: one face with its labels, as it stands in a TFRecord shard.

`FaceExample` is the Python side; `encode` and `decode` turn it to and from the bytes of a `tf.train.Example`. TensorFlow is
not needed for either: the message type is declared here, in a descriptor pool of its own, from TensorFlow's
`example.proto` and `feature.proto`, so that ingest and score do not pay for the import.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

FEATURES = {
    "image/encoded": "bytes",
    "image/height": "int64",
    "image/width": "int64",
    "face/age": "int64",
    "face/age_class": "bytes",
    "face/gender": "bytes",
    "face/score": "float",
    "person/id": "bytes",
    "photo/source": "bytes",
    "photo/path": "bytes",
    "photo/sha256": "bytes",
    "split/fold": "int64",
}
"""Every feature of an Example and the kind of list that holds it."""


@dataclass(frozen=True, slots=True)
class FaceExample:
    """One face, cropped and stored as JPEG, with what is known of it.

    Attributes:
        jpeg: the face, upright, RGB, square.
        height: of the stored picture, pixels.
        width: of the stored picture, pixels.
        person: identity as `SOURCE:ID`.
        source: name of the data set.
        path: of the photo within its source.
        sha256: hex digest of the photo file that the face comes from.
        age: whole years, None if unknown.
        age_class: None unless the source has classes only.
        gender: `female`, `male` or None if unknown.
        score: of the source's face detector, None if it has none.
        fold: number of the fold the person belongs to, from 0.
    """

    jpeg: bytes
    height: int
    width: int
    person: str
    source: str
    path: str
    sha256: str
    age: int | None = None
    age_class: str | None = None
    gender: str | None = None
    score: float | None = None
    fold: int = 0


_FIELDS = {
    "image/encoded": "jpeg",
    "image/height": "height",
    "image/width": "width",
    "face/age": "age",
    "face/age_class": "age_class",
    "face/gender": "gender",
    "face/score": "score",
    "person/id": "person",
    "photo/source": "source",
    "photo/path": "path",
    "photo/sha256": "sha256",
    "split/fold": "fold",
}


_LISTS = [(name, _FIELDS[name], f"{kind}_list") for name, kind in FEATURES.items()]


def encode(example: FaceExample) -> bytes:
    """The bytes of a `tf.train.Example`; unknown labels are absent, and equal examples give equal bytes."""
    message = _message_class()()
    feature = message.features.feature
    for name, field, list_name in _LISTS:
        value = getattr(example, field)
        if value is None:
            continue
        if isinstance(value, str):
            value = value.encode()
        getattr(feature[name], list_name).value.append(value)
    return message.SerializeToString(deterministic=True)


def decode(data: bytes) -> FaceExample:
    """The opposite of `encode`.

    Raises:
        ValueError: the bytes are not an Example, or a feature that every Example has is absent.
    """
    from google.protobuf.message import DecodeError

    message = _message_class()()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise ValueError(f"not a tf.train.Example: {error}") from error
    values: dict[str, Any] = {}
    for name, kind in FEATURES.items():
        if name not in message.features.feature:
            continue
        list_values = getattr(message.features.feature[name], f"{kind}_list").value
        if list_values:
            field = _FIELDS[name]
            values[field] = list_values[0].decode() if kind == "bytes" and field != "jpeg" else list_values[0]
    try:
        return FaceExample(**values)
    except TypeError as error:
        raise ValueError(f"an Example lacks a feature: {error}") from error


@cache
def _message_class() -> Any:
    """TensorFlow's Example message, from tensorflow/core/example/{example,feature}.proto."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field = descriptor_pb2.FieldDescriptorProto
    kinds = {"bytes": field.TYPE_BYTES, "float": field.TYPE_FLOAT, "int64": field.TYPE_INT64}
    file = descriptor_pb2.FileDescriptorProto(name="visage/example.proto", package="tensorflow", syntax="proto3")

    for kind, kind_type in kinds.items():
        file.message_type.add(name=f"{kind.capitalize()}List").field.add(
            name="value", number=1, label=field.LABEL_REPEATED, type=kind_type
        )
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, kind in enumerate(kinds, start=1):
        feature.field.add(
            name=f"{kind}_list",
            number=number,
            label=field.LABEL_OPTIONAL,
            type=field.TYPE_MESSAGE,
            type_name=f".tensorflow.{kind.capitalize()}List",
            oneof_index=0,
        )
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=field.LABEL_OPTIONAL, type=field.TYPE_STRING)
    entry.field.add(
        name="value", number=2, label=field.LABEL_OPTIONAL, type=field.TYPE_MESSAGE, type_name=".tensorflow.Feature"
    )
    features.field.add(
        name="feature",
        number=1,
        label=field.LABEL_REPEATED,
        type=field.TYPE_MESSAGE,
        type_name=".tensorflow.Features.FeatureEntry",
    )
    file.message_type.add(name="Example").field.add(
        name="features", number=1, label=field.LABEL_OPTIONAL, type=field.TYPE_MESSAGE, type_name=".tensorflow.Features"
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))
