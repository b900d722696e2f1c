"""What went wrong, for the person who must mend it."""

from collections.abc import Sequence

_MOST_PROBLEMS = 20  # of one input: more of them help nobody, and 20,000 fill a terminal
_LONGEST = 60  # characters of a value in a sentence


class UserError(Exception):
    """A mistake in what the user gave: every problem found, each with what was wrong, where, and what would be right.

    The command line prints the problems without a traceback and ends with exit code 2.
    """

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


def first_of(problems: Sequence[str], more: int = 0) -> list[str]:
    """The first problems of an input, and how many more there are; `more` counts those that have no sentence yet."""
    more += max(0, len(problems) - _MOST_PROBLEMS)
    return [*problems[:_MOST_PROBLEMS], *([f"... and {more} more"] if more else [])]


def shown(value: object) -> str:
    """A value as a sentence quotes it, cut where it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
