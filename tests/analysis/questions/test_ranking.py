from analysis.questions.ranking import ranking
from analysis.stats.confusion import confusions


def ranked(study):
    results = study.results()
    return ranking(results, confusions(results))


def test_best_first_with_k_and_no_correction(simulate):
    table = ranked(simulate(search=8))
    trials = [row.cells[1].values[0] for row in table.rows]
    naive = [row.cells[4].values[0] for row in table.rows[:6]]
    assert naive == sorted(naive, reverse=True)
    assert sorted(trials[:6]) == [0, 1, 2, 4, 6, 7] and trials[6:] == [3, 5]  # pruned and failed last, without a score
    assert [row.cells[0].text for row in table.rows] == ["1", "2", "3", "4", "5", "6", "–", "–"]
    assert table.caption.startswith("K = 8 configurations tried (6 complete, 1 failed, 1 pruned)")
    assert "not corrected" in table.caption and "Nothing is bold" in table.caption
    assert table.rows[7].cells[-1].text == "failed (out of memory)"


def test_only_factors_that_vary_are_columns(simulate):
    titles = ranked(simulate(search=4)).titles()
    assert titles[:4] == ["Rank", "Trial", "depth", "learning_rate"] and "fusion" not in titles


def test_one_proposal_needs_no_warning(simulate):
    assert "not corrected" not in ranked(simulate(search=1)).caption


def test_no_search_no_table(simulate):
    assert ranked(simulate()) is None
