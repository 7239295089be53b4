"""The DAG, as plain data: which steps there are. What feeds what, each step says itself.

    ingest -> validate -> train -> evaluate -> register -> score

`validate` stands before `train` as a gate; `evaluate` and `register` also read what `ingest` and `train` wrote.
"""

from collections.abc import Iterable, Sequence

from components import evaluate, ingest, register, score, train, validate
from components.step import Step
from schemas.error import VisageError

STEPS: tuple[Step, ...] = (
    ingest.STEP,
    validate.STEP,
    train.STEP,
    evaluate.STEP,
    register.STEP,
    score.STEP,
)


def named(name: str, steps: Sequence[Step] = STEPS) -> Step:
    """The step of that name.

    Raises:
        VisageError: there is none; the message says which there are.
    """
    for step in steps:
        if step.name == name:
            return step
    raise VisageError(
        f"There is no step {name}.", f"The steps are {', '.join(step.name for step in steps)}.", usage=True
    )


def in_order(steps: Iterable[Step]) -> list[Step]:
    """The steps, each after all that it reads from.

    Raises:
        ValueError: a step reads from one that is not among them, or they read from each other in a circle.
    """
    waiting, placed, order = list(steps), set[str](), list[Step]()
    while waiting:
        ready = [step for step in waiting if placed.issuperset(step.inputs)]
        if not ready:
            raise ValueError(
                f"no order for {', '.join(step.name for step in waiting)}: a circle, or an input is missing"
            )
        order += ready
        placed |= {step.name for step in ready}
        waiting = [step for step in waiting if step not in ready]
    return order
