"""A sample for a training loop: chunk ids, as a NumPy array if NumPy is installed, and what they were drawn under."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from worker.core.wire import RESULT_COLUMNS, Reply, read_ids

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NUMBER_BYTES = 8
_UUID_BYTES = 16


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """The answer to one request.

    Attributes:
        request_id: Id of the request.
        entry_id: Id of its entry in the request stream.
        chunk_ids: int64, shape (size,), in random order; without NumPy a list of int; uuid ids are a list of str.
        counts: Category -> number of its ids.
        seconds: Category -> duration of its chunks, if the workers' weights are shares of audio time.
        weights_version: Version of the weights in force when the request was answered.
        weights_source: Where these weights came from: `redis`, `dataset`, `preset`, `session`, ...
        catalog_version: Version of the catalog that the ids were drawn from.
        left_out: Weighted categories that had no READY chunk.
        weights: Effective weights, with `probabilities=True`; a chunk's draw probability is weights[c] / ready[c].
        ready: READY chunks by category, with `probabilities=True`.
        passes: With `method="epoch"`: category -> pass -> number of its ids.
        split: The split that was asked for; None if none was named.
        traceparent: Trace context of the request; None if it had none.
        categories: Category of each id, if column `category` was asked for; columns are in the order of `chunk_ids`.
        durations_s: Duration of each chunk, if column `duration_s` was asked for; None where it is not known.
        starts_s: Where each chunk begins in its file, if column `start_s` was asked for; None: the whole file.
        paths: Path of each chunk, if column `path` was asked for; None where it has none.
        extra: Result fields that this version does not know.
    """

    request_id: str
    entry_id: str
    chunk_ids: "NDArray[np.int64] | list[int] | list[str]"
    counts: Mapping[str, int]
    seconds: Mapping[str, float] | None
    weights_version: str
    weights_source: str
    catalog_version: str
    left_out: list[str]
    weights: Mapping[str, float] | None
    ready: Mapping[str, int] | None
    passes: Mapping[str, Mapping[int, int]] | None
    split: str | None
    traceparent: str | None
    categories: list[str] | None
    durations_s: list[float | None] | None
    starts_s: list[float | None] | None
    paths: list[str | None] | None
    extra: Mapping[str, str]

    def to(self, device: object, *, non_blocking: bool = False) -> Self:
        """Return the sample unchanged. Trainers call this to move batches, but ids are looked up on the host."""
        del device, non_blocking
        return self


def sample_of(reply: Reply) -> Sample:
    """Make the sample of an ok result.

    Args:
        reply: The result, its ids still encoded.

    Raises:
        ValueError: The ids are neither JSON nor packed.
    """
    return Sample(
        request_id=reply.request_id,
        entry_id=reply.entry_id,
        chunk_ids=_read_ids(reply.chunk_ids, sum(reply.counts.values())),
        counts=reply.counts,
        seconds=reply.seconds or None,
        weights_version=reply.weights_version,
        weights_source=reply.weights_source,
        catalog_version=reply.catalog_version,
        left_out=reply.left_out,
        weights=reply.weights or None,
        ready=reply.ready or None,
        passes=reply.passes or None,
        split=reply.split,
        traceparent=reply.traceparent,
        **{name: reply.columns.get(name) for name in RESULT_COLUMNS},  # type: ignore[arg-type]
        extra=reply.extra,
    )


def _read_ids(raw: Any, count: int) -> Any:
    """Read ids in either encoding: an earlier process may have sent the request with another one."""
    if not count:
        raise ValueError("it has no chunk ids")
    if raw[:1] == b"[" and raw[-1:] == b"]" and (ids := _read_json(raw, count)) is not None:
        return ids
    if len(raw) == count * _NUMBER_BYTES:
        numpy = find_numpy()
        # An array over bytes is read-only, and torch.from_numpy warns about that.
        return numpy.frombuffer(bytearray(raw), "<i8") if numpy else list(struct.unpack(f"<{count}q", raw))
    if len(raw) == count * _UUID_BYTES:
        digits = raw.hex()
        return [_uuid_text(digits[i : i + 2 * _UUID_BYTES]) for i in range(0, len(digits), 2 * _UUID_BYTES)]
    raise ValueError(f"{count} chunk ids cannot be read out of {len(raw)} bytes")


def _read_json(raw: bytes, count: int) -> Any:
    """Read a JSON array of `count` ids; None if these are packed ids that only look like an array."""
    try:
        ids = read_ids(raw)
    except ValueError:
        return None
    if len(ids) != count:
        return None
    numpy = find_numpy()
    return numpy.array(ids, numpy.int64) if numpy and isinstance(ids[0], int) else ids


def _uuid_text(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


@cache
def find_numpy() -> Any:
    """Import NumPy with the first sample, if it is installed: importing the client stays cheap."""
    try:
        import numpy  # noqa: ICN001, PLC0415
    except ImportError:
        return None
    return numpy
