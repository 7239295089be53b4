"""Who is on the drawn photos: made-up persons and what stays theirs from the cradle to old age."""

import datetime
from dataclasses import dataclass
from typing import Any

from schemas.record import FEMALE, MALE

FEMALE_SHARE = 0.45
"""Nearer to half than in wiki.mat (20 %), so that a constant guess at the gender is a plain yardstick."""

YOUNGEST, OLDEST = 1, 95

_FIRST = {
    FEMALE: (
        "Ada",
        "Alba",
        "Cleo",
        "Edda",
        "Elin",
        "Fleur",
        "Hedda",
        "Inès",
        "Juno",
        "Lene",
        "Mila",
        "Oda",
        "Pia",
        "Tove",
        "Ysé",
    ),
    MALE: (
        "Abel",
        "Arno",
        "Bo",
        "Dário",
        "Emil",
        "Falk",
        "Götz",
        "Henk",
        "Knut",
        "Luca",
        "Nils",
        "Pál",
        "Rémy",
        "Tibor",
        "Ugo",
    ),
}
_LAST = (
    ("B", "Br", "D", "F", "Gr", "H", "K", "Kl", "L", "M", "N", "P", "R", "S", "St", "T", "V", "Z"),
    ("a", "ä", "e", "ei", "i", "o", "ö", "u", "au"),
    ("ber", "der", "gau", "lin", "mann", "nek", "ren", "sen", "sky", "ta", "ter", "vik", "zel"),
)


@dataclass(frozen=True, slots=True)
class Person:
    """One made-up person: what is the same on all their photos.

    Attributes:
        number: as in IMDB's `nm0000123`.
        name: made up.
        gender: `female` or `male`.
        birth: day of birth.
        centre: the age around which their photos were taken, years.
        looks_older: share of the age by which they look older (or, below 0, younger) than they are.
        features: how female (below 0) or male (above 0) jaw, brows, nose and lips are; the genders overlap.
        skin: from 0, fair, to 1, deep.
        hair: index of the natural hair colour in `look.HAIR`.
        eyes: index of the eye colour in `look.EYES`.
        curl: of the hair, from 0, straight, to 1.
        width, chin, spacing, nose: proportions of the face, deviations around 0.
        hair_length: in adult years: 0 cropped, 1 to the chin, 2 to the shoulders and below.
        fringe: whether hair falls on the forehead.
        greying: age at which half of the hair is grey.
        balding: from 0, never, to 1, early.
        dyes: whether grey hair is coloured.
        beard: from 0, always shaven, to 1, a full beard.
        make_up: from 0, none, to 1.
        glasses: from 0, never, to 1, always.
    """

    number: int
    name: str
    gender: str
    birth: datetime.date
    centre: float
    looks_older: float
    features: float
    skin: float
    hair: int
    eyes: int
    curl: float
    width: float
    chin: float
    spacing: float
    nose: float
    hair_length: float
    fringe: bool
    greying: float
    balding: float
    dyes: bool
    beard: float
    make_up: float
    glasses: float


def invent(number: int, rng: Any) -> Person:
    """A person drawn at random with the numpy generator `rng`."""
    gender = FEMALE if rng.random() < FEMALE_SHARE else MALE
    female = gender == FEMALE
    skin = float(rng.beta(1.1, 1.6))
    # Most people have dark hair; fair and red hair go with fair skin.
    hair = (
        int(rng.choice(6, p=[0.16, 0.22, 0.26, 0.16, 0.13, 0.07])) if skin < 0.4 else int(rng.choice(2, p=[0.8, 0.2]))
    )
    eyes = int(rng.choice(4, p=[0.35, 0.2, 0.2, 0.25])) if skin < 0.35 else int(rng.choice(2, p=[0.7, 0.3]))
    if female:
        hair_length = float(rng.choice([0.25, 0.9, 1.7], p=[0.08, 0.27, 0.65]) + rng.uniform(-0.25, 0.4))
    else:
        hair_length = float(rng.choice([0.1, 0.8, 1.6], p=[0.92, 0.05, 0.03]) + rng.uniform(-0.1, 0.3))
    return Person(
        number=number,
        name=_name(gender, rng),
        gender=gender,
        birth=datetime.date(int(rng.integers(1895, 1996)), int(rng.integers(1, 13)), int(rng.integers(1, 29))),
        centre=float(YOUNGEST + (OLDEST - YOUNGEST) * rng.beta(1.7, 2.8)),
        looks_older=float(rng.normal(0, 0.08)),
        features=float(rng.normal(-0.95 if female else 0.95, 0.6)),
        skin=skin,
        hair=hair,
        eyes=eyes,
        curl=float(rng.beta(0.7, 1.4)) if skin < 0.65 else float(rng.beta(1.6, 0.8)),
        width=float(rng.normal(0, 0.045)),
        chin=float(rng.normal(0, 0.06)),
        spacing=float(rng.normal(0, 0.025)),
        nose=float(rng.normal(0, 0.15)),
        hair_length=max(0.0, hair_length),
        fringe=bool(rng.random() < (0.3 if female else 0.15)),
        greying=float(rng.normal(53, 8)),
        balding=float(rng.beta(0.4, 6) if female else rng.beta(1.1, 1.3)),
        dyes=bool(rng.random() < (0.35 if female else 0.05)),
        beard=0.0 if female or rng.random() < 0.4 else float(rng.beta(1.2, 1.3)),
        make_up=float(rng.beta(1.6, 1.1)) if female else 0.0,
        glasses=float(rng.beta(0.35, 1.2)),
    )


def age_on_photo(person: Person, rng: Any) -> int:
    """An age at which this person was photographed, years."""
    age = abs(rng.normal(person.centre, 11) - YOUNGEST) + YOUNGEST
    return round(min(age, 2 * OLDEST - age))


def _name(gender: str, rng: Any) -> str:
    return f"{rng.choice(_FIRST[gender])} {''.join(str(rng.choice(syllables)) for syllables in _LAST)}"
