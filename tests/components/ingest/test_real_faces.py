"""Ingests of real faces, where the shared data is there: counts that others wrote down must be met exactly."""

import json
import subprocess
import sys
from collections import Counter

import pytest

from tests.components.ingest.made_up import examples, ingest, rejects
from tests.components.ingest.sources.imdb_wiki_files import shared_data


@pytest.mark.parametrize("dirty", [False, True], ids=["plain", "dirty"])
def test_every_reason_is_met_on_an_imdb_wiki_folder(tmp_path, dirty):
    data = shared_data()
    tool = data.parent / "tools" / "make_imdb_wiki.py"
    if not tool.exists():
        pytest.skip(f"there is no {tool}")
    made = [sys.executable, str(tool), str(data / "utkface_10k.zip"), str(tmp_path / "imdb_crop"), "--limit", "1200"]
    subprocess.run([*made, *(["--dirty"] if dirty else [])], check=True, stdout=subprocess.DEVNULL)
    expected = json.loads((tmp_path / "imdb_crop" / "expected.json").read_text())
    counts = ingest(tmp_path / "imdb_crop", tmp_path / "out", "source.kind=imdb_wiki", "photo.size=128")
    assert {name: counts[name] for name in ("rows", "examples", "rejects")} == {
        name: expected[name] for name in ("rows", "examples", "rejects")
    }


def test_the_defects_of_utkface_are_found(tmp_path):
    """Five malformed names, 20 pairs of files with other labels, 10 with the same, 20 pictures as two kinds of JPEG."""
    archive = shared_data() / "utkface_defects.zip"
    counts = ingest(archive, tmp_path / "out", "source.kind=utkface", "photo.size=224")
    reasons = Counter(reject.reason for reject in rejects(tmp_path / "out"))
    ages_over_100 = reasons.pop("age_out_of_range", 0)
    # Three ages are above 100: one of a pair that disagrees, whose other half is then alone, and both forms of a picture.
    assert ages_over_100 == 3
    assert reasons == {"malformed_row": 5, "conflicting_labels": 2 * 19, "duplicate": 10 + 19}
    assert counts["examples"] == 10 + 19 + 1
    paths = [example.path for of_split in examples(tmp_path / "out").values() for example in of_split]
    assert sum("baseline/" in path or "progressive/" in path for path in paths) == 19
