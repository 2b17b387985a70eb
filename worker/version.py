"""The version of this software."""

from importlib.metadata import PackageNotFoundError, version


def own_version() -> str:
    """Tell the version of the installed distribution; `source` when it runs uninstalled."""
    try:
        return version("sampling-worker")
    except PackageNotFoundError:
        return "source"
