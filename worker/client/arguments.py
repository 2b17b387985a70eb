"""The arguments of a request, checked by the rules of the wire before anything is sent."""

import math
import numbers
import operator
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple, TypedDict, get_args, get_origin, get_type_hints

from worker.core.wire import LARGEST_SIZE, Budget, Decoder, Encoding, Entry, Method, Request, Result, encode_request

DEFAULT_SIZE = 32
_LONGEST_WAIT_S = 365 * 86_400


class Options(TypedDict, total=False):
    """The keyword arguments of `sample`, `submit` and `stream` beside `size`.

    Attributes:
        category: Draw from this category only, whatever the weights.
        dataset: Draw under the weights of this dataset; default: the global ones.
        preset: Draw under this preset.
        session: Name of the training session that asks.
        pin: Draw under the weights that the session was first pinned to.
        replace: False: no chunk twice within the request.
        method: `random`, `stratified` (counts as close to the weights as possible), or `epoch` (no chunk twice in the
            session until its category is used up; with `buckets`, those of its length).
        seed: The same seed under the same weights and catalog gives the same ids. A stream derives one for each of its
            requests, see `worker.core.wire.seeds.seed_of`.
        encoding: Encoding of ids on the wire; default: the one that is faster to read.
        probabilities: Have `weights` and `ready` in the sample.
        budget_s: Instead of `size`: as many chunk ids as last so many seconds. Workers need durations for it.
        budget: With `budget_s`: `padded`, count x longest duration is within it; or `sum`, the durations add up.
        buckets: With `budget_s`: the chunks of a sample are of one length bucket, of so many. The mix over all samples
            is that of the weights.
        columns: Have these of each chunk in the sample: `category`, `duration_s`, `start_s`, `path`; the last three of
            workers with WORKER_CATALOG_COLUMNS.
        split: Draw from the chunks of this split only; default: those without a split, and those of `train`.
        exclude: Draw no chunk of this exclusion list, see `sampling-worker exclude`.
        traceparent: W3C trace context of the caller; workers copy it to the result and to their log.
        request_id: Asking twice with one id returns the same sample, see README.md in this folder. Streams refuse it.
        timeout_s: Longest wait; None: for ever. Default: the client's.
    """

    category: str | None
    dataset: str | None
    preset: str | None
    session: str | None
    pin: bool
    replace: bool
    method: Method
    seed: int | None
    encoding: Encoding | None
    probabilities: bool
    split: str | None
    budget_s: float | None
    budget: Budget | None
    buckets: int | None
    columns: Sequence[str] | None
    exclude: str | None
    traceparent: str | None
    request_id: str | None
    timeout_s: float | None


class Asked(Options, total=False):
    """The arguments of one request of `sample_many`."""

    size: int | None


class Checked(NamedTuple):
    """Arguments that are accepted.

    Attributes:
        words: Fields and values in turn.
        request_id: Id of the request; empty if none was given.
        timeout_s: Longest wait, in seconds; None: for ever.
        has_encoding: Whether an encoding was given.
    """

    words: tuple[str | int, ...]
    request_id: str
    timeout_s: float | None
    has_encoding: bool

    def with_id(self, request_id: str) -> "Checked":
        """Return the same request under an id of its own.

        Raises:
            TypeError: The id is not a text.
            ValueError: The id is not accepted.
        """
        own = encode_request(request_id=_text("an id", request_id) or "")
        _read(own)
        return self._replace(words=(*own, *self.words), request_id=request_id)

    def with_seed(self, seed: int) -> "Checked":
        """Return the same request with a seed. The seed must be valid."""
        return self._replace(words=(*encode_request(seed=seed), *self.words))


class Checker:
    """Checks arguments of requests."""

    def __init__(self, timeout_s: float | None) -> None:
        """Set the default time-out.

        Args:
            timeout_s: Longest wait of requests that name none, in seconds; None: for ever.

        Raises:
            ValueError: It is not accepted.
        """
        self._timeout_s = check_timeout(timeout_s)

    def check(self, size: int | None, options: Mapping[str, Any]) -> Checked:
        """Check the arguments of one request.

        Args:
            size: How many chunk ids; None: 32, unless the options name a budget.
            options: See `Options`.

        Raises:
            TypeError: An argument is not known, or of another type.
            ValueError: A value is not accepted.
        """
        options = dict(options)
        timeout_s = check_timeout(options.pop(_TIMEOUT, self._timeout_s))
        if unknown := options.keys() - _READERS.keys():
            raise TypeError(f"{min(unknown)} is not an argument; accepted: {', '.join((*_READERS, _TIMEOUT))}")
        if size is None and options.get("budget_s") is None:
            size = DEFAULT_SIZE
        given = {"size": size, **options}
        words = encode_request(**{name: _READERS[name](name, value) for name, value in given.items()})
        request = _read(words)
        if request.traceparent != given.get(_TRACEPARENT):  # workers ignore it, as W3C wants; who sets it is told
            shown = ascii(given[_TRACEPARENT])[:_SHOWN]
            raise ValueError(f"{_TRACEPARENT} is {shown}; accepted: a W3C trace context, {_EXAMPLE}")
        return Checked(words, request.request_id, timeout_s, given.get("encoding") is not None)

    def check_asked(self, asked: Asked) -> Checked:
        """Check one request of many.

        Raises:
            TypeError: An argument is not known, or of another type.
            ValueError: A value is not accepted.
        """
        options = dict(asked)
        return self.check(options.pop("size", None), options)  # type: ignore[arg-type]

    def check_stream(self, options: Mapping[str, Any]) -> tuple[Checked, int | None]:
        """Check the requests of a stream; return the request without its seed, and the seed.

        Args:
            options: See `Options`, and the size.

        Raises:
            TypeError: An argument is not known, or of another type.
            ValueError: A value is not accepted.
        """
        rest = dict(options)
        size = rest.pop("size", None)
        checked = self.check(size, rest)
        seed = check_whole(_SEED, rest.pop(_SEED, None))
        return (checked if seed is None else self.check(size, rest)), seed


