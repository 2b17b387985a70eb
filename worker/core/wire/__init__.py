"""The wire format of requests and results: every field name, and free of numpy so that clients pay nothing."""

from worker.core.wire.fields import shown, unknown_preset
from worker.core.wire.requests import (
    LARGEST_SEED,
    LARGEST_SIZE,
    Encoding,
    Entry,
    Method,
    Request,
    Terms,
    asks_for_packed,
    encode_request,
)
from worker.core.wire.results import (
    ERROR_CODES,
    Decoder,
    Form,
    Reply,
    Result,
    decode_result,
    encode_common,
    encode_dead_letter,
    encode_error,
    encode_passes,
    encode_probabilities,
    ok_form,
)

__all__ = [
    "ERROR_CODES",
    "LARGEST_SEED",
    "LARGEST_SIZE",
    "Decoder",
    "Encoding",
    "Entry",
    "Form",
    "Method",
    "Reply",
    "Request",
    "Result",
    "Terms",
    "asks_for_packed",
    "decode_result",
    "encode_common",
    "encode_dead_letter",
    "encode_error",
    "encode_passes",
    "encode_probabilities",
    "encode_request",
    "ok_form",
    "shown",
    "unknown_preset",
]
