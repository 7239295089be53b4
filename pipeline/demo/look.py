"""What is to be seen of a person on one photo: how age and gender show in a face.

After what anthropometry and the study of ageing describe (Farkas, Anthropometry of the Head and Face, 1994; Todd et al., The
perception of human growth, Scientific American 242, 1980): a child's eyes are large and lie low under a high forehead, nose and
chin grow last; from about 25 years on lines deepen, lids and cheeks sink, lips grow thin, nose and ears long, hair grey.
All of it scatters from person to person and from photo to photo, so that neither label can be read off without error.
"""

import math
from dataclasses import dataclass
from typing import Any

from pipeline.demo.people import Person
from schemas.record import FEMALE

Colour = tuple[int, int, int]

SKIN: list[Colour] = [(255, 226, 205), (247, 205, 174), (229, 178, 139), (201, 143, 102), (152, 97, 65), (98, 62, 44)]
HAIR: list[Colour] = [(34, 27, 25), (62, 42, 32), (98, 66, 42), (142, 98, 56), (206, 168, 104), (158, 74, 36)]
EYES: list[Colour] = [(84, 54, 34), (120, 84, 46), (86, 112, 74), (84, 124, 158)]
GREY: Colour = (206, 205, 203)
WHITE: Colour = (250, 248, 244)
BLACK: Colour = (18, 14, 14)


