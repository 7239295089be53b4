"""Copy all files below one place to another; what is there already in the same size is passed over.

    python artifacts.py FROM TO

A place is a folder or an address that fsspec knows (`s3://BUCKET/FOLDER`). MLflow writes an artifact once, so a file of the same
size is the same file. Nothing is removed: artifacts that were deleted since stay in the copy, until somebody removes them there.
"""

import sys

from fsspec.core import url_to_fs

_PIECE = 1 << 20
"""Bytes read at once."""


def copy_tree(source: str, target: str) -> tuple[int, int]:
    """Copy what is missing; gives the number of files copied and of all files.

    Raises:
        FileNotFoundError: there is no such source.
    """
    from_files, from_root = url_to_fs(source)
    to_files, to_root = url_to_fs(target)
    if not from_files.exists(from_root):
        raise FileNotFoundError(source)
    target_sizes = _sizes(to_files, to_root)
    source_sizes = _sizes(from_files, from_root)
    copied = 0
    for name, size in sorted(source_sizes.items()):
        if target_sizes.get(name) == size:
            continue
        final = f"{to_root.rstrip('/')}/{name}"
        to_files.makedirs(final.rpartition("/")[0], exist_ok=True)
        with from_files.open(f"{from_root.rstrip('/')}/{name}", "rb") as read, to_files.open(final, "wb") as write:
            while piece := read.read(_PIECE):
                write.write(piece)
        copied += 1
    return copied, len(source_sizes)


def _sizes(files, root: str) -> dict[str, int]:
    """Bytes of every file below a root, by its path from there; none where there is no root."""
    if not files.exists(root):
        return {}
    start = len(root.rstrip("/")) + 1
    return {path[start:]: about["size"] for path, about in files.find(root, detail=True).items()}


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    done, total = copy_tree(*sys.argv[1:])
    print(f"{total} files, {done} of them copied from {sys.argv[1]} to {sys.argv[2]}")
