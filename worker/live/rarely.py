"""What changes rarely and is dear to read: presets, and the sessions that jobs have."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from worker.adapters.redis.client import Client
from worker.adapters.redis.sessions import RedisSessions
from worker.core.draw.session_shown import most_repeated, read_limit
from worker.core.draw.sessions import read_session, session_counts
from worker.core.keys import NAME_PATTERN, Keys
from worker.core.live.marks import heaviest
from worker.core.live.texts import cut
from worker.core.weights.history import Change
from worker.core.weights.in_force import preset_of
from worker.core.weights.presets import BUILT_IN_PRESETS
from worker.core.weights.values import Weights
from worker.core.workers.ready import Ready, ready_of
from worker.core.workers.states import WorkerState
from worker.live.pace import Pace
from worker.weights.presets import all_presets

_PRESETS_EVERY_S: Final = 10.0
_SESSIONS_EVERY_S: Final = 10.0
_MOST_SESSIONS: Final = 32
_MOST_PRESETS: Final = 64


class Rarely:
    """Presets and sessions, as they were a few seconds ago.

    Attributes:
        presets: Name, whether it is built in, version and shares of each; None for weights that are not known.
        sessions: What each of the first sessions by name is pinned to, and what it got.
        sessions_left_out: How many more there are.
    """

    def __init__(self, client: Client, keys: Keys) -> None:
        """Read later.

        Args:
            client: A connection.
            keys: Names in Redis.
        """
        self._client = client
        self._keys = keys
        self._sessions = RedisSessions(client, keys)
        self._preset_pace, self._session_pace = Pace(_PRESETS_EVERY_S), Pace(_SESSIONS_EVERY_S)
        self.presets: Sequence[Mapping[str, Any]] = ()
        self.sessions: Sequence[Mapping[str, Any]] = ()
        self.sessions_left_out = 0

    def are_presets_due(self, changes: Sequence[Change]) -> bool:
        """Return whether it is time to read the presets, or one of them was changed since the last look."""
        return self._preset_pace.is_due or any(preset_of(change.name) for change in changes)

    @property
    def are_sessions_due(self) -> bool:
        """Return whether it is time to read the sessions."""
        return self._session_pace.is_due

    def hurry(self) -> None:
        """Let everything be due at once."""
        self._preset_pace.hurry()
        self._session_pace.hurry()

    async def read_presets(self, workers: Sequence[WorkerState]) -> None:
        """Read the presets.

        Args:
            workers: The states of live workers.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        with self._preset_pace.timed():
            listed = await all_presets(self._client, self._keys, ready_of(workers).known)
            named = [one for one in listed if NAME_PATTERN.fullmatch(one[0])]  # no request can name another
            self.presets = [_preset(name, weights) for name, weights in named[:_MOST_PRESETS]]

    async def read_sessions(self, workers: Sequence[WorkerState]) -> None:
        """Read the sessions.

        Args:
            workers: The states of live workers.

        Raises:
            RedisError: Redis did not answer, or refused.
        """
        with self._session_pace.timed():
            names = await self._sessions.names()
            ready = ready_of(workers)
            self.sessions = [await self._session(name, ready) for name in names[:_MOST_SESSIONS]]
            self.sessions_left_out = max(0, len(names) - _MOST_SESSIONS)

    def document(self) -> dict[str, Any]:
        """Return presets and sessions as plain data."""
        return {"presets": self.presets, "sessions": self.sessions, "sessions_left_out": self.sessions_left_out}

    async def _session(self, name: str, ready: Ready) -> dict[str, Any]:
        fields = await self._sessions.read(name)
        limit = read_limit(fields or {})
        session, counts = read_session(fields), session_counts(fields or {})
        return {
            "name": cut(name),
            "version": None if session.pinned is None else session.pinned.version,
            "has_schedule": session.schedule is not None,
            "requests": sum(counts.requests.values()),
            "chunks": counts.chunks,
            "repeats_limit": limit,
            "most_repeated": None if limit is None else most_repeated(fields, ready),
            "ends_in_s": await self._sessions.idle_left_s(name),
            "problem": cut(session.problem),
        }


def _preset(name: str, weights: Weights | None) -> dict[str, Any]:
    return {
        "name": name,
        "built_in": name in BUILT_IN_PRESETS,
        "version": None if weights is None else weights.version,
        "shares": None if weights is None else heaviest(weights.shares),
        "categories": None if weights is None else len(weights.shares),
    }
