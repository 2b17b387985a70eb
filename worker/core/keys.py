"""Every name in Redis and PostgreSQL that other programs see; nothing else spells one."""

import re
from dataclasses import dataclass

GROUP = "samplers"
CATALOG_CHANNEL = "audio_chunks_changed"
PINNED = "weights"
CATEGORY_PATTERN = re.compile(r"[a-z0-9_-]{1,64}")
PREFIX_PATTERN = re.compile(r"[A-Za-z0-9_.:{}-]{1,64}")
# Of what stands in the first braces alone, where anything does, a cluster makes the slot of a name.
TAGGED_PATTERN = re.compile(r"[^{]*\{[^}]+\}.*")
CHECK = "check-"
"""What the datasets begin with that `sampling-worker check` draws for."""
NAME_PATTERN = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Keys:
    """Spell the keys and channels below one prefix.

    Attributes:
        prefix: Start of every name, `WORKER_PREFIX`; for Redis Cluster a hash tag such as `{audio}`.
    """

    prefix: str

    @property
    def requests(self) -> str:
        """Name the stream of sample requests."""
        return f"{self.prefix}:sample:requests"

    @property
    def results(self) -> str:
        """Name the shared result stream."""
        return f"{self.prefix}:sample:results"

    @property
    def dead(self) -> str:
        """Name the stream of requests given up on."""
        return f"{self.prefix}:sample:dead"

    @property
    def stats(self) -> str:
        """Name the hash of exact counts."""
        return f"{self.prefix}:sample:stats"

    @property
    def history(self) -> str:
        """Name the stream of weights changes made by this project's own writers."""
        return f"{self.prefix}:weights:history"

    @property
    def returns(self) -> str:
        """Name the hash of temporary weights, and what each of them gives way to."""
        return f"{self.prefix}:weights:returns"

    @property
    def presets(self) -> str:
        """Name the set of the presets that were stored."""
        return f"{self.prefix}:weights:presets"

    @property
    def weights_pattern(self) -> str:
        """Name the pub/sub pattern that matches the channel of every weights key."""
        return f"{self.prefix}:category:weights*"

    def failure(self, entry_id: str) -> str:
        """Name the key that says why the last attempt at a request failed."""
        return f"{self.prefix}:sample:failure:{entry_id}"

    def reply(self, name: str) -> str:
        """Name the result stream of `reply_to=<name>`."""
        return f"{self.results}:{name}"

    def asked(self, name: str) -> str:
        """Name the hash in which the client `<name>` notes what it has asked for."""
        return f"{self.prefix}:sample:asked:{name}"

    def weights(self, dataset: str | None = None) -> str:
        """Name the weights key, and the channel that notifies of it, of a dataset, a preset or of all (`None`)."""
        shared = f"{self.prefix}:category:weights"
        return shared if dataset is None else f"{shared}:{dataset}"

    def session(self, name: str) -> str:
        """Name the hash of a training session."""
        return f"{self.prefix}:session:{name}"

    def worker(self, consumer: str) -> str:
        """Name the key in which a live worker shows its state."""
        return f"{self.prefix}:worker:{consumer}"
