"""Give each file of a scan its category and split, and note what was decided on the way."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple
from unicodedata import normalize

from worker.core.catalog.naming import LONGEST_SPLIT, made_name
from worker.core.catalog.scan.options import Rules, check_category
from worker.core.catalog.scan.patterns import Found, finder, first_folder
from worker.core.catalog.scan.splitting import splitter
from worker.errors import ScanError


class Place(NamedTuple):
    """Where a file belongs.

    Attributes:
        category: A category name.
        split: A split, or None.
    """

    category: str
    split: str | None


@dataclass(slots=True)
class Placing:
    """Gives files their place by the rules of a scan.

    Attributes:
        made: Names of categories that were made, and the texts that they were made of.
        made_splits: The same of splits.
    """

    rules: Rules
    made: dict[str, set[str]] = field(default_factory=dict)
    made_splits: dict[str, set[str]] = field(default_factory=dict)
    _find: Callable[[str], Found] = field(init=False)
    _split_of: Callable[[str], str | None] | None = field(init=False)
    _names: dict[tuple[str, int], str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Check the rules.

        Raises:
            ScanError: They are not accepted, or do not go together.
        """
        rules = self.rules
        if rules.category is not None:
            check_category(rules.category)
        self._find = first_folder
        if rules.category_from is not None:
            self._find = finder(rules.category_from, needs_category=rules.category is None)
        self._split_of = splitter(dict(rules.splits), rules.by) if rules.splits else None
        if rules.splits and rules.category_from is not None and self._names_split():
            raise ScanError("--split and a split in --category-from exclude each other; accepted is one of them")

    def place(self, relative: str) -> Place | None:
        """Return where a file belongs; None if no rule gives it a category.

        Args:
            relative: Its path below the scanned folder, with / between its parts.
        """
        category, split = self._find(relative)
        if self.rules.category is not None:
            category = self.rules.category
        elif category is None:
            return None
        else:
            category = self._named(category, self.made)
        if self._split_of is not None:
            return Place(category, self._split_of(relative))
        return Place(category, None if split is None else self._named(split, self.made_splits, LONGEST_SPLIT))

    def _names_split(self) -> bool:
        text = self.rules.category_from or ""
        return "{split}" in text or "(?P<split>" in text

    def _named(self, text: str, made: dict[str, set[str]], longest: int = 64) -> str:
        """Return the name that a text stands for, and note it."""
        key = (text, longest)
        if key not in self._names:
            self._names[key] = made_name(text, longest)
            made.setdefault(self._names[key], set()).add(text)
        return self._names[key]

    def sentences(self) -> list[str]:
        """Write which names were made, and where several texts became one."""
        return _sentences(self.made, "category") + _sentences(self.made_splits, "split")


def _sentences(made: dict[str, set[str]], kind: str) -> list[str]:
    said = []
    for name, texts in sorted(made.items()):
        written = sorted({repr(normalize("NFC", text)) for text in texts})
        if len(written) > 1:
            said.append(f"{' and '.join(written)} are one {kind}, {name}")
        elif len(texts) > 1:
            said.append(f"{written[0]}, written in {len(texts)} forms of Unicode, is one {kind}, {name}")
        elif texts != {name}:
            said.append(f"{written[0]} is {kind} {name}")
    return said
