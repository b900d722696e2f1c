"""Which arms a search chose, and which subjects may test them: those that had no vote in the choice."""

import re

from analysis.questions.winner import WINNER
from analysis.results.results import Arm, Results

ON_CHOOSERS = "on subjects that chose it"  # the mark of a verdict where all subjects had a vote
NO_VOTE = "subjects that had no vote in the choice; their clips were in its training"
# How a stage names what was chosen, behind its study's name where there are more.
_BEST = re.compile(r"(.*: )?trial \d+")
_WINNER = re.compile(rf"(.*: )?{WINNER}")


def chosen(results: Results, arm: Arm) -> bool:
    """Whether an arm's configuration was chosen by its scores: the best of a search, the winner, a change of it.

    A stage that has the winner among its arms is around it, whatever its rows are compared with.
    """
    names = [other.arm for other in results.metadata.arms if other.stage == arm.stage]
    if any(_WINNER.fullmatch(name) for name in names):
        return True
    own = {t.configuration for t in results.trials if (t.stage, t.arm) == (arm.stage, arm.arm)}
    return named_by_choice(arm.arm) and bool(own & searched(results))


def named_by_choice(arm: str) -> bool:
    """Whether a stage has named the arm as one that it was handed: the winner, or one of the best of a search."""
    return bool(_WINNER.fullmatch(arm) or _BEST.fullmatch(arm))


def searched(results: Results) -> set[str]:
    """The configurations that a search has tried."""
    return {trial.configuration for trial in results.trials if trial.arm is None}


def judges(results: Results) -> str:
    """By how many subjects a search's scores are, behind a mention of them; nothing where by all."""
    many = len(results.metadata.chosen_by)
    return f" on the {many} subjects that choose" if many else ""
