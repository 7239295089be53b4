"""Commands as the documents have them: fenced, indented or within a sentence, and in what `--help` prints."""

import argparse
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from pipeline.cli import parser

PROJECT = Path(__file__).parents[1]

_STARTED = re.compile(r"(visage|python|make|mlflow)( |$)|\.venv/bin/|tests/\S+\.sh")
"""What a command begins with, where it stands in a sentence or between other text."""

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^|(?<=\n\n))((?: {4}.*\n)+)")
_INLINE = re.compile(r"`([^`]+)`")


def documents() -> list[Path]:
    """Every page in Markdown of the project."""
    named = [PROJECT / "README.md"]
    for folder in (".github", "components", "infra", "pipeline", "schemas", "tests"):
        named += sorted((PROJECT / folder).rglob("*.md"))
    return [page for page in named if page.is_file()]


def commands_of_page(text: str) -> Iterator[str]:
    """The commands of a page in Markdown: all lines of a block of shell, what looks like one elsewhere."""
    for fence in _FENCE.finditer(text):
        lines = _lines(textwrap.dedent(fence[3]))
        yield from (line for line in lines if fence[2] in ("sh", "bash") or (not fence[2] and _STARTED.match(line)))
    rest = _FENCE.sub("\n", text)
    for block in _INDENTED.finditer(rest):
        yield from filter(_STARTED.match, _lines(textwrap.dedent(block[1])))
    for span in _INLINE.finditer(_INDENTED.sub("\n", rest)):
        command = " ".join(span[1].split())
        if _STARTED.match(command):
            yield command


def commands_of_help() -> Iterator[tuple[str, str]]:
    """The commands that `visage --help` and every `visage COMMAND --help` show beneath the options, with whose page it is."""
    whole = parser()
    (commands,) = (action.choices for action in whole._actions if isinstance(action, argparse._SubParsersAction))
    for name, page in {"": whole, **commands}.items():
        for line in _lines(page.epilog or ""):
            for command in (line, *_INLINE.findall(line)):
                if _STARTED.match(command):
                    yield f"visage {name} --help", command


def documented() -> dict[str, str]:
    """Every documented command, once, with where it stands."""
    first_places: dict[str, str] = {}
    for page in documents():
        for command in commands_of_page(page.read_text()):
            first_places.setdefault(command, str(page.relative_to(PROJECT)))
    for where, command in commands_of_help():
        first_places.setdefault(command, where)
    return first_places


def _lines(block: str) -> list[str]:
    """Lines of a block as a shell takes them: joined, and without comments or the words that stand beside a command."""
    joined = re.sub(r" *\\\n *", " ", block)
    bare = (re.sub(r"(\s+#.*| {3,}\S.*)$", "", line.strip()) for line in joined.splitlines())
    return [line for line in bare if line and not line.startswith("#")]
