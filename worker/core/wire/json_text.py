"""JSON that anybody may have written."""

import json
from typing import Any, Final

from worker.core.wire.fields import shown


def read_json(name: str, value: bytes) -> Any:
    """Read JSON that anybody may have written: no NaN, and no text that UTF-8 cannot hold.

    Args:
        name: Name of the field, for the sentence.
        value: The text.

    Raises:
        ValueError: It is not such JSON.
    """
    try:
        text = value.decode()
        found = _DECODER.decode(text)
        if "\\u" in text:  # a lone surrogate is legal JSON, but UTF-8 cannot hold it
            json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise ValueError(f"{name} is {shown(value)}, which is no JSON that is accepted") from None
    return found


def _refuse_constant(name: str) -> float:
    raise ValueError(name)


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)
