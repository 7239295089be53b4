"""Files that lie elsewhere, `s3://...` or `gs://...`, by Beam's FileSystems; errors of all stores come as OSError."""

import errno
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

_BUFFER = 4 << 20


def is_remote(path: str) -> bool:
    """Whether a path is one that Beam's FileSystems read, as `s3://bucket/faces`."""
    return "://" in path


def use(options: Iterable[str]) -> None:
    """Set the options of Beam that name endpoints and credentials; the environment of the store's own client counts too."""
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions

    FileSystems.set_options(PipelineOptions(list(options)))


def names(pattern: str) -> list[str]:
    """Paths of the files that fit a pattern (`**` for all that begins so), sorted.

    Raises:
        OSError: the store does not answer.
    """
    from apache_beam.io.filesystems import FileSystems

    with _as_oserror(pattern):
        return sorted(held.path for held in FileSystems.match([pattern])[0].metadata_list)


class Store:
    """Opens remote files, and keeps the connection from one to the next. For one thread at a time."""

    def __init__(self) -> None:
        self._s3: Any = None

    def open(self, path: str) -> BinaryIO:
        """A remote file for reading at any place.

        Raises:
            FileNotFoundError: there is none.
            OSError: the store does not answer, or refuses.
        """
        from apache_beam.io.filesystems import FileSystems

        with _as_oserror(path):
            if path.startswith("s3://"):
                # FileSystems would make a new client for every file, which takes longer than to fetch a photo.
                if self._s3 is None:
                    from apache_beam.io.aws.s3io import S3IO
                    from apache_beam.options.pipeline_options import PipelineOptions

                    self._s3 = S3IO(options=FileSystems._pipeline_options or PipelineOptions([]))
                file = self._s3.open(path, read_buffer_size=_BUFFER)
            else:
                file = FileSystems.open(path, compression_type="uncompressed")
        return io.BufferedReader(_Translated(file, path), _BUFFER)


class _Translated(io.RawIOBase):
    """A remote file whose errors are OSErrors."""

    def __init__(self, file: Any, path: str) -> None:
        self._file, self._path = file, path

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with _as_oserror(self._path):
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, place: int, whence: int = 0) -> int:
        with _as_oserror(self._path):
            return self._file.seek(place, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


@contextmanager
def _as_oserror(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:  # every store's client has errors of its own
        if type(error).__name__ == "NotFound":
            raise FileNotFoundError(errno.ENOENT, "Not found", path) from error
        raise OSError(errno.EREMOTEIO, f"{type(error).__name__}: {error}", path) from error
