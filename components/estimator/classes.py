"""Age classes: what an estimator tells in place of years, where its recipe gave it edges."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np

from schemas.shard import Shard


@dataclass(frozen=True)
class AgeClasses:
    """Classes of age, youngest first.

    Attributes:
        names: of the classes.
        edges: ages at which a new class begins, years; one fewer than there are names.
    """

    names: tuple[str, ...]
    edges: tuple[int, ...]

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> Self | None:
        """The classes of an estimator, by its `metadata`; None where it tells years."""
        age = metadata["settings"]["age"]
        edges = tuple(age.get("edges") or ())
        if not edges:
            return None
        bounds = [age["lowest"], *edges, age["highest"] + 1]
        ranges = (f"{first}-{after - 1}" for first, after in pairwise(bounds))
        return cls(tuple(age.get("classes") or ranges), edges)

    def name(self, age: float | None) -> str | None:
        """The class of an age in years; None for an unknown one."""
        if age is None or np.isnan(age):
            return None
        return self.names[int(np.searchsorted(self.edges, age, side="right"))]

    def numbered(self, number: int) -> str | None:
        """The class of a number from 0, as `Predictions.age_class` gives it; None for -1."""
        return self.names[number] if number >= 0 else None

    def known(self, age_class: str | None, age: int | None) -> str | None:
        """The class of an example that has a class, an age, or neither; None also for a class of another name."""
        return age_class if age_class in self.names else self.name(age)

    def most_frequent(self, shards: Iterable[Shard]) -> str | None:
        """The class that most examples have; None where none has any."""
        counts = Counter[str]()
        for shard in shards:
            counts.update({name: count for name, count in shard.age_classes.items() if name in self.names})
            for age, count in shard.ages.items():
                counts[self.names[int(np.searchsorted(self.edges, age, side="right"))]] += count
        return max(counts, key=lambda name: counts[name]) if counts else None
