"""Which arms a search chose, and which subjects may test them: those that had no vote in the choice."""

import re

from analysis.results import Arm, Results
from analysis.winner import WINNER

ON_CHOOSERS = "on subjects that chose it"  # the mark of a verdict where all subjects had a vote
NO_VOTE = "subjects that had no vote in the choice; their clips were in its training"
_BEST = re.compile(
    r"trial \d+$"
)  # how a stage names the best of a search; behind its study's name where there are more


def chosen(results: Results, arm: Arm) -> bool:
    """Whether an arm's configuration was chosen by its scores: the winner, or one of the best of the search."""
    if arm.arm == WINNER:
        return True
    own = {t.configuration for t in results.trials if (t.stage, t.arm) == (arm.stage, arm.arm)}
    return _BEST.search(arm.arm) is not None and bool(own & searched(results))


def searched(results: Results) -> set[str]:
    """The configurations that a search has tried."""
    return {trial.configuration for trial in results.trials if trial.arm is None}
