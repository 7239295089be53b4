"""Photos in a bucket, on a server on loopback that speaks S3."""

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from components.photo import PhotoRejected
from components.storage import files
from components.storage.listing import Listing
from components.storage.names import shown
from components.storage.reading import Reader
from components.storage.state import state_of
from schemas.error import VisageError
from tests.components.score.made_photos import jpeg, tarred, zipped

MAX_BYTES = 1_000_000


@pytest.fixture(scope="module")
def bucket(s3, tmp_path_factory) -> str:
    """A bucket with photos, a zip, a packed tar and a list; gives its address."""
    root = tmp_path_factory.mktemp("bucket")
    files = {
        "album/a/1.jpg": jpeg(1),
        "album/2.jpg": jpeg(2),
        "album/empty.jpg": b"",
        "list.txt": f"album/2.jpg\n{s3.url('album/nowhere.jpg')}\ns3://no-such-bucket/1.jpg\nhttps://a.b/c.jpg\n".encode(),
        "some.zip": zipped(root / "some.zip", {f"{n}.jpg": jpeg(n) for n in range(10, 20)}).read_bytes(),
        "some.tar.gz": tarred(root / "t.gz", {f"{n}.jpg": jpeg(n) for n in range(20, 25)}, "gz").read_bytes(),
        "large.jpg": bytes(2 * MAX_BYTES),
    }
    for name, data in files.items():
        s3(name, data)
    return s3.url("").rstrip("/")


def outcome(*inputs: str) -> dict[str, bytes | str]:
    listing = Listing(inputs)
    results: dict[str, bytes | str] = {}
    entries = list(listing)
    with Reader(listing.sources, MAX_BYTES) as reader:
        for entry in entries:
            try:
                results[shown(entry.name)] = reader.read(entry)
            except PhotoRejected as rejected:
                results[shown(entry.name)] = str(rejected)
    return results


def test_a_folder_of_a_bucket_is_listed_and_read(bucket):
    assert outcome(f"{bucket}/album") == {"2.jpg": jpeg(2), "a/1.jpg": jpeg(1), "empty.jpg": b""}


def test_the_scheme_of_a_url_may_be_in_capitals(bucket):
    assert outcome(f"{bucket}/album".replace("s3://", "S3://")) == outcome(f"{bucket}/album")


def test_archives_in_a_bucket_are_read_in_place(bucket):
    expected = {f"{number}.jpg": jpeg(number) for number in range(10, 25)}
    assert outcome(f"{bucket}/some.zip", f"{bucket}/some.tar.gz") == expected


def test_patterns_and_lists_work_and_a_missing_photo_is_a_reject(bucket):
    assert outcome(f"{bucket}/album/*.jpg") == {"2.jpg": jpeg(2), "empty.jpg": b""}
    assert outcome(f"{bucket}/al?um/*") == {"2.jpg": jpeg(2), "empty.jpg": b"", "1.jpg": jpeg(1)}
    results = outcome(f"{bucket}/list.txt")
    assert results == {
        "2.jpg": jpeg(2),
        "nowhere.jpg": f"photo_missing: there is no {bucket}/album/nowhere.jpg",
        "1.jpg": "photo_missing: there is no s3://no-such-bucket/1.jpg",
        "c.jpg": "photo_missing: https:// is not read, but s3://, s3a://, gs://, gcs://, az://, abfs://, abfss://",
    }


@pytest.mark.parametrize("place", ["lists/a.txt", "lists/*.txt", "lis*/*", "photos/?", "photos"])
def test_a_photo_that_a_place_leads_to_is_part_of_its_state(s3, place):
    s3("lists/a.txt", f"{s3.url('photos/a/1.jpg')}\n".encode())
    s3("photos/a/1.jpg", b"before")
    before = state_of(s3.url(place))
    assert state_of(s3.url(place)) == before
    s3("photos/a/1.jpg", b"after")
    assert state_of(s3.url(place)) != before


@pytest.fixture
def folder_that_cannot_be_listed(monkeypatch) -> str:
    """A folder of a store other than S3 whose second folder is refused; gives its address."""
    for name in ("1/a.jpg", "2/b.jpg", "3/c.jpg"):
        files.write_bytes(f"memory://refused/{name}", name.encode())
    listed = MemoryFileSystem.ls

    def ls(store, path, *arguments, **options):
        if path.endswith("/2"):
            raise PermissionError(13, "Forbidden", path)
        return listed(store, path, *arguments, **options)

    monkeypatch.setattr(MemoryFileSystem, "ls", ls)
    return "memory://refused"


def test_a_folder_within_that_cannot_be_listed_is_one_message_and_not_taken_for_empty(folder_that_cannot_be_listed):
    with pytest.raises(VisageError, match="memory://refused cannot be read: Access denied"):
        list(Listing([folder_that_cannot_be_listed]))
    with pytest.raises(VisageError, match="memory://refused cannot be read: Access denied"):
        state_of(folder_that_cannot_be_listed)


def test_a_large_photo_is_not_fetched(bucket):
    assert outcome(f"{bucket}/large.jpg") == {"large.jpg": "photo_too_large: 2000000 bytes, 1000000 are allowed"}


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("nothing/", "There is nothing under"),
        ("*.tif", "fits no file"),
        ("no.zip", r"no\.zip cannot be read: Not found"),
    ],
)
def test_what_is_not_there_is_one_message(bucket, place, message):
    with pytest.raises(VisageError, match=message):
        list(Listing([f"{bucket}/{place}"]))


def test_a_store_that_does_not_answer_is_one_message(bucket, monkeypatch):
    listing = Listing([f"{bucket}/album"])
    entries = list(listing)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with (
        pytest.raises(VisageError, match=r"album/2.jpg cannot be read.*Could not connect"),
        Reader(listing.sources, MAX_BYTES) as reader,
    ):
        reader.read(entries[0])
