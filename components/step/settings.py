"""The one settings mechanism: sections of pydantic models, filled from recipes and `--set a.b=value`."""

import difflib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.error import VisageError
from schemas.redaction import holds_secret


class Section(BaseModel):
    """Base of all settings: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


S = TypeVar("S", bound=Section)


def runtime_only(default: Any, description: str, **limits: Any) -> Any:
    """A setting that changes how a step works but not what comes out, such as a number of workers.

    Such settings are no part of a fingerprint: another value reuses the same artifact.
    """
    return Field(default, description=description, json_schema_extra={"runtime_only": True}, **limits)


def external_path(default: Any, description: str, **limits: Any) -> Any:
    """A setting that names files or folders outside the project; what they hold is part of the fingerprint."""
    return Field(default, description=description, json_schema_extra={"external": True}, **limits)


def marked_fields(section: BaseModel, mark: str) -> dict[str, Any]:
    """Values of the settings that were declared with `runtime_only` or `external_path`, by dotted name."""
    marked: dict[str, Any] = {}
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            marked |= {f"{name}.{inner}": inner_value for inner, inner_value in marked_fields(value, mark).items()}
        elif isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get(mark):
            marked[name] = value
    return marked


def build(model: type[S], values: Mapping[str, Any], overrides: Iterable[str] = (), where: str = "the settings") -> S:
    """Settings from plain data and `a.b=value` overrides; values are read as YAML, but for an empty one, which is empty text.

    Raises:
        VisageError: an unknown key, with the nearest valid names, or a wrong value, with what is allowed.
    """
    merged = merge(model, {}, values)
    for override in overrides:
        merged = merge(model, merged, _parse(override))
    try:
        settings = model.model_validate(merged)
    except ValidationError as error:
        raise VisageError(*_explain(model, error, merged, where), usage=True) from error
    _refuse_credentials(settings, where)
    return settings


def merge(model: type[BaseModel] | None, base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Values of `model` in plain data: `base` with those of `over` in it, section by section; lists are replaced whole.

    A section whose `kind` becomes another keeps the settings that the other kind has too.
    """
    merged = dict(base)
    for key, value in over.items():
        if isinstance(value, Mapping):
            field = model.model_fields.get(key) if model else None
            kinds = _models_in(field.annotation) if field else []
            base_section = merged.get(key)
            base_section = _of_kind(kinds, base_section, value.get("kind")) if isinstance(base_section, Mapping) else {}
            merged[key] = merge(kinds[0] if len(kinds) == 1 else None, base_section, value)
        else:
            merged[key] = value
    return merged


def load_yaml(text: str, where: str) -> dict[str, Any]:
    """A YAML mapping as plain data.

    Raises:
        VisageError: the text is not YAML, or not a mapping.
    """
    try:
        values = _from_yaml(text) or {}
    except ValueError as error:
        raise VisageError(f"{where} is not valid YAML: {error}", usage=True) from error
    if not isinstance(values, dict):
        raise VisageError(f"{where} must hold settings as `section: {{key: value}}`.", usage=True)
    return values


