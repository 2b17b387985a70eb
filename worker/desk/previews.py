"""Previews: what weights would draw, while somebody still moves a fader. Nothing is stored."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from worker.core.weights.left_out import left_out, unweighted
from worker.core.weights.values import Weights, check_values, normalise
from worker.core.workers.mix import look_at_mix
from worker.core.workers.outlook import look_ahead
from worker.desk.answers import answer
from worker.desk.bodies import bad, read_fields, read_flag, read_name, read_pairs
from worker.desk.hub import Hub, Watched

_SIZE: Final = 32
_LARGEST_SIZE: Final = 1_000_000
_MOST_ROWS: Final = 128
_BY_TIME: Final = "weights are shares of audio time: how many chunks that makes hangs on how long they are"


class Previews:
    """Answers to requests for previews, by the newest look.

    Args:
        hub: What all browsers share.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    @property
    def routes(self) -> list[Route]:
        """Return the paths that are answered here."""
        return [Route("/api/preview", self.preview, methods=["POST"])]

    async def preview(self, request: Request) -> Response:
        """Compute what weights would draw: the heaviest categories, and those that were named."""
        fields = await read_fields(request, ("dataset", "weights", "keep_others", "size"))
        named, size = check_values(read_pairs(fields, "weights")), _read_size(fields)
        watched = Watched(read_name(fields, "dataset"))
        view, strips = await self._hub.known(watched)
        values = {**(strips.stored or strips.shares), **named} if read_flag(fields, "keep_others") else named
        weights = normalise(values, "redis")
        if weights is None:
            raise bad("all weights are zero", "at least one above zero")
        rate, unit = view["rate"]["chunks_per_s"], view["unit"]
        rows = look_ahead(weights, strips.ready, size=size, chunks_per_s=rate, unit=unit)
        shown = [row for number, row in enumerate(rows) if number < _MOST_ROWS or row.name in named][: 2 * _MOST_ROWS]
        ready, notes = strips.ready.categories or {}, [] if unit == "chunks" else [_BY_TIME]
        return answer(
            {
                "version": weights.version,
                "size": size,
                "categories": [asdict(row) for row in shown],
                "categories_left_out": len(rows) - len(shown),
                "empty": _empty(weights, strips.ready.known),
                "unweighted": unweighted(weights.shares, ready)[:_MOST_ROWS],
                "warnings": [*look_at_mix(weights.shares, strips.ready).warnings, *notes],
            }
        )


def _empty(weights: Weights, ready: Mapping[str, int] | None) -> list[str]:
    """Name weighted categories without READY chunks, as far as that is known."""
    return [] if ready is None else [*left_out(weights.shares, ready)][:_MOST_ROWS]


def _read_size(fields: Mapping[str, Any]) -> int:
    """Read how many chunks are drawn.

    Raises:
        DeskError: It is no such number.
    """
    size = fields.get("size", _SIZE)
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= _LARGEST_SIZE:
        raise bad("size is not accepted", f"a whole number from 1 to {_LARGEST_SIZE:,}")
    return size
