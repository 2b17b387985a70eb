"""A rate limit for repeated events: one token bucket for each key, which counts what it suppresses.

Source: ITU-T I.371, annex A, the generic cell rate algorithm (virtual scheduling).
"""

from dataclasses import dataclass

_MAX_KEYS = 256
_SHARED = ""
_ROUNDING_S = 1e-6


@dataclass(slots=True)
class _Bucket:
    """What one key has used up.

    Attributes:
        full_at_s: When the whole burst is available again.
        suppressed: Events suppressed since the last admitted one.
    """

    full_at_s: float
    suppressed: int = 0


class RateLimit:
    """A limit that admits the first `burst` events of a key, then one every `interval_s`, and counts the others.

    Memory is bounded. At 256 keys, quiet keys are forgotten. If no key is quiet, new keys share one bucket. So a client
    that invents keys gets no more lines than one key gets. The suppressed events of a forgotten key count for the
    shared bucket.
    """

    def __init__(self, interval_s: float, burst: int) -> None:
        """Set the rate.

        Args:
            interval_s: Seconds between two events of a key in the long run, > 0.
            burst: Events of a key admitted at once after a quiet time, >= 1.
        """
        self._interval_s = interval_s
        self._burst = burst
        self._buckets: dict[str, _Bucket] = {}

    def admit(self, key: str, now_s: float) -> int | None:
        """Decide whether to admit one event.

        Args:
            key: What repeats, for example an error code.
            now_s: Seconds of a monotonic clock.

        Returns:
            The number of events of this key suppressed since the last admitted one; None: suppress this one too.
        """
        bucket = self._bucket(key, now_s)
        full_at_s = max(bucket.full_at_s, now_s) + self._interval_s
        if full_at_s > now_s + self._burst * self._interval_s + _ROUNDING_S:
            bucket.suppressed += 1
            return None
        suppressed, bucket.full_at_s, bucket.suppressed = bucket.suppressed, full_at_s, 0
        return suppressed

    def _bucket(self, key: str, now_s: float) -> _Bucket:
        """Return the key's bucket, a new one, or the shared one if there are too many."""
        if key not in self._buckets and len(self._buckets) >= _MAX_KEYS:
            self._forget_quiet(now_s)
            if len(self._buckets) >= _MAX_KEYS:
                key = _SHARED
        return self._buckets.setdefault(key, _Bucket(now_s))

    def _forget_quiet(self, now_s: float) -> None:
        """Forget the buckets whose whole burst is available again, except the shared one."""
        shared = self._buckets.setdefault(_SHARED, _Bucket(now_s))
        for key, bucket in list(self._buckets.items()):
            if bucket.full_at_s <= now_s and bucket is not shared:
                shared.suppressed += bucket.suppressed
                del self._buckets[key]
