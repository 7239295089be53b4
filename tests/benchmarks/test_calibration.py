"""The benchmark of calibration, as far as few faces can show it."""

import json

import numpy as np

from tests.benchmarks import calibration


def test_of_few_faces_the_table_ends_with_figures_that_can_be_told(capsys):
    """The demo's archive has no decade with a hundred faces."""
    coverage = np.full((3, calibration.DECADES), 0.9)
    errors = {name: [[5.0] * (1 + calibration.DECADES)] * 3 for name in calibration.CORRECTIONS}
    calibration.show(np.full(calibration.DECADES, 40.0), coverage, coverage, errors)
    *_, sentence, figures = capsys.readouterr().out.splitlines()
    assert sentence.startswith("No decade has 100 faces")
    assert json.loads(figures) == {f"{name}_mae": 5.0 for name in calibration.CORRECTIONS}


def test_the_coverage_of_decades_with_faces_enough_is_summed_up(capsys):
    before, after = np.full((3, calibration.DECADES), 0.8), np.full((3, calibration.DECADES), 0.9)
    before[:, 0] = 0
    faces = np.array([99.0, *[100.0] * (calibration.DECADES - 1)])
    calibration.show(faces, before, after, {"none": [[5.0] * (1 + calibration.DECADES)] * 3})
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (figures["before_miss"], figures["before_lowest"], figures["after_miss"]) == (0.1, 0.8, 0)
