"""Times of the formats that name an end where we name a duration."""

_DIGITS = 6  # microseconds: what is left of a difference of two decimal numbers behind them is rounding


def duration_between(start_s: float, end_s: float) -> float:
    """Return how long it is from a start to an end, in seconds.

    Args:
        start_s: Where it begins, in seconds.
        end_s: Where it ends, in seconds.

    Raises:
        ValueError: The end is not after the start.
    """
    if end_s <= start_s:
        raise ValueError(f"its end, {end_s:g} s, is not after its start, {start_s:g} s")
    return round(end_s - start_s, _DIGITS)
