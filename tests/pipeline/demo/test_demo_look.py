"""Age and gender show in the drawn faces as they do in people, with scatter."""

import dataclasses

import numpy as np
import pytest

from pipeline.demo.look import look_of
from pipeline.demo.people import OLDEST, YOUNGEST, age_on_photo, invent
from schemas.record import FEMALE, MALE


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(1)
    return [invent(number, rng) for number in range(1, 1201)]


def mean_of(feature, people, age, gender=None):
    rng = np.random.default_rng(2)
    chosen = [person for person in people[:400] if gender in (None, person.gender)]
    return np.mean([float(getattr(look_of(person, age, rng), feature)) for person in chosen])


@pytest.mark.parametrize(
    "feature", ["forehead_lines", "crows_feet", "nose_folds", "eye_bags", "mouth_folds", "jowls", "droop"]
)
def test_lines_deepen_with_age(people, feature):
    strengths = [mean_of(feature, people, age) for age in (10, 40, 60, 85)]
    assert strengths == sorted(strengths)
    assert strengths[0] < 0.1
    assert strengths[-1] > 0.6


def test_children_have_large_low_eyes_and_a_short_chin(people):
    for feature in ("eye_height", "eye_width", "eye_y"):
        sizes = [mean_of(feature, people, age) for age in (2, 8, 16, 40)]
        assert sizes == sorted(sizes, reverse=True), feature
    assert mean_of("chin", people, 2) < mean_of("chin", people, 20) - 0.15


def test_hair_greys_and_recedes_with_age(people):
    rng = np.random.default_rng(3)
    dark = [person for person in people if person.hair == 0][:100]
    young, old = ([np.mean(look_of(person, age, rng).hair) for person in dark] for age in (25, 85))
    assert np.mean(old) > np.mean(young) + 80
    assert mean_of("bald", people, 75, MALE) > mean_of("bald", people, 30, MALE)
    assert mean_of("bald", people, 75, FEMALE) < 0.1


def test_the_genders_differ_in_adults_and_little_in_infants(people):
    for feature, wider in (
        ("jaw", MALE),
        ("brow_thickness", MALE),
        ("neck", MALE),
        ("lips", FEMALE),
        ("hair_length", FEMALE),
    ):
        other = FEMALE if wider == MALE else MALE
        apart = mean_of(feature, people, 30, wider) - mean_of(feature, people, 30, other)
        assert apart > 0, feature
        assert abs(mean_of(feature, people, 1, wider) - mean_of(feature, people, 1, other)) < 0.4 * apart, feature


def test_only_grown_men_have_beards(people):
    assert mean_of("beard", people, 40, MALE) > 0.1
    assert mean_of("beard", people, 40, FEMALE) == mean_of("beard", people, 13, MALE) == 0


def test_a_person_keeps_hair_colour_skin_and_eyes(people):
    rng = np.random.default_rng(4)
    for person in people[:50]:
        one, other = look_of(person, 22, rng), look_of(person, 24, rng)
        assert one.iris == other.iris
        assert np.abs(np.subtract(one.skin, other.skin)).max() < 12
        assert abs(one.width - other.width) < 0.02


def test_ages_on_photos_are_whole_years_of_a_life(people):
    rng = np.random.default_rng(5)
    ages = [age_on_photo(person, rng) for person in people for _ in range(5)]
    assert min(ages) == YOUNGEST
    assert max(ages) <= OLDEST
    assert all(isinstance(age, int) for age in ages)


def test_not_even_the_drawings_own_numbers_give_the_labels_away(people):
    """A linear model of everything that is drawn: far better than a guess, and far from perfect."""
    rng = np.random.default_rng(6)
    rows, ages, women, who = [], [], [], []
    for index, person in enumerate(people):
        for _ in range(3):
            age = age_on_photo(person, rng)
            values = dataclasses.asdict(look_of(person, age, rng)).values()
            rows.append(np.concatenate([np.atleast_1d(value) for value in values]).astype(float))
            ages.append(age)
            women.append(person.gender == FEMALE)
            who.append(index)
    features = np.c_[np.array(rows), np.ones(len(rows))]
    seen = np.array(who) < 800
    by_age, *_ = np.linalg.lstsq(features[seen], np.array(ages, float)[seen], rcond=None)
    by_gender, *_ = np.linalg.lstsq(features[seen], np.array(women, float)[seen], rcond=None)
    error = np.abs(features @ by_age - ages)[~seen].mean()
    right = ((features @ by_gender > 0.5) == women)[~seen].mean()
    assert 2.0 < error < 5.0
    assert 0.88 < right < 0.985
