"""Stages of the customer's journey: a planted monthly Markov chain, and what shows each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from data_generators.args import WorldArgs
from data_generators.randomness import Draws

Array = npt.NDArray[Any]

STAGES = ("Visitor", "Browser", "Converter", "Abandoner", "Return Visitor")
VISITOR, BROWSER, CONVERTER, ABANDONER, RETURN_VISITOR = range(5)

#: From last month's stage (row) to this month's (column).
CHANCES = np.array(
    [
        [0.55, 0.25, 0.0, 0.05, 0.15],
        [0.15, 0.52, 0.0, 0.18, 0.15],
        [0.06, 0.17, 0.0, 0.22, 0.55],
        [0.10, 0.22, 0.0, 0.53, 0.15],
        [0.08, 0.12, 0.0, 0.22, 0.58],
    ]
)
INITIAL = np.array([0.42, 0.34, 0.0, 0.10, 0.14])
#: Every row of the chain, and its beginning, where "stages" is off.
MEMORYLESS = np.array([0.24, 0.29, 0.0, 0.22, 0.25])
STRANGER = np.array([0.52, 0.33, 0.0, 0.09, 0.06])
BOT = np.array([0.15, 0.85, 0.0, 0.0, 0.0])


@dataclass(frozen=True)
class Transitions:
    """The planted monthly chain of stages: chances from last month's stage to this month's.

    ``chances`` is [5 x 5]; column CONVERTER is 0: a month with a tracked order is a Converter's
    whatever the chain says, and the next month starts from row CONVERTER.
    """

    chances: Array
    initial: Array  # [5]


def make_transitions(args: WorldArgs) -> Transitions:
    """The chain of this world: without memory where "stages" is off."""
    if "stages" in args.planted:
        return Transitions(CHANCES.copy(), INITIAL.copy())
    return Transitions(np.tile(MEMORYLESS, (len(STAGES), 1)), MEMORYLESS.copy())


def month_stages(
    draws: Draws, transitions: Transitions, first: int, begins: Array, converts: Array
) -> Array:
    """The chain's stage of each person in each month (int8 [persons x months]).

    Args:
        draws: the draws of the chain.
        transitions: the chain.
        first: the first month, as months since 1970-01.
        begins: the month in which each person's chain begins, counted from ``first``; before
            it the person shows the stage of the beginning.
        converts: bool [persons x months]: months with a tracked order. They decide the next
            month, not their own.
    """
    person = np.arange(len(begins))
    stages = np.empty(converts.shape, dtype=np.int8)
    begun = draws("initial").choice(transitions.initial, person)
    left = begun
    for month in range(converts.shape[1]):
        drawn = draws("next").choice_rows(transitions.chances[left], person, first + month)
        stage = np.where(month <= begins, begun, drawn)
        stages[:, month] = stage
        left = np.where(converts[:, month], CONVERTER, stage)
    return stages
