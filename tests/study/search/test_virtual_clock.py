"""The virtual clock: what is known is decided by cost, not by who happens to end first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.search.virtual_clock import VirtualClock, Wait


def test_hand_worked():
    clock = VirtualClock(2)
    clock.begin(0)
    assert clock.next_end() is None  # a slot is free
    clock.begin(1)
    with pytest.raises(Wait):
        clock.next_end()
    clock.finish(1, 5.0)
    with pytest.raises(Wait):  # trial 0 may still end before 5
        clock.next_end()
    clock.progress(0, 5.0)
    with pytest.raises(Wait):  # at 5 it would come first, by number
        clock.next_end()
    clock.progress(0, 6.0)
    assert clock.next_end() == 1
    assert clock.now == 5.0
    clock.begin(2)
    clock.finish(2, 2.0)
    clock.finish(0, 8.0)
    assert [clock.next_end(), clock.next_end()] == [2, None]  # 2 ends at 7, and leaves a slot free


def test_a_cost_known_beforehand_needs_no_waiting_for_the_order():
    clock = VirtualClock(2)
    clock.begin(0, least=5.0)
    clock.begin(1, least=8.0)
    clock.finish(0, 5.0)
    assert clock.next_end() == 0  # nothing of trial 1 is done, and it cannot end before 8
    clock.begin(2, least=1.0)
    clock.finish(1, 8.0)
    with pytest.raises(Wait):  # trial 2 may end at 6
        clock.next_end()
    clock.progress(2, 3.5)
    assert clock.next_end() == 1


@given(
    costs=st.lists(st.integers(1, 50), min_size=1, max_size=20),
    slots=st.integers(1, 6),
    workers=st.integers(1, 8),
    seed=st.randoms(use_true_random=False),
    foreknown=st.booleans(),
)
def test_what_a_proposal_knows_is_the_same_for_any_workers_and_any_timing(costs, slots, workers, seed, foreknown):
    assert _known(costs, slots, workers, seed, foreknown) == _known(costs, slots, 1, None, False)


def _known(costs, slots, workers, rng, foreknown) -> list[list[int]]:
    """Simulate real workers that advance by one unit in random order; what each proposal knew, in the order told.

    foreknown: trials begin with their cost known, in place of what they have done.
    """
    clock, told, known, running = VirtualClock(slots), [], [], {}
    number = 0
    while number < len(costs) or running:
        while number < len(costs) and len(running) < workers:
            try:
                while (ended := clock.next_end()) is not None:
                    told.append(ended)
            except Wait:
                break
            known.append(list(told))
            clock.begin(number, float(costs[number]) if foreknown else 0.0)
            running[number] = 0
            number += 1
        one = rng.choice(sorted(running)) if rng else min(running)
        running[one] += 1
        if not foreknown:
            clock.progress(one, float(running[one]))
        if running[one] == costs[one]:
            clock.finish(one, float(costs[one]))
            del running[one]
    return known
