"""Single files, written and read on this machine and in a store alike."""

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from components.storage import files


@pytest.fixture(params=["local", "bucket"])
def folder(request, tmp_path) -> str:
    """A folder to write to that is not there yet."""
    return f"{tmp_path}/new/folder" if request.param == "local" else request.getfixturevalue("s3").url(tmp_path.name)


def test_what_is_written_is_read_listed_and_removed(folder):
    place = f"{folder}/a/b.bin"
    assert not files.exists(place)
    assert list(files.file_names(folder)) == []
    files.write_bytes(place, b"one")
    files.write_bytes(f"{folder}/c.bin", b"")
    assert files.read_bytes(place) == b"one"
    assert files.read_bytes(f"{folder}/c.bin") == b""
    assert files.exists(place) and not files.exists(f"{folder}/a")
    assert sorted(files.file_names(folder)) == ["a/b.bin", "c.bin"]
    files.write_bytes(place, b"two")
    assert files.read_bytes(place) == b"two"
    files.remove(place)
    files.remove(place)
    assert not files.exists(place)


def test_a_file_is_opened_at_any_place_in_it(folder):
    files.write_bytes(f"{folder}/a.bin", bytes(range(256)) * 100)
    with files.open_file(f"{folder}/a.bin") as file:
        file.seek(-256, os.SEEK_END)
        assert file.read(3) == b"\0\1\2"
        file.seek(511)
        assert file.read(2) == b"\xff\0"


def test_what_is_not_there_is_a_file_not_found(folder):
    for ask in (files.read_bytes, files.open_file):
        with pytest.raises(FileNotFoundError):
            ask(f"{folder}/none.bin")


def test_many_files_are_read_in_their_order(folder):
    for number in range(50):
        files.write_bytes(f"{folder}/{number}.bin", b"%d" % number)
    places = [f"{folder}/{number}.bin" for number in range(50)]
    assert list(files.read_each(places[::-1])) == [b"%d" % number for number in reversed(range(50))]
    assert list(files.read_each([])) == []
    with pytest.raises(FileNotFoundError):
        list(files.read_each([places[0], f"{folder}/none.bin"]))


def test_a_folder_is_removed_with_all_that_is_in_it_and_nothing_else(folder):
    for name in ("gone/a.bin", "gone/b/c.bin", "gone too.bin"):
        files.write_bytes(f"{folder}/{name}", b"")
    files.remove_folder(f"{folder}/gone")
    files.remove_folder(f"{folder}/gone")
    assert list(files.file_names(folder)) == ["gone too.bin"]


def test_copies_go_to_and_from_a_store(s3, tmp_path):
    here, there = tmp_path / "here.bin", s3.url("copies/there.bin")
    here.write_bytes(os.urandom(9_000_000))
    files.copy(str(here), there)
    files.copy(there, s3.url("copies/further.bin"))
    files.copy(s3.url("copies/further.bin"), f"file://{tmp_path}/home/again.bin")
    assert (tmp_path / "home" / "again.bin").read_bytes() == here.read_bytes()
    with pytest.raises(FileNotFoundError):
        files.copy(s3.url("copies/none.bin"), str(tmp_path / "none.bin"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here.bin", "home"]


def test_many_threads_write_and_read_at_once(folder):
    def there_and_back(number: int) -> bool:
        files.write_bytes(f"{folder}/{number}", bytes([number]) * 1000)
        return files.read_bytes(f"{folder}/{number}") == bytes([number]) * 1000

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(there_and_back, range(40)))


def test_a_fork_reads_and_writes_too(s3):
    files.write_bytes(s3.url("fork/parent"), b"parent")
    code = os.fork()
    if code == 0:
        try:
            files.write_bytes(s3.url("fork/child"), files.read_bytes(s3.url("fork/parent")) + b"'s child")
        finally:
            os._exit(0)
    os.waitpid(code, 0)
    assert files.read_bytes(s3.url("fork/child")) == b"parent's child"


def test_a_file_is_whole_or_as_it_was(tmp_path):
    """A process that is killed while it writes: the old content stands, and what is half written is not listed."""
    files.write_bytes(f"{tmp_path}/a.bin", b"old")
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom components.storage import files\n"
        "Path.replace = lambda *_: os.kill(os.getpid(), 9)\n"
        "files.write_bytes(sys.argv[1], b'new' * 1000)"
    )
    killed = subprocess.run([sys.executable, "-c", code, f"{tmp_path}/a.bin"], check=False)
    assert killed.returncode == -9
    assert files.read_bytes(f"{tmp_path}/a.bin") == b"old"
    assert list(files.file_names(str(tmp_path))) == ["a.bin"]


