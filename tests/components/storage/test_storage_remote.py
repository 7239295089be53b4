"""Photos in a bucket, on a server on loopback that speaks S3."""

import pytest

from components.photo import PhotoRejected
from components.storage.listing import Listing
from components.storage.names import shown
from components.storage.reading import Reader
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


def test_archives_in_a_bucket_are_read_in_place(bucket):
    expected = {f"{number}.jpg": jpeg(number) for number in range(10, 25)}
    assert outcome(f"{bucket}/some.zip", f"{bucket}/some.tar.gz") == expected


def test_patterns_and_lists_work_and_a_missing_photo_is_a_reject(bucket):
    assert outcome(f"{bucket}/album/*.jpg") == {"2.jpg": jpeg(2), "empty.jpg": b""}
    results = outcome(f"{bucket}/list.txt")
    assert results == {
        "2.jpg": jpeg(2),
        "nowhere.jpg": f"photo_missing: there is no {bucket}/album/nowhere.jpg",
        "1.jpg": "photo_missing: there is no s3://no-such-bucket/1.jpg",
        "c.jpg": "photo_missing: https:// is not read, but s3://, s3a://, gs://, gcs://, az://, abfs://, abfss://",
    }


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
