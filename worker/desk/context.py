"""What all answers of one desk share."""

from dataclasses import dataclass
from typing import Any

from worker.adapters.redis.client import Client
from worker.client.weights_work import WeightsWork
from worker.core.keys import Keys
from worker.core.redaction import redact
from worker.settings.environment import user


@dataclass(frozen=True, slots=True)
class Context:
    """Where a desk looks and writes.

    Attributes:
        client: The connection to Redis.
        keys: Names in Redis.
        redis_url: URL of Redis.
        is_read_only: Whether changes are refused.
    """

    client: Client
    keys: Keys
    redis_url: str
    is_read_only: bool

    @property
    def work(self) -> WeightsWork:
        """Return what looks at weights and changes them."""
        return WeightsWork(self.client, self.keys)

    @property
    def document(self) -> dict[str, Any]:
        """Describe the desk for its page."""
        return {
            "prefix": self.keys.prefix,
            "redis": redact(self.redis_url),
            "read_only": self.is_read_only,
            "user": user(),
        }
