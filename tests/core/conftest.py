"""Laws are tried without a stopwatch: tests count, they do not time."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
