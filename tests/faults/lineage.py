"""A trial whose data live on elsewhere: servers fail over, and what only the old one knew is gone with it.

Two servers that part hold two lineages of the data, and only one goes on. What is promised is one result for each entry
*of that one*; what the other has acknowledged since they parted is lost, and here it is counted. Entries' ids alone do
not tell lineages apart: both servers make them of the same clock.
"""

import gc
import time
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tests.faults.collect import collect, records
from tests.faults.records import Asked, Run
from tests.faults.trial import DEADLINE_S, Trial
from tests.support.command import RunningWorker
from tests.support.waiting import wait_until_sync

_MANY = 100


class LineageTrial(Trial):
    """A trial that knows what a failover lost, and counts what is left."""

    def speak_by(self, client: Any) -> None:
        """Speak to the servers by a client that follows the data."""
        self.client.close()
        self.client = client

    def end(self) -> None:
        """End it, and collect connections that a cluster's client has left open, as those to nodes that it replaced."""
        super().end()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()

    @property
    def asked(self) -> int:
        """Count the requests so far."""
        return len(self._asked)

    def wait_flowing(self) -> None:
        """Wait until a good number of requests is answered; somebody has to be asking."""
        enough = self.look() + _MANY
        wait_until_sync(lambda: self.look() >= enough, timeout_s=DEADLINE_S, what="requests flow")

    def wait_followed(self, *workers: RunningWorker) -> None:
        """Wait until workers have found the servers that go on."""
        begun = time.monotonic()
        for worker in workers:
            self.wait_event(worker, "redis.restored")
        self._figure("followed in", time.monotonic() - begun, "s")

    def lose(self) -> list[Asked]:
        """Mark as lost, and return, what was acknowledged and never reached the servers that go on.

        Nobody may be asking meanwhile.
        """
        self._settled.clear()
        self._last_seen = dict.fromkeys(self._last_seen, "-")
        # In this order: what leaves the stream has a result from then on.
        known = {(entry_id, fields[b"request_id"].decode()) for entry_id, fields in self._waiting()}
        known |= {(answer.entry_id, answer.request_id) for answer in collect(self.client, self.keys).answers}
        lost = {i for i, one in enumerate(self._asked) if one.entry_id and _mark(one) not in known}
        gone = [self._asked[i] for i in sorted(lost)]
        if gone:
            self._figure("acknowledged in vain for", (gone[-1].sent_ns - gone[0].sent_ns) / 1e9, "s")
        self._asked = [one._replace(entry_id=None) if i in lost else one for i, one in enumerate(self._asked)]
        return gone

    def ask_again(self, lost: Sequence[Asked]) -> None:
        """Ask for what was lost once more, under the same request ids."""
        wait_until_sync(self._is_accepting, timeout_s=DEADLINE_S, what="requests are taken")
        for one in lost:
            self.ask(1, **dict[str, Any](one.fields))

    def count_one_each(self, lost: Sequence[Asked]) -> Run:
        """Ask for what was lost again, and count: every request id has one result on the lineage that went on."""
        self.ask_again(lost)
        self.recover()
        run = self.count(losses=None)
        results = Counter(answer.request_id for answer in run.answers)
        assert [one for one in lost if results[one.fields["request_id"]] != 1] == []
        assert set(results.values()) == {1}
        return run

    def _waiting(self) -> list[tuple[str, Mapping[bytes, bytes]]]:
        return list(records(self.client, self.keys.requests))


def _mark(one: Asked) -> tuple[str | None, str]:
    return one.entry_id, one.fields["request_id"]
