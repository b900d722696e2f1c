from analysis.questions.ablation import ablations
from analysis.questions.planted_answer import planted


def rows(study):
    results = study.results()
    table = planted(results, ablations(results)[-1])
    return [{title: cell.text for title, cell in zip(table.titles(), row.cells, strict=True)} for row in table.rows]


def test_planted_and_found_side_by_side(simulate):
    found = {(row["Factor"], row["Level"], row["Arm"]): row for row in rows(simulate())}
    eyes = found["regions", "eyes", "regions=eyes"]
    assert (eyes["Planted"], eyes["Ideal UF1, balanced"], eyes["Ideal UF1, these clips"]) == ("lower", "0.667", "0.641")
    assert eyes["Found ΔUF1 [95 % CI]"].startswith("−") and eyes["Agrees"] == "yes"
    assert found["control", "permuted_labels", "permuted_labels"]["Agrees"] == "yes"
    assert found["control", "single_frame", "not in this study"]["Agrees"] == "–"
    both = found["regions", "eyes+mouth", "baseline"]
    assert (both["Planted"], both["Ideal UF1, balanced"], both["Agrees"]) == ("–", "1.000", "–")
    assert len(found) == 5


def test_what_a_control_changes_beside_is_no_effect_of_its_own(simulate, arm):
    changes = {"control": "single_frame", "input": "gray"}
    arms = arm("baseline", 0.7), arm("input=gray", 0.4, {"input": "gray"}), arm("single_frame", 0.1, changes)
    found = [(row["Factor"], row["Arm"]) for row in rows(simulate(arms)) if row["Planted"] != "–"]
    assert ("input", "input=gray") in found and ("control", "single_frame") in found
    assert ("input", "single_frame") not in found


def test_a_planted_effect_that_is_not_found_says_no(simulate, arm):
    arms = arm("baseline", 0.3), arm("regions=eyes", 0.9, {"regions": "eyes"}), arm("permuted_labels", 0.8)
    found = {row["Arm"]: row["Agrees"] for row in rows(simulate(arms))}
    assert found["regions=eyes"] == "NO" and found["permuted_labels"] == "NO"


def test_an_arm_that_is_not_whole_says_so(simulate, arm):
    arms = arm("baseline", 0.7), arm("regions=eyes", 0.4, {"regions": "eyes"}, states={1: "failed"})
    assert {row["Arm"]: row["Agrees"] for row in rows(simulate(arms))}["regions=eyes"] == "incomplete"


def test_real_data_has_nothing_planted(simulate):
    results = simulate(truth=None).results()
    assert planted(results, ablations(results)[-1]) is None
