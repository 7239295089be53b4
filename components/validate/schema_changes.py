"""What another schema would change against the reviewed one, in sentences."""

from google.protobuf.descriptor import EnumDescriptor
from tensorflow_metadata.proto.v0.schema_pb2 import Feature, FeatureType, Schema

from components.validate.reviewed_schema import DRIFT, SKEW, allowed

_TOLD = ("name", "type", "presence", "shape", "value_count", "skew_comparator", "drift_comparator")
"""Fields of a feature that have a phrase of their own; its domain has one as well."""

_REFUSED = {"disallow_nan": "must be a number", "disallow_inf": "must be finite"}
_ANY_VALUE = "may have any value"


def changes(reviewed: Schema, proposed: Schema) -> list[str]:
    """One sentence for each rule that would become another; none where both ask for the same.

    Args:
        reviewed: the schema that holds.
        proposed: the schema that would hold instead.
    """
    before = {held.name: held for held in reviewed.feature}
    after = {held.name: held for held in proposed.feature}
    sentences = []
    for name, held in after.items():
        now = _rules(held, proposed)
        if name not in before:
            sentences.append(f"{name} is new: it {', '.join(now.values())}.")
            continue
        was = _rules(before[name], reviewed)
        sentences += [
            f"{name} {now.get(rule) or f'has no {rule}'}; so far it {was.get(rule) or f'has no {rule}'}."
            for rule in dict.fromkeys([*was, *now])
            if was.get(rule) != now.get(rule)
        ]
    sentences += [
        f"{name} is no longer known: examples that have it become anomalies." for name in before if name not in after
    ]
    return sentences + _of_the_whole(reviewed, proposed)


def _rules(held: Feature, schema: Schema) -> dict[str, str]:
    """What a feature must be and may be, by subject, so that two schemas can be held against each other."""
    told = {
        "type": f"must be {FeatureType.Name(held.type)}",
        "presence": _presence(held),
        "number of values": _number_of_values(held),
        "domain": _domain(held, schema),
        SKEW: _comparator(held, schema, SKEW, "between train and the other splits"),
        DRIFT: _comparator(held, schema, DRIFT, "to the champion's data"),
    }
    for field, value in held.ListFields():
        if field.name not in _TOLD and field.name != held.WhichOneof("domain_info"):
            told[field.name] = f"has {field.name} {_as_line(value, field.enum_type)}"
    return told


def _presence(held: Feature) -> str:
    if not held.HasField("presence") or not held.presence.min_fraction:
        fewest = held.presence.min_count
        return f"must be in {fewest:,} examples or more" if fewest > 1 else "may be absent"
    if held.presence.min_fraction == 1:
        return "must be in every example"
    return f"must be in {100 * held.presence.min_fraction:.6g} % of the examples or more"


def _number_of_values(held: Feature) -> str:
    sizes = [dimension.size for dimension in held.shape.dim]
    if held.HasField("shape"):
        return "must have one value" if sizes in ([1], []) else f"must have the shape {sizes}"
    if not held.HasField("value_count"):
        return "may have any number of values"
    low, high = held.value_count.min, held.value_count.max
    if low == high == 1:
        return "must have one value"
    return f"must have {low} to {high} values" if high else f"must have {low} values or more"


def _domain(held: Feature, schema: Schema) -> str:
    kind = held.WhichOneof("domain_info")
    if kind is None:
        return _ANY_VALUE
    domain = getattr(held, kind)
    if kind in ("domain", "string_domain"):
        named = {each.name: each for each in schema.string_domain}
        words = named[domain] if kind == "domain" else domain
        return f"must be one of {', '.join(sorted(words.value))}"
    if kind in ("int_domain", "float_domain"):
        return _range(domain)
    return f"must be of {kind} {_as_line(domain)}".rstrip()


def _range(domain) -> str:  # type: ignore[no-untyped-def]
    told = []
    if domain.HasField("min") and domain.HasField("max"):
        told.append(f"must be from {_number(domain.min)} to {_number(domain.max)}")
    elif domain.HasField("min"):
        told.append(f"must be {_number(domain.min)} or more")
    elif domain.HasField("max"):
        told.append(f"must be {_number(domain.max)} or less")
    for field, value in domain.ListFields():
        if field.name not in ("name", "min", "max") and value:
            told.append(_REFUSED.get(field.name, f"has {field.name} {_as_line(value)}"))
    return " and ".join(told) or _ANY_VALUE


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"


def _comparator(held: Feature, schema: Schema, kind: str, where: str) -> str:
    found = allowed(schema, kind).get(held.name)
    if not found:
        return f"is not compared for {kind}"
    return f"may be apart {where} by {found.threshold:g} ({found.measure})"


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
    was, now = texts
    return [
        f"{name} of the whole schema is {now.get(name, 'absent')}; so far it is {was.get(name, 'absent')}."
        for name in dict.fromkeys([*was, *now])
        if was.get(name) != now.get(name)
    ]


def _as_line(value: object, enum: EnumDescriptor | None = None) -> str:
    if enum and isinstance(value, int):
        return str(enum.values_by_number[value].name)
    return " ".join(str(value).split())
