"""The verbs of the command line: parse, call, print; no logic."""

HEALTH_HELP = "Exit with status 0 when the worker here is alive and serving; for container and service probes."
"""The help of `health`, which reads its words itself: a probe loads the standard library alone."""
