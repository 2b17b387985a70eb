"""Lhotse's cuts and recordings: objects within objects, laid out as columns.

Source: Lhotse, `lhotse.cut` and `lhotse.audio.Recording`: what `to_dict` writes. A cut names its recording, where it
begins in it, and how long it lasts; a recording has one source for each file of its channels.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from worker.core.catalog.manifest.notes import Notes
from worker.core.catalog.manifest.problems import show

_FILES = ("file", "url")
_TYPE = "type"
_CUTS = ("MonoCut", "MultiCut", "PaddingCut")
_MIXED = "it is a mix of several recordings (MixedCut), which is no chunk of a file"
_PADDING = "it is silence without a recording (PaddingCut)"
_NO_RECORDING = "it names no recording: cuts of features alone have no audio"


def is_lhotse(fields: Mapping[str, object]) -> bool:
    """Return whether an object of JSON Lines is a cut or a recording."""
    if "path" in fields:
        return False
    if "sources" in fields:
        return "sampling_rate" in fields
    if "recording" in fields or "features" in fields:
        return "start" in fields and "duration" in fields
    return ("tracks" in fields and "type" in fields) or fields.get(_TYPE) in _CUTS


def flatten(fields: Mapping[str, Any], notes: Notes) -> dict[str, object]:
    """Lay a cut or a recording out as columns: its source, start and duration, then whatever else it says.

    A name is looked for in the cut, its `custom`, its supervisions and their `custom`. Supervisions that differ in a
    value give all of them.

    Raises:
        ValueError: It has no audio that is a file, or something within it has another form.
    """
    if "tracks" in fields:
        raise ValueError(_MIXED)
    if fields.get(_TYPE) == _CUTS[-1]:
        raise ValueError(_PADDING)
    recording = fields if "sources" in fields else fields.get("recording")
    if not isinstance(recording, dict):
        raise ValueError(_NO_RECORDING)  # noqa: TRY004 - it is a sentence about the line
    flat: dict[str, object] = {"source": _source(recording, fields.get("channel"), notes)}
    for name, value in (*_scalars(fields), *_scalars(fields.get("custom"))):
        if name != _TYPE:  # of the cut, not of what is heard
            flat.setdefault(name, value)
    told = _told_by(fields.get("supervisions") or [])
    return {**flat, **{name: value for name, value in told.items() if name not in flat}}


def _source(recording: Mapping[str, Any], channel: object, notes: Notes) -> object:
    """Return the file or URL that holds a channel of a recording.

    Raises:
        ValueError: There is none.
    """
    sources = recording.get("sources")
    if not isinstance(sources, list) or not sources or not all(isinstance(one, dict) for one in sources):
        raise ValueError("its recording has no sources")
    if len(sources) == 1:
        (source,) = sources
    else:
        own = (one for one in sources if isinstance(one.get("channels"), list) and channel in one["channels"])
        if (source := next(own, None)) is None:
            source = sources[0]
            notes.first_files += 1
    if source.get("type") not in _FILES:
        raise ValueError(f"its recording is of type {show(source.get('type'))}; accepted are {' and '.join(_FILES)}")
    found: object = source.get("source")
    return found


def _scalars(fields: object) -> Iterator[tuple[str, object]]:
    """Yield the names and values that are no objects or lists."""
    if isinstance(fields, dict):
        yield from ((name, value) for name, value in fields.items() if not isinstance(value, dict | list))


def _told_by(supervisions: object) -> dict[str, object]:
    """Return what supervisions say: a value, or a list of those in which they differ.

    Raises:
        ValueError: They are no list of objects.
    """
    if not isinstance(supervisions, list) or not all(isinstance(one, dict) for one in supervisions):
        raise ValueError(f"its supervisions are {show(supervisions)}, which is no list of objects")
    found: dict[str, list[object]] = {}
    for one in supervisions:
        for name, value in {**dict(_scalars(one.get("custom"))), **dict(_scalars(one))}.items():
            values = found.setdefault(name, [])
            if value not in values:
                values.append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}
