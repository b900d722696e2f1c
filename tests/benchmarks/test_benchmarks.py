"""The benchmarks' claims on a small scale, so that their figures cannot rot."""

from itertools import product

import numpy as np
import pytest

from benchmarks import cli, search, utilisation
from benchmarks import race as racing


def test_the_default_race_saves_a_third_and_loses_little():
    tables = [racing.Table.draw(repetition, racing.SPREAD["a search's"]) for repetition in range(30)]
    raced = {
        key: racing.summary(tables, [racing.race(table, *key) for table in tables], racing.ends())
        for key in product((8,), racing.PS, (racing.FIRST,))
    }
    saved, regret, *_ = raced[8, racing.P, racing.FIRST]
    assert saved >= 0.30 and regret <= 0.005
    assert saved == max(saved for saved, regret, *_ in raced.values() if regret <= 0.005), "the default is the best"
    assert 0.3 < racing.equals(tables, racing.P, racing.FIRST) < 0.6, "docs/search.md says 44 %"


def test_blocks_of_all_subjects_save_nothing_and_small_ones_most():
    tables = [racing.Table.draw(repetition, 0.28) for repetition in range(3)]
    raced = [racing.race(table, 8, racing.P, racing.FIRST) for table in tables]
    saved = [np.mean([one.saved(racing.ends(size)) for one in raced]) for size in (1, 4, 16, racing.SUBJECTS)]
    assert saved == sorted(saved, reverse=True) and saved[-1] == 0


@pytest.mark.slow
def test_tpe_after_40_trials_is_not_above_random_after_80():
    for kind in ("smooth", "rough"):
        guided, random = (search.measure(kind, sampler, 12, n) for sampler, n in (("tpe", 40), ("random", 80)))
        difference, error = search.told_apart(guided, random)
        assert difference <= 2 * error, kind
        assert guided[:, 39].mean() < random[:, 39].mean(), f"{kind}: at 40 trials each"


def test_workers_are_busy_nine_tenths_of_the_time_that_asking_freely_would_have_them():
    for workers in utilisation.WORKERS:
        found = utilisation.busy(0.9, True, workers, 3)
        assert found["virtual clock"][1] >= 0.9
        assert found["fixed lag"][1] < found["virtual clock"][1] <= 1.02


def test_commands_are_timed_against_another_checkout(tmp_path, capsys):
    (tmp_path / "before").symlink_to(cli.HERE)
    cli.main(["--against", str(tmp_path / "before"), "--only=--help,status", "--trials", "3", "--turns", "1"])
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split()[-1] == "ratio" and [row.split()[0] for row in rows] == ["--help", "status"]
    assert all(0.2 < float(row.split()[-1]) < 5 for row in rows)
