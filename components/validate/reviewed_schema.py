"""The reviewed schema: what an Example may hold, and how far apart two sets of Examples may be.

It is TensorFlow Metadata's Schema as text
(https://github.com/tensorflow/metadata/blob/master/tensorflow_metadata/proto/v0/schema.proto).
"""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from google.protobuf import text_format
from tensorflow_metadata.proto.v0.schema_pb2 import BYTES, FLOAT, INT, Feature, Schema

import schemas
from components.drift.distances import JENSEN_SHANNON, L_INFINITY
from schemas.error import VisageError

SKEW, DRIFT = "skew", "drift"

_MEASURES = {"jensen_shannon_divergence": JENSEN_SHANNON, "infinity_norm": L_INFINITY}
"""By the name of a comparator's field."""

_HINT = "It is to be TensorFlow Metadata's Schema as text, as in schemas/example_schema.pbtxt."


class Allowed(NamedTuple):
    """How far apart two sets of values may be.

    Attributes:
        measure: the kind of distance.
        threshold: the largest that passes, 0 (the same) to 1 (nothing in common).
        numbers: whether the values are numbers; else they are words.
    """

    measure: str
    threshold: float
    numbers: bool


def place_of(chosen: Path | None) -> Path:
    """Where the reviewed schema is: the chosen file, else the project's own."""
    return chosen.expanduser() if chosen else Path(schemas.__path__[0]) / "example_schema.pbtxt"


def load_schema(path: Path | None = None) -> Schema:
    """The schema in a file; without one, the project's own.

    Raises:
        VisageError: the file cannot be read, holds no schema or one that contradicts itself, or allows a distance that is not
            measured.
    """
    path = place_of(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise VisageError(f"The schema {path} cannot be read: {error}", _HINT, usage=True) from error
    return parse(text, str(path))


def parse(text: str, origin: str) -> Schema:
    """The schema in a text.

    Args:
        text: of the schema.
        origin: where it is from, for people.

    Raises:
        VisageError: as `load_schema`.
    """
    try:
        schema = text_format.Parse(text, Schema())
    except text_format.ParseError as error:
        raise VisageError(f"{origin} is no schema: {error}", _HINT, usage=True) from error
    if not schema.feature:
        raise VisageError(f"{origin} is no schema: it names no feature.", _HINT, usage=True)
    names = Counter(feature.name for feature in schema.feature)
    domains = {domain.name for domain in schema.string_domain}
    for feature in schema.feature:
        if names[feature.name] > 1:
            raise VisageError(f"{origin} names the feature {feature.name} {names[feature.name]} times.", usage=True)
        if feature.HasField("domain") and feature.domain not in domains:
            raise VisageError(f"{origin}, {feature.name}: there is no string_domain {feature.domain}.", usage=True)
    for kind in (SKEW, DRIFT):
        try:
            allowed(schema, kind)
        except ValueError as error:
            raise VisageError(
                f"{origin}, {error}.", "components/validate/README.md shows what is measured.", usage=True
            ) from error
    return schema


def allowed(schema: Schema, kind: str) -> dict[str, Allowed]:
    """The largest distances that pass, by feature, in the schema's order; of features that have a comparator.

    Args:
        schema: the reviewed one.
        kind: `skew` or `drift`.

    Raises:
        ValueError: a comparator asks for what is not measured.
    """
    comparator = f"{kind}_comparator"
    return {feature.name: _allowed(feature, comparator) for feature in schema.feature if feature.HasField(comparator)}


def _allowed(feature: Feature, comparator: str) -> Allowed:
    subject = f"{feature.name}, {comparator}"
    stated = getattr(feature, comparator).ListFields()
    if len(stated) != 1 or stated[0][0].name not in _MEASURES:
        raise ValueError(f"{subject}: one of {' and '.join(_MEASURES)} is wanted")
    field, value = stated[0]
    if not value.HasField("threshold") or not 0 <= value.threshold <= 1:
        raise ValueError(f"{subject}: a threshold from 0 to 1 is wanted")
    if feature.type not in (INT, FLOAT, BYTES) or feature.HasField("image_domain"):
        raise ValueError(f"{subject}: only numbers and words can be compared")
    if field.name == "infinity_norm" and feature.type != BYTES:
        raise ValueError(f"{subject}: infinity_norm is for words; numbers are compared by jensen_shannon_divergence")
    return Allowed(_MEASURES[field.name], value.threshold, feature.type != BYTES)
