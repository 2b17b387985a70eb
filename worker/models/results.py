"""The result of a request."""

import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import Field

from worker.core.wire import decode_result, read_ids
from worker.models.strict import LARGEST, Amount, Model, Share, Whole, refuse_input

_NUMBER_BYTES, _UUID_BYTES = 8, 16
_SHOWN: Final = 200

Id = Annotated[int, Field(strict=True, ge=~LARGEST, le=LARGEST)]
Pass = Annotated[int, Field(ge=0, le=LARGEST)]
Numbers = list[Annotated[float, Field(strict=True, allow_inf_nan=False)] | None] | None


class SampleResult(Model):
    """The result of a request, as a worker adds it to a result stream.

    In the stream each value is a text: lists and objects are JSON, and chunk ids may be packed. An error result has
    no chunk ids, but an error and a message. A newer worker may add fields.
    """

    request_id: str = Field(description="That of the request; without one, the entry's id.")
    entry_id: str = Field(description="Id of the request's entry in the request stream.")
    status: Literal["ok", "error"] = Field(description="Whether there are chunk ids.")
    chunk_ids: list[Id] | list[str] = Field(default=[], description="In random order; texts where ids are uuids.")
    counts: dict[str, Whole] = Field(default={}, description="Category -> how many of the ids.")
    seconds: dict[str, Amount] | None = Field(default=None, description="Category -> how long they last together.")
    passes: dict[str, dict[Pass, Whole]] | None = Field(default=None, description="Category -> pass -> how many ids.")
    categories: list[str] | None = Field(default=None, description="Category of each id, if asked for.")
    durations_s: Numbers = Field(default=None, description="How long each lasts, if asked for; null: not known.")
    starts_s: Numbers = Field(default=None, description="Where each begins in its file; null: the whole file.")
    paths: list[str | None] | None = Field(default=None, description="Path of each, if asked for; null: it has none.")
    left_out: list[str] = Field(default=[], description="Weighted categories without a READY chunk.")
    weights_version: str = Field(default="", description="Version of the weights that the ids were drawn under.")
    weights_source: str = Field(default="", description="Where these weights come from.")
    catalog_version: str = Field(default="", description="Version of the catalog that they were drawn from.")
    split: str | None = Field(default=None, description="The split that was asked for.")
    dataset: str | None = Field(default=None, description="The dataset that was named.")
    session: str | None = Field(default=None, description="The training session that asked, if it was named.")
    traceparent: str | None = Field(default=None, description="Trace context of the request, if it had one.")
    weights: dict[str, Share] | None = Field(default=None, description="Category -> effective weight, if asked for.")
    ready: dict[str, Whole] | None = Field(default=None, description="Category -> READY chunks, if asked for.")
    error: str | None = Field(default=None, description="Code of an error.")
    message: str | None = Field(default=None, description="What was wrong, and what is accepted.")

    @classmethod
    def from_fields(cls, fields: Mapping[Any, str | bytes]) -> Self:
        """Read a result as Redis returns it.

        Args:
            fields: Name -> value, texts or bytes; bytes where chunk ids are packed.

        Raises:
            ValidationError: It is no result. The message says which field is wrong.
        """
        words = [_raw(word) for pair in fields.items() for word in pair]
        try:
            reply = decode_result(words, packed=True)
            if reply.error is None:
                reply = replace(reply, chunk_ids=_read_ids(reply.chunk_ids, sum(reply.counts.values())))
        except ValueError as error:
            refuse_input(cls.__name__, f"this is no result: {error}", ascii(fields)[:_SHOWN])
        return cls.model_validate(reply.as_dict())


def _read_ids(raw: Any, count: int) -> list[int | str]:
    """Read chunk ids, whatever their encoding is."""
    if raw[:1] == b"[" and raw[-1:] == b"]":
        with suppress(ValueError):  # packed ids may look like the ends of a list
            if len(ids := read_ids(raw)) == count:
                return ids
    if count and len(raw) == count * _NUMBER_BYTES:
        return list(struct.unpack(f"<{count}q", raw))
    if count and len(raw) == count * _UUID_BYTES:
        return [str(UUID(bytes=raw[start : start + _UUID_BYTES])) for start in range(0, len(raw), _UUID_BYTES)]
    raise ValueError(f"{count} chunk ids cannot be read out of {len(raw)} bytes")


def _raw(word: str | bytes) -> bytes:
    return word.encode(errors="surrogatepass") if isinstance(word, str) else word