def _read(words: Sequence[str | int]) -> Request:
    request = _DECODER.decode(Entry("", [str(word).encode() for word in words]))
    if isinstance(request, Result):
        raise ValueError(request.message)  # noqa: TRY004 - the type is right, the value is not
    return request


def check_timeout(timeout_s: float | None) -> float | None:
    """Return a time-out unchanged.

    Raises:
        ValueError: It is not accepted.
        TypeError: It is not a number.
    """
    accepted = f"seconds above 0 and up to {_LONGEST_WAIT_S}, or None for ever"
    if timeout_s is not None and (isinstance(timeout_s, bool) or not isinstance(timeout_s, numbers.Real)):
        raise TypeError(f"{_TIMEOUT} is {timeout_s!r}; accepted: {accepted}")
    if timeout_s is None or 0 < timeout_s <= _LONGEST_WAIT_S:
        return timeout_s
    raise ValueError(f"{_TIMEOUT} is {timeout_s!r}; accepted: {accepted}")


def check_count(name: str, value: int) -> int:
    """Return a whole number above 0 unchanged.

    Raises:
        ValueError: It is not accepted.
    """
    number = check_whole(name, value)
    if number is None or number < 1:
        raise ValueError(f"{name} is {value!r}; accepted: a whole number from 1")
    return number


def _flag(name: str, value: object) -> int:
    if value is True or value is False:
        return int(value)
    raise TypeError(f"{name} is {value!r}; accepted: True or False")


def check_whole(name: str, value: Any) -> int | None:
    """Return a whole number of any kind as a plain one, and None as it is.

    Raises:
        TypeError: It is neither.
    """
    try:
        if value is None or not isinstance(value, bool):
            return None if value is None else operator.index(value)  # NumPy's numbers are whole numbers too
    except TypeError:
        pass
    raise TypeError(f"{name} is {value!r}; accepted: a whole number")


def _seconds(name: str, value: Any) -> str | None:
    """Write a number of seconds as the wire does, without a power of ten.

    Raises:
        TypeError: It is no number.
        ValueError: It is not finite.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} is {value!r}; accepted: a number of seconds")
    if not math.isfinite(value):
        raise ValueError(f"{name} is {value!r}; accepted: a number of seconds")
    return format(Decimal(repr(float(value))), "f")


def size_of(words: Mapping[Any, Any]) -> int:
    """Return how many chunk ids a sample has; with a budget roughly, as if chunks lasted a second.

    Args:
        words: Fields of a request, see `Checked`.
    """
    if "size" in words:
        return int(words["size"])
    return min(LARGEST_SIZE, 1 + int(float(words["budget_s"])))


def _text(name: str, value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise TypeError(f"{name} is {value!r}; accepted: a text")


def _names(name: str, value: Any) -> str | None:
    if isinstance(value, str) or value is None:
        return value
    if not isinstance(value, Collection) or not all(isinstance(one, str) for one in value):
        raise TypeError(f"{name} is {value!r}; accepted: names, such as ('category', 'path')")
    return ",".join(value) or None


def _reader(hint: Any) -> Callable[[str, Any], str | int | None]:
    """Choose the reader of an argument by its type."""
    kinds = get_args(hint) or (hint,)
    if bool in kinds:
        return _flag
    if any(get_origin(kind) is Sequence for kind in kinds):
        return _names
    if float in kinds:
        return _seconds
    return check_whole if int in kinds else _text


_DECODER: Final = Decoder()
_SEED: Final = "seed"
_TRACEPARENT: Final = "traceparent"
_EXAMPLE: Final = "such as 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
_SHOWN: Final = 64
_TIMEOUT: Final = "timeout_s"
_READERS: Final = {
    "size": check_whole,
    **{name: _reader(hint) for name, hint in get_type_hints(Options).items() if name != _TIMEOUT},
}
