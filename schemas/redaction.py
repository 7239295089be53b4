"""Credentials that stand in settings, addresses and messages: shown as `***`, and never written.

They belong into the environment, as the libraries have it (AWS_SECRET_ACCESS_KEY, GOOGLE_APPLICATION_CREDENTIALS,
AZURE_STORAGE_KEY, MLFLOW_TRACKING_PASSWORD). Where a person puts one elsewhere all the same, it goes no further.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"

_NAME = r"(?:[\w-]*(?:secret|token|passw(?:or)?d|credential|signature|account[_-]?key|access[_-]?key|api[_-]?key)[\w-]*|sig)"
_NAMED = re.compile(rf"(?i)(?<![\w/])({_NAME}[\"']?\s?[=:]\s?[\"']?)(?!\*\*\*)([^\s&\"',;\])}}]+)")
_NEXT = re.compile(rf"(?i)-{{1,2}}{_NAME}")
_PASSWORD = re.compile(r"(://[^/\s:@\"']*:)([^/\s\"']*)(?=@)")
_USER = re.compile(r"(://)([^/\s:@\"']{20,})(?=@)")  # a token in the user's place: https://TOKEN@host


def redact(text: str) -> str:
    """A text with `***` for every password in a URI, and every value of `--s3_secret_access_key=`, `&token=` and the like."""
    if "://" in text:
        text = _USER.sub(rf"\1{HIDDEN}", _PASSWORD.sub(rf"\1{HIDDEN}", text))
    return _NAMED.sub(rf"\1{HIDDEN}", text)


def redacted(value: Any) -> Any:
    """Plain data with every text in it redacted; a key or option that names a secret hides the value after it."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {
            name: HIDDEN
            if isinstance(item, str) and item and re.fullmatch(f"(?i){_NAME}", str(name))
            else redacted(item)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        items = [redacted(item) for item in value]
        for position, item in enumerate(value[:-1]):
            if isinstance(item, str) and _NEXT.fullmatch(item) and isinstance(value[position + 1], str):
                items[position + 1] = HIDDEN
        return items
    return value


def holds_secret(value: Any) -> bool:
    """Whether plain data holds what `redacted` would hide."""
    return json.dumps(redacted(value)) != json.dumps(value)
