"""The version of this software."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def own_version() -> str:
    """Return the version of the installed distribution, or `source` if it is not installed."""
    try:
        return version("sampling-worker")
    except PackageNotFoundError:
        return "source"
