"""What a step is, what it is told, and what it takes to run one."""

from components.step.execute import execute, newest
from components.step.step import Step, StepContext, Surroundings, Tracker

__all__ = ["Step", "StepContext", "Surroundings", "Tracker", "execute", "newest"]
