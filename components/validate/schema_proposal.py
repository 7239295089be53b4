"""A schema for review: the reviewed one, changed where the data ask for it."""

import re
from pathlib import Path

import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_metadata.proto.v0.schema_pb2 import Schema
from tensorflow_metadata.proto.v0.statistics_pb2 import DatasetFeatureStatisticsList

from components.validate import split_statistics
from components.validate.reviewed_schema import load_schema, place_of
from schemas.artifact import read_manifest
from schemas.error import VisageError
from schemas.record import SPLITS
from schemas.shard import read_index

_HEADER = re.compile(r"\A((?:#.*\n)+)\n")
_ENTRY = re.compile(r"((?:^#[^\n]*\n)*)^(?:feature|string_domain) \{\n.*?^\}\n?", re.MULTILINE | re.DOTALL)
"""A feature or the words of one, with the comment above."""


def propose(artifact: Path, reviewed: Path | None = None) -> str:
    """The text of a schema that the data of an artifact conform to.

    It is the reviewed schema, with its comments, where it holds; made wider where the data break it; and with the features that
    it does not know. It is never made narrower: what these data lack, others may have.

    Args:
        artifact: of the ingest step, whose examples are read, or of the validate step, whose statistics are.
        reviewed: the reviewed schema; without one, the project's own.

    Raises:
        VisageError: the artifact or the schema cannot be read, or there are no examples.
    """
    schema = load_schema(reviewed)
    nonempty = [statistics for statistics in _statistics(artifact, schema) if statistics.datasets[0].num_examples]
    if not nonempty:
        raise VisageError(f"{artifact} holds no examples.", "Name an ingest artifact that has some.", usage=True)
    for statistics in nonempty:
        _let_absent_be(schema, statistics)
        schema = tfdv.update_schema(schema, statistics, infer_feature_shape=False)
    for statistics in nonempty:  # a later split may have brought a feature that an earlier one lacks
        _let_absent_be(schema, statistics)
    return _as_text(schema, place_of(reviewed).read_text(encoding="utf-8"))


def _let_absent_be(schema: Schema, statistics: DatasetFeatureStatisticsList) -> None:
    """Demand no feature that a whole split lacks. TFDV would deprecate it, for all splits."""
    for feature in schema.feature:
        if feature.HasField("presence") and not split_statistics.feature(statistics, feature.name):
            feature.ClearField("presence")
            if [dimension.size for dimension in feature.shape.dim] == [1]:  # a shape is for features in every example
                feature.value_count.min = feature.value_count.max = 1


def _statistics(artifact: Path, schema: Schema) -> list[DatasetFeatureStatisticsList]:
    """Of every split."""
    step = read_manifest(artifact).step
    if step == "validate":
        paths = (artifact / "statistics" / f"{split}.pb" for split in SPLITS)
        return [split_statistics.load(path) for path in paths]
    if step == "ingest":
        splits = read_index(artifact).values()
        return [split_statistics.describe(artifact, shards, schema).statistics for shards in splits]
    raise VisageError(f"{artifact} is an artifact of {step}; one of ingest or validate is wanted.", usage=True)


def _as_text(schema: Schema, reviewed: str) -> str:
    """A schema as text: what the reviewed text says already in its very words, and its comments above what is changed."""
    entries = {}
    for match in _ENTRY.finditer(reviewed):
        try:
            parsed = text_format.Parse(match[0], Schema())
        except text_format.ParseError:
            continue  # an unusual layout: written anew
        for entry in (*parsed.feature, *parsed.string_domain):
            entries[type(entry), entry.name] = (entry, match[0], match[1])
    header = _HEADER.match(reviewed)
    parts = [header[0]] if header else []
    for name in ("feature", "string_domain"):
        for entry in getattr(schema, name):
            reviewed_entry, text, comment = entries.get((type(entry), entry.name), (None, "", ""))
            new_text = text_format.MessageToString(Schema(**{name: [entry]}), as_utf8=True)
            parts.append(text if reviewed_entry == entry else comment + new_text)
    remainder = Schema()
    remainder.CopyFrom(schema)
    for name in ("feature", "string_domain"):
        remainder.ClearField(name)
    return "".join(parts) + text_format.MessageToString(remainder, as_utf8=True)
