"""Distances of labels, and what chance does."""

import numpy as np
import pandas as pd
import pytest
import tensorflow_data_validation as tfdv

from components.drift import distances
from components.drift.distances import JENSEN_SHANNON, L_INFINITY, Distance

AGES = {"face/age": JENSEN_SHANNON}
MEASURES = AGES | {"face/gender": L_INFINITY}


def statistics(ages, females: float = 0.5, photos_a_person: int = 0):
    genders = ["female" if number < females * len(ages) else "male" for number in range(len(ages))]
    table = pd.DataFrame({"face/age": ages, "face/gender": genders})
    if photos_a_person:
        table["person/id"] = [f"made:{number // photos_a_person}" for number in range(len(ages))]
    return tfdv.generate_statistics_from_dataframe(table)


@pytest.fixture(scope="module")
def training():
    return statistics(np.random.default_rng(1).normal(35, 15, 5000).clip(0, 100).astype(int))


def test_200_faces_of_the_very_same_people_are_far_by_distance_alone_and_not_warned_of(training):
    drawn = np.random.default_rng(2).normal(35, 15, 200).clip(0, 100).astype(int)
    measured = distances.measure(statistics(drawn), training, MEASURES)
    assert measured["face/age"].value > 0.01 and measured["face/age"].chance > 0.05
    assert not measured["face/age"].exceeds(measured["face/age"].value / 2)
    assert measured["face/gender"].chance > 0.5


def test_200_faces_of_others_are_warned_of(training):
    drawn = np.random.default_rng(2).normal(60, 10, 200).clip(0, 100).astype(int)
    measured = distances.measure(statistics(drawn, females=0.9), training, MEASURES)
    assert measured["face/age"].exceeds(0.1) and measured["face/gender"].exceeds(0.2)
    assert measured["face/age"].chance < 0.001


def test_people_are_counted_and_not_photos(training):
    ages = np.repeat(np.random.default_rng(4).normal(39, 15, 60).clip(0, 100).astype(int), 5)
    apart = distances.measure(statistics(ages), training, AGES)["face/age"]
    together = distances.measure(statistics(ages, photos_a_person=5), training, AGES)["face/age"]
    assert apart.value == together.value
    assert apart.chance < 0.01 < together.chance


def test_scored_faces_are_taken_to_have_as_many_photos_a_person_as_the_training_data(training):
    ages = np.repeat(np.random.default_rng(4).normal(39, 15, 60).clip(0, 100).astype(int), 5)
    same = np.repeat(np.random.default_rng(1).normal(35, 15, 1000).clip(0, 100).astype(int), 5)
    known = distances.measure(statistics(ages), statistics(same, photos_a_person=5), AGES)["face/age"]
    assert known.chance > 0.01


def test_a_difference_that_is_certain_and_small_is_not_warned_of():
    assert not Distance(0.05, 0.0001).exceeds(0.1)
    assert Distance(0.11, 0.0001).exceeds(0.1)
    assert not Distance(0.11, 0.02).exceeds(0.1)


def test_chance_is_uniform_for_samples_of_one_population():
    random = np.random.default_rng(5)
    shares = [0.3, 0.3, 0.2, 0.15, 0.04, 0.01]
    drawn = [(random.multinomial(150, shares).tolist(), random.multinomial(900, shares).tolist()) for _ in range(100)]
    chances = [distances.chance(*pair) for pair in drawn]
    assert 0.4 < np.mean(chances) < 0.6
    assert np.mean(np.array(chances) < 0.05) < 0.1


def test_chance_of_what_cannot_differ_is_one():
    assert distances.chance([10], [20]) == 1
    assert distances.chance([0, 0], [5, 5]) == 1
    assert distances.chance([10, 10], [20, 20]) == 1
