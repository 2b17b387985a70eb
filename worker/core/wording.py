"""Counts as people read them."""


def plural(count: int, name: str) -> str:
    """Write a count and a noun in singular or plural."""
    return f"{count:,} {name}{'' if count == 1 else 's'}"
