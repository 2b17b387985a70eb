"""Why a server could not be reached, in words for people: without error numbers and names of classes."""

import errno
import os
import re
import socket
import ssl
from collections.abc import Iterator

from worker.adapters.certificates import certificate_problem
from worker.core.redaction import redact

CLOSED = "the server closed the connection"
SILENT = "no answer in time"
_REASONS = {
    errno.EACCES: "this user may not connect to it",
    errno.ECONNABORTED: CLOSED,
    errno.ECONNREFUSED: "connection refused; is it running?",
    errno.ECONNRESET: CLOSED,
    errno.EHOSTUNREACH: "there is no way to its host",
    errno.EMFILE: "this process has too many files open",
    errno.ENETUNREACH: "there is no way to its network",
    errno.ENOENT: "there is no such socket; is it running?",
    errno.EPIPE: CLOSED,
    errno.ETIMEDOUT: SILENT,
}
_NUMBER = re.compile(r"\[Errno (\d+)\]|\bError (\d+) ")
_SAID: tuple[tuple[str, str], ...] = (
    ("No master found", "its sentinels name no master of this service, or none of them answers"),
    ("Connection closed by server", CLOSED),
    ("connection_lost", CLOSED),
    ("Connection lost", CLOSED),
    ("connection was lost", CLOSED),
    ("connection was closed in the middle", CLOSED),
)


def reason_of(error: BaseException) -> str:
    """Return in a few words why a server could not be reached.

    Args:
        error: What a driver raised; its causes are searched too.
    """
    if problem := certificate_problem(error):
        return problem
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return "the name of its host is not known"
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed ({str(cause.reason or cause).lower().replace('_', ' ')})"
        if isinstance(cause, OSError) and cause.errno in _REASONS:
            return _REASONS[cause.errno]
    return _by_text(redact(str(error)).partition("\n")[0], error)


def tls_advice(reason: str, *, is_encrypted: bool) -> str:
    """Advise the other kind of URL if a server seems to have expected TLS, or no TLS.

    Args:
        reason: Why it could not be reached.
        is_encrypted: Whether the URL asks for TLS.
    """
    if is_encrypted and (reason in {CLOSED, SILENT} or reason.startswith("TLS failed")):
        return "; where the server has no TLS, the URL starts with redis://"
    if not is_encrypted and reason == CLOSED:
        return "; where the server asks for TLS, the URL starts with rediss://"
    return ""


def _by_text(text: str, error: BaseException) -> str:
    """Find the reason in a driver's text, which may contain the number of a system error."""
    for said, reason in _SAID:
        if said in text:
            return reason
    if number := _NUMBER.search(text):
        code = int(number[1] or number[2])
        return _REASONS.get(code, os.strerror(code).lower())
    if any("timeout" in type(cause).__name__.lower() for cause in _causes(error)):
        return SILENT
    return text or type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
