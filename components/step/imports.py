"""What a module of the project imports: files of the project, and packages of others.

Found in the source, without running it; imports within functions count, those under TYPE_CHECKING do not. Of a package
that imports a module of its own by a name made up at run time, every module counts.
"""

import ast
import importlib.metadata
import sys
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
_PACKAGES = ("components", "schemas")


_NAMED_OTHERWISE = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "google": "protobuf",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}
"""Distributions that are not called like the package that the project imports; to ask the environment takes a second."""


def project_files(*start: Path, without: Collection[Path] = ()) -> list[Path]:
    """The source files of the project that running some of them reads: these, what they import, and so on; sorted.

    Of a package that something is imported from, `__init__` counts, and not what else lies in it. Files `without` are left
    out, with what only they import.
    """
    found: set[Path] = set()
    waiting = list(start)
    while waiting:
        file = waiting.pop()
        if file not in found and file not in without:
            found.add(file)
            waiting += [
                path for name in imported_names(file) if name.split(".")[0] in _PACKAGES for path in _files_of(name)
            ]
            waiting += [path for path in _files_named(file) if path.suffix == ".py"]
            if _imports_by_made_up_names(file):
                waiting += sorted(file.parent.glob("[!_]*.py"))
    return sorted(found)


def data_files(files: Iterable[Path]) -> list[Path]:
    """Files of the project other than source that some source files name; sorted."""
    return sorted({path for file in files for path in _files_named(file) if path.suffix != ".py"})


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
        return _owners().get(top, "")


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


@cache
def imported_names(file: Path) -> tuple[str, ...]:
    """Dotted names that a file imports; of `from a import b`, both `a` and `a.b`, which may be a module."""
    return tuple(_names(ast.parse(file.read_bytes())))


@cache
def _files_named(file: Path) -> tuple[Path, ...]:
    """Files beside a module, or in `schemas`, that it names in a text of its own."""
    tree = ast.parse(file.read_bytes())
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    names = [text for text in texts if "." in text and "/" not in text and len(text) < 100]
    places = (file.parent, PROJECT / "schemas")
    return tuple(
        place / name for name in names for place in places if (place / name).is_file() and place / name != file
    )


def _imports_by_made_up_names(file: Path) -> bool:
    """Whether a module calls `import_module(f"{__name__}.…")`."""
    return any(
        isinstance(node, ast.Call) and "import_module" in ast.unparse(node.func) and "__name__" in ast.unparse(node)
        for node in ast.walk(ast.parse(file.read_bytes()))
    )


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
