"""Photos are drawn as the shots say."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from pipeline.demo import scene
from pipeline.demo.people import invent
from schemas.record import FEMALE, MALE


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(1)
    return [invent(number, rng) for number in range(1, 301)]


def shot_of(person, age, number=0, kind=scene.PORTRAIT, size=(120, 120)):
    width, height = size
    return scene.Shot(person, age, 1990, kind, width, height, seed=(1, number))


def pixels(shot):
    photo = ImageOps.exif_transpose(Image.open(io.BytesIO(scene.take(shot))))
    return np.asarray(photo.convert("L").resize((20, 20), Image.Resampling.BOX), float).ravel()


def nearest_mean(classes):
    """Share of pictures that are nearest to the mean picture of their own class, means and pictures from other persons."""
    brightened = [[(one - one.mean()) / one.std() for one in pictures] for pictures in classes]
    means = [np.mean(pictures[::2], axis=0) for pictures in brightened]
    right = [
        np.argmin([np.abs(picture - mean).mean() for mean in means]) == index
        for index, pictures in enumerate(brightened)
        for picture in pictures[1::2]
    ]
    return np.mean(right)


@pytest.mark.parametrize("kind", [scene.PORTRAIT, scene.COUPLE, scene.BLURRED, scene.FACELESS])
@pytest.mark.parametrize("size", [(96, 96), (150, 170)])
def test_every_kind_is_a_photo_of_the_size_asked_for(people, kind, size):
    for number in range(6):
        photo = Image.open(io.BytesIO(scene.take(shot_of(people[number], 30, number, kind, size))))
        photo.load()
        assert ImageOps.exif_transpose(photo).size == size


def test_the_same_shot_is_the_same_file_and_another_seed_another(people):
    shots = [shot_of(people[0], 30, number) for number in (1, 1, 2)]
    first, again, other = (scene.take(shot) for shot in shots)
    assert first == again != other


def test_a_blurred_photo_is_less_sharp(people):
    def sharpness(kind):
        return np.mean([np.abs(np.diff(pixels(shot_of(people[n], 30, n, kind)))).mean() for n in range(12)])

    assert sharpness(scene.BLURRED) < sharpness(scene.PORTRAIT)


def test_age_is_to_be_seen(people):
    classes = [[pixels(shot_of(person, age, n)) for n, person in enumerate(people[:60])] for age in (2, 30, 85)]
    assert nearest_mean(classes) > 0.5  # by chance: 0.33


def test_gender_is_to_be_seen_in_adults(people):
    genders = [[person for person in people if person.gender == gender][:60] for gender in (FEMALE, MALE)]
    assert nearest_mean([[pixels(shot_of(p, 30, n)) for n, p in enumerate(group)] for group in genders]) > 0.6
