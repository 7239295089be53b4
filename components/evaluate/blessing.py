"""The blessing: whether a model may go live. Every reason against it is a sentence; README.md says why the rule is as it is."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from components.evaluate.metrics import LOWER_IS_BETTER
from components.evaluate.settings import BlessingSettings

_NAMES = {
    "age_mae": "age MAE",
    "age_class_accuracy": "share of right age classes",
    "gender_accuracy": "share of right genders",
}


def objections(measured: Mapping[str, Any], criteria: BlessingSettings) -> list[str]:
    """What speaks against a model; it is blessed where nothing does.

    Args:
        measured: what stands in metrics.json, but for the blessing itself.
        criteria: the thresholds and margins.
    """
    reasons = [*_against_thresholds(measured, criteria), *_against_slices(measured["slices"], criteria)]
    if criteria.beat_baseline:
        reasons += _against_baseline(measured, criteria)
    if measured.get("fresh_process"):
        reasons.append(measured["fresh_process"])
    if measured["champion"]:
        reasons += _against_champion(measured, measured["champion"], criteria)
    for reference in measured["references"]:
        reasons += _against_reference(measured, reference, criteria)
    return reasons


def _against_thresholds(measured: Mapping[str, Any], criteria: BlessingSettings) -> Iterator[str]:
    examples, mae, accuracy = measured["examples"], measured["age_mae"], measured["gender_accuracy"]
    if examples < criteria.min_examples:
        yield f"There are only {examples:,} test examples, {criteria.min_examples:,} are asked for."
    if measured["without_prediction"]:
        yield f"The estimator says no age of {measured['without_prediction']:,} of {examples:,} faces."
    if mae is None and accuracy is None and measured["age_class_accuracy"] is None:
        yield "Nothing could be measured: the test split has no label that the estimator predicts."
    if _beyond_ratio("age_mae", measured, criteria):
        baseline = measured["baseline_age_mae"]
        yield (
            f"The age MAE of {mae:.2f} years is {mae / baseline:.0%} of the baseline's {baseline:.2f}; at most "
            f"{criteria.max_baseline_ratio:.0%} is asked for."
            if baseline
            else f"The age MAE is {mae:.2f} years, and the baseline makes no error at all."
        )
    if mae is None and _beyond_ratio("age_class_accuracy", measured, criteria):
        yield (
            f"The age class is wrong for {1 - measured['age_class_accuracy']:.1%}, the baseline's for "
            f"{1 - measured['baseline_age_class_accuracy']:.1%}; at most {criteria.max_baseline_ratio:.0%} of that is asked for."
        )
    if accuracy is not None and accuracy < criteria.min_gender_accuracy:
        yield f"Gender is right for {accuracy:.1%}; {criteria.min_gender_accuracy:.1%} is asked for."


def _beyond_ratio(name: str, measured: Mapping[str, Any], criteria: BlessingSettings) -> bool:
    """Whether a figure's errors are too large a share of the baseline's."""
    value, baseline = measured[name], measured[f"baseline_{name}"]
    if value is None or baseline is None:
        return False
    if not LOWER_IS_BETTER[name]:
        value, baseline = 1 - value, 1 - baseline
    return value > baseline * criteria.max_baseline_ratio


def _against_slices(slices: Sequence[Mapping[str, Any]], criteria: BlessingSettings) -> list[str]:
    if criteria.max_slice_mae is None:
        return []
    return [
        f"The age MAE of {row['slice']} {row['value']} is {row['age_mae']:.2f} years; at most {criteria.max_slice_mae:.2f} "
        "is asked for in every slice."
        for row in slices
        if "age_mae" in row["judged_by"] and row["age_mae"] > criteria.max_slice_mae
    ]


def _against_baseline(measured: Mapping[str, Any], criteria: BlessingSettings) -> Iterator[str]:
    """Every figure that has a baseline must beat it, and whatever else could be said of every face alike."""
    for name in LOWER_IS_BETTER:
        ratio_applies = name == "age_mae" or (name == "age_class_accuracy" and measured["age_mae"] is None)
        if ratio_applies and _beyond_ratio(name, measured, criteria):
            continue  # what is too bad by the ratio has its sentence already
        constants = ("baseline", measured["baseline"][name]), ("hindsight", measured["hindsight"][name])
        sentences = (_unlike_constant(name, key, constant, measured[name]) for key, constant in constants if constant)
        yield from [sentence for sentence in sentences if sentence][:1]


def _unlike_constant(name: str, key: str, constant: Mapping[str, Any], value: float | None) -> str:
    """Why a figure is not shown to be better than always giving one answer; empty if it is."""
    if value is None:
        return ""
    answer = f"{constant['says']:g} years" if name == "age_mae" else constant["says"]
    who = f"the baseline, which always says {answer}" if key == "baseline" else f"always saying {answer}"
    objection = (
        f"The {_NAMES[name]} of {_amount(name, value)} is not shown to be better than the "
        f"{_amount(name, constant['figure'])} of {who}"
    )
    worse, low, high = _worse(name, constant)
    if low is None:
        return f"{objection}: the faces of {constant['persons']:,} persons have no interval."
    if high < 0:
        return ""
    if worse >= 0:
        return f"{objection}."
    ends = f"{_distance(name, constant['low'])} to {_distance(name, constant['high'])}"
    return f"{objection}: the 95 % interval of the difference is {ends}.{_persons_needed(constant, worse, high, 0)}"


def _against_champion(
    measured: Mapping[str, Any], champion: Mapping[str, Any], criteria: BlessingSettings
) -> Iterator[str]:
    name = f"version {champion['version']}, the champion"
    if not champion["compared"]:
        yield (
            f"It could not be held against {name}: {champion['why_not']} Whether it is better, a person must say: "
            "`visage models promote` makes it champion."
        )
        return
    for figure in LOWER_IS_BETTER:
        yield from _inferior(figure, measured, champion, name, _margin(figure, criteria))


def _against_reference(
    measured: Mapping[str, Any], reference: Mapping[str, Any], criteria: BlessingSettings
) -> Iterator[str]:
    if reference["compared"]:
        for figure in reference["best_in"]:
            name = f"version {reference['version']}, the best that was blessed so far"
            yield from _inferior(figure, measured, reference, name, _margin(figure, criteria))


def _margin(figure: str, criteria: BlessingSettings) -> float:
    return {
        "age_mae": criteria.age_margin_years,
        "age_class_accuracy": criteria.age_class_margin,
        "gender_accuracy": criteria.gender_margin,
    }[figure]


def _inferior(
    figure: str, measured: Mapping[str, Any], rival: Mapping[str, Any], name: str, margin: float
) -> Iterator[str]:
    """Why a figure is not shown to be at most a margin worse than a rival's."""
    difference = rival["differences"].get(figure)
    if difference is None:  # the rival does not predict it, or predicts other classes
        return
    if measured[figure] is None:
        yield f"The estimator tells no {'gender' if figure == 'gender_accuracy' else 'age'}, but {name}, does."
        return
    ours = f"{_NAMES[figure]} of {_amount(figure, measured[figure])}"
    theirs = f"the {_amount(figure, rival[figure])} of {name}"
    worse, low, high = _worse(figure, difference)
    if low is None:
        yield f"The {ours} cannot be held against {theirs}: the faces of {difference['persons']:,} persons have no interval."
    elif worse > margin:
        yield (
            f"The {ours} is worse than {theirs}: by {_distance(figure, worse)}, 95 % interval {_distance(figure, low)} to "
            f"{_distance(figure, high)}, where {_distance(figure, margin)} is allowed."
        )
    elif high > margin:
        yield (
            f"The test set is too small to judge whether the {ours} is as good as {theirs}: it may be worse by up to "
            f"{_distance(figure, high)} (95 % interval of the difference), where {_distance(figure, margin)} is allowed."
            f"{_persons_needed(difference, worse, high, margin)}"
        )


def _worse(figure: str, difference: Mapping[str, Any]) -> tuple[float, Any, Any]:
    """By how much a figure is worse than another, and the ends of the interval; below 0 it is better."""
    value, low, high = difference["value"], difference["low"], difference["high"]
    if LOWER_IS_BETTER[figure] or low is None:
        return value or 0, low, high
    return -value, -high, -low


def _persons_needed(difference: Mapping[str, Any], worse: float, high: float, margin: float) -> str:
    """How many persons would tell, were the difference what it seems: intervals narrow with the root of the number."""
    persons, needed = difference["persons"], math.inf
    if margin > worse:
        needed = max(persons * ((high - worse) / (margin - worse)) ** 2, persons + 1)
    if needed > 1e7:
        return ""
    unit = 10 ** max(int(math.log10(needed)) - 1, 0)
    return f" The test set has {persons:,} persons; about {math.ceil(needed / unit) * unit:,} would tell."


def _amount(figure: str, value: float) -> str:
    return f"{value:.2f} years" if figure == "age_mae" else f"{value:.1%}"


def _distance(figure: str, value: float) -> str:
    return f"{value:.2f} years" if figure == "age_mae" else f"{value * 100:.1f} points"
