"""What can be said without looking at the face: the same of everyone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import pandas as pd

from components.estimator.classes import AgeClasses
from components.evaluate.predictions import at_least_column
from schemas.record import FEMALE, MAX_AGE
from schemas.shard import Shard


@dataclass(frozen=True)
class Baseline:
    """What can be said without looking at the face: the same of everyone.

    Attributes:
        age: median age of a split, years; the constant with the smallest mean absolute error there.
        age_class: its most frequent age class; None where the estimator has no classes.
        gender: its more frequent gender.
        ages: number of its examples by age in years, from which follow an interval and probabilities.
        female: its share of women.
    """

    age: float | None
    age_class: str | None
    gender: str | None
    ages: Mapping[int, int] = field(default_factory=dict, compare=False)
    female: float = field(default=float("nan"), compare=False)

    @classmethod
    def of(cls, shards: Sequence[Shard], classes: AgeClasses | None) -> Self:
        """From the index of the training split's shards."""
        ages, genders = Counter[int](), Counter[str]()
        for shard in shards:
            ages.update(shard.ages)
            genders.update(shard.genders)
        age = float(np.median(np.repeat(list(ages), list(ages.values())))) if ages else None
        gender = max(genders, key=lambda gender: genders[gender]) if genders else None
        female = genders[FEMALE] / genders.total() if genders else float("nan")
        return cls(age, classes.most_frequent(shards) if classes else None, gender, ages, female)

    @classmethod
    def in_hindsight(cls, faces: pd.DataFrame, classes: AgeClasses | None) -> Self:
        """The constants that are right most often on the test faces themselves.

        No model can be told to say them, but one that says the same of every face may happen to: it must not pass for one that
        looks. Of genders this is the no-information rate (Kuhn, "Building Predictive Models in R Using the caret Package",
        Journal of Statistical Software 2008).
        """
        ages, age_classes, genders = (faces[label].dropna() for label in ("age", "age_class", "gender"))
        return cls(
            float(ages.median()) if len(ages) else None,
            str(age_classes.mode()[0]) if classes and len(age_classes) else None,
            str(genders.mode()[0]) if len(genders) else None,
        )

    def predictions(self, faces: pd.DataFrame, thresholds: Sequence[int] = ()) -> pd.DataFrame:
        """The faces with what the baseline says of them in the place of predictions.

        Its 90 % interval and the probabilities of ages are those of the split's ages, of which each year counts as one example
        more than it has, so that none is impossible.

        Args:
            faces: predictions.
            thresholds: ages, years; for each a column says how probable it is that a face is so old.
        """
        low = high = np.nan
        at_least = {at_least_column(years): np.nan for years in thresholds}
        log_probability = np.full(len(faces), np.nan)
        if self.ages:
            counts = np.array([self.ages.get(age, 0) for age in range(MAX_AGE + 1)])
            low, high = np.percentile(np.repeat(np.arange(MAX_AGE + 1), counts), [5, 95])
            share = (counts + 1) / (counts + 1).sum()
            at_least = {at_least_column(years): share[years:].sum() for years in thresholds}
            ages = faces["age"].to_numpy(np.float64)
            known = np.nan_to_num(ages).astype(int).clip(0, MAX_AGE)
            log_probability = np.where(np.isnan(ages), np.nan, np.log(share[known]))
        return faces.assign(
            age_log_probability=log_probability,
            predicted_age=np.nan if self.age is None else self.age,
            predicted_age_low=low,
            predicted_age_high=high,
            predicted_age_class=self.age_class,
            predicted_female=self.female,
            predicted_gender=self.gender,
            **at_least,
        )
