"""What all models have in common: they are frozen, keep what they do not know, and read strict JSON."""

import json
from typing import Annotated, Any, NoReturn, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from worker.core.wire import read_json

LARGEST = 2**63 - 1

Whole = Annotated[int, Field(strict=True, ge=0, le=LARGEST)]
Amount = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]


class Model(BaseModel):
    """The root of all models."""

    model_config = ConfigDict(frozen=True, extra="allow")

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """Read JSON. NaN, Infinity and text that UTF-8 cannot hold are refused.

        Args:
            json_data: The text.
            options: Those of pydantic.

        Raises:
            ValidationError: It is not accepted. The message says what was wrong, and what is accepted.
        """
        raw = json_data.encode(errors="surrogatepass") if isinstance(json_data, str) else bytes(json_data)
        try:
            found = cls.read_text(raw)
        except ValueError as error:
            refuse_input(cls.__name__, str(error), json_data)
        return cls.model_validate(found, **options)

    @classmethod
    def read_text(cls, raw: bytes) -> Any:
        """Read JSON as workers do.

        Raises:
            ValueError: It is not accepted.
        """
        return read_json("the value", raw)


def refused(sentence: str) -> PydanticCustomError:
    """Make the error of a value; its message is the sentence as it is."""
    return PydanticCustomError("refused", "{sentence}", {"sentence": sentence})


def refuse_input(title: str, sentence: str, given: object) -> NoReturn:
    """Refuse all that was given.

    Raises:
        ValidationError: Always.
    """
    raise ValidationError.from_exception_data(title, [InitErrorDetails(type=refused(sentence), input=given)]) from None


def read_object(raw: bytes) -> dict[str, Any]:
    """Read a JSON object in which no name comes twice.

    Raises:
        ValueError: It is not one.
    """
    read_json("the value", raw)
    pairs = json.loads(raw, object_pairs_hook=_Pairs)
    if not isinstance(pairs, _Pairs):
        raise ValueError("the value is no JSON object; accepted: an object of fields")  # noqa: TRY004 - it is text
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name} is given twice; accepted: each field once")
        found[name] = value
    return found


class _Pairs(list[tuple[str, Any]]):
    """The members of a JSON object, repeated names included."""
