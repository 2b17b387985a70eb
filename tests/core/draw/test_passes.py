"""Every pass of every session and category has an order of its own, and all orders are equally likely."""

from collections import Counter

from tests.support.drawing import FALSE_ALARM, catalog_of, chance_of_fit
from worker.core.draw.passes import KeptOrders, Passes


def test_passes_sessions_and_categories_have_orders_of_their_own_and_all_are_even() -> None:
    """First positions over many sessions: each chunk is as likely, and no pair of passes looks alike."""
    catalog, kept = catalog_of({"music": 20, "voice": 20}), KeptOrders()
    firsts: Counter[int] = Counter()
    seconds: Counter[tuple[int, int]] = Counter()
    for session in range(1000):
        passes = Passes(catalog.ids[20:], f"s{session}", "voice", kept)
        one, two = (passes.after(number, -1, 20)[1].tolist() for number in (1, 2))
        firsts[one[0]] += 1
        seconds[one[0] // 5, two[0] // 5] += 1
        assert one != two
        assert Passes(catalog.ids[:20], f"s{session}", "music", kept).after(1, -1, 20)[1].tolist() != one
    assert chance_of_fit([firsts[i] for i in range(20)], [1000 / 20] * 20) > FALSE_ALARM
    assert chance_of_fit([seconds[i, j] for i in range(4) for j in range(4)], [1000 / 16] * 16) > FALSE_ALARM