def test_an_error_leaves_nothing_behind(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="directory"):
        files.write_bytes(f"{tmp_path}/folder", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_new_file_may_be_read_by_whom_the_umask_says(tmp_path):
    old = os.umask(0o027)
    try:
        files.write_bytes(f"{tmp_path}/a.bin", b"")
    finally:
        os.umask(old)
    assert (tmp_path / "a.bin").stat().st_mode & 0o777 == 0o640


def test_the_command_and_local_files_import_no_client_of_a_store(tmp_path):
    code = (
        "import sys\nfrom components.storage import by_name, files, listing, places\n"
        "files.write_bytes(sys.argv[1] + '/a.jpg', b'x'); list(listing.Listing([sys.argv[1]]))\n"
        "by_name.open_files(sys.argv[1], 9).read('a.jpg'); list(places.picture_names(sys.argv[1]))\n"
        "print([name for name in ('fsspec', 's3fs', 'boto3', 'apache_beam', 'pyarrow') if name in sys.modules])"
    )
    completed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert completed.stdout.strip() == "[]"
    assert Path(tmp_path / "a.jpg").is_file()


def test_a_part_of_a_file_is_read(folder):
    files.write_bytes(f"{folder}/a.bin", bytes(range(100)))
    assert files.read_range(f"{folder}/a.bin", 10, 3) == bytes([10, 11, 12])
    assert files.read_range(f"{folder}/a.bin", 98, 10) == bytes([98, 99])
    with pytest.raises(FileNotFoundError):
        files.read_range(f"{folder}/none.bin", 0, 1)


def test_a_new_file_is_there_when_all_is_written(folder):
    with files.new_file(f"{folder}/a.bin") as file:
        file.writelines([b"one", b"two"])
        assert file.tell() == 6
        assert list(files.file_names(folder)) == []
    assert files.read_bytes(f"{folder}/a.bin") == b"onetwo"
    with pytest.raises(ZeroDivisionError), files.new_file(f"{folder}/a.bin") as file:
        file.write(b"three")
        raise ZeroDivisionError
    assert files.read_bytes(f"{folder}/a.bin") == b"onetwo"
    assert list(files.file_names(folder)) == ["a.bin"]


def test_a_file_is_fetched_from_anywhere(folder, tmp_path):
    files.write_bytes(f"{folder}/a.bin", b"one")
    home = tmp_path / "home" / "of" / "a.bin"
    files.fetch(f"{folder}/a.bin", home)
    assert home.read_bytes() == b"one"
    files.write_bytes(f"{folder}/a.bin", b"two")
    files.fetch(f"{folder}/a.bin", home)
    assert home.read_bytes() == b"two"
    with pytest.raises(FileNotFoundError):
        files.fetch(f"{folder}/none.bin", home)
    assert [file.name for file in home.parent.iterdir()] == ["a.bin"]


def test_a_file_of_another_disk_is_copied_home(tmp_path):
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK) or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second disk here")
    with tempfile.TemporaryDirectory(dir=memory) as elsewhere:
        files.write_bytes(f"{elsewhere}/a.bin", b"one")
        files.fetch(f"{elsewhere}/a.bin", tmp_path / "home" / "a.bin")
    assert (tmp_path / "home" / "a.bin").read_bytes() == b"one"


def test_a_folder_is_removed_with_all_in_it(folder):
    for name in ("a.bin", "b/c.bin", "b/d/e.bin"):
        files.write_bytes(f"{folder}/gone/{name}", b"one")
    files.write_bytes(f"{folder}/gone too.bin", b"two")
    files.remove_folder(f"{folder}/gone")
    files.remove_folder(f"{folder}/gone")
    assert list(files.file_names(folder)) == ["gone too.bin"]