class _Loader(yaml.SafeLoader):
    """Takes what looks like a day for a text: no setting is a day, and folders are called so.

    A key that stands twice in a mapping is an error, as YAML has it; PyYAML would take the last one.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012 - as PyYAML has it
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.YAMLError(f"{key} stands there twice")
        return super().construct_mapping(node, deep)


def _from_yaml(text: str) -> Any:
    """Plain data of a YAML document, or of a JSON text, in which a character beyond the first 65,536 may be two escapes.

    Raises:
        ValueError: it is none.
    """
    if text.lstrip()[:1] in ("{", "[", '"'):
        with suppress(ValueError, RecursionError):  # it is YAML, or YAML's reader says what is wrong
            return json.loads(text, object_pairs_hook=_each_once)
    try:
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a number that is none is no YAMLError
        raise ValueError(str(error)) from error


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(values := dict(pairs)) < len(pairs):
        raise ValueError("a key stands there twice")
    return values


def dotted(section: BaseModel) -> dict[str, Any]:
    """All settings by dotted name, for instance `train.epochs`, as plain data."""
    flat: dict[str, Any] = {}
    for name, value in section.model_dump(mode="json").items():
        _flatten(name, value, flat)
    return flat


def _flatten(name: str, value: Any, flat: dict[str, Any]) -> None:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            _flatten(f"{name}.{key}", inner, flat)
    else:
        flat[name] = value


def _of_kind(kinds: Iterable[type[BaseModel]], values: Mapping[str, Any], kind: Any) -> Mapping[str, Any]:
    """Those values that the settings of a kind have; all where no kind is named that has settings of its own."""
    for model in kinds:
        if "kind" in model.model_fields and kind in get_args(model.model_fields["kind"].annotation):
            return {name: value for name, value in values.items() if name in model.model_fields}
    return values


def _parse(override: str) -> dict[str, Any]:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise VisageError(f"--set {override}: write it as section.key=value, for instance train.epochs=5.", usage=True)
    try:
        value = _from_yaml(text)
    except ValueError as error:
        raise VisageError(f"--set {override}: the value is not valid YAML: {error}", usage=True) from error
    if not text.strip():
        value = ""  # an empty text, for every setting; YAML's null is written null
    elif isinstance(value, str) and not text.lstrip().startswith(("'", '"')):
        value = text  # as it stands: to YAML, what follows " #" in the name of a folder would be a comment
    for part in reversed(key.strip().split(".")):
        value = {part: value}
    return value


def _refuse_credentials(settings: BaseModel, where: str) -> None:
    """See that no address of photos or tables holds a credential: such addresses stand in plans, scores and rejects."""
    for key, value in marked_fields(settings, "external").items():
        for address in [value] if isinstance(value, str | Path) else list(value or ()):
            if "://" in str(address) and holds_secret(str(address)):
                raise VisageError(
                    f"In {where}, {key} holds a credential: {address}",
                    "Give it in the environment, as the store's own tools take it (AWS_SECRET_ACCESS_KEY, "
                    "GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_CONNECTION_STRING), and the address without it.",
                    usage=True,
                )


def _explain(model: type[BaseModel], error: ValidationError, values: Mapping[str, Any], where: str) -> tuple[str, str]:
    names = list(_names(model))
    lines, hints = [], []
    for problem in error.errors():
        key = ".".join(_place(problem["loc"], values))
        if problem["type"] == "extra_forbidden":
            lines.append(f"there is no setting {key}")
            last = key.rpartition(".")[2]
            near = difflib.get_close_matches(key, names, n=3, cutoff=0.6)
            near += [name for name in names if name.rpartition(".")[2] == last and name not in near]
            if near:
                hints.append(f"Did you mean {', '.join(near[:3])}?")
            else:
                section = key.rpartition(".")[0]
                inside = [name for name in names if name.startswith(f"{section}.")] if section else []
                hints.append(f"Valid: {', '.join(inside or sorted({name.split('.')[0] for name in names}))}.")
        elif problem["type"] == "missing":
            lines.append(f"{key} must be set")
            hints.append(f"Give it with --set {key}=...")
        else:
            value = f" (given: {problem['input']!r})" if not isinstance(problem["input"], dict) else ""
            message = problem["msg"].removeprefix("Value error, ")
            lines.append(f"{key}: {message[:1].lower()}{message[1:]}{value}" if key else message)
    return f"In {where}, " + "; ".join(lines) + ".", " ".join(dict.fromkeys(hints))


def _place(location: tuple[int | str, ...], values: Any) -> list[str]:
    """The dotted place of a problem without pydantic's own parts, such as the tag of a union."""
    place = []
    for part in location[:-1]:
        if isinstance(values, Mapping) and part in values:
            values = values[part]
            place.append(str(part))
    return [*place, *(str(part) for part in location[-1:])]


def _names(model: type[BaseModel], prefix: str = "") -> Iterable[str]:
    for name, field in model.model_fields.items():
        inner = _models_in(field.annotation)
        for section in inner:
            yield from _names(section, f"{prefix}{name}.")
        if not inner:
            yield f"{prefix}{name}"


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The settings models that an annotation allows: itself, or the members of a union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]
