"""What a module of the project imports: files of the project, and packages of others.

Found in the source, without running it; imports within functions count, those under TYPE_CHECKING do not.
"""

import ast
import importlib.metadata
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
_PACKAGES = ("components", "schemas")


def project_files(*start: Path) -> list[Path]:
    """The files of the project that running some of them reads: these, what they import, and so on; sorted.

    Of a package that something is imported from, `__init__` counts, and not what else lies in it.
    """
    found: set[Path] = set()
    waiting = list(start)
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += [
                path for name in imported_names(file) if name.split(".")[0] in _PACKAGES for path in _files_of(name)
            ]
    return sorted(found)


def distributions(files: Iterable[Path]) -> list[str]:
    """Names of the installed distributions that files import from; the standard library is none. Sorted.

    What a file imports and this environment lacks is left out: it does without.
    """
    tops = {name.split(".")[0] for file in files for name in imported_names(file)} - {
        *_PACKAGES,
        *sys.stdlib_module_names,
    }
    return sorted({_owners()[top] for top in tops if top in _owners()})


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