@dataclass(frozen=True, slots=True)
class Look:
    """A face as it is drawn. Lengths are in half widths of an adult's head, strengths from 0 to 1.

    The head's middle is the origin, x grows to the right and y downwards.
    """

    skin: Colour
    hair: Colour
    brow: Colour
    iris: Colour
    lip: Colour
    cloth: Colour
    # Proportions
    width: float
    crown: float
    chin: float
    jaw: float
    taper: float
    eye_y: float
    eye_x: float
    eye_width: float
    eye_height: float
    nose_y: float
    nose_width: float
    mouth_y: float
    mouth_width: float
    lips: float
    brow_height: float
    brow_thickness: float
    ear: float
    neck: float
    shoulders: float
    # Age
    forehead_lines: float
    crows_feet: float
    nose_folds: float
    eye_bags: float
    mouth_folds: float
    jowls: float
    droop: float
    spots: float
    blush: float
    # Hair
    hair_length: float
    hair_volume: float
    curl: float
    fringe: float
    parting: float
    receding: float
    bald: float
    beard: float
    stubble: float
    # Adornment and expression
    lashes: float
    glasses: bool
    earrings: bool
    collar: bool
    smile: float
    teeth: bool
    gaze: float


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """The colour `share` of the way from one to the other."""
    share = min(max(share, 0.0), 1.0)
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def look_of(person: Person, age: float, rng: Any) -> Look:
    """What is seen of a person of this age (years) on one photo; `rng` gives what differs from photo to photo."""

    def scatter(deviation: float) -> float:
        return float(rng.normal(0, deviation))

    # Nobody looks their age: persons are off by some 8 % for life, and by 3 % from day to day.
    apparent = max(0.3, age * (1 + person.looks_older + scatter(0.03)) + scatter(0.6))

    def grown(start: float, span: float, spread: float = 4.0) -> float:
        """How far a sign of age has come that sets in at `start` years and is complete `span` years later."""
        return min(max((apparent + scatter(spread) - start) / span, 0.0), 1.0)

    female = person.gender == FEMALE
    child = math.exp(-apparent / 6.5)
    adult = _rise((apparent - 14.5) / 1.6)
    male = person.features * adult
    grey = _rise((apparent + scatter(2) - person.greying) / 5.5)
    if person.dyes and apparent < 78:
        grey *= 0.25
    bald = person.balding * _rise((apparent - 46) / 9)
    natural = HAIR[person.hair]
    # Fair children darken as they grow up.
    hair = mix(mix(natural, (226, 190, 128), 0.8 * child if person.hair >= 2 else 0.0), GREY, grey)
    hair = mix(hair, SKIN[2], 0.6 * math.exp(-apparent / 0.9))
    tone = person.skin * (len(SKIN) - 1)
    skin = mix(SKIN[int(tone)], SKIN[min(int(tone) + 1, len(SKIN) - 1)], tone % 1)
    skin = mix(skin, (198, 172, 148) if person.skin < 0.5 else (120, 100, 86), 0.4 * grown(24, 60))
    length = person.hair_length * (0.75 + 0.25 * adult if female else 1.0)
    if female and apparent > 55:
        length *= 1 - 0.35 * grown(55, 25)
    if apparent < 3.5:
        length *= apparent / 3.5
    made_up = person.make_up * adult * (rng.random() < 0.85)
    bearded = person.beard * (rng.random() < 0.9) if apparent > 19 else 0.0
    return Look(
        skin=skin,
        hair=hair,
        brow=mix(mix(natural, skin, 0.15 + 0.35 * child), GREY, 0.75 * grey),
        iris=EYES[person.eyes],
        lip=mix(mix(skin, (178, 76, 76), 0.38 - 0.15 * grown(40, 45)), (184, 34, 58), 0.75 * made_up),
        cloth=_cloth(female, rng),
        width=1.0 + person.width + 0.04 * child + 0.03 * male,
        crown=1.3 - 0.04 * child,
        chin=1.3 - 0.30 * child + person.chin + 0.05 * male,
        jaw=2.25 + 0.28 * male + 0.15 * child + scatter(0.08),
        taper=0.13 - 0.05 * male - 0.10 * child + scatter(0.02),
        eye_y=-0.06 + 0.33 * child + scatter(0.015),
        eye_x=0.42 + person.spacing + 0.02 * child,
        eye_width=0.19 + 0.06 * child - 0.008 * male - 0.02 * grown(35, 50),
        eye_height=(0.098 + 0.085 * child - 0.012 * male) * (1 - 0.3 * grown(30, 55)) + scatter(0.008),
        nose_y=0.46 - 0.02 * child + 0.03 * male + 0.07 * grown(35, 55),
        nose_width=(0.20 + 0.025 * male - 0.06 * child) * (1 + person.nose) + 0.03 * grown(40, 50),
        mouth_y=0.80 - 0.04 * child + 0.02 * male,
        mouth_width=0.36 - 0.12 * child + 0.02 * male + scatter(0.02),
        lips=(0.105 - 0.025 * male - 0.01 * child + 0.02 * made_up) * (1 - 0.5 * grown(28, 55)),
        brow_height=0.24 - 0.035 * male + 0.03 * child + scatter(0.015),
        brow_thickness=max(0.02, 0.055 + 0.022 * male - 0.02 * child + 0.01 * grown(50, 40) + scatter(0.006)),
        ear=0.22 - 0.03 * child + 0.07 * grown(35, 55),
        neck=0.52 + 0.09 * male - 0.14 * child,
        shoulders=1.75 + 0.18 * male - 0.5 * child,
        forehead_lines=grown(28, 42),
        crows_feet=grown(26, 40),
        nose_folds=grown(18, 40),
        eye_bags=grown(24, 42),
        mouth_folds=grown(42, 38),
        jowls=grown(45, 42),
        droop=grown(32, 50),
        spots=grown(55, 32),
        blush=0.5 * child + 0.3 * made_up + 0.25 * (1 - grown(18, 35)),
        hair_length=max(0.0, length + scatter(0.08)),
        hair_volume=(0.05 + 0.10 * min(apparent / 3, 1)) * (1 - 0.35 * grown(50, 40)) * (1 + person.curl)
        + 0.02 * rng.random(),
        curl=person.curl,
        fringe=float(person.fringe) * (1 - bald) * (0.6 + 0.4 * rng.random()),
        parting=scatter(0.6),
        receding=min(1.0, 1.3 * bald + 0.9 * max(0.0, 1 - apparent / 2.5) + 0.1 * rng.random()),
        bald=max(0.0, 2.2 * bald - 0.75),
        beard=bearded if bearded > 0.45 else 0.0,
        stubble=0.0 if female or rng.random() < 0.4 else adult * rng.random() * (0.5 + 0.5 * (person.beard > 0)),
        lashes=max(0.05, 0.22 - 0.13 * male + scatter(0.06)) + 0.6 * made_up,
        glasses=bool(rng.random() < person.glasses * min(1.0, 0.1 + apparent / 60)),
        earrings=bool(female and adult > 0.5 and rng.random() < 0.35),
        collar=bool(rng.random() < (0.12 if female else 0.35) * adult),
        smile=float(rng.beta(1.6, 1.6)),
        teeth=bool(rng.random() < 0.3),
        gaze=scatter(0.25),
    )


def _rise(x: float) -> float:
    """The logistic curve, from 0 to 1."""
    return 1 / (1 + math.exp(-x))


def _cloth(female: bool, rng: Any) -> Colour:
    """Any colour; more often than not a bright one for women and a dark one for men."""
    red, green, blue = (int(value) for value in rng.integers(25, 200, 3))
    bright = female == (rng.random() < 0.75)
    return mix((red, green, blue), (236, 150, 160) if bright else (52, 60, 84), 0.42)
