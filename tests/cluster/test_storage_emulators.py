"""Files and listings in Google's and Azure's storage, by gcsfs and adlfs against emulators; S3 is tried elsewhere."""

import zipfile
from contextlib import contextmanager

import fsspec
import pytest

from components.storage import files, names
from components.storage.by_name import open_files
from components.storage.listing import Listing
from components.storage.reading import Reader
from tests.cluster import azurite
from tests.cluster.go_servers import Unavailable, binary, free_port, serving

pytestmark = [pytest.mark.long, pytest.mark.slow]

BUCKET = "visage"


@contextmanager
def google(folder):
    """A bucket in fake-gcs-server."""
    program, port = binary("fake-gcs-server"), free_port()
    address = f"http://127.0.0.1:{port}"
    command = [str(program), "-scheme=http", "-host=127.0.0.1", f"-port={port}", "-backend=memory"]
    command.append(f"-external-url={address}")
    environment = {"STORAGE_EMULATOR_HOST": address, "GOOGLE_CLOUD_PROJECT": "visage"}
    with serving(command, port, folder / "log"):
        yield environment, {"gs": {"token": "anon"}}, f"gs://{BUCKET}"


@contextmanager
def azure(folder):
    """A container in Azurite; name and key of its one account are public."""
    program, port = azurite.blob_server(), free_port()
    command = [
        str(program),
        f"--blobPort={port}",
        "--inMemoryPersistence",
        "--skipApiVersionCheck",
        "--disableTelemetry",
    ]
    account = "devstoreaccount1"
    key = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    connection = f"AccountName={account};AccountKey={key};BlobEndpoint=http://127.0.0.1:{port}/{account};"
    with serving(command, port, folder / "log"):
        yield {"AZURE_STORAGE_CONNECTION_STRING": f"DefaultEndpointsProtocol=http;{connection}"}, {}, f"az://{BUCKET}"


@pytest.fixture(scope="module", params=[("gcsfs", google), ("adlfs", azure)], ids=["Google", "Azure"])
def bucket(request, tmp_path_factory):
    """URL of a bucket in an emulator."""
    client, emulator = request.param
    pytest.importorskip(client)
    try:
        with (
            emulator(tmp_path_factory.mktemp("store")) as (environment, options, url),
            pytest.MonkeyPatch.context() as patch,
        ):
            for name, value in environment.items():
                patch.setenv(name, value)
            for protocol, values in options.items():
                patch.setitem(fsspec.config.conf, protocol, values)
            fsspec.filesystem(url.partition(":")[0], skip_instance_cache=True).mkdir(BUCKET)
            yield url
    except Unavailable as why:
        pytest.skip(str(why))


def test_files_are_written_read_listed_copied_and_removed(bucket, tmp_path):
    folder = f"{bucket}/staging"
    files.write_bytes(f"{folder}/a/1.bin", b"one")
    files.write_bytes(f"{folder}/2.bin", b"two")
    files.write_bytes(f"{folder}/2.bin", b"two again")
    assert files.read_bytes(f"{folder}/a/1.bin") == b"one"
    assert files.read_bytes(f"{folder}/2.bin") == b"two again"
    assert files.read_range(f"{folder}/2.bin", 4, 5) == b"again"
    assert sorted(files.file_names(folder)) == ["2.bin", "a/1.bin"]
    assert files.exists(f"{folder}/2.bin") and not files.exists(f"{folder}/3.bin")
    with pytest.raises(FileNotFoundError):
        files.read_bytes(f"{folder}/3.bin")

    large = bytes(range(256)) * 50_000
    (tmp_path / "large").write_bytes(large)
    files.copy(str(tmp_path / "large"), f"{folder}/large")
    files.copy(f"{folder}/large", f"{folder}/larger")
    files.copy(f"{folder}/larger", str(tmp_path / "again"))
    assert (tmp_path / "again").read_bytes() == large
    with files.open_file(f"{folder}/large") as file:
        file.seek(12_000_000)
        assert file.read(10) == large[12_000_000:12_000_010]

    files.remove(f"{folder}/large")
    files.remove(f"{folder}/large")
    files.remove_folder(folder)
    assert list(files.file_names(folder)) == []


def test_photos_are_found_by_listing_and_by_name_in_folders_and_archives(bucket, tmp_path):
    photos = f"{bucket}/photos"
    for name in ("a.jpg", "b/ä b.jpg"):
        files.write_bytes(names.joined(photos, name), name.encode())
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as packed:
        packed.writestr("c.jpg", b"packed")
    files.copy(str(tmp_path / "packed.zip"), f"{bucket}/packed.zip")

    listing = Listing([photos, f"{bucket}/packed.zip"], "")
    entries = list(listing)
    with Reader(listing.sources, 1000) as reader:
        assert sorted((names.shown(entry.name), reader.read(entry)) for entry in entries) == [
            ("a.jpg", b"a.jpg"),
            ("b/ä b.jpg", "b/ä b.jpg".encode()),
            ("c.jpg", b"packed"),
        ]
    assert sorted(names.shown(entry.name) for entry in Listing([f"{bucket}/pho*/*"])) == ["a.jpg", "ä b.jpg"]
    by_name = open_files(photos, 1000, "")
    assert by_name.read("b/ä b.jpg") == "b/ä b.jpg".encode()
    assert by_name.version("a.jpg") and by_name.version("a.jpg") != by_name.version("b/ä b.jpg")
