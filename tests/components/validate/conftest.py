"""Made-up examples artifacts, and a job that reads one."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from components.step import StepContext
from components.validate.reviewed_schema import place_of
from schemas.artifact import Manifest, publish
from schemas.example import FaceExample
from schemas.shard import file_name, write_index
from tests.components.validate.made_up import faces, write_shard


@pytest.fixture
def write_examples(tmp_path: Path) -> Callable[..., Path]:
    """Writes an examples artifact: splits of examples or raw records; splits not named have 40 sound examples."""

    def write(records: Mapping[str, Sequence[FaceExample | bytes]] | None = None, shards: int = 2) -> Path:
        partial, final = tmp_path / ".ingest", tmp_path / "ingest"
        index = {}
        for split, examples in (
            {name: faces(40) for name in ("train", "validation", "test")} | dict(records or {})
        ).items():
            index[split] = [
                write_shard(partial, file_name(split, number, shards), examples[number::shards])
                for number in range(shards)
            ]
        write_index(partial, index)
        publish(partial, final, Manifest("ingest", "made up", {}))
        return final

    return write


@pytest.fixture
def edited_schema(tmp_path: Path) -> Callable[..., Path]:
    """A copy of the project's schema, with pieces of its text replaced: old, new, old, new and so on."""

    def edit(*pieces: str) -> Path:
        text = place_of(None).read_text()
        for old, new in zip(pieces[::2], pieces[1::2], strict=True):
            assert old in text, f"the schema does not hold {old}"
            text = text.replace(old, new)
        written = tmp_path / "edited.pbtxt"
        written.write_text(text)
        return written

    return edit


@pytest.fixture
def job(tmp_path: Path) -> Callable[[Path], StepContext]:
    def make(ingest: Path) -> StepContext:
        output = tmp_path / "output"
        output.mkdir()
        return StepContext({"ingest": ingest}, output)

    return make
