"""Transfers over HTTP against a local server that misbehaves on purpose."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from components.ingest.transfer import Patience, fetch
from schemas.error import VisageError

CONTENT = bytes(range(256)) * 8_000
MD5 = hashlib.md5(CONTENT).hexdigest()
QUICK = Patience(timeout=60, pauses=(0, 0, 0))


class Server:
    """Serves one file in the way that `behave` says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.content = CONTENT
        self.etag = '"one"'
        self.requested_ranges: list[str | None] = []
        self.behave: Callable[[Any, int], None] = lambda handler, number: self.serve(handler)

    def serve(self, handler: Any, end: int | None = None, ranges: bool = True, length: bool = True) -> None:
        """Answer as a good server does, but hang up before byte `end`, or know no ranges, or say no length."""
        range_header = handler.headers.get("Range")
        begin = int(range_header.removeprefix("bytes=").rstrip("-")) if range_header and ranges else 0
        if handler.headers.get("If-Range", self.etag) != self.etag:
            begin = 0
        if begin and begin >= len(self.content):
            handler.send_error(416)
            return
        handler.send_response(206 if begin else 200)
        if begin:
            handler.send_header("Content-Range", f"bytes {begin}-{len(self.content) - 1}/{len(self.content)}")
        if length:
            handler.send_header("Content-Length", str(len(self.content) - begin))
        if self.etag:
            handler.send_header("ETag", self.etag)
        handler.end_headers()
        handler.wfile.write(self.content[begin:end])


@pytest.fixture
def server() -> Iterator[Server]:
    file_server = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            file_server.requested_ranges.append(self.headers.get("Range"))
            file_server.behave(self, len(file_server.requested_ranges))

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        file_server.url = f"http://127.0.0.1:{running.server_port}/faces.tar"  # type: ignore[attr-defined]
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield file_server
        running.shutdown()


def whole(file: Path) -> bool:
    """Whether the file is there with the right bytes, and nothing else beside it."""
    return file.read_bytes() == CONTENT and list(file.parent.iterdir()) == [file]


def test_a_file_is_fetched_and_its_progress_told(server, tmp_path):
    progress: list[tuple[int, int | None]] = []
    checked: list[tuple[int, int | None]] = []
    room: list[int] = []

    def check(*how_far):
        checked.append(how_far)

    fetch(server.url, tmp_path / "f", MD5, lambda *how_far: progress.append(how_far), room.append, QUICK, check)
    assert whole(tmp_path / "f")
    assert progress[-1] == checked[-1] == (len(CONTENT), len(CONTENT))
    assert len(checked) > 3
    assert room == [len(CONTENT)]
    assert server.requested_ranges == [None]


def test_a_connection_that_drops_is_gone_on_with(server, tmp_path):
    server.behave = lambda handler, number: server.serve(handler, end=number * 500_000)
    fetch(server.url, tmp_path / "f", MD5, patience=QUICK)
    assert whole(tmp_path / "f")
    assert server.requested_ranges == [None] + [f"bytes={number * 500_000}-" for number in range(1, 5)]


def test_any_number_of_drops_will_do_as_long_as_bytes_come(server, tmp_path):
    server.behave = lambda handler, number: server.serve(handler, end=number * 100_000)
    fetch(server.url, tmp_path / "f", MD5, patience=Patience(60, (0,)))
    assert whole(tmp_path / "f")
    assert len(server.requested_ranges) == 21


def test_a_server_that_knows_no_ranges_is_asked_for_it_all_again(server, tmp_path):
    server.behave = lambda handler, number: server.serve(handler, end=500_000 if number == 1 else None, ranges=False)
    fetch(server.url, tmp_path / "f", MD5, patience=QUICK)
    assert whole(tmp_path / "f")
    assert server.requested_ranges == [None, "bytes=500000-"]


def test_a_server_that_falls_silent_counts_as_broken(server, tmp_path):
    fetched = threading.Event()

    def behave(handler: Any, number: int) -> None:
        server.serve(handler, end=500_000 if number == 1 else None)
        if number == 1:
            fetched.wait(300)

    server.behave = behave
    fetch(server.url, tmp_path / "f", MD5, patience=Patience(timeout=1, pauses=(0,) * 20))
    fetched.set()
    assert whole(tmp_path / "f")
    assert server.requested_ranges[:2] == [None, "bytes=500000-"]


def test_a_server_that_is_busy_for_a_while_is_tried_again(server, tmp_path):
    server.behave = lambda handler, number: handler.send_error(503) if number < 3 else server.serve(handler)
    fetch(server.url, tmp_path / "f", MD5, patience=QUICK)
    assert whole(tmp_path / "f")


def test_a_server_that_says_no_length(server, tmp_path):
    server.behave = lambda handler, number: server.serve(handler, length=False)
    fetch(server.url, tmp_path / "f", MD5, patience=QUICK)
    assert whole(tmp_path / "f")


def test_wrong_bytes_are_thrown_away(server, tmp_path):
    server.content = CONTENT[:-1] + b"?"
    with pytest.raises(VisageError, match="other bytes than expected"):
        fetch(server.url, tmp_path / "f", MD5, patience=QUICK)
    assert not (tmp_path / "f").exists()
    assert (tmp_path / "f.partial").stat().st_size == 0
    assert server.requested_ranges == [None]


