"""Changes of weights and presets that browsers ask for: each takes the step that the command line takes."""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from worker.client.weights import SetOptions, Wanted, WeightsChange, check_options
from worker.desk.answers import answer, refuse
from worker.desk.bodies import Pairs, bad, read_fields, read_flag, read_name, read_pairs, read_text, read_who
from worker.desk.context import Context
from worker.desk.hub import Hub
from worker.errors import DeskError, StaleError, WeightsError

WAIT_S: Final = 3.0
"""How long a browser waits for the workers at most; afterwards it sees in its view who has applied a change."""

_Make = Callable[[Mapping[str, Any]], Awaitable[WeightsChange]]


class Changes:
    """Answers to requests for changes.

    Args:
        context: Where.
        hub: What all browsers share.
    """

    def __init__(self, context: Context, hub: Hub) -> None:
        self._context = context
        self._hub = hub

    @property
    def routes(self) -> list[Route]:
        """Return the paths that are answered here."""
        return [
            Route("/api/weights", self.set, methods=["POST"]),
            Route("/api/rollback", self.roll_back, methods=["POST"]),
            Route("/api/presets", self.save_preset, methods=["POST"]),
            Route("/api/presets/apply", self.apply_preset, methods=["POST"]),
        ]

    async def set(self, request: Request) -> Response:
        """Store weights; null instead of weights removes those that are set."""

        async def make(fields: Mapping[str, Any]) -> WeightsChange:
            dataset, wanted = read_name(fields, "dataset"), _read_options(fields)
            if "weights" in fields and fields["weights"] is None:
                return await self._context.work.remove(dataset, wanted)
            if read_flag(fields, "keep_others"):
                return await self._context.work.update(read_pairs(fields, "weights"), dataset, wanted)
            return await self._context.work.set(
                _read_weights(fields, "null to remove those that are set"), dataset, wanted
            )

        accepted = ("dataset", "weights", "keep_others", "if_version", "reason", "who", "for_s")
        return await self._change(request, accepted, make)

    async def roll_back(self, request: Request) -> Response:
        """Undo the last change, or go back to a version."""

        async def make(fields: Mapping[str, Any]) -> WeightsChange:
            version = _read_options({"if_version": fields.get("version")}).if_version
            return await self._context.work.roll_back(version, read_name(fields, "dataset"), _read_options(fields))

        return await self._change(request, ("dataset", "version", "if_version", "reason", "who"), make)

    async def save_preset(self, request: Request) -> Response:
        """Store weights under a name; null instead of weights removes the preset."""

        async def make(fields: Mapping[str, Any]) -> WeightsChange:
            wanted = _read_options(fields, preset=_read_preset(fields), wait=False)
            if "weights" in fields and fields["weights"] is None:
                return await self._context.work.remove(None, wanted)
            return await self._context.work.set(_read_weights(fields, "null to remove the preset"), None, wanted)

        return await self._change(request, ("name", "weights", "reason", "who"), make)

    async def apply_preset(self, request: Request) -> Response:
        """Store the weights of a preset, as it is now, as the weights."""

        async def make(fields: Mapping[str, Any]) -> WeightsChange:
            name, reason = _read_preset(fields), read_text(fields, "reason")
            wanted = _read_options({**fields, "reason": f"preset {name}: {reason}" if reason else f"preset {name}"})
            presets = await self._context.work.presets()
            if name not in presets:
                raise WeightsError(f"preset {name!r} is not known; accepted: {', '.join(presets)}")
            weights = presets[name].weights
            if weights is None:
                why = "no valid weights stand there, or no worker says what is READY"
                raise WeightsError(f"what preset {name!r} weighs is not known: {why}; accepted: another one")
            return await self._context.work.set(weights, read_name(fields, "dataset"), wanted)

        return await self._change(request, ("name", "dataset", "if_version", "reason", "who", "for_s"), make)

    async def _change(self, request: Request, accepted: tuple[str, ...], make: _Make) -> Response:
        """Make a change, and tell what came of it."""
        if self._context.is_read_only:
            what = "this desk is read-only; accepted: a desk that was started without --read-only"
            raise DeskError(HTTPStatus.FORBIDDEN, "read_only", what)
        fields = await read_fields(request, accepted)
        try:
            change = await make(fields)
        except StaleError as error:
            return refuse(error, {"in_force": await self._in_force(read_name(fields, "dataset"))})
        await self._hub.look()
        return answer(change_answer(change))

    async def _in_force(self, dataset: str | None) -> dict[str, Any]:
        """Describe the weights that a browser had not seen."""
        found = await self._context.work.show(dataset)
        return {
            "version": found.version,
            "who": found.who,
            "reason": found.reason,
            "at_ms": found.set_at_ms,
            "shares": found.weights,
        }


def change_answer(change: WeightsChange) -> dict[str, Any]:
    """Return what came of a change as plain data."""
    applied = None
    if change.applied_by is not None:
        applied = {
            "workers": len(change.applied_by),
            "of": len(change.applied_by) + len(change.missing),
            "missing": change.missing,
            "unasked": change.unasked,
            "took_ms": change.waited_ms,
        }
    return {
        "version": change.version,
        "version_before": change.version_before,
        "entry": change.entry,
        "at_ms": change.at_ms,
        "until_ms": change.until_ms,
        "applied": applied,
        "warnings": change.warnings,
    }


def _read_options(fields: Mapping[str, Any], *, preset: str | None = None, wait: bool = True) -> Wanted:
    """Read how a change is wanted.

    Raises:
        DeskError: An option is of another type.
        WeightsError: A value is not accepted.
    """
    given = {"reason": read_text(fields, "reason"), "who": read_who(fields), "preset": preset}
    options = {**given, "if_version": fields.get("if_version"), "for_s": fields.get("for_s")}
    try:
        return check_options({**options, "wait": wait, "timeout_s": WAIT_S}, SetOptions)
    except TypeError as error:
        what, _, accepted = str(error).partition("; accepted: ")
        raise bad(what, accepted) from None


def _read_weights(fields: Mapping[str, Any], otherwise: str) -> Pairs:
    """Read weights that are not all zero.

    Raises:
        DeskError: They are none.
    """
    pairs = read_pairs(fields, "weights")
    if pairs and all(value == 0 for _, value in pairs):
        raise bad("all weights are zero", f"at least one above zero, or {otherwise}")
    return pairs


def _read_preset(fields: Mapping[str, Any]) -> str:
    """Read the name of a preset.

    Raises:
        DeskError: It is missing, or no name.
    """
    name = read_name(fields, "name")
    if name is None:
        raise bad("name is missing", "the name of a preset")
    return name
