"""What the table of peers says of an estimator."""

import math

import numpy as np

from schemas.example import FaceExample
from schemas.record import FEMALE, MALE
from tests.benchmarks import peers


def face(age: int, gender: str) -> FaceExample:
    return FaceExample(b"", 1, 1, "drawn:1", "drawn", "1.jpg", "0" * 64, age, None, gender)


FACES = [face(20, MALE), face(40, MALE), face(60, FEMALE)]


def told(**predictions: list[float]) -> dict[str, float]:
    predictions = {"age": [21.0, 40, 70], "seconds": [0.5]} | predictions
    return peers.measured(peers.age_errors(predictions, FACES), predictions, FACES)


def test_its_figures_are_those_of_the_faces():
    figures = told(female=[0.1, 0.9, 0.8])
    assert figures == {"mae": 11 / 3, "cs5": 2 / 3, "gender": 2 / 3, "rate": 6}


def test_one_that_tells_no_gender_is_not_right_about_every_man():
    assert math.isnan(told(female=[math.nan] * 3)["gender"])


def test_the_difference_of_two_has_its_standard_error():
    assert peers.difference(np.array([3.0, 5, 4, 4]), np.array([2.0, 2, 2, 2])) == "+2.00 ± 0.41"
