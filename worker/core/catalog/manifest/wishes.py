"""What the user of an import asks for: a format, a category, other names of columns."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.core.catalog.manifest.hints import COLUMNS

FORMATS = ("csv", "jsonl", "nemo", "lhotse", "kaldi", "audioset", "commonvoice", "audiofolder", "parquet")
"""Names of the formats that are read."""

CATEGORY = COLUMNS[1]


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is asked for beside what the manifest says.

    Attributes:
        format: One of `FORMATS`; None: recognised from the manifest itself.
        category: The category of every row; with `columns` or `labels` that name categories: of rows without one.
        columns: Name of a column there, in lower case -> one of `COLUMNS`, or "" to ignore it.
        labels: Value of the column of categories -> category.
        root: Folder to put before relative paths; empty: none.
        encoding: Name of the text's encoding; empty: UTF-8.
    """

    format: str | None = None
    category: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    root: str = ""
    encoding: str = ""

    @property
    def names_categories(self) -> bool:
        """Return whether categories are made out of the values of a column that was asked for."""
        return bool(self.labels) or CATEGORY in self.columns.values()

    @property
    def one_category(self) -> str | None:
        """Return the category of all rows; None if there are several."""
        return None if self.names_categories else self.category


AS_IT_IS = Wishes()
