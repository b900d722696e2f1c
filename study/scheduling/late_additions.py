"""What was added to a study after it had begun to show results: who adds seeds until a row is significant finds one."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from analysis.results.results import BEFORE_ANY_REPORT
from search_spaces.designs import arms, follows
from search_spaces.spec import Fixed, Search, StudySpec

REPORT = Path("report/report.html")


def additions(before: dict[str, Any] | None, now: StudySpec, folder: Path) -> list[str]:
    """Arms, seeds, proposals, stages and a margin of equivalence that the file has and had not when it was last run.

    before: the file then, as the ledger keeps it; None before the study began.
    """
    if before is None:
        return []
    report = folder / REPORT
    when = time.strftime("%Y-%m-%d", time.localtime())
    seen = f"after the report of {_minute(report)}" if report.exists() else BEFORE_ANY_REPORT
    return [f"{when}: {what} added, {seen}" for what in _added(StudySpec.model_validate(before), now)]


def _added(before: StudySpec, now: StudySpec) -> Iterator[str]:
    if now.equivalence != before.equivalence:
        yield f"equivalence {now.equivalence:g} ({before.equivalence:g} before)"
    was = dict(before.stages)
    for stage, design in now.stages.items():
        old = was.get(stage)
        if old is None:
            yield f"stage {stage}"
        elif isinstance(design, Search) and isinstance(old, Search):
            if (more := design.proposals - old.proposals) > 0:
                yield f"stage {stage}: {more} proposals ({old.proposals} before)"
        elif isinstance(design, Fixed) and isinstance(old, Fixed):
            yield from _of_fixed(stage, design, old, before, now)


def _of_fixed(stage: str, design: Fixed, old: Fixed, before: StudySpec, now: StudySpec) -> Iterator[str]:
    if design.seeds > old.seeds:
        yield f"stage {stage}: seeds {old.seeds + 1} to {design.seeds} of each arm"
    if follows(design):
        if design.model_dump(exclude={"seeds"}) != old.model_dump(exclude={"seeds"}):
            yield f"stage {stage}: changes of its design"
        return
    known = {(arm.stage, arm.name) for arm in arms(before)}
    new = [arm.name for arm in arms(now) if arm.stage == stage and (stage, arm.name) not in known]
    if new:
        yield f"stage {stage}: {'arm' if len(new) == 1 else 'arms'} {', '.join(new)}"


def _minute(path: Path) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(path.stat().st_mtime))
