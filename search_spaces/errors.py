"""What went wrong, for the person who must mend it."""

from collections.abc import Sequence


class UserError(Exception):
    """A mistake in what the user gave: every problem found, each with what was wrong, where, and what would be right.

    The command line prints the problems without a traceback and ends with exit code 2.
    """

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))
