"""What another schema would change against the reviewed one, in sentences."""

from google.protobuf.descriptor import EnumDescriptor
from tensorflow_metadata.proto.v0.schema_pb2 import Feature, FeatureType, Schema

from components.validate.reviewed_schema import DRIFT, SKEW, allowed

_PHRASED = ("name", "type", "presence", "shape", "value_count", "skew_comparator", "drift_comparator")
"""Fields of a feature that have a phrase of their own; its domain has one as well."""

_REFUSED = {"disallow_nan": "must be a number", "disallow_inf": "must be finite"}
_ANY_VALUE = "may have any value"


def changes(reviewed: Schema, proposed: Schema) -> list[str]:
    """One sentence for each rule that would become another; none where both ask for the same.

    Args:
        reviewed: the schema that holds.
        proposed: the schema that would hold instead.
    """
    old_features = {feature.name: feature for feature in reviewed.feature}
    new_features = {feature.name: feature for feature in proposed.feature}
    sentences = []
    for name, feature in new_features.items():
        new_rules = _rules(feature, proposed)
        if name not in old_features:
            sentences.append(f"{name} is new: it {', '.join(new_rules.values())}.")
            continue
        old_rules = _rules(old_features[name], reviewed)
        sentences += [
            f"{name} {new_rules.get(rule) or f'has no {rule}'}; so far it {old_rules.get(rule) or f'has no {rule}'}."
            for rule in dict.fromkeys([*old_rules, *new_rules])
            if old_rules.get(rule) != new_rules.get(rule)
        ]
    sentences += [
        f"{name} is no longer known: examples that have it become anomalies."
        for name in old_features
        if name not in new_features
    ]
    return sentences + _of_the_whole(reviewed, proposed)


def _rules(feature: Feature, schema: Schema) -> dict[str, str]:
    """What a feature must be and may be, by subject, so that two schemas can be held against each other."""
    rules = {
        "type": f"must be {FeatureType.Name(feature.type)}",
        "presence": _presence(feature),
        "number of values": _number_of_values(feature),
        "domain": _domain(feature, schema),
        SKEW: _comparator(feature, schema, SKEW, "between train and the other splits"),
        DRIFT: _comparator(feature, schema, DRIFT, "to the champion's data"),
    }
    for field, value in feature.ListFields():
        if field.name not in _PHRASED and field.name != feature.WhichOneof("domain_info"):
            rules[field.name] = f"has {field.name} {_as_line(value, field.enum_type)}"
    return rules


def _presence(feature: Feature) -> str:
    if not feature.HasField("presence") or not feature.presence.min_fraction:
        fewest = feature.presence.min_count
        return f"must be in {fewest:,} examples or more" if fewest > 1 else "may be absent"
    if feature.presence.min_fraction == 1:
        return "must be in every example"
    return f"must be in {100 * feature.presence.min_fraction:.6g} % of the examples or more"


def _number_of_values(feature: Feature) -> str:
    sizes = [dimension.size for dimension in feature.shape.dim]
    if feature.HasField("shape"):
        return "must have one value" if sizes in ([1], []) else f"must have the shape {sizes}"
    if not feature.HasField("value_count"):
        return "may have any number of values"
    low, high = feature.value_count.min, feature.value_count.max
    if low == high == 1:
        return "must have one value"
    return f"must have {low} to {high} values" if high else f"must have {low} values or more"


def _domain(feature: Feature, schema: Schema) -> str:
    kind = feature.WhichOneof("domain_info")
    if kind is None:
        return _ANY_VALUE
    domain = getattr(feature, kind)
    if kind in ("domain", "string_domain"):
        string_domains = {string_domain.name: string_domain for string_domain in schema.string_domain}
        allowed_values = string_domains[domain] if kind == "domain" else domain
        return f"must be one of {', '.join(sorted(allowed_values.value))}"
    if kind in ("int_domain", "float_domain"):
        return _range(domain)
    return f"must be of {kind} {_as_line(domain)}".rstrip()


def _range(domain) -> str:  # type: ignore[no-untyped-def]
    phrases = []
    if domain.HasField("min") and domain.HasField("max"):
        phrases.append(f"must be from {_number(domain.min)} to {_number(domain.max)}")
    elif domain.HasField("min"):
        phrases.append(f"must be {_number(domain.min)} or more")
    elif domain.HasField("max"):
        phrases.append(f"must be {_number(domain.max)} or less")
    for field, value in domain.ListFields():
        if field.name not in ("name", "min", "max") and value:
            phrases.append(_REFUSED.get(field.name, f"has {field.name} {_as_line(value)}"))
    return " and ".join(phrases) or _ANY_VALUE


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def _comparator(feature: Feature, schema: Schema, kind: str, between: str) -> str:
    comparator = allowed(schema, kind).get(feature.name)
    if not comparator:
        return f"is not compared for {kind}"
    return f"may be apart {between} by {comparator.threshold:g} ({comparator.measure})"


def _of_the_whole(reviewed: Schema, proposed: Schema) -> list[str]:
    """What is said of no single feature, such as default environments; words are told with the features they are for."""
    texts = [
        {
            field.name: _as_line(value)
            for field, value in schema.ListFields()
            if field.name not in ("feature", "string_domain")
        }
        for schema in (reviewed, proposed)
    ]
    old_texts, new_texts = texts
    return [
        f"{name} of the whole schema is {new_texts.get(name, 'absent')}; so far it is {old_texts.get(name, 'absent')}."
        for name in dict.fromkeys([*old_texts, *new_texts])
        if old_texts.get(name) != new_texts.get(name)
    ]


def _as_line(value: object, enum: EnumDescriptor | None = None) -> str:
    if enum and isinstance(value, int):
        return str(enum.values_by_number[value].name)
    return " ".join(str(value).split())
