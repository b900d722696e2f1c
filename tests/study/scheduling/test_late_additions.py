"""Seeds, arms and proposals that come after a look: recorded with the report that was seen, and told in the next."""

import re
from pathlib import Path

import pytest

from analysis.report.report import report
from analysis.results.load import load_results
from search_spaces.study_file import READY, load_study
from study.scheduling.late_additions import additions

ABLATE = {"design": "listed", "seeds": 1, "arms": {"deeper": {"depth": 2}}}


def spec(**stages):
    return load_study(READY / "default.yaml", {"stages": stages})


SEARCH = {"design": "search", "proposals": 12, "factors": {"depth": [1, 2]}}


@pytest.mark.parametrize(
    ("before", "now", "added"),
    [
        ({"ablate": ABLATE}, {"ablate": ABLATE}, []),
        ({"ablate": ABLATE}, {"ablate": ABLATE | {"seeds": 3}}, ["stage ablate: seeds 2 to 3 of each arm"]),
        (
            {"ablate": ABLATE},
            {"ablate": ABLATE | {"arms": ABLATE["arms"] | {"gray": {"input": "gray"}}, "controls": ["null"]}},
            ["stage ablate: arms gray, null"],
        ),
        ({"ablate": ABLATE}, {"search": SEARCH, "ablate": ABLATE}, ["stage search"]),
        ({"search": SEARCH}, {"search": SEARCH | {"proposals": 20}}, ["stage search: 8 proposals (12 before)"]),
    ],
)
def test_what_was_added(tmp_path, before, now, added):
    resolved = spec(**before).model_dump(mode="json", exclude_none=True)
    found = additions(resolved, spec(**now), tmp_path)
    assert [re.sub(r"^\d{4}-\d\d-\d\d: (.*) added, before any report$", r"\1", one) for one in found] == added
    assert additions(None, spec(**now), tmp_path) == []


def test_the_report_tells_of_it_and_of_the_report_that_was_seen(small):
    arms = {"a": {"hidden": 9}}
    folder = small.run(stages={"ablate": {"design": "listed", "seeds": 1, "arms": arms}})
    assert not any("planned whole" in said for said in report(load_results(folder)).warnings)
    (Path(folder) / "report").mkdir(exist_ok=True)
    (Path(folder) / "report/report.html").write_text("seen")
    for _ in range(2):  # running again adds nothing to it
        small.run(stages={"ablate": {"design": "listed", "seeds": 2, "arms": arms}})
        (said,) = [said for said in report(load_results(folder)).warnings if "planned whole" in said]
        assert said.count("stage ablate: seeds 2 to 2 of each arm added, after the report of 20") == 1
