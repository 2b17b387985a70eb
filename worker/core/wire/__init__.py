"""The wire format of requests and results: every field name, and free of numpy so that clients pay nothing."""

from worker.core.wire.requests import (
    LARGEST_SEED,
    LARGEST_SIZE,
    Encoding,
    Entry,
    Method,
    Request,
    encode_request,
    shown,
)
from worker.core.wire.results import (
    ERROR_CODES,
    Reply,
    Result,
    Sample,
    decode,
    decode_result,
    encode_common,
    encode_counts,
    encode_dead_letter,
    encode_error,
    encode_ok,
    encode_probabilities,
)

__all__ = [
    "ERROR_CODES",
    "LARGEST_SEED",
    "LARGEST_SIZE",
    "Encoding",
    "Entry",
    "Method",
    "Reply",
    "Request",
    "Result",
    "Sample",
    "decode",
    "decode_result",
    "encode_common",
    "encode_counts",
    "encode_dead_letter",
    "encode_error",
    "encode_ok",
    "encode_probabilities",
    "encode_request",
    "shown",
]
