"""Formats of others that are known by the names of their columns, and which of those are ours.

CSV, JSON Lines and Parquet say how rows are written; a shape says what the columns are called.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from worker.core.catalog.manifest.hints import CATEGORY, DURATION, PATH, START, meant


@dataclass(frozen=True, slots=True)
class Shape:
    """What the columns of a format are called.

    Attributes:
        name: Its name for `--format`.
        title: What it is called in sentences.
        columns: Columns by which it is known.
        renames: Column there -> ours.
        example: A column that may serve as category.
    """

    name: str
    title: str
    columns: frozenset[str]
    renames: Mapping[str, str] = field(default_factory=dict)
    example: str = "COLUMN"

    def lacks_category(self, names: Sequence[str] = ()) -> str:
        """Write that it has no category, and which options give one.

        Args:
            names: The columns that it has.
        """
        likely = next((name for name in names if meant(name) == CATEGORY), self.example)
        ways = f"--category NAME, --category-column {likely}, or --map {likely}=category"
        return f"it looks like {self.title}, which has no category: {ways}"


NEMO = Shape(
    "nemo",
    "a NeMo manifest",
    frozenset({"audio_filepath"}),
    {"audio_filepath": PATH, "duration": DURATION, "offset": START},
)
LHOTSE = Shape(
    "lhotse",
    "a Lhotse manifest",
    frozenset({"lhotse"}),  # told by its objects within objects
    {"source": PATH, "duration": DURATION, "start": START},
)
AUDIOSET = Shape(
    "audioset",
    "an AudioSet segment list",
    frozenset({"ytid"}),
    {"ytid": PATH, "start_seconds": START},
    "positive_labels",
)
COMMON_VOICE = Shape("commonvoice", "Common Voice", frozenset({"client_id", "path", "sentence"}))
AUDIO_FOLDER = Shape("audiofolder", "Hugging Face AudioFolder metadata", frozenset({"file_name"}), {"file_name": PATH})
KALDI = Shape("kaldi", "a Kaldi folder", frozenset(), example="utt2spk")
_SHAPES = {shape.name: shape for shape in (NEMO, LHOTSE, AUDIOSET, COMMON_VOICE, AUDIO_FOLDER, KALDI)}
_BY_NAMES = (COMMON_VOICE, NEMO, AUDIO_FOLDER)


def shape_of(names: Collection[str], asked: str | None) -> Shape | None:
    """Return the shape that columns have; None: ours.

    Args:
        names: Names of columns, in lower case.
        asked: Name of the format, if it was asked for.
    """
    if asked in _SHAPES:
        return _SHAPES[asked]
    if asked in {"csv", "jsonl"}:
        return None
    return next((shape for shape in _BY_NAMES if shape.columns <= {*names} and _is_needed(shape, names)), None)


def _is_needed(shape: Shape, names: Collection[str]) -> bool:
    return shape is COMMON_VOICE or PATH not in names
