"""Two jobs at one URL: a lease keeps them apart, and survives that a job is killed."""

import uuid

import pytest

from components.score import lease
from components.storage import files
from schemas.error import VisageError


@pytest.fixture
def url() -> str:
    """A place in a store that nothing lies at."""
    return f"memory://{uuid.uuid4().hex}/out"


def notes(url: str) -> list[str]:
    return [name for name in files.file_names(url) if name.startswith(f"{lease.FOLDER}/")]


def test_a_second_job_is_told_who_is_at_work_and_the_first_keeps_the_place(url, monkeypatch):
    monkeypatch.setattr(lease, "RENEWED_EVERY", 0.01)
    with lease.lease(url) as see_that_it_is_kept:
        with (
            pytest.raises(VisageError, match=r"Another job is at work at memory://.*, begun at .* by process \d+ of "),
            lease.lease(url),
        ):
            pytest.fail("both jobs hold the place")
        see_that_it_is_kept()
        assert len(notes(url)) == 1
    with lease.lease(url):
        pass
    assert notes(url) == []


def test_the_note_of_a_job_that_was_killed_is_waited_for_and_removed(url, monkeypatch):
    monkeypatch.setattr(lease, "PATIENCE", 0.2)
    files.write_bytes(f"{url}/{lease.FOLDER}/killed.txt", b"begun long ago")
    with lease.lease(url) as see_that_it_is_kept:
        see_that_it_is_kept()
        assert f"{lease.FOLDER}/killed.txt" not in notes(url)
    assert notes(url) == []


def test_a_job_that_was_taken_for_killed_hears_of_it(url):
    with lease.lease(url) as see_that_it_is_kept:
        see_that_it_is_kept()
        files.remove_folder(f"{url}/{lease.FOLDER}")
        with pytest.raises(VisageError, match=r"Another job has taken over memory://"):
            see_that_it_is_kept()


def test_a_job_that_fails_leaves_the_place_free(url):
    with pytest.raises(VisageError, match="no photos"), lease.lease(url):
        raise VisageError("no photos")
    assert notes(url) == []
