"""What commands print on, for text that is somebody's own: names, paths, reasons, tags."""

from rich.console import Console


def plain_console() -> Console:
    """A console that prints text as it stands, in tables too: `[edited]` in a file's name is no style, `:key:` no picture."""
    return Console(markup=False, emoji=False, highlight=False)
