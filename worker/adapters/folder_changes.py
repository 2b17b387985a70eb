"""Follow a folder: which paths below it change. The only user of watchfiles."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from importlib.util import find_spec

from worker.errors import ScanError, SettingsError

_TOGETHER_MS, _STEP_MS, _TICK_MS = 200, 50, 200


async def folder_changes(root: str) -> AsyncIterator[set[str]]:
    """Yield the paths that changed, and an empty set about five times a second while nothing does.

    After the first set, changes are missed only if the system's queue overflows. Nothing reports such an overflow.

    Args:
        root: An absolute path of a folder.

    Raises:
        ScanError: The system does not let it be followed.
        SettingsError: watchfiles is not installed.
    """
    if not find_spec("watchfiles"):
        raise SettingsError("there is no watchfiles to follow a folder: pip install 'sampling-worker[audio]'")
    from watchfiles import awatch  # noqa: PLC0415 - where it is installed

    try:
        async with aclosing(
            awatch(
                root,
                watch_filter=None,
                debounce=_TOGETHER_MS,
                step=_STEP_MS,
                rust_timeout=_TICK_MS,
                yield_on_timeout=True,
                ignore_permission_denied=True,
            )
        ) as changes:
            async for changed in changes:
                yield {path for _, path in changed}
    except (OSError, RuntimeError) as error:
        hint = "; Linux follows no more folders than fs.inotify.max_user_watches" if "os error 28" in str(error) else ""
        raise ScanError(f"folder {root} cannot be followed: {error}{hint}") from error
