"""What a person sees while the DAG runs."""

import io
import time

import pytest
from rich.console import Console

from pipeline.local import display


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_without_a_terminal_there_are_plain_lines_with_rate_and_time_left(clock):
    output = io.StringIO()
    console = Console(file=output, width=100)
    screen = display.for_console(console)
    assert type(screen) is display.Display
    with screen:
        screen.reused("ingest")
        screen.started("train")
        for seconds, done in ((1, 0), (2, 100), (11, 1000), (12, 1100)):
            clock[0] = 100.0 + seconds
            screen.progress("train", done, 2000, "images")
        screen.ended("train", "done")
    assert output.getvalue().splitlines() == [
        "ingest    reused",
        "train     started",
        "train     1,000 of 2,000 images, 100/s, about 10 s left",
        "train     done in 12.0 s",
    ]


def test_another_thing_that_is_counted_has_a_rate_of_its_own(clock):
    output = io.StringIO()
    console = Console(file=output, width=100)
    screen = display.Display(console)
    screen.started("score")
    for seconds, done, unit in ((1, 500, "photos listed"), (2, 0, "photos"), (12, 50, "photos")):
        clock[0] = 100.0 + seconds
        screen.progress("score", done, 500, unit)
    assert "50 of 500 photos, 5/s, about 90 s left" in output.getvalue()


def test_what_has_no_known_total_has_no_time_left(clock):
    output = io.StringIO()
    console = Console(file=output, width=100)
    screen = display.Display(console)
    screen.started("score")
    for seconds, done in ((1, 0), (11, 50)):
        clock[0] = 100.0 + seconds
        screen.progress("score", done, None, "photos listed")
    assert output.getvalue().splitlines()[-1] == "score     50 photos listed, 5/s"


def test_on_a_terminal_there_are_bars():
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=100)
    with display.for_console(console) as screen:
        screen.started("train")
        screen.progress("train", 10, 20, "images")
        screen.metric("train", "val_age_mae", 7.123, 1)
        screen.ended("train", "done")
    assert "train" in output.getvalue()
    assert "done in" in output.getvalue()
