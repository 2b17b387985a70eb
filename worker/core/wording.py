"""How counts are written for people."""


def plural(count: int, noun: str) -> str:
    """Write a count with its noun: `1 request`, `1,200 requests`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
