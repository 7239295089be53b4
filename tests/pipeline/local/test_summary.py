"""The screenful at the end of a run."""

import io

from rich.console import Console

from pipeline.local import summary

AGE = "The age MAE of 30.41 years is 201% of the baseline's 15.10; at most 90% is asked for."
GENDER = "Gender is right for 46.6%; 70.0% is asked for."


def test_why_a_model_is_not_blessed_stands_in_sentences_under_its_name():
    screen = io.StringIO()
    registered = {"name": "visage [new]", "version": "1", "alias": "challenger"}
    summary._show_model(Console(file=screen, width=80), registered, {"blessed": False, "reasons": [AGE, GENDER]})
    first, *reasons = screen.getvalue().splitlines()
    assert first == "Model   visage [new] version 1, alias challenger"
    assert all(line.startswith("        ") and len(line) < 80 for line in reasons)
    assert " ".join(line.strip() for line in reasons) == f"not blessed: {AGE} {GENDER}"
