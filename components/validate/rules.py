"""TFDV's anomaly types that single examples cause: which examples are meant, and how to say it.

The types are those of TensorFlow Metadata's `AnomalyInfo.Type`
(https://github.com/tensorflow/metadata/blob/master/tensorflow_metadata/proto/v0/anomalies.proto).
"""

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from tensorflow_metadata.proto.v0.schema_pb2 import Feature

Values = list | None
"""The values that an example has of a feature; None where the feature is absent."""


@dataclass(frozen=True)
class Rule:
    """What an anomaly type means for one example.

    Attributes:
        applies: whether an example is meant, by its values, the feature's schema and the values that its domain allows.
        phrase: end of the sentence `3 of 250 examples ...`; may hold {low}, {high}, {allowed}, {found},
            {actual_type} and {expected_type}.
    """

    applies: Callable[[Values, Feature, list[str]], bool]
    phrase: str


def _absent(values: Values, feature: Feature, allowed_values: list[str]) -> bool:
    return not values


def _present(values: Values, feature: Feature, allowed_values: list[str]) -> bool:
    return bool(values)


def _several(values: Values, feature: Feature, allowed_values: list[str]) -> bool:
    return len(values or ()) > 1


def _empty(values: Values, feature: Feature, allowed_values: list[str]) -> bool:
    return values == []


def _above(values: Values, feature: Feature, allowed_values: list[str]) -> bool:
    return any(number > feature.int_domain.max for number in _numbers(values))


def _below(values: Values, feature: Feature, allowed_values: list[str]) -> bool:
    return any(number < feature.int_domain.min for number in _numbers(values))


def _numbers(values: Values) -> Iterator[float]:
    """The values that are numbers; TFDV holds words that are written like one against a domain of numbers too."""
    for value in values or ():
        with suppress(ValueError):
            yield int(value) if isinstance(value, bytes) else value


def _nan(values: Values, feature: Feature, allowed_values: list[str]) -> bool:
    return any(math.isnan(value) for value in values or ())


def _infinite(values: Values, feature: Feature, allowed_values: list[str]) -> bool:
    return any(math.isinf(value) for value in values or ())


def _not_allowed(values: Values, feature: Feature, allowed_values: list[str]) -> bool:
    return any(value.decode(errors="replace") not in allowed_values for value in values or ())


def _not_utf8(values: Values, feature: Feature, allowed_values: list[str]) -> bool:
    return any("\ufffd" in value.decode(errors="replace") for value in values or ())


RULES = {
    "SCHEMA_MISSING_COLUMN": Rule(_absent, "lack it; every example must have it"),
    "FEATURE_TYPE_LOW_FRACTION_PRESENT": Rule(_absent, "lack it; every example must have it"),
    "FEATURE_TYPE_HIGH_NUMBER_VALUES": Rule(_several, "have several values where one is expected: {found}"),
    "FEATURE_TYPE_LOW_NUMBER_VALUES": Rule(_empty, "have it without a value"),
    "INVALID_FEATURE_SHAPE": Rule(_several, "have several values where one is expected: {found}"),
    "INT_TYPE_BIG_INT": Rule(_above, "have a value above {high}, the highest allowed: {found}"),
    "INT_TYPE_SMALL_INT": Rule(_below, "have a value below {low}, the lowest allowed: {found}"),
    "FLOAT_TYPE_HAS_NAN": Rule(_nan, "have a value that is not a number"),
    "FLOAT_TYPE_HAS_INF": Rule(_infinite, "have an infinite value"),
    "ENUM_TYPE_UNEXPECTED_STRING_VALUES": Rule(_not_allowed, "have a value other than {allowed}: {found}"),
    "ENUM_TYPE_INVALID_UTF8": Rule(_not_utf8, "have a value that is not UTF-8 text: {found}"),
    "UNEXPECTED_DATA_TYPE": Rule(_present, "have it as {actual_type}, where the schema wants {expected_type}"),
    "SCHEMA_NEW_COLUMN": Rule(_present, "have it, but the schema does not know it"),
}
"""By TFDV's name. A type that is not here is told in TFDV's own words."""
