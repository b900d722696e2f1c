from analysis.ranking import ranking


def test_best_first_with_k_and_no_correction(simulate):
    table = ranking(simulate(search=8).results())
    trials = [row.cells[1].values[0] for row in table.rows]
    naive = [row.cells[4].values[0] for row in table.rows[:6]]
    assert naive == sorted(naive, reverse=True)
    assert sorted(trials[:6]) == [0, 1, 2, 4, 6, 7] and trials[6:] == [3, 5]  # pruned and failed last, without a score
    assert [row.cells[0].text for row in table.rows] == ["1", "2", "3", "4", "5", "6", "–", "–"]
    assert table.caption.startswith("K = 8 configurations tried (6 complete, 1 failed, 1 pruned)")
    assert "not corrected" in table.caption and "Nothing is bold" in table.caption
    assert table.rows[7].cells[-1].text == "failed (out of memory)"


def test_only_factors_that_vary_are_columns(simulate):
    titles = ranking(simulate(search=4).results()).titles()
    assert titles[:4] == ["Rank", "Trial", "depth", "learning_rate"] and "fusion" not in titles


def test_one_proposal_needs_no_warning(simulate):
    assert "not corrected" not in ranking(simulate(search=1).results()).caption


def test_no_search_no_table(simulate):
    assert ranking(simulate().results()) is None
