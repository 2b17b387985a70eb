"""A request for a sample."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    model_serializer,
    model_validator,
)

from worker.core.keys import NAME_PATTERN, SPLIT_PATTERN
from worker.core.wire import (
    LARGEST_BUDGET_S,
    LARGEST_SEED,
    LARGEST_SIZE,
    MOST_BUCKETS,
    REQUEST_FIELDS,
    Budget,
    Encoding,
    Method,
    contradiction,
    read_field,
)
from worker.errors import RequestError
from worker.models.strict import LARGEST, Model, read_object, refuse_input, refused

_LONGEST_TEXT: Final = 128
_HUGE: Final = 1 << 1024
Word = str | bytes
_OF_A_BATCH: Final = frozenset({"size", "budget", "buckets"})
_NAME: Final = f"^{NAME_PATTERN.pattern}$"


def _reading(wanted: str, *kinds: type) -> BeforeValidator:
    """Make the check of a field: a value of these types, or its text on the wire, is read as a worker reads it."""
    accepted = (*kinds, str, bytes)

    def read(value: Any, info: ValidationInfo) -> Any:
        name = str(info.field_name)
        if isinstance(value, list | tuple) and tuple in kinds and all(isinstance(one, str) for one in value):
            value = ",".join(value)
            if not value:
                return ()
        if not isinstance(value, accepted) or (isinstance(value, bool) and bool not in kinds):
            raise refused(f"{name} is {ascii(value)[:64]}; accepted: {wanted}")
        try:
            return read_field(name, _wire_text(value))
        except RequestError as error:
            raise refused(error.message) from None

    return BeforeValidator(read)


_LIST = _reading("a list of texts", tuple)
_NUMBER, _FLAG, _TEXT = _reading("a whole number", int), _reading("true or false", bool, int), _reading("a text")

Size = Annotated[int, Field(ge=1, le=LARGEST_SIZE), _NUMBER]
Seconds = Annotated[
    Annotated[float, Field(ge=0.001, le=LARGEST_BUDGET_S)] | None, _reading("a number of seconds", int, float)
]
Buckets = Annotated[int, Field(ge=1, le=MOST_BUCKETS), _NUMBER]
Seed = Annotated[Annotated[int, Field(ge=0, le=LARGEST_SEED)] | None, _NUMBER]
Time = Annotated[Annotated[int, Field(ge=0, le=LARGEST)] | None, _NUMBER]
Flag = Annotated[bool, _FLAG]
Text = Annotated[Annotated[str, Field(min_length=1, max_length=_LONGEST_TEXT)] | None, _TEXT]
Name = Annotated[Annotated[str, Field(pattern=_NAME)] | None, _TEXT]
Split = Annotated[Annotated[str, Field(pattern=f"^{SPLIT_PATTERN.pattern}$")] | None, _TEXT]
ColumnName = Literal["category", "duration_s", "start_s", "path"]
Columns = Annotated[tuple[ColumnName, ...], _LIST]
Trace = Annotated[str | None, _TEXT]


class SampleRequest(Model):
    """A request for chunk ids, as `XADD` adds it to the request stream.

    In the stream each value is a text: numbers in decimal digits, true as 1 and false as 0, lists with commas. A
    field that is null is left out. A worker ignores fields that it does not know; they are kept and sent.
    """

    size: Size = Field(default=1, description="How many chunk ids; a worker may accept fewer, by its setting.")
    request_id: Text = Field(default=None, description="Printable characters, echoed; default: the entry's id.")
    category: Text = Field(default=None, description="Draw from this category alone, whatever the weights.")
    dataset: Name = Field(default=None, description="Draw under the weights of this dataset.")
    preset: Name = Field(default=None, description="Draw under this preset.")
    session: Text = Field(default=None, description="The training session that asks; printable characters.")
    pin: Flag = Field(default=False, description="Draw under the weights that the session is pinned to.")
    replace: Flag = Field(default=True, description="False: no chunk twice within the request.")
    method: Annotated[Method, _TEXT] = Field(default="random", description="How chunks are drawn.")
    seed: Seed = Field(default=None, description="The same seed under the same weights and catalog draws the same ids.")
    reply_to: Name = Field(default=None, description="The result goes to the result stream of this name.")
    expires_at: Time = Field(default=None, description="Unix time in ms after which nobody wants the answer.")
    encoding: Annotated[Encoding, _TEXT] = Field(default="json", description="How chunk ids come.")
    split: Split = Field(default=None, description="Draw chunks of this split alone.")
    columns: Columns = Field(default=(), description="The result says these of each chunk.")
    exclude: Name = Field(default=None, description="Draw no chunk of this exclusion list.")
    probabilities: Flag = Field(default=False, description="The result carries effective weights and READY counts.")
    budget_s: Seconds = Field(default=None, description="Instead of `size`: as many chunk ids as last so many seconds.")
    budget: Annotated[Budget, _TEXT] = Field(
        default="padded", description="With `budget_s`, what is within it: count x longest duration, or the sum."
    )
    buckets: Buckets = Field(default=1, description="With `budget_s`: chunks of one length bucket, of so many.")
    traceparent: Trace = Field(default=None, description="W3C trace context, echoed; one that is not valid is ignored.")

    @model_validator(mode="before")
    @classmethod
    def _leave_out(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            return {name: value for name, value in given.items() if value is not None}
        return given

    @model_validator(mode="after")
    def _agree(self) -> Self:
        named = [name for name in REQUEST_FIELDS if name in self.model_fields_set or name not in _OF_A_BATCH]
        given = {name: getattr(self, name) for name in named if getattr(self, name) is not None}
        if (problem := contradiction(given)) is not None:
            raise refused(problem.message)
        for name, value in (self.model_extra or {}).items():
            if not isinstance(value, str | bytes | int | float):
                raise refused(f"{ascii(name)[:64]} is {ascii(value)[:64]}; accepted: a text or a number")
        return self

    @model_serializer(mode="wrap")
    def _without_others(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the fields that must not be beside those that are given."""
        absent = _OF_A_BATCH - {"size"} if self.budget_s is None else {"size"}
        return {name: value for name, value in write(self).items() if name not in absent}

    @classmethod
    def read_text(cls, raw: bytes) -> Any:
        """Read JSON in which no field comes twice.

        Raises:
            ValueError: It is not accepted.
        """
        return read_object(raw)

    @classmethod
    def from_fields(cls, fields: Mapping[Any, Word] | Iterable[tuple[Word, Word]]) -> Self:
        """Read a request as Redis returns it.

        Args:
            fields: Name -> value, texts or bytes; or pairs of them.

        Raises:
            ValidationError: A worker would refuse it. The message says what was wrong, and what is accepted.
        """
        found: dict[str, str | bytes] = {}
        for raw, value in fields.items() if isinstance(fields, Mapping) else fields:
            if (name := _text(raw)) in found and name in REQUEST_FIELDS:
                refuse_input(cls.__name__, f"{name} is given twice; accepted: each field once", name)
            found[name] = value if name in REQUEST_FIELDS else _text(value)
        return cls.model_validate(found)

    def fields(self) -> dict[str, str | int]:
        """Return fields and values for `XADD`. What holds anyhow is left out, but not the size."""
        given = self.model_dump(exclude_defaults=True, exclude_none=True)
        size = {"size": self.size} if self.budget_s is None else {}
        return size | {name: _word(value) for name, value in given.items()}


def _wire_text(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, int):
        return (str(int(value)) if abs(value) < _HUGE else hex(value)).encode()  # a huge number has no decimal text
    return str(value).encode(errors="surrogatepass")


def _word(value: Any) -> str | int:
    if isinstance(value, bytes):
        return _text(value)
    if isinstance(value, tuple):
        return ",".join(value)
    return int(value) if isinstance(value, bool) else value if isinstance(value, int) else str(value)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode(errors="backslashreplace")
