"""Names of places and of the files in them, as other systems write them."""

import os
import re
import unicodedata
from urllib.parse import unquote, urlsplit

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]+://")
_FILE = re.compile(r"file:(?=/)", re.IGNORECASE)
_BYTE = re.compile(rb"\\x([0-9a-f]{2})")


def is_remote(place: str) -> bool:
    """Whether a place is a URL, as `s3://bucket/faces`; `file://` is none."""
    return bool(_URL.match(place)) and not _FILE.match(place)


def is_url(place: str) -> bool:
    """Whether a place is a URL of any kind, `file://` too."""
    return bool(_URL.match(place))


def local(place: str) -> str:
    """A place on this machine as a path: `~` stands for the home folder, `file:///a%20b` for `/a b`; a URL stays as it is.

    Raises:
        ValueError: a `file://` of another machine.
    """
    if _FILE.match(place):
        url = urlsplit(place)
        if url.netloc not in ("", "localhost"):
            raise ValueError(f"{place} names a file of another machine, {url.netloc}")
        # urlsplit takes ? and # for its own; of a file they are part of the name unless they are written as %3F and %23.
        path = place[place.index(":") + 1 :]
        return unquote(path[2 + len(url.netloc) :] if path.startswith("//") else path, errors="surrogateescape")
    return place if is_remote(place) else os.path.expanduser(place)  # noqa: PTH111


def absolute(place: str) -> str:
    """A place for other processes, wherever they were started: a path from the root, or the URL.

    Raises:
        ValueError: a `file://` of another machine.
    """
    place = local(place)
    return place if is_remote(place) else os.path.abspath(place)  # noqa: PTH100 (resolve() would follow links)


def parent(path: str) -> str:
    """The folder of a file, by its path from the root or its URL."""
    folder = path.rpartition("/")[0]
    return folder or "/" if path.startswith("/") else folder


def joined(place: str, name: str) -> str:
    """A name under a place; the place itself if the name is empty."""
    return f"{place.rstrip('/')}/{name}" if name and place else name or place


def basename(name: str) -> str:
    """The last part of a name, whichever way its slashes lean."""
    return re.split(r"[/\\]", name)[-1]


def shown(name: bytes | str) -> str:
    """A name as text; bytes that are not UTF-8 are written as backslash, x and two hex digits."""
    if isinstance(name, str):
        name = name.encode("utf-8", "surrogateescape")
    return name.decode("utf-8", "backslashreplace")


def key(name: str) -> str:
    """What is the same for all ways to write a name: slashes either way, `./`, accents as one letter (NFC) or two (NFD)."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    return unicodedata.normalize("NFC", "/".join(parts))


def spellings(name: str) -> list[str]:
    """The ways to write a name, itself first: what a table or list says may be called otherwise where it lies."""
    if "\\" not in name and name.isascii():
        return [name]
    slashed = name.replace("\\", "/")
    candidates = [name]
    if "\\x" in name:  # as `shown` writes bytes that are not UTF-8
        candidates.append(
            os.fsdecode(_BYTE.sub(lambda byte: bytes([int(byte[1], 16)]), name.encode("utf-8", "surrogateescape")))
        )
    candidates += [slashed, *(unicodedata.normalize(form, slashed) for form in ("NFC", "NFD"))]
    return list(dict.fromkeys(candidates))


def way_out(name: str) -> str:
    """How a name leads out of where it stands; empty if it stays inside."""
    if "\0" in name:
        return "the path holds a NUL"
    parts = name.replace("\\", "/").split("/")
    is_address = len(parts) > 1 and parts[0].endswith(":") and parts[1] == ""
    if (parts[0] == "" and name) or is_address or re.fullmatch("[A-Za-z]:", parts[0]):
        return "the path is absolute"
    depth = 0
    for part in parts:
        depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
        if depth < 0:
            return "the path climbs out by .."
    return ""
