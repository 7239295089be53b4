"""Made-up persons, and how age and gender show in their faces.

After what anthropometry and the study of ageing describe (Farkas, Anthropometry of the Head and Face, 1994; Todd et al., The
perception of human growth, Scientific American 242, 1980): a child's eyes are large and lie low under a high forehead, nose and
chin grow last; from about 25 years on lines deepen, lids and cheeks sink, lips grow thin, nose and ears long, hair grey.
All of it scatters from person to person and from photo to photo, so that neither label can be read off without error.
"""

import math
from datetime import date
from typing import Any

import numpy as np

from schemas.record import FEMALE, MALE

Colour = tuple[int, int, int]

FEMALE_SHARE = 0.45  # nearer to half than in wiki.mat (20 %), so that a constant guess is a plain yardstick
YOUNGEST, OLDEST = 1, 95  # years
FIRST_NAMES = {
    FEMALE: "Ada Cleo Edda Elin Inès Juno Mila Oda Pia Ysé",
    MALE: "Abel Bo Dário Emil Götz Knut Luca Nils Ugo",
}
LAST_NAMES = (
    "B Br D F Gr H K Kl L M N P R S St T V Z",
    "a ä e ei i o ö u au",
    "ber gau lin mann ren sen sky ta ter vik",
)
SKIN: list[Colour] = [(255, 226, 205), (247, 205, 174), (229, 178, 139), (201, 143, 102), (152, 97, 65), (98, 62, 44)]
HAIR: list[Colour] = [(34, 27, 25), (62, 42, 32), (98, 66, 42), (142, 98, 56), (206, 168, 104), (158, 74, 36)]
EYES: list[Colour] = [(84, 54, 34), (120, 84, 46), (86, 112, 74), (84, 124, 158)]
GREY, WHITE, SALLOW = (180, 179, 177), (250, 248, 244), (178, 152, 128)
RED, SHADOW, BLACK = (184, 34, 58), (78, 34, 28), (18, 14, 14)


class Person:
    """A made-up person; the same number and seed give the same one."""

    def __init__(self, number: int, seed: int) -> None:
        self.number = number  # as in IMDB's nm0000123
        self.seed = (seed, number)  # of all that stays theirs for life
        rng = np.random.default_rng(self.seed)
        self.gender = FEMALE if rng.random() < FEMALE_SHARE else MALE
        first, *last = (rng.choice(part.split()) for part in (FIRST_NAMES[self.gender], *LAST_NAMES))
        self.name = f"{first} {''.join(last)}"
        self.birth = date(int(rng.integers(1895, 1996)), int(rng.integers(1, 13)), int(rng.integers(1, 29)))
        self.famous_at = YOUNGEST + (OLDEST - YOUNGEST) * rng.beta(1.7, 2.8)  # age around which they were photographed

    def year_at(self, age: int) -> int:
        """The year in which they are this old by the data set's rule, which takes photos as taken in mid-year."""
        return self.birth.year + age + (self.birth.month >= 7)

    def age_on_photo(self, rng: Any) -> int:
        """An age at which they were photographed, years."""
        age = abs(rng.normal(self.famous_at, 11) - YOUNGEST) + YOUNGEST
        return round(min(age, 2 * OLDEST - age))


class Look:
    """What is seen of a person of some age (years) on one photo; `rng` gives what differs from photo to photo.

    Lengths are in half widths of an adult's head, strengths from 0 to 1.
    """

    def __init__(self, person: Person, age: float, rng: Any) -> None:
        own = np.random.default_rng((*person.seed, 1))  # gives what does not
        female = person.gender == FEMALE
        # Nobody looks their age: persons are off by some 6 % for life, and by 3 % from day to day.
        apparent = max(0.3, age * (1 + own.normal(0, 0.06) + rng.normal(0, 0.03)) + rng.normal(0, 0.6))
        adult = _share(apparent, 14.5, 1.6)
        self.child = child = math.exp(-apparent / 8)  # 1 at birth, near 0 in adults
        # How male the features are: from about -2 to 2, near 0 in children.
        self.male = male = adult * own.normal(-0.95 if female else 0.95, 0.6)
        # Strength of the lines that come from 25 years on, and of what sinks, thins and lengthens in old age.
        self.lined, self.sagging = np.clip((apparent + rng.normal(0, 2, 2) - (24, 42)) / 45, 0, 1)
        self.make_up = adult * rng.beta(1.6, 1.1) * (rng.random() < 0.85) if female else 0.0
        self.smile = rng.beta(1.6, 1.6)
        self.glasses = rng.random() < own.beta(0.35, 1.2) * min(1.0, 0.1 + apparent / 60)

        tone = own.beta(1.1, 1.6) * 4.99
        self.skin = mix(mix(SKIN[int(tone)], SKIN[int(tone) + 1], tone % 1), SALLOW, 0.45 * self.lined)
        self.lip = mix(mix(self.skin, RED, 0.3 - 0.15 * self.sagging), RED, 0.75 * self.make_up)
        # Most people have dark hair and eyes; other colours go with fair skin, and fair children darken as they grow up.
        hair, iris = own.integers((6, 4) if tone < 2 and own.random() < 0.8 else (2, 2))
        self.iris = EYES[iris]
        grey = _share(apparent + rng.normal(0, 2), own.normal(53, 8), 5.5)
        self.hair = mix(
            mix(HAIR[hair], (226, 190, 128), 0.8 * child * (hair >= 2)), mix(GREY, WHITE, self.sagging), grey
        )
        self.cloth = mix(HAIR[rng.integers(6)], (236, 150, 160) if female else (52, 60, 84), rng.uniform(0, 0.6))
        # 0 is cropped, 1 to the chin, 2 below the shoulders.
        length = abs(own.normal(1.5, 0.5) if own.random() < (0.9 if female else 0.06) else own.normal(0, 0.25))
        self.hair_length = length * min(1.0, apparent / 4) * (1 - 0.35 * self.sagging)
        self.bald = _share(apparent, 46, 9) * (own.beta(0.4, 6) if female else own.beta(1.1, 1.3))
        self.beard = max(0.0, own.uniform(-1, 1)) * (not female and apparent > 19)

        self.width = 1 + own.normal(0, 0.045) + 0.04 * child + 0.03 * male
        # Heights from the head's middle downwards.
        self.eye_y = -0.06 + 0.36 * child
        self.nose_y = 0.46 - 0.02 * child + 0.03 * male + 0.1 * self.sagging
        self.mouth_y = 0.8 - 0.04 * child + 0.02 * male
        self.chin_y = 1.3 - 0.3 * child + 0.05 * male + own.normal(0, 0.06)

    def shade(self, strength: float) -> Colour:
        """The skin in a shadow of this strength."""
        return mix(self.skin, SHADOW, strength)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """The colour `share` of the way from one to the other."""
    red, green, blue = (round(a + (b - a) * float(share)) for a, b in zip(first, second, strict=True))
    return red, green, blue


def _share(age: float, middle: float, spread: float) -> float:
    """The share of people in whom something has come at this age: a logistic curve, one half at the age `middle`."""
    return 1 / (1 + math.exp((middle - age) / spread))
