import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from analysis.stats import inference
from analysis.stats.inference import (
    chance_of_equivalent,
    compare,
    holm,
    interval,
    seed_excess,
    swapped_differences,
    swaps,
)
from analysis.stats.metrics import uf1


def simulated(subjects, seeds, skill, key, clips=10):
    """Counts [N, S, 3, 3]: subjects of unequal skill and size; truths depend on the subject alone."""
    truth, own = np.random.default_rng([subjects, 1]), np.random.default_rng([subjects, 2, key])
    counts = np.zeros((subjects, seeds, 3, 3), dtype=np.int64)
    for i in range(subjects):
        labels = truth.choice(3, truth.integers(clips // 2, 2 * clips), p=[0.45, 0.3, 0.25])
        level = np.clip(skill + 0.15 * truth.standard_normal() + 0.05 * own.standard_normal(), 0, 1)
        for s in range(seeds):
            right = own.random(len(labels)) < level
            np.add.at(counts[i, s], (labels, np.where(right, labels, own.choice(3, len(labels)))), 1)
    return counts


TENSORS = st.tuples(st.integers(3, 7), st.integers(1, 3)).flatmap(
    lambda shape: st.tuples(*[arrays(np.int64, (*shape, 2, 2), elements=st.integers(0, 4))] * 2)
)


def with_truth(arm, baseline):
    """Make the baseline's true labels those of the arm: predictions moved within rows, at least one clip a class."""
    arm = arm + np.eye(2, dtype=np.int64)
    arm[:] = arm[:, :1]  # the same truth in every seed
    rows = arm.sum(-1)
    first = np.minimum(baseline[..., 0], rows)
    return arm, np.stack([first, rows - first], -1)


class TestInterval:
    def test_jackknife_by_brute_force(self):
        counts = simulated(9, 2, 0.6, 0)
        left_out = [np.mean([uf1(np.delete(counts, i, 0)[:, s].sum(0)) for s in range(2)]) for i in range(9)]
        estimate = np.mean([uf1(counts[:, s].sum(0)) for s in range(2)])
        se = np.sqrt(8 / 9 * np.sum((left_out - np.mean(left_out)) ** 2))
        half = stats.t.ppf(0.975, 8) * se / (estimate * (1 - estimate))
        logits = np.log(estimate / (1 - estimate)) + np.array([-half, half])
        found = interval(counts)
        assert (found.estimate, found.se) == pytest.approx((estimate, se))
        assert (found.low, found.high) == pytest.approx(tuple(1 / (1 + np.exp(-logits))))

    def test_scipy_bootstrap_of_subjects_gives_a_like_error(self):
        counts = simulated(40, 1, 0.6, 1)
        drawn = stats.bootstrap(
            (np.arange(40),),
            lambda i, axis: uf1(counts[i, 0].sum(-3)),
            vectorized=True,
            n_resamples=4000,
            method="percentile",
            rng=np.random.default_rng(0),
        )
        assert interval(counts).se == pytest.approx(drawn.standard_error, rel=0.12)

    def test_a_perfect_score_has_the_exact_binomial_end_and_says_so(self):
        perfect = np.zeros((12, 2, 3, 3), dtype=np.int64)
        perfect[..., range(3), range(3)] = 2
        found = interval(perfect)
        assert (found.estimate, found.high, found.method) == (1, 1, "exact binomial")
        assert found.low == pytest.approx(stats.binomtest(12, 12).proportion_ci(method="exact").low)
        wrong = interval(np.roll(perfect, 1, axis=-1))
        assert (wrong.estimate, wrong.low) == (0, 0) and wrong.high == pytest.approx(1 - found.low)

    def test_a_class_that_one_subject_alone_has_is_told(self):
        counts = np.tile(np.diag([3, 3, 0]), (5, 2, 1, 1))
        counts[:, :, 0, 1] = 1
        counts[2, :, 2, 2] = 1
        assert interval(counts).lost == 1
        assert interval(simulated(9, 2, 0.6, 0)).lost == 0

    def test_one_subject_is_refused(self):
        with pytest.raises(ValueError, match="at least 2 subjects"):
            interval(simulated(1, 1, 0.5, 0))

    @given(TENSORS)
    def test_it_holds_the_estimate_within_0_and_1(self, pair):
        arm, _ = with_truth(*pair)
        found = interval(arm)
        assert 0 <= found.low <= found.estimate <= found.high <= 1


class TestSeedExcess:
    def test_none_below_three_seeds(self):
        assert seed_excess(simulated(10, 2, 0.6, 0)) == 0

    def test_runs_that_move_as_a_whole_are_seen(self):
        runs = [simulated(30, 1, skill, 5) for skill in (0.3, 0.6, 0.9)]
        together = np.concatenate(runs, axis=1)
        scores = uf1(together.sum(0))
        assert 0.5 * scores.var(ddof=1) < seed_excess(together) <= scores.var(ddof=1)

    def test_runs_that_differ_by_clip_noise_alone_have_little(self):
        found = [seed_excess(simulated(30, 3, 0.6, key)) for key in range(30)]
        total = [uf1(simulated(30, 3, 0.6, key).sum(0)).var(ddof=1) for key in range(30)]
        assert np.mean(found) < 0.6 * np.mean(total)


class TestSwaps:
    def test_all_of_them_when_few_and_the_observed_first(self):
        few = swaps(4)
        assert len(np.unique(few.keep, axis=0)) == 16 and few.keep[0].all()

    def test_many_are_drawn_from_a_named_stream(self):
        many = swaps(20)
        assert many.keep.shape == (20_000, 20) and many.keep[0].all()
        assert (many.keep == swaps(20).keep).all()
        assert many.keep[1:].mean() == pytest.approx(0.5, abs=0.01)

    def test_influence_function_error_is_the_jackknife_nearly(self):
        arm, base = simulated(60, 2, 0.6, 1), simulated(60, 2, 0.6, 2)
        difference, se = swapped_differences(arm, base, np.ones((1, 60), dtype=bool))
        assert difference[0] == pytest.approx((uf1(arm.sum(0)) - uf1(base.sum(0))).mean())
        left_out = (uf1(arm.sum(0) - arm) - uf1(base.sum(0) - base)).mean(-1)
        assert se[0] == pytest.approx(np.sqrt(59 * left_out.var()), rel=0.05)

    def test_influence_is_the_slope_of_the_swapped_difference(self):
        """Each subject's influence by a small change of its weight, with some subjects swapped."""
        arm, base = simulated(9, 2, 0.6, 1), simulated(9, 2, 0.6, 2)
        keep = np.arange(9) % 3 > 0
        first, second = (np.where(keep[:, None, None, None], *pair) for pair in ((arm, base), (base, arm)))

        def difference(weights):
            return np.subtract(*(uf1(np.tensordot(weights, one, 1)).mean() for one in (first, second)))

        step = 1e-6 * np.eye(9)
        influence = [(difference(1 + step[i]) - difference(1 - step[i])) / 2e-6 for i in range(9)]
        found, se = swapped_differences(arm, base, keep[None])
        assert found[0] == pytest.approx(difference(np.ones(9)))
        assert se[0] == pytest.approx(np.sqrt(9 / 8 * np.sum(np.square(influence))), rel=1e-6)

    def test_scipy_with_the_index_trick_gives_the_same_p(self):
        for key in range(4):
            arm, base = simulated(7, 2, 0.75, key), simulated(7, 2, 0.55, 10 + key)
            both = np.concatenate([arm, base])

            def studentised(first, second, axis, both=both):
                pairs = zip(first.reshape(-1, 7), second.reshape(-1, 7), strict=True)
                return np.array([abs(self.t(both, i, j)) for i, j in pairs])

            test = stats.permutation_test(
                (np.arange(7), np.arange(7) + 7),
                studentised,
                permutation_type="samples",
                n_resamples=np.inf,
                alternative="greater",
                vectorized=True,
            )
            assert compare(base, {"arm": arm}, ["arm"])["arm"].p == pytest.approx(test.pvalue)

    @staticmethod
    def t(both, first, second):
        """d / SE by plain loops: gradients by finite differences."""
        arm, base = both[first].astype(float), both[second].astype(float)
        influence = np.zeros(len(arm))
        for s in range(arm.shape[1]):
            for counts, sign in ((arm, 1), (base, -1)):
                total = counts[:, s].sum(0)
                for i in range(len(arm)):
                    step = 1e-6
                    slope = (uf1(total + step * counts[i, s]) - uf1(total - step * counts[i, s])) / (2 * step)
                    influence[i] += sign * slope / arm.shape[1]
        d = (uf1(arm.sum(0)) - uf1(base.sum(0))).mean()
        se = np.sqrt(len(arm) / (len(arm) - 1) * (influence**2).sum())
        return np.round(d / se, 6) if se > 1e-9 else 0.0


class TestCompare:
    def test_by_hand_every_subject_better(self):
        """Four subjects; the arm is always right, the baseline's first clip of each subject wrong."""
        arm = np.tile(np.diag([3, 3]), (4, 1, 1, 1))
        base = np.tile(np.array([[2, 1], [0, 3]]), (4, 1, 1, 1))
        base[3, 0] = [[1, 2], [0, 3]]
        found = compare(base, {"arm": arm}, ["arm"])["arm"]
        assert found.difference == pytest.approx(1 - (2 * 7 / (12 + 7) + 2 * 12 / (12 + 17)) / 2)
        assert found.p == 2 / 16  # only all and none of the swaps are as extreme
        assert (found.wins, found.ties, found.losses) == (4, 0, 0)
        assert found.low <= 0 and found.verdict == "inconclusive"

    @pytest.mark.parametrize("subjects", [5, 6, 10])
    def test_all_subjects_one_way_give_the_smallest_p(self, subjects):
        base = np.tile(np.array([[2, 1], [1, 2]]), (subjects, 1, 1, 1))
        arm = base + np.array([[1, -1], [0, 0]])
        arm[0] = np.diag([3, 3])  # not all alike, or the difference would have no error
        assert compare(base, {"a": arm}, ["a"])["a"].p == 2 / 2**subjects

    @pytest.mark.parametrize("subjects", [10, 20], ids=["all swaps", "random swaps"])
    @pytest.mark.parametrize("differing", range(7))
    def test_few_differing_subjects_give_no_interval_that_no_p_could_leave(self, differing, subjects):
        """k subjects have 2^k swaps and no p below 2/2^k: 90 % takes 5 of them, 95 % takes 6."""
        base = np.tile(np.array([[200, 100], [100, 200]]), (subjects, 2, 1, 1))
        arm = base.copy()
        for i in range(differing):
            arm[i, 0, 0] += [i + 1, -i - 1]
        found = compare(base, {"a": arm}, ["a"])["a"]
        assert found.differing == differing and found.smallest == pytest.approx(min(1, 2 / 2**differing), rel=0.1)
        assert (found.bound is None, found.shown[1] is None) == (differing < 5, differing < 6)
        assert (found.low, found.high) == (-1, 1) or differing == 6
        assert (found.p <= 0.05) == (found.low > 0 or found.high < 0) == (differing == 6)
        assert found.verdict == ["identical", *["inconclusive"] * 4, "equivalent", "better"][differing]

    def test_holm(self):
        assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
        assert holm([0.9, 0.4]) == pytest.approx([0.9, 0.8]) and holm([0.6, 0.7]) == [1, 1] and holm([]) == []

    def test_holm_is_statsmodels_to_the_last_bit(self):
        multipletests = pytest.importorskip("statsmodels.stats.multitest").multipletests
        random = np.random.default_rng(0)
        for tests in (1, 2, 7, 60):
            for p in (random.random(tests), random.choice([0.0, 1e-5, 0.01, 0.3, 1.0], tests)):
                assert holm(p) == multipletests(p, method="holm")[1].tolist()

    def test_identical_predictions(self):
        base = simulated(12, 3, 0.6, 0)
        found = compare(base, {"same": base.copy()}, ["same"])["same"]
        assert (found.difference, found.se, found.p, found.p_adjusted) == (0, 0, 1, 1)
        assert (found.shown, found.bound, found.verdict) == ((0, None, None), None, "identical")
        assert (found.wins, found.ties, found.losses) == (0, 12, 0)

    def test_identical_predictions_beside_a_difference_without_error(self):
        base = np.tile(np.array([[2, 1], [1, 2]]), (6, 1, 1, 1))
        arm = np.tile(np.diag([3, 3]), (6, 1, 1, 1))  # every subject alike: d = 1/3 with SE 0
        found = compare(base, {"same": base.copy(), "arm": arm}, ["same", "arm"])
        assert found["same"].verdict == "identical" and found["same"].p_adjusted == 1
        assert found["arm"].p == 2 / 64 and found["arm"].verdict == "better"
        assert found["arm"].low == found["arm"].high == pytest.approx(1 / 3)

    @settings(max_examples=60, deadline=None)
    @given(TENSORS)
    def test_p_and_interval_never_disagree(self, pair):
        arm, base = with_truth(*pair)
        found = compare(base, {"arm": arm}, ["arm"])["arm"]
        assert (found.p <= 0.05) == (found.low > 0 or found.high < 0)
        assert found.p == found.p_adjusted and found.joint == (found.low, found.high)
        assert found.low <= found.narrow[0] <= found.difference <= found.narrow[1] <= found.high

    def test_p_and_interval_agree_near_the_border(self):
        """Many tables of 20 subjects with random swaps and the seeds' excess in the error."""
        near = [compare(simulated(20, 3, 0.6, k), {"a": simulated(20, 3, 0.52, 99 - k)}, ["a"])["a"] for k in range(25)]
        assert {f.p <= 0.05 for f in near} == {True, False}
        assert all((f.p <= 0.05) == (f.low > 0 or f.high < 0) for f in near)

    @settings(max_examples=40, deadline=None)
    @given(TENSORS, st.randoms(use_true_random=False))
    def test_swapping_arms_turns_the_sign_and_order_is_nothing(self, pair, random):
        arm, base = with_truth(*pair)
        found, turned = compare(base, {"a": arm}, ["a"])["a"], compare(arm, {"a": base}, ["a"])["a"]
        assert (found.difference, found.low) == pytest.approx((-turned.difference, -turned.high))
        assert found.p == turned.p and (found.wins, found.losses) == (turned.losses, turned.wins)
        order = random.sample(range(len(arm)), len(arm))
        shuffled = compare(base[order], {"a": arm[order]}, ["a"])["a"]
        assert shuffled.p == found.p and (shuffled.low, shuffled.high) == pytest.approx((found.low, found.high))

    def test_step_down_by_brute_force(self):
        base = simulated(8, 1, 0.7, 0)
        arms = {
            name: simulated(8, 1, skill, i + 1)
            for i, (name, skill) in enumerate([("a", 0.3), ("b", 0.55), ("c", 0.68)])
        }
        found = compare(base, arms, list(arms))
        keep = swaps(8).keep
        t = {name: np.round(np.abs(np.divide(*swapped_differences(arm, base, keep))), 9) for name, arm in arms.items()}
        order = sorted(arms, key=lambda name: -t[name][0])
        last = 0.0
        for i, name in enumerate(order):
            largest = np.max([t[other] for other in order[i:]], axis=0)
            last = max(last, float((largest >= t[name][0]).mean()))
            assert found[name].p_adjusted == pytest.approx(last)
            assert found[name].p <= found[name].p_adjusted
            assert found[name].joint[0] <= found[name].low and found[name].joint[1] >= found[name].high

    def test_a_duplicate_costs_nothing_and_outsiders_stay_outside(self):
        base, arm = simulated(10, 2, 0.7, 0), simulated(10, 2, 0.55, 1)
        alone = compare(base, {"a": arm}, ["a"])["a"]
        found = compare(base, {"a": arm, "again": arm.copy(), "null": simulated(10, 2, 0.7, 2)}, ["a", "again"])
        assert found["a"] == found["again"] == alone
        assert found["null"].p_adjusted is None and found["null"].joint is None

    def test_equivalence_needs_the_whole_narrow_interval_within_the_rope(self):
        base = simulated(60, 1, 0.4, 0, clips=60)
        arm = base.copy()
        for i in range(12):  # a clip more and a clip less right in turn
            true = 0 if i % 2 else 1
            arm[i, 0, true, true] += [-1, 1][i % 2]
            arm[i, 0, true, 2] -= [-1, 1][i % 2]
        assert arm.min() >= 0
        found = compare(base, {"a": arm}, ["a"])["a"]
        assert found.verdict == "equivalent" and max(map(abs, found.narrow)) <= inference.MARGIN

    def test_detectable_is_what_passes_the_interval_that_decides(self):
        """By itself a row's own quantile, in a family the one for all rows at once; then t for 80 % power."""
        arms = {name: simulated(10, 1, 0.6, key) for key, name in enumerate("abc", 1)}
        family = compare(simulated(10, 1, 0.7, 0), arms, list("abc"))
        alone = compare(simulated(10, 1, 0.7, 0), {"a": arms["a"]}, [])["a"]
        for found, (low, high) in ((family["a"], family["a"].joint), (alone, (alone.low, alone.high))):
            assert found.detectable == pytest.approx((high - low) / 2 + stats.t.ppf(0.8, 9) * found.se)
        assert family["a"].detectable > alone.detectable


def test_size_and_coverage_on_a_small_simulation():
    """12 subjects, 2 seeds, 300 studies: 5 % size and 95 % coverage within the simulation's error (3 SE: 0.038)."""
    rejected, covered = [], []
    truth = uf1(np.sum([simulated(400, 1, 0.6, key).sum((0, 1)) for key in range(4)], axis=0))
    for key in range(300):
        pair = fresh(12, 2, 0.6, key)
        rejected.append(compare(pair[0], {"a": pair[1]}, ["a"])["a"].p <= 0.05)
        found = interval(pair[0])
        covered.append(found.low <= truth <= found.high)
    assert 0.012 < np.mean(rejected) < 0.088
    assert np.mean(covered) > 0.912


def fresh(subjects, seeds, skill, key, clips=10):
    """Two arms of equal skill on newly drawn subjects."""
    generator = np.random.default_rng([7, key])
    arms = np.zeros((2, subjects, seeds, 3, 3), dtype=np.int64)
    for i in range(subjects):
        labels = generator.choice(3, generator.integers(clips // 2, 2 * clips), p=[0.45, 0.3, 0.25])
        shared = skill + 0.15 * generator.standard_normal()
        for a in range(2):
            level = np.clip(shared + 0.05 * generator.standard_normal(), 0, 1)
            for s in range(seeds):
                right = generator.random(len(labels)) < level
                np.add.at(arms[a, i, s], (labels, np.where(right, labels, generator.choice(3, len(labels)))), 1)
    return arms


def test_the_chance_of_equivalence_without_a_difference():
    """By simulation: 60 subjects, equal arms; the share called equivalent is what errors like theirs give by t."""
    called, chances = [], []
    for key in range(100):
        pair = fresh(60, 2, 0.8, key)
        found = compare(pair[0], {"a": pair[1]}, ["a"], swaps(60, 499), margin=0.03)["a"]
        called.append(found.verdict == "equivalent")
        chances.append(chance_of_equivalent(found, 0.03))
    assert 0.05 < np.mean(called) < 0.95, "the margin tells nothing here"
    assert np.median(chances) == pytest.approx(np.mean(called), abs=0.12)
