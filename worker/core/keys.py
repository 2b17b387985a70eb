"""Names in Redis and PostgreSQL that other programs see. No other module spells one."""

import re
from dataclasses import dataclass

GROUP = "samplers"
CATALOG_CHANNEL = "audio_chunks_changed"
PINNED = "weights"
SCHEDULE = "schedule"
POSITION = "position"
REPEATS_LIMIT = "repeats_limit"
CATEGORY_PATTERN = re.compile(r"[a-z0-9_-]{1,64}")
SPLIT_PATTERN = re.compile(r"[a-z0-9_-]{1,32}")
PREFIX_PATTERN = re.compile(r"[A-Za-z0-9_.:{}-]{1,64}")
# Redis Cluster hashes only the text in the first {...}, if there is any.
TAGGED_PATTERN = re.compile(r"[^{]*\{[^}]+\}.*")
CHECK = "check-"
"""Prefix of the datasets that `sampling-worker check` draws for."""
NAME_PATTERN = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys and channels below one prefix.

    Attributes:
        prefix: Start of every name, `WORKER_PREFIX`. For Redis Cluster it is a hash tag such as `{audio}`.
    """

    prefix: str

    @property
    def requests(self) -> str:
        """Return the stream of sample requests."""
        return f"{self.prefix}:sample:requests"

    @property
    def results(self) -> str:
        """Return the shared result stream."""
        return f"{self.prefix}:sample:results"

    @property
    def dead(self) -> str:
        """Return the stream of dead letters: requests that were given up on."""
        return f"{self.prefix}:sample:dead"

    @property
    def stats(self) -> str:
        """Return the stats hash: exact counts of what was served."""
        return f"{self.prefix}:sample:stats"

    @property
    def history(self) -> str:
        """Return the stream of weights changes by this project's own writers."""
        return f"{self.prefix}:weights:history"

    @property
    def returns(self) -> str:
        """Return the hash of returns: what temporary weights give way to."""
        return f"{self.prefix}:weights:returns"

    @property
    def presets(self) -> str:
        """Return the set of stored presets."""
        return f"{self.prefix}:weights:presets"

    @property
    def adjust(self) -> str:
        """Return the hash of rules that move the weights: dataset ("" for the global weights) -> settings, as JSON."""
        return f"{self.prefix}:adjust"

    @property
    def adjust_state(self) -> str:
        """Return the hash of how far each rule is: dataset -> state, as JSON. Only the step of a rule writes it."""
        return f"{self.prefix}:adjust:state"

    @property
    def heard(self) -> str:
        """Return the hash of what was heard since a rule began: `<unit>:<dataset>` -> count."""
        return f"{self.prefix}:adjust:heard"

    @property
    def bounds(self) -> str:
        """Return the hash of bounds: `<unit>:<dataset>` -> count at which a rule's next step is due."""
        return f"{self.prefix}:adjust:bounds"

    @property
    def feedback(self) -> str:
        """Return the stream of reports of losses."""
        return f"{self.prefix}:sample:feedback"

    @property
    def dead_feedback(self) -> str:
        """Return the stream of reports that were refused."""
        return f"{self.prefix}:sample:feedback:dead"

    @property
    def weights_pattern(self) -> str:
        """Return the pub/sub pattern that matches the channel of every weights key."""
        return f"{self.prefix}:category:weights*"

    def failure(self, entry_id: str) -> str:
        """Return the key that holds why the last attempt at a request failed."""
        return f"{self.prefix}:sample:failure:{entry_id}"

    def reply(self, name: str) -> str:
        """Return the result stream of `reply_to=<name>`."""
        return f"{self.results}:{name}"

    def asked(self, name: str) -> str:
        """Return the hash of the notes of the client `<name>`: what it has asked for."""
        return f"{self.prefix}:sample:asked:{name}"

    def weights(self, dataset: str | None = None) -> str:
        """Return the weights key of a dataset, a preset, or None (global). Its channel has the same name."""
        shared = f"{self.prefix}:category:weights"
        return shared if dataset is None else f"{shared}:{dataset}"

    def exclude(self, name: str) -> str:
        """Return the head of an exclusion list."""
        return f"{self.prefix}:sample:exclude:{name}"

    def excluded_ids(self, name: str) -> str:
        """Return the ids of an exclusion list; no list has a colon in its name."""
        return f"{self.exclude(name)}:ids"

    def session(self, name: str) -> str:
        """Return the hash of a training session."""
        return f"{self.prefix}:session:{name}"

    def worker(self, consumer: str) -> str:
        """Return the key that holds the state document of a live worker."""
        return f"{self.prefix}:worker:{consumer}"
