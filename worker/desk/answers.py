"""Answers of the desk: JSON, and what is wrong in a word for programs and a sentence for people."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from worker.desk.headers import NOT_KEPT
from worker.errors import DeskError, RedisError, SamplingError, SettingsError, StaleError, WeightsError

_JSON: Final = "application/json"
_KNOWN: Final[tuple[tuple[type[SamplingError], int, str], ...]] = (
    (StaleError, HTTPStatus.CONFLICT, "stale"),
    (WeightsError, HTTPStatus.BAD_REQUEST, "bad_weights"),
    (SettingsError, HTTPStatus.BAD_REQUEST, "bad_request"),
    (RedisError, HTTPStatus.SERVICE_UNAVAILABLE, "redis"),
)


def encode(document: Any) -> bytes:
    """Write a document as JSON.

    Raises:
        ValueError: It holds a number that JSON has not.
    """
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()


def answer(document: Any, status: int = HTTPStatus.OK) -> Response:
    """Answer with a document."""
    return Response(encode(document), status, NOT_KEPT, _JSON)


def refuse(error: SamplingError, more: Mapping[str, Any] | None = None) -> Response:
    """Answer with what is wrong.

    Args:
        error: What is wrong.
        more: Further fields.
    """
    if isinstance(error, DeskError):
        status, code = error.status, error.code
    else:
        status, code = next((known[1:] for known in _KNOWN if isinstance(error, known[0])), (500, "internal"))
    return answer({"error": code, "message": str(error), **(more or {})}, status)


async def refuse_error(_: Request, error: Exception) -> Response:
    """Answer a request that ended with an error of ours."""
    assert isinstance(error, SamplingError)  # noqa: S101 - only for these it is registered
    return refuse(error)


async def refuse_bug(_: Request, __: Exception) -> Response:
    """Answer a request that a bug of ours ended; the server prints the traceback."""
    what = "a bug of the desk ended this request; what it printed says more"
    return refuse(DeskError(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", what))


async def refuse_path(request: Request, error: Exception) -> Response:
    """Answer a request for a path or by a method that there is not."""
    assert isinstance(error, HTTPException)  # noqa: S101 - only for these it is registered
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (error.headers or {}).get("Allow", "GET")
        return refuse(DeskError(405, "wrong_method", f"{request.method} is not accepted here; accepted: {allowed}"))
    return refuse(DeskError(404, "not_found", "there is nothing by this path; accepted: those in PROTOCOL.md"))
