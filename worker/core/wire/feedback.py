"""Feedback: reports of losses by category. A training job writes them, and rules that move weights read them.

A report is one stream entry. Of its fields only `losses` is required: a JSON object, category -> what was measured.
This is a number, which counts as one loss, or an object about several losses. The object has their sum and their
count, and may have the sum of their squares.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from worker.core.keys import NAME_PATTERN
from worker.core.wire.fields import Reader, invalid, matching, one_of, printable, whole_number
from worker.core.wire.losses import ACCEPTED, LossSum, read_losses
from worker.errors import RequestError

Kind = Literal["train", "eval", "score"]

LARGEST_STEP: Final = 2**63 - 1
_VERSION: Final = re.compile("[0-9a-f]{12}")

_LETTER_BYTES: Final = 16_384  # of a refused report that are kept
_WORD_BYTES: Final = 8  # that a name or a value takes beside its own
_LEFT_OUT: Final = "fields_left_out"

FIELDS_OF_REFUSED: Final = ("entry_id", "error", "message")
"""What a refused report has beside its own fields."""


@dataclass(frozen=True, slots=True)
class Report:
    """A valid report. Most attributes are fields of the wire contract.

    Attributes:
        entry_id: Its stream entry.
        losses: Category -> its losses; a category with count 0 is left out.
        dataset: The dataset that was asked for; None: none was named.
        session: The training session.
        weights_version: Version of the weights that the chunks were drawn under.
        step: The step of the training.
        kind: What the losses are of: training, evaluation, or scoring without training.
        reporter: Who measured them, such as a rank.
    """

    entry_id: str
    losses: Mapping[str, LossSum]
    dataset: str | None = None
    session: str | None = None
    weights_version: str | None = None
    step: int | None = None
    kind: Kind = "train"
    reporter: str | None = None

    @property
    def who(self) -> str:
        """Return who reports: the reporter, or else the session; empty if the report says neither."""
        return self.reporter or self.session or ""

    @property
    def at_ms(self) -> int:
        """Return when the report was stored, Unix time in ms by the clock of Redis."""
        return int(self.entry_id.partition("-")[0])


@dataclass(frozen=True, slots=True)
class RefusedReport:
    """A report that breaks the contract.

    Attributes:
        entry_id: Its stream entry.
        fields: Its fields and values in turn.
        error: What is wrong with it.
    """

    entry_id: str
    fields: Sequence[bytes]
    error: RequestError


def read_report(entry_id: str, fields: Sequence[bytes]) -> Report | RequestError:
    """Read a report.

    Args:
        entry_id: Id of its stream entry.
        fields: Fields and values in turn, as they came. Fields that are not known are ignored.

    Returns:
        The report, or what is wrong with it.
    """
    values: dict[str, Any] = {}
    given = iter(fields)
    try:
        for raw_name, raw_value in zip(given, given, strict=True):
            read = _READERS.get(raw_name)
            if read is None:
                continue
            name = raw_name.decode()
            if name in values:
                raise invalid(f"{name} is given twice; accepted: each field once")
            values[name] = read(name, raw_value)
        if "losses" not in values:
            raise invalid(f"losses is missing; accepted: {ACCEPTED}")
    except RequestError as error:
        return error
    return Report(entry_id, **values)


def encode_report(losses: Mapping[str, object], **fields: str | int | None) -> tuple[str | int, ...]:
    """Write a report. It is not checked: `read_report` says whether it is valid.

    Args:
        losses: Category -> a number, a `LossSum`, or a mapping with `sum`, `count` and perhaps `squares`.
        fields: Other fields by their names in the contract; None leaves a field out.

    Returns:
        Fields and values in turn.

    Raises:
        TypeError: A loss is something else.
    """
    text = json.dumps({name: _plain(loss) for name, loss in losses.items()}, separators=(",", ":"))
    words = [word for name, value in fields.items() if value is not None for word in (name, value)]
    return ("losses", text, *words)


def encode_refused(entry_id: str, fields: Sequence[bytes], error: RequestError) -> list[bytes | str | int]:
    """Write what is kept of a refused report: its own fields as far as they are short, and why it was refused.

    Args:
        entry_id: Id of its stream entry.
        fields: Fields and values in turn.
        error: What is wrong with it.

    Returns:
        Fields and values in turn.
    """
    kept: list[bytes | str | int] = []
    left = _LETTER_BYTES
    for word in fields:
        kept.append(word[:left])
        left -= len(word) + _WORD_BYTES
        if left <= 0:
            break
    kept += [b""] * (len(kept) % 2)
    if missing := (len(fields) - len(kept)) // 2:
        kept += (_LEFT_OUT, missing)
    why = zip(FIELDS_OF_REFUSED, (entry_id, error.code, error.message), strict=True)
    return [*kept, *(word for pair in why for word in pair)]


def _plain(loss: Any) -> object:
    if isinstance(loss, LossSum):
        return {"sum": loss.sum, "count": loss.count, "squares": loss.squares}
    return dict(loss) if isinstance(loss, Mapping) else loss


_READERS: Final[Mapping[bytes, Reader]] = {
    b"losses": read_losses,
    b"dataset": matching(NAME_PATTERN),
    b"session": printable,
    b"weights_version": matching(_VERSION),
    b"step": whole_number(0, LARGEST_STEP),
    b"kind": one_of({b"train": "train", b"eval": "eval", b"score": "score"}),
    b"reporter": printable,
}

REPORT_FIELDS: Final = tuple(name.decode() for name in _READERS)
"""The fields of a report, by their names in the contract."""
