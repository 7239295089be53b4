"""Photos in a bucket, on a real S3 server on loopback."""

import json
from pathlib import Path

import pytest

from components.photo import PhotoRejected
from components.score import STEP, remote
from components.score.entry import shown
from components.score.listing import Listing
from components.score.reading import Reader
from components.score.settings import Settings
from components.step import StepContext
from schemas.error import VisageError
from tests.components.score.made_photos import jpeg, tarred, zipped

MAX_BYTES = 1_000_000


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    """A bucket `faces` with photos, a zip and a packed tar; gives nothing, the environment says where it is."""
    boto3 = pytest.importorskip("boto3")
    server_class = pytest.importorskip("moto.server").ThreadedMotoServer
    root = tmp_path_factory.mktemp("bucket")
    server = server_class(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        client = boto3.client("s3")
        client.create_bucket(Bucket="faces")
        files = {
            "album/a/1.jpg": jpeg(1),
            "album/2.jpg": jpeg(2),
            "album/empty.jpg": b"",
            "list.txt": b"album/2.jpg\ns3://faces/album/nowhere.jpg\n",
            "some.zip": zipped(root / "some.zip", {f"{n}.jpg": jpeg(n) for n in range(10, 20)}).read_bytes(),
            "some.tar.gz": tarred(root / "t.gz", {f"{n}.jpg": jpeg(n) for n in range(20, 25)}, "gz").read_bytes(),
            "large.jpg": bytes(2 * MAX_BYTES),
        }
        for name, data in files.items():
            client.put_object(Bucket="faces", Key=name, Body=data)
        remote.use(())
        yield
    server.stop()


def outcome(*inputs: str) -> dict[str, bytes | str]:
    listing = Listing(inputs)
    found: dict[str, bytes | str] = {}
    entries = list(listing)
    with Reader(listing.sources, MAX_BYTES) as reader:
        for entry in entries:
            try:
                found[shown(entry.name)] = reader.read(entry)
            except PhotoRejected as rejected:
                found[shown(entry.name)] = str(rejected)
    return found


def test_a_folder_of_a_bucket_is_listed_and_read(bucket):
    assert outcome("s3://faces/album") == {"2.jpg": jpeg(2), "a/1.jpg": jpeg(1), "empty.jpg": b""}


def test_archives_in_a_bucket_are_read_in_place(bucket):
    wanted = {f"{number}.jpg": jpeg(number) for number in range(10, 25)}
    assert outcome("s3://faces/some.zip", "s3://faces/some.tar.gz") == wanted


def test_patterns_and_lists_work_and_a_missing_photo_is_a_reject(bucket):
    assert outcome("s3://faces/album/*.jpg") == {"2.jpg": jpeg(2), "empty.jpg": b""}
    found = outcome("s3://faces/list.txt")
    assert found == {"2.jpg": jpeg(2), "nowhere.jpg": "photo_missing: there is no s3://faces/album/nowhere.jpg"}


def test_a_large_photo_is_not_fetched(bucket):
    assert outcome("s3://faces/large.jpg") == {"large.jpg": "photo_too_large: 2000000 bytes, 1000000 are allowed"}


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("s3://faces/nothing/", "There is nothing under"),
        ("s3://faces/*.tif", "fits no file"),
        ("s3://faces/no.zip", "s3://faces/no.zip cannot be read: Not found"),
    ],
)
def test_what_is_not_there_is_one_message(bucket, place, message):
    with pytest.raises(VisageError, match=message):
        list(Listing([place]))


def test_the_whole_job_runs_on_a_bucket(bucket, model, output: Path):
    photos = ["s3://faces/album", "s3://faces/some.zip", "s3://faces/some.tar.gz"]
    settings = Settings.model_validate(
        {"score": {"photos": photos, "model": model, "faces": "whole"}, "beam": {"workers": 2}}
    )
    STEP.run(settings, StepContext({}, output))
    summary = json.loads((output / "summary.json").read_text())
    assert (summary["photos"], summary["scored"], summary["rejects"]) == (18, 17, {"not_a_photo": 1})


def test_a_store_that_does_not_answer_is_one_message(bucket, monkeypatch):
    from apache_beam.utils import retry

    listing = Listing(["s3://faces/album"])
    entries = list(listing)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(retry.Clock, "sleep", lambda self, seconds: None)  # Beam waits up to ten minutes
    with (
        pytest.raises(VisageError, match=r"album/2.jpg cannot be read.*Could not connect"),
        Reader(listing.sources, MAX_BYTES) as reader,
    ):
        reader.read(entries[0])
