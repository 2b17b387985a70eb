"""Bodies of requests: bounded, JSON, and of known fields."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request

from worker.core.keys import CATEGORY_PATTERN, NAME_PATTERN
from worker.errors import DeskError

LONGEST_BODY: Final = 2 << 20
_LONGEST_TEXT: Final = 1000
_LONGEST_NAME: Final = 64
_MOST_NAMES: Final = 64
_JSON: Final = "application/json"


class Pairs(list[tuple[str, Any]]):
    """The members of a JSON object, repeated names included."""


async def read_bytes(request: Request, longest: int) -> bytes:
    """Read a body.

    Args:
        request: The request.
        longest: The most bytes that are accepted; no more are read.

    Raises:
        DeskError: It is longer.
    """
    body = bytearray()
    if int(request.headers.get("content-length", "0")) <= longest:  # the server has checked that it is a number
        async for part in request.stream():
            body += part
            if len(body) > longest:
                break
        else:
            return bytes(body)
    raise DeskError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", f"the body is too large; accepted: at most {longest:,} bytes"
    )


async def read_fields(request: Request, accepted: Sequence[str]) -> Mapping[str, Any]:
    """Read a body as a JSON object.

    Args:
        request: The request.
        accepted: Names of its fields.

    Raises:
        DeskError: It is none, or has other fields.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
        raise DeskError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not_json", f"the body is of another type; accepted: {_JSON}"
        )
    body = await read_bytes(request, LONGEST_BODY)
    try:
        pairs = json.loads(body, object_pairs_hook=Pairs)
    except (ValueError, RecursionError):
        raise bad("the body is not JSON", "a JSON object in UTF-8") from None
    if not isinstance(pairs, Pairs):
        raise bad("the body is not a JSON object", f"one with {', '.join(accepted)}")
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise bad("a field is given twice", "each field once")
    if unknown := [name for name in fields if name not in accepted]:
        raise bad(f"{ascii(unknown[0])[:80]} is no field here", ", ".join(accepted))
    return fields


def bad(what: str, accepted: str) -> DeskError:
    """Make the error of a request that is not as described."""
    return DeskError(HTTPStatus.BAD_REQUEST, "bad_request", f"{what}; accepted: {accepted}")


def read_name(fields: Mapping[str, Any], field: str) -> str | None:
    """Read the name of a dataset or a preset; None where it is missing, null or empty.

    Raises:
        DeskError: It is no name.
    """
    value = fields.get(field)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not NAME_PATTERN.fullmatch(value):
        raise bad(f"{field} {ascii(value)[:80]} is not accepted", NAME_PATTERN.pattern)
    return value


def read_names(text: str) -> tuple[str, ...]:
    """Read names of categories, with commas between.

    Raises:
        DeskError: One is no name, or there are too many.
    """
    names = tuple(dict.fromkeys(text.split(","))) if text else ()
    if len(names) > _MOST_NAMES or not all(map(CATEGORY_PATTERN.fullmatch, names)):
        raise bad(f"with={ascii(text)[:80]} is not accepted", f"at most {_MOST_NAMES} categories, with commas between")
    return names


def read_text(fields: Mapping[str, Any], field: str, longest: int = _LONGEST_TEXT) -> str:
    """Read a text for people; empty where it is missing or null.

    Raises:
        DeskError: It is no text, or too long.
    """
    value = fields.get(field)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > longest or not value.isprintable():
        raise bad(f"{field} is not accepted", f"a text of at most {longest:,} printable characters")
    return value.strip()


def read_flag(fields: Mapping[str, Any], field: str) -> bool:
    """Read yes or no; no where it is missing or null.

    Raises:
        DeskError: It is neither.
    """
    value = fields.get(field)
    if value is not None and not isinstance(value, bool):
        raise bad(f"{field} is not accepted", "true or false")
    return bool(value)


def read_who(fields: Mapping[str, Any]) -> str | None:
    """Read who asks for a change; None where nobody says so.

    Raises:
        DeskError: It is no name of a person.
    """
    who = read_text(fields, "who", _LONGEST_NAME)
    return f"{who} (desk)" if who else None


def read_pairs(fields: Mapping[str, Any], field: str) -> Pairs:
    """Read an object; its members are for others to check.

    Raises:
        DeskError: It is none.
    """
    value = fields.get(field)
    if not isinstance(value, Pairs):
        raise bad(f"{field} are missing, or no object", 'an object, such as {"voice": 0.7, "music": 0.2}')
    return value
