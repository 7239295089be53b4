"""The blessing: whether a model may go live. Every reason against it is a sentence."""

from collections.abc import Mapping, Sequence
from typing import Any

from components.evaluate.settings import BlessingSettings


def objections(
    measured: Mapping[str, Any],
    slices: Sequence[Mapping[str, Any]],
    champion: Mapping[str, Any] | None,
    asked: BlessingSettings,
) -> list[str]:
    """What speaks against a model; it is blessed where nothing does.

    Args:
        measured: its figures and the baseline's.
        slices: its figures by slice.
        champion: the champion's figures on the same faces; None where there is no champion.
        asked: the thresholds.
    """
    return [
        *_against_thresholds(measured, asked),
        *_against_slices(slices, asked),
        *(_against_champion(measured, champion, asked) if champion else ()),
    ]


def _against_thresholds(measured: Mapping[str, Any], asked: BlessingSettings) -> list[str]:
    reasons = []
    examples, mae, accuracy = measured["examples"], measured["age_mae"], measured["gender_accuracy"]
    baseline = measured["baseline_age_mae"]
    if examples < asked.min_examples:
        reasons.append(f"There are only {examples:,} test examples, {asked.min_examples:,} are asked for.")
    if measured["without_prediction"]:
        reasons.append(f"The estimator says no age of {measured['without_prediction']:,} of {examples:,} faces.")
    class_accuracy = measured["age_class_accuracy"]
    if mae is None and accuracy is None and class_accuracy is None:
        reasons.append("Nothing could be measured: the test split has no label that the estimator predicts.")
    if mae is not None and baseline is not None and mae > baseline * asked.max_baseline_ratio:
        reasons.append(
            f"The age MAE of {mae:.2f} years is {mae / baseline:.0%} of the baseline's {baseline:.2f}; at most "
            f"{asked.max_baseline_ratio:.0%} is asked for."
            if baseline
            else f"The age MAE is {mae:.2f} years, and the baseline makes no error at all."
        )
    baseline_class_accuracy = measured["baseline_age_class_accuracy"]
    if mae is None and class_accuracy is not None and baseline_class_accuracy is not None:
        wrong, baseline_wrong = 1 - class_accuracy, 1 - baseline_class_accuracy
        if wrong > baseline_wrong * asked.max_baseline_ratio:
            reasons.append(
                f"The age class is wrong for {wrong:.1%}, the baseline's for {baseline_wrong:.1%}; at most "
                f"{asked.max_baseline_ratio:.0%} of that is asked for."
            )
    if accuracy is not None and accuracy < asked.min_gender_accuracy:
        reasons.append(f"Gender is right for {accuracy:.1%}; {asked.min_gender_accuracy:.1%} is asked for.")
    return reasons


def _against_slices(slices: Sequence[Mapping[str, Any]], asked: BlessingSettings) -> list[str]:
    if asked.max_slice_mae is None:
        return []
    return [
        f"The age MAE of {held['slice']} {held['value']} is {held['age_mae']:.2f} years; at most {asked.max_slice_mae:.2f} "
        "is asked for in every slice."
        for held in slices
        if held["examples"] >= asked.min_slice_examples and (held["age_mae"] or 0) > asked.max_slice_mae
    ]


def _against_champion(measured: Mapping[str, Any], champion: Mapping[str, Any], asked: BlessingSettings) -> list[str]:
    reasons = []
    name = f"version {champion['version']}, the champion"
    mae, theirs = measured["age_mae"], champion["age_mae"]
    if theirs is not None and mae is not None and mae > theirs * (1 + asked.age_tolerance):
        reasons.append(
            f"The age MAE of {mae:.2f} years is worse than the {theirs:.2f} of {name}, by more than "
            f"{asked.age_tolerance:.0%}."
        )
    accuracy, theirs = measured["age_class_accuracy"], champion["age_class_accuracy"]
    same_classes = measured["age_classes"] == champion["age_classes"]
    if mae is None and same_classes and accuracy is not None and accuracy < theirs - asked.accuracy_tolerance:
        reasons.append(
            f"The age class is right for {accuracy:.1%}, less than the {theirs:.1%} of {name}, by more than "
            f"{asked.accuracy_tolerance:.1%}."
        )
    accuracy, theirs = measured["gender_accuracy"], champion["gender_accuracy"]
    if theirs is not None and accuracy is None:
        reasons.append(f"The estimator tells no gender, but {name}, does.")
    if theirs is not None and accuracy is not None and accuracy < theirs - asked.accuracy_tolerance:
        reasons.append(
            f"Gender is right for {accuracy:.1%}, less than the {theirs:.1%} of {name}, by more than "
            f"{asked.accuracy_tolerance:.1%}."
        )
    return reasons
