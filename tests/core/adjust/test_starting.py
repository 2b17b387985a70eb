"""Starting points: weights out of sizes are what their sources say, and always shares."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.core.adjust.starting import proportional, unimax

names = st.from_regex(r"[a-z0-9_-]{1,64}", fullmatch=True)
sized = st.dictionaries(names, st.floats(1e-6, 1e12), min_size=1, max_size=20)
repeats = st.floats(0.001, 1e6)
budgets = st.floats(1e-3, 1e15)
temperatures = st.floats(0, 50)

# -- proportional ----------------------------------------------------------------------------------------------


def test_shares_are_those_of_the_sizes_raised_to_a_power() -> None:
    sizes = {"voice": 100.0, "music": 25.0, "custom": 1.0}
    assert proportional(sizes) == pytest.approx({"custom": 1 / 126, "music": 25 / 126, "voice": 100 / 126})
    assert proportional(sizes, 0.5) == pytest.approx({"custom": 1 / 16, "music": 5 / 16, "voice": 10 / 16})
    assert proportional(sizes, 0) == pytest.approx(dict.fromkeys(sizes, 1 / 3))


@given(sized, temperatures)
def test_shares_by_size_add_up(sizes: dict[str, float], temperature: float) -> None:
    shares = proportional(sizes, temperature)
    assert list(shares) == sorted(sizes)
    assert math.fsum(shares.values()) == pytest.approx(1, abs=1e-12)
    assert all(share > 0 for share in shares.values())


# -- UniMax ----------------------------------------------------------------------------------------------------


def test_unimax_worked_by_hand() -> None:
    """Follow Chung et al. 2023, algorithm 1, for a budget of 600 and at most 4 repeats.

    The smallest, 10, is due 600 / 3 = 200 and may have 40. The next, 100, is due 560 / 2 = 280 of the 400 that it may
    have. The last is due the other 280.
    """
    mix = unimax({"large": 1000, "small": 10, "middle": 100}, 4, 600)
    assert mix.shares == pytest.approx({"small": 40 / 600, "middle": 280 / 600, "large": 280 / 600})
    assert (mix.capped, mix.is_within) == (("small",), True)
    assert mix.repeats == pytest.approx(4)


def test_unimax_gives_the_figures_that_others_publish() -> None:
    """The figures are those of the page of the package unimax-sampling, of another author."""
    sizes = {
        "swe": 179955884499,
        "fas": 184595788282,
        "ekk": 42541080893,
        "isl": 10027573389,
        "fao": 549707867,
    }
    mix = unimax(sizes, 4, 250_000_000_000)
    assert mix.shares == pytest.approx(
        {
            "fao": 0.008795325872,
            "isl": 0.160441174224,
            "ekk": 0.2769211666346667,
            "swe": 0.27692116663466665,
            "fas": 0.27692116663466665,
        }
    )
    assert mix.capped == ("fao", "isl")


def test_unimax_is_uniform_where_nothing_repeats_too_often() -> None:
    mix = unimax({"a": 5, "b": 500}, 8, 80)
    assert (mix.shares, mix.capped, mix.is_within) == ({"a": 0.5, "b": 0.5}, (), True)


def test_unimax_is_proportional_where_the_budget_is_too_large_and_says_so() -> None:
    mix = unimax({"a": 5, "b": 15}, 2, 100)
    assert mix.shares == pytest.approx({"a": 0.25, "b": 0.75})
    assert (mix.capped, mix.is_within) == (("a", "b"), False)
    assert mix.repeats == pytest.approx(5)


def test_unimax_keeps_a_budget_that_just_fits() -> None:
    mix = unimax({"a": 5, "b": 15}, 2, 40)
    assert (mix.shares, mix.is_within) == ({"a": 0.25, "b": 0.75}, True)


@given(sized, repeats, budgets)
def test_unimax_repeats_nothing_too_often_and_is_as_uniform_as_can_be(
    sizes: dict[str, float], most: float, budget: float
) -> None:
    mix = unimax(sizes, most, budget)
    assert math.fsum(mix.shares.values()) == pytest.approx(1, abs=1e-9)
    heard = {name: budget * share for name, share in mix.shares.items()}
    if not mix.is_within:
        assert budget > most * math.fsum(sizes.values()) * (1 - 1e-9)
        assert mix.shares == pytest.approx(proportional(sizes), rel=1e-6)
        return
    assert all(heard[name] <= most * size * (1 + 1e-6) for name, size in sizes.items())
    free = [heard[name] for name in sizes if name not in mix.capped]
    # What is not capped has the same share, and no less than any that is: so no other mix within the cap is more even.
    assert max(free) == pytest.approx(min(free), rel=1e-6)
    assert all(heard[name] <= max(free) * (1 + 1e-6) for name in mix.capped)


@given(sized, repeats, budgets)
def test_unimax_gives_a_larger_category_no_less(sizes: dict[str, float], most: float, budget: float) -> None:
    shares = unimax(sizes, most, budget).shares
    ordered = sorted(sizes, key=sizes.__getitem__)
    assert all(shares[small] <= shares[large] * (1 + 1e-9) for small, large in pairwise(ordered))
