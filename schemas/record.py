"""What a source knows of one face before any photo is opened."""

from dataclasses import dataclass

FEMALE = "female"
MALE = "male"
GENDERS = (FEMALE, MALE)

TRAIN = "train"
VALIDATION = "validation"
TEST = "test"
SPLITS = (TRAIN, VALIDATION, TEST)

MAX_AGE = 100
"""The oldest age that is learned: DEX's 101 classes, 0 to 100 years (Rothe et al., ICCV Workshops 2015)."""

LABEL = "label_"
"""Begins the columns of the listing, and of predictions, that hold a table's own columns: those that are no label to learn."""


@dataclass(frozen=True, slots=True)
class FaceRecord:
    """One row of a source: a photo, where the face is on it, and what is known of the person.

    Attributes:
        row: number of the row in its source, from 0.
        source: name of the data set, for instance `imdb`.
        path: of the photo, relative to the photos of the source, with forward slashes; as the source has it, not checked.
        person: identity as `SOURCE:ID`; the same for every photo of a person.
        age: whole years; None if unknown. Not checked for range.
        age_class: name of the age class, for a source that has only classes; else None.
        gender: `female`, `male`, or None if unknown.
        box: face as (left, top, right, bottom) in pixels from the photo's upper left corner, right and bottom exclusive;
            None if the whole picture is the face.
        face_score: of the source's detector; -inf where it found no face; None if the source has no such score.
        second_face_score: of a second face on the photo; None if there is none.
        split: the split that the source itself gives; None if it gives none.
        own_labels: what a table's own columns say, those that the settings name, in their order; None for an empty field.
        malformed: why the row cannot be read; empty for a well-formed row.
    """

    row: int
    source: str
    path: str
    person: str
    age: int | None = None
    age_class: str | None = None
    gender: str | None = None
    box: tuple[float, float, float, float] | None = None
    face_score: float | None = None
    second_face_score: float | None = None
    split: str | None = None
    own_labels: tuple[str | None, ...] = ()
    malformed: str = ""
