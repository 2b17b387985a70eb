"""How counts are written for people."""


def plural(count: int, name: str) -> str:
    """Count things, one or many."""
    return f"{count:,} {name}{'' if count == 1 else 's'}"
