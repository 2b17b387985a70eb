"""Simulated training jobs: each keeps asking for chunks at a steady pace and collects what comes."""

import anyio

from worker.adapters.redis.requests import RedisRequests
from worker.core.wire import encode_request
from worker.demo.ledger import Ledger

SIZE = 32
_REQUESTS_A_STEP = 20
_STEP_S = 0.025
_COLLECT_MS = 100


class TrainingJob:
    """Ask and collect, on a reply stream of its own."""

    def __init__(self, name: str, streams: RedisRequests, ledger: Ledger) -> None:
        """Take its name, where to ask, and where to note it."""
        self._name = name
        self._streams = streams
        self._ledger = ledger
        self._asked = 0
        self._is_asking = True

    def stop_asking(self) -> None:
        """Ask no more; results are still collected."""
        self._is_asking = False

    async def ask(self) -> None:
        """Ask until told to stop."""
        while self._is_asking:
            ids = [f"{self._name}-{self._asked + i}" for i in range(_REQUESTS_A_STEP)]
            self._asked += len(ids)
            self._ledger.ask(ids)
            await self._streams.add(encode_request(request_id=name, size=SIZE) for name in ids)
            await anyio.sleep(_STEP_S)

    async def collect(self) -> None:
        """Collect until cancelled."""
        while True:
            for result in await self._streams.receive(_COLLECT_MS):
                self._ledger.take(result)
