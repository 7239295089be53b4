"""The settings that ingest and score have in common for where their files come from."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field


def _is_encoding(value: str) -> str:
    try:
        b"a".decode(value or "utf-8")
    except LookupError as error:
        raise ValueError("there is no such encoding; cp932, cp866, gbk and latin-1 are some that there are") from error
    return value


NamesEncoding = Annotated[str, AfterValidator(_is_encoding)]
"""The name of a text encoding that Python knows; empty for none."""


def names_encoding() -> Any:
    """The setting that says how names are written in archives that do not say it themselves."""
    return Field(
        "",
        description="encoding of the names in zips and tars that are neither said to be UTF-8 nor seem to be: cp932 for "
        "Japanese, cp866 for Russian Windows; empty: code page 437 in a zip, the bytes themselves in a tar",
    )