def test_wrong_bytes_of_a_resumed_transfer_are_fetched_anew_once(server, tmp_path):
    (tmp_path / "f.partial").write_bytes(b"?" * 500_000)
    fetch(server.url, tmp_path / "f", MD5, patience=QUICK)
    assert whole(tmp_path / "f")
    assert server.requested_ranges == ["bytes=500000-", None]


def test_a_file_that_has_changed_on_the_server_is_fetched_anew(server, tmp_path):
    server.behave = lambda handler, number: server.serve(handler, end=500_000)
    server.content, server.etag = b"older" * 300_000, '"zero"'
    with pytest.raises(VisageError):
        fetch(server.url, tmp_path / "f", MD5, patience=Patience(60, ()))
    server.behave = lambda handler, number: server.serve(handler)
    server.content, server.etag = CONTENT, '"one"'
    fetch(server.url, tmp_path / "f", MD5, patience=QUICK)
    assert whole(tmp_path / "f")
    assert server.requested_ranges == [None, "bytes=500000-"]


@pytest.mark.parametrize("size", [len(CONTENT), len(CONTENT) + 5])
def test_more_than_the_server_has_is_fetched_anew(server, tmp_path, size):
    (tmp_path / "f.partial").write_bytes(b"?" * size)
    fetch(server.url, tmp_path / "f", MD5, patience=QUICK)
    assert whole(tmp_path / "f")


def test_a_transfer_that_was_killed_after_its_last_byte_asks_for_no_more(server, tmp_path):
    server.etag = ""
    (tmp_path / "f.partial").write_bytes(CONTENT)
    (tmp_path / "f.partial.json").write_text(f'{{"size": {len(CONTENT)}}}')
    fetch(server.url, tmp_path / "f", MD5, patience=QUICK)
    assert whole(tmp_path / "f")
    assert server.requested_ranges == []


def test_a_server_that_stays_away(server, tmp_path):
    server.behave = lambda handler, number: server.serve(handler, end=500_000)
    with pytest.raises(VisageError, match=r"500,000 bytes are here.\n.*goes on from there"):
        fetch(server.url, tmp_path / "f", MD5, patience=QUICK)
    assert len(server.requested_ranges) == 4
    with pytest.raises(VisageError, match=r"cannot be fetched: .*refused"):
        fetch("http://127.0.0.1:9/f", tmp_path / "g", MD5, patience=QUICK)


def test_a_file_that_is_not_there_is_not_asked_for_again(server, tmp_path):
    server.behave = lambda handler, number: handler.send_error(404)
    with pytest.raises(VisageError, match="answers 404"):
        fetch(server.url, tmp_path / "f", MD5, patience=QUICK)
    assert len(server.requested_ranges) == 1


def test_something_that_is_no_web_server(tmp_path):
    import socketserver

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1024)
            self.request.sendall(b"220 welcome to the mail\r\n")

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        with pytest.raises(VisageError, match="cannot be fetched"):
            fetch(f"http://127.0.0.1:{running.server_address[1]}/f", tmp_path / "f", patience=QUICK)
        running.shutdown()


def test_two_at_once_do_not_step_on_each_other(server, tmp_path):
    begun, go_on = threading.Event(), threading.Event()

    def behave(handler: Any, number: int) -> None:
        begun.set()
        go_on.wait(300)
        server.serve(handler)

    server.behave = behave
    first = threading.Thread(target=fetch, args=(server.url, tmp_path / "f", MD5), kwargs={"patience": Patience(300)})
    first.start()
    assert begun.wait(300)
    with pytest.raises(VisageError, match="Another process is fetching"):
        fetch(server.url, tmp_path / "f", MD5, patience=QUICK)
    go_on.set()
    first.join()
    assert whole(tmp_path / "f")


def test_a_process_that_is_killed_goes_on_where_it_was(server, tmp_path):
    killed = threading.Event()

    def slowly(handler: Any, number: int) -> None:
        server.serve(handler, end=1_000_000 if number == 1 else None)
        if number == 1:
            killed.wait(300)

    server.behave = slowly
    code = f"from pathlib import Path; from components.ingest.transfer import fetch; fetch({server.url!r}, Path('f'), {MD5!r})"
    project = str(Path(__file__).parents[3])
    child = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=os.environ | {"PYTHONPATH": project})
    partial = tmp_path / "f.partial"
    while not (partial.exists() and partial.stat().st_size > 500_000):
        assert child.poll() is None
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.wait()
    killed.set()
    partial_size = partial.stat().st_size
    fetch(server.url, tmp_path / "f", MD5, patience=QUICK)
    assert whole(tmp_path / "f")
    assert server.requested_ranges == [None, f"bytes={partial_size}-"]


def test_the_room_that_is_left_is_asked_for_before_the_first_byte(server, tmp_path):
    (tmp_path / "f.partial").write_bytes(CONTENT[:500_000])

    def refuse(size: int) -> None:
        raise VisageError(f"no room for {size}")

    with pytest.raises(VisageError, match=f"no room for {len(CONTENT) - 500_000}"):
        fetch(server.url, tmp_path / "f", MD5, make_room=refuse, patience=QUICK)
    assert (tmp_path / "f.partial").stat().st_size == 500_000
