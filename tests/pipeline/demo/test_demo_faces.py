"""Age and gender show in the drawn faces as they do in people, with scatter."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from pipeline.demo.people import OLDEST, YOUNGEST, Look, Person
from pipeline.demo.scene import BLURRED, COUPLE, FACELESS, PORTRAIT, Shot, take
from schemas.record import FEMALE, MALE

PEOPLE = [Person(number, seed=1) for number in range(1, 401)]


def mean_of(feature, age, gender=None):
    rng = np.random.default_rng(2)
    return np.mean([getattr(Look(who, age, rng), feature) for who in PEOPLE if gender in (None, who.gender)])


def photo(person, age, number=0, kind=PORTRAIT, size=(120, 120)):
    return ImageOps.exif_transpose(Image.open(io.BytesIO(take(Shot(person, age, 1990, kind, size, (1, number))))))


def pixels(*shot):
    values = np.asarray(photo(*shot).convert("L").resize((20, 20), Image.Resampling.BOX), float).ravel()
    return (values - values.mean()) / values.std()


def nearest_mean(*classes):
    """Share of pictures that are nearest to the mean picture of their own class, means and pictures from other persons."""
    means = [np.mean(pictures[::2], axis=0) for pictures in classes]
    return np.mean(
        [
            np.argmin([np.abs(picture - mean).mean() for mean in means]) == index
            for index, pictures in enumerate(classes)
            for picture in pictures[1::2]
        ]
    )


@pytest.mark.parametrize(
    ("feature", "ages"),
    [("lined", (10, 35, 50, 65)), ("sagging", (30, 50, 65, 85)), ("eye_y", (40, 16, 8, 2)), ("chin_y", (2, 8, 16, 40))],
)
def test_lines_deepen_and_sag_with_age_and_children_have_low_eyes_and_a_short_chin(feature, ages):
    strengths = [mean_of(feature, age) for age in ages]
    assert strengths == sorted(strengths)
    assert strengths[-1] > strengths[0] + 0.2


def test_hair_greys_and_men_go_bald():
    rng = np.random.default_rng(3)
    young, old = (np.mean([Look(person, age, rng).hair for person in PEOPLE]) for age in (25, 85))
    assert old > young + 80
    assert mean_of("bald", 75, MALE) > mean_of("bald", 30, MALE) + 0.2
    assert mean_of("bald", 75, FEMALE) < 0.1


@pytest.mark.parametrize(
    ("feature", "more"), [("male", MALE), ("hair_length", FEMALE), ("make_up", FEMALE), ("beard", MALE)]
)
def test_the_genders_differ_in_adults_and_little_in_infants(feature, more):
    def apart(age):
        return (1 if more == MALE else -1) * (mean_of(feature, age, MALE) - mean_of(feature, age, FEMALE))

    assert apart(30) > 0.2
    assert abs(apart(1)) < 0.4 * apart(30)


def test_a_person_keeps_skin_and_eyes():
    rng = np.random.default_rng(4)
    for person in PEOPLE[:50]:
        one, other = Look(person, 12, rng), Look(person, 14, rng)
        assert one.iris == other.iris
        assert np.abs(np.subtract(one.skin, other.skin)).max() < 12


def test_ages_on_photos_are_whole_years_of_a_life():
    rng = np.random.default_rng(5)
    ages = [person.age_on_photo(rng) for person in PEOPLE for _ in range(15)]
    assert min(ages) == YOUNGEST
    assert max(ages) <= OLDEST
    assert all(isinstance(age, int) for age in ages)


@pytest.mark.parametrize("kind", [PORTRAIT, COUPLE, BLURRED, FACELESS])
@pytest.mark.parametrize("size", [(96, 96), (150, 170)])
def test_every_kind_is_a_photo_of_the_size_asked_for(kind, size):
    assert {photo(person, 30, number, kind, size).size for number, person in enumerate(PEOPLE[:6])} == {size}


def test_a_blurred_photo_is_less_sharp():
    blurred, sharp = (
        np.mean([np.abs(np.diff(pixels(who, 30, number, kind))).mean() for number, who in enumerate(PEOPLE[:12])])
        for kind in (BLURRED, PORTRAIT)
    )
    assert blurred < sharp


def test_age_is_to_be_seen():
    ages = ([pixels(person, age, number) for number, person in enumerate(PEOPLE[:40])] for age in (2, 30, 85))
    assert nearest_mean(*ages) > 0.5  # by chance: 0.33


def test_gender_is_to_be_seen_in_adults():
    genders = ([person for person in PEOPLE if person.gender == gender][:60] for gender in (FEMALE, MALE))
    assert nearest_mean(*([pixels(who, 30, n) for n, who in enumerate(group)] for group in genders)) > 0.6


def test_not_even_the_drawings_own_numbers_give_the_labels_away():
    """A linear model of everything that is drawn: far better than a guess, and far from perfect."""
    rng = np.random.default_rng(6)
    rows, labels = [], []
    for person in PEOPLE:
        for age in [person.age_on_photo(rng) for _ in range(6)]:
            values = vars(Look(person, age, rng)).values()
            rows.append(np.concatenate([[1.0], *map(np.atleast_1d, values)]).astype(float))
            labels.append((age, person.gender == FEMALE))
    features, (ages, women) = np.array(rows), np.array(labels, float).T
    half = len(rows) // 2
    by_age, by_gender = (np.linalg.lstsq(features[:half], label[:half], rcond=None)[0] for label in (ages, women))
    assert 3.0 < np.abs(features @ by_age - ages)[half:].mean() < 5.0
    assert 0.88 < ((features @ by_gender > 0.5) == women)[half:].mean() < 0.985
