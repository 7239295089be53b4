"""Age classes of an estimator: their names, and which one an age or a number means."""

from components.estimator.classes import AgeClasses
from schemas.shard import Shard


class TestAgeClasses:
    meaning = staticmethod(
        lambda **age: {"settings": {"age": {"lowest": 0, "highest": 100, "edges": [], "classes": [], **age}}}
    )

    def test_an_estimator_of_years_has_none(self):
        assert AgeClasses.of(self.meaning()) is None

    def test_are_named_by_their_ranges_where_they_have_no_names(self):
        classes = AgeClasses.of(self.meaning(edges=[30, 45, 60]))
        assert classes is not None
        assert classes.names == ("0-29", "30-44", "45-59", "60-100")
        assert [classes.name(age) for age in (0, 29.9, 30, 100, float("nan"))] == [
            "0-29",
            "0-29",
            "30-44",
            "60-100",
            None,
        ]

    def test_are_numbered_from_the_youngest(self):
        classes = AgeClasses(("YOUNG", "OLD"), (40,))
        assert [classes.numbered(number) for number in (0, 1, -1)] == ["YOUNG", "OLD", None]

    def test_a_class_of_another_name_is_unknown(self):
        classes = AgeClasses(("YOUNG", "OLD"), (40,))
        assert classes.known("TEEN", None) is None
        assert classes.known("OLD", None) == "OLD"
        assert classes.known(None, 12) == "YOUNG"

    def test_the_most_frequent_one_counts_ages_and_names(self):
        classes = AgeClasses(("YOUNG", "OLD"), (40,))
        shards = [Shard("a", 6, 0, ages={12: 1, 50: 2}, age_classes={"YOUNG": 2, "TEEN": 9})]
        assert classes.most_frequent(shards) == "YOUNG"
        assert classes.most_frequent([]) is None
