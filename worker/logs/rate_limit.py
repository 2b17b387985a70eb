"""How often repeated events may be told: a token bucket a key, which counts what it holds back.

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
        full_at_s: When it will have its whole burst again.
        suppressed: Held back since the last one admitted.
    """

    full_at_s: float
    suppressed: int = 0


class RateLimit:
    """Admit the first `burst` events of a key, then one every `interval_s`, and say how many it stands for.

    Memory is bounded: at 256 keys, those that have been quiet are forgotten, and while there are none, new
    keys share one bucket, so that a stranger who invents keys gets no more lines than one key has. What a
    forgotten key had held back counts for the shared bucket.
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
        """Decide on one event.

        Args:
            key: What repeats: an error code, for example.
            now_s: Seconds of a clock that does not go backwards.

        Returns:
            How many of this key were held back since the last admitted one; None: hold this one back too.
        """
        bucket = self._bucket(key, now_s)
        full_at_s = max(bucket.full_at_s, now_s) + self._interval_s
        if full_at_s > now_s + self._burst * self._interval_s + _ROUNDING_S:
            bucket.suppressed += 1
            return None
        suppressed, bucket.full_at_s, bucket.suppressed = bucket.suppressed, full_at_s, 0
        return suppressed

    def _bucket(self, key: str, now_s: float) -> _Bucket:
        """Find the key's bucket, or make one where there is room."""
        if key not in self._buckets and len(self._buckets) >= _MAX_KEYS:
            self._forget_quiet(now_s)
            if len(self._buckets) >= _MAX_KEYS:
                key = _SHARED
        return self._buckets.setdefault(key, _Bucket(now_s))

    def _forget_quiet(self, now_s: float) -> None:
        """Drop the buckets that have their whole burst again, all but the shared one."""
        shared = self._buckets.setdefault(_SHARED, _Bucket(now_s))
        for key, bucket in list(self._buckets.items()):
            if bucket.full_at_s <= now_s and bucket is not shared:
                shared.suppressed += bucket.suppressed
                del self._buckets[key]
