"""Settings of hypothesis: no deadlines, as tests count and never time."""

from hypothesis import HealthCheck, settings

# 50 examples a run, drawn anew each time: many quick runs find more than a few long ones.
settings.register_profile("untimed", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
