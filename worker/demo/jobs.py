"""Simulated training jobs. Each asks for samples at a steady rate and collects the results."""

import anyio

from worker.adapters.redis.requests import RedisRequests
from worker.core.wire import encode_request
from worker.demo.ledger import Ledger

SIZE = 32
_REQUESTS_A_STEP = 20
_STEP_S = 0.025
_COLLECT_MS = 100


class TrainingJob:
    """A training job with a reply stream of its own."""

    def __init__(self, name: str, streams: RedisRequests, ledger: Ledger) -> None:
        self._name = name
        self._streams = streams
        self._ledger = ledger
        self._asked = 0
        self._is_asking = True

    def stop_asking(self) -> None:
        """Stop asking. Results are still collected."""
        self._is_asking = False

    async def ask(self) -> None:
        """Ask for samples until `stop_asking`."""
        while self._is_asking:
            ids = [f"{self._name}-{self._asked + i}" for i in range(_REQUESTS_A_STEP)]
            self._asked += len(ids)
            self._ledger.add_requests(ids)
            await self._streams.add(encode_request(request_id=name, size=SIZE) for name in ids)
            await anyio.sleep(_STEP_S)

    async def collect(self) -> None:
        """Collect results until cancelled."""
        while True:
            for result in await self._streams.receive(_COLLECT_MS):
                self._ledger.check(result)
