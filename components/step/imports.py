"""What a module of the project imports: files of the project, and packages of others.

Found in the source, without running it; imports within functions count, those under TYPE_CHECKING do not. Of a package
that imports a module of its own by a name made up at run time, every module counts.
"""

import ast
import importlib.metadata
import importlib.util
import sys
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).resolve().parents[2]
_PACKAGES = ("components", "schemas")


_NAMED_OTHERWISE = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "google": "protobuf",
    "pillow_jxl": "pillow-jxl-plugin",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}
"""Distributions that are not called like the package that the project imports; to ask the environment takes a second."""


def project_files(*start: Path, without: Collection[Path] = ()) -> list[Path]:
    """The source files of the project that running some of them reads: these, what they import, and so on; sorted.

    Of a package that something is imported from, `__init__` counts, and not what else lies in it. Files `without` are left
    out, with what only they import.
    """
    source_files: set[Path] = set()
    waiting = list(start)
    while waiting:
        file = waiting.pop()
        if file not in source_files and file not in without:
            source_files.add(file)
            waiting += [
                path for name in imported_names(file) if name.split(".")[0] in _PACKAGES for path in _files_of(name)
            ]
            waiting += [path for path in _references(file).files if path.suffix == ".py"]
            if _references(file).by_made_up_names:
                waiting += sorted(file.parent.glob("[!_]*.py"))
    return sorted(source_files)


def data_files(files: Iterable[Path]) -> list[Path]:
    """Files of the project other than source that some source files name; sorted."""
    return sorted({path for file in files for path in _references(file).files if path.suffix != ".py"})


def distributions(files: Iterable[Path]) -> list[str]:
    """Names of the installed distributions that files import from; the standard library is none. Sorted.

    What a file imports and this environment lacks is left out: it does without.
    """
    tops = {name.split(".")[0] for file in files for name in imported_names(file)} - {
        *_PACKAGES,
        *sys.stdlib_module_names,
    }
    return sorted({owner for top in tops if (owner := _owner(top))})


@cache
def _owner(top: str) -> str:
    """Name of the distribution that a package belongs to; empty where there is none."""
    try:
        return importlib.metadata.distribution(_NAMED_OTHERWISE.get(top, top)).name
    except importlib.metadata.PackageNotFoundError:
        return _owners().get(top, "") if importlib.util.find_spec(top) else ""


@cache
def _owners() -> dict[str, str]:
    """The distribution of every package; where several share one, that of its own name."""
    shared = {top: sorted(set(names)) for top, names in importlib.metadata.packages_distributions().items()}
    return {top: top if top in names else names[0] for top, names in shared.items() if top in names or len(names) == 1}


def _files_of(module: str) -> Iterator[Path]:
    """The file of a module, if it is one, and the `__init__` of every package around it."""
    path = PROJECT.joinpath(*module.split("."))
    packages = [path, *path.parents[: module.count(".")]]
    files = (path.with_suffix(".py"), *(package / "__init__.py" for package in packages))
    return (file for file in files if file.is_file())


class _References(NamedTuple):
    """What is read out of a module's source, all at once: to parse it takes the time.

    Attributes:
        imported: dotted names that it imports.
        files: beside it, or in `schemas`, that it names in a text of its own.
        by_made_up_names: whether it calls `import_module(f"{__name__}.…")`.
    """

    imported: tuple[str, ...]
    files: tuple[Path, ...]
    by_made_up_names: bool


@cache
def _references(file: Path) -> _References:
    tree = ast.parse(file.read_bytes())
    nodes = list(ast.walk(tree))
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    names = [text for text in texts if "." in text and "/" not in text and len(text) < 100]
    paths = [folder / name for name in names for folder in (file.parent, PROJECT / "schemas")]
    return _References(
        tuple(_names(tree)),
        tuple(path for path in paths if path != file and path.is_file()),
        any(_imports_by_made_up_name(node) for node in nodes if isinstance(node, ast.Call)),
    )


def imported_names(file: Path) -> tuple[str, ...]:
    """Dotted names that a file imports; of `from a import b`, both `a` and `a.b`, which may be a module."""
    return _references(file).imported


def _imports_by_made_up_name(call: ast.Call) -> bool:
    name = getattr(call.func, "attr", None) or getattr(call.func, "id", None)
    return name == "import_module" and "__name__" in ast.unparse(call)


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from _names(node)
