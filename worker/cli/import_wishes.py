"""What the options of `catalog import` ask for."""

import codecs
from collections.abc import Iterable

import click

from worker.core.catalog.manifest import COLUMNS, Wishes
from worker.core.keys import CATEGORY_PATTERN

_CATEGORY = COLUMNS[1]


def read_wishes(
    format_: str | None,
    *,
    category: str | None,
    category_column: str | None,
    columns: Iterable[str],
    labels: Iterable[str],
    root: str | None,
    encoding: str | None,
) -> Wishes:
    """Check the options.

    Args:
        format_: Name of a format.
        category: A category.
        category_column: A column there.
        columns: `column=name`, the column there and our name for it.
        labels: `label=category`.
        root: A folder.
        encoding: Name of an encoding.
    """
    if category is not None:
        _check_category("--category", category)
    mapped = _pairs("--map", columns)
    ours = {theirs.strip().lower(): name.strip().lower() for theirs, name in mapped}
    if category_column is not None:
        ours[category_column.strip().lower()] = _CATEGORY
    _check_columns(ours)
    named = dict(_pairs("--label", labels))
    for name in named.values():
        _check_category("--label", name)
    if encoding is not None:
        _check_encoding(encoding)
    return Wishes(format_, category, ours, named, root or "", encoding or "")


def _pairs(option: str, texts: Iterable[str]) -> list[tuple[str, str]]:
    """Read `left=right`, each left once."""
    pairs: dict[str, str] = {}
    for text in texts:
        left, equals, right = text.rpartition("=")
        if not equals or not left or left in pairs:
            what = "names it twice" if left in pairs else "is not accepted"
            raise click.BadParameter(f"{option} {text!r} {what}; accepted: {option} {_FORMS[option]}")
        pairs[left] = right
    return list(pairs.items())


_FORMS = {
    "--map": f"COLUMN=NAME, where NAME is one of {', '.join(COLUMNS)}, or empty to ignore the column",
    "--label": "LABEL=CATEGORY",
}


def _check_columns(ours: dict[str, str]) -> None:
    """Refuse names that are not ours, or come twice."""
    names = [name for name in ours.values() if name]
    for theirs, name in ours.items():
        if name and name not in COLUMNS:
            hint = f"; it is the other way around: --map {name}={theirs}" if theirs in COLUMNS else ""
            raise click.BadParameter(
                f"--map '{theirs}={name}' is not accepted; accepted: --map {_FORMS['--map']}{hint}"
            )
        if names.count(name) > 1:
            raise click.BadParameter(f"two columns are to be {name}; accepted is one")


def _check_category(option: str, name: str) -> None:
    if not CATEGORY_PATTERN.fullmatch(name):
        raise click.BadParameter(f"{option} {name!r} is not 1 to 64 of a-z, 0-9, _ and -")


def _check_encoding(name: str) -> None:
    """Refuse what is no encoding of text."""
    try:
        is_text = codecs.lookup(name)._is_text_encoding  # noqa: SLF001 - Python says it nowhere else
    except LookupError:
        is_text = False
    if not is_text:
        raise click.BadParameter(
            f"--encoding {name!r} is not known; accepted are such as UTF-16, Latin-1, Windows-1252"
        )
