"""The pages in Markdown: what they point to exists, and their commands are found."""

import re

import pytest

from tests.documented import PROJECT, commands_of_help, commands_of_page, documents


@pytest.mark.parametrize("page", documents(), ids=lambda page: str(page.relative_to(PROJECT)))
def test_the_files_that_a_page_points_to_exist(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_commands_are_found_in_blocks_of_shell_indented_and_within_sentences():
    page = """# Page
Say `visage
models` or `--port 1`, never `visage-like`.

```sh
. .venv/bin/activate         # comment
visage run \\
  --recipe demo    some words beside it
```

```python
visage = 1
```

    visage score one.jpg        a table
    other words

"""
    assert list(commands_of_page(page)) == [
        ". .venv/bin/activate",
        "visage run --recipe demo",
        "visage score one.jpg",
        "visage models",
    ]


def test_commands_are_found_in_help():
    assert ("visage schedule --help", "visage schedule --remove") in commands_of_help()
    assert ("visage run --help", "visage recipes") in commands_of_help()
